"""examples/notebooks/ as their readers run them, at small sizes; and what is stored of them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((CHECKOUT / "examples/notebooks").glob("*.ipynb"))
MOST_BYTES = 300_000

for package in ("torch", "onnx", "onnxruntime", "openvino", "matplotlib", "pandas", "nbclient", "ipykernel"):
    pytest.importorskip(package, reason=f"the notebooks need {package}")


def outputs_of(path: Path) -> list[dict]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [output for cell in cells for output in cell.get("outputs", ())]


def told_in(path: Path) -> str:
    """All that the notebook printed."""
    return "".join("".join(output.get("text", "")) for output in outputs_of(path))


def run(name: str, into: Path, *values: str) -> Path:
    """The notebook as it is after a run with these values of its parameters."""
    command = [sys.executable, CHECKOUT / ".ci/notebooks.py", CHECKOUT / "examples/notebooks" / name, "--into", into]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "JUPYTER_PLATFORM_DIRS": "1", "HOME": str(into.parent)}
    command += values
    done = subprocess.run(command, capture_output=True, text=True, cwd=into.parent, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return into


def test_first_steps(tmp_path):
    ran = run("first_steps.ipynb", tmp_path / "ran.ipynb", "SIZE=(160, 224)", "PICTURES=2")
    assert "Within tolerance against onnxruntime fp32 on 2 pictures: openvino fp32" in told_in(ran)
    assert len([output for output in outputs_of(ran) if "image/jpeg" in output.get("data", {})]) == 3


def test_your_own_data(tmp_path):
    ran = run("your_own_data.ipynb", tmp_path / "ran.ipynb", "SCENES=8", "SIZE=(32, 32)", "EPOCHS=2")
    assert "'Platelets': " in told_in(ran)
    assert "balanced accuracy on the pictures held back: " in told_in(ran)
    assert len([output for output in outputs_of(ran) if "image/jpeg" in output.get("data", {})]) == 4


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_what_is_stored_is_small_and_whole(notebook):
    assert notebook.stat().st_size < MOST_BYTES
    cells = [cell for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    counts = [cell["execution_count"] for cell in cells]
    assert counts in ([None] * len(cells), [*range(1, len(cells) + 1)])  # nothing, or all of it in one go
    kinds = [kind for output in outputs_of(notebook) for kind in output.get("data", {})]
    assert "image/png" not in kinds
    assert [output for output in outputs_of(notebook) if output["output_type"] == "error"] == []

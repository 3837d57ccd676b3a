"""Runs a notebook in an empty folder, and writes it with its outputs, pictures made small enough for the repository.

python .ci/notebooks.py examples/notebooks/first_steps.ipynb               # in its own place: `make notebooks`
python .ci/notebooks.py NOTEBOOK --into FILE "SIZE=(160, 224)"             # with other values in the cell of parameters
"""

import argparse
import base64
import io
import re
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

WIDEST = 640  # pixels of a picture
QUALITY = 80


def set_parameters(notebook: nbformat.NotebookNode, values: dict[str, str]) -> None:
    """Put the values into the cell that is tagged "parameters"; a name that it has not is an error."""
    (cell,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ())]
    for name, value in values.items():
        cell.source, found = re.subn(rf"^{name} = .*$", f"{name} = {value}", cell.source, flags=re.MULTILINE)
        if found != 1:
            raise SystemExit(f"the notebook has no parameter {name}:\n{cell.source}")


def shrink(data: dict[str, str]) -> None:
    """Make a JPEG of limited width of an output's picture, in place."""
    for kind in ("image/png", "image/jpeg"):
        if kind in data:
            picture = Image.open(io.BytesIO(base64.b64decode(data.pop(kind)))).convert("RGB")
            picture.thumbnail((WIDEST, 10 * WIDEST))
            packed = io.BytesIO()
            picture.save(packed, "JPEG", quality=QUALITY, optimize=True)
            data["image/jpeg"] = base64.b64encode(packed.getvalue()).decode()


def main() -> None:
    """Run one notebook."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--into", type=Path, help="by default the notebook itself")
    parser.add_argument("values", nargs="*", help="NAME=VALUE")
    given = parser.parse_intermixed_args()

    notebook = nbformat.read(given.notebook, as_version=4)
    set_parameters(notebook, dict(value.split("=", 1) for value in given.values))
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(
            notebook,
            timeout=1200,
            kernel_name="python3",
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": folder}},
        ).execute()
    for output in [output for cell in notebook.cells for output in cell.get("outputs", ())]:
        shrink(output.get("data", {}))
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    nbformat.write(notebook, given.into or given.notebook)


if __name__ == "__main__":
    main()

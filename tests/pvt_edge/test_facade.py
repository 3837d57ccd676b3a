"""The facade: its names, and what importing it costs."""

import json
import pkgutil
import re
import subprocess
import sys

import pytest

import pvt_edge
from pvt_edge.errors import EXTRA_OF

PUBLIC = [
    "VARIANTS",
    "HeadConfig",
    "Predictor",
    "PvtEdgeError",
    "Result",
    "Variant",
    "WeightsReport",
    "create_model",
    "export_model",
    "load",
    "load_weights",
    "read_bundle",
    "save_weights",
    "to_deploy_form",
    "train",
    "verify",
]
COMMANDS = ["demo", "train", "export", "build", "predict", "verify", "val", "benchmark", "inspect", "doctor"]
HEAVY = [*EXTRA_OF, "psutil", "tensorrt_rtx", "transformers"]

# Runs in a bare interpreter where the heavy packages cannot be imported, as where only the core is installed.
BARE = """
import importlib.abc, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {heavy!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
sys.path = [entry for entry in sys.path if entry not in ("", ".")]
"""


def run_bare(code: str) -> subprocess.CompletedProcess[str]:
    script = BARE.format(heavy=HEAVY) + code
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd="/", check=False)


def test_public_names():
    assert sorted(pvt_edge.__all__) == sorted(PUBLIC)
    for name in PUBLIC:
        assert getattr(pvt_edge, name) is not None
    assert set(PUBLIC) <= set(dir(pvt_edge))


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'exprot_model'"):
        _ = pvt_edge.exprot_model


def test_import_loads_nothing_heavy():
    code = "import sys, json, pvt_edge, pvt_edge.cli; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/", check=True)
    loaded = {name.split(".")[0] for name in json.loads(done.stdout)}
    assert loaded.isdisjoint({*HEAVY, "numpy"})


def test_facade_import_loads_no_third_party():
    code = "import sys, json, pvt_edge; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/", check=True)
    loaded = {name.split(".")[0] for name in json.loads(done.stdout)}
    assert loaded.isdisjoint({*HEAVY, "numpy", "pydantic", "typer", "rich"})


def module_names() -> list[str]:
    """Modules a device needs: all but those that are only reached where torch is."""
    with_torch = ("pvt_edge.models", "pvt_edge.zoo", "pvt_edge.training", "pvt_edge.export", "pvt_edge.checkpoints")
    found = pkgutil.walk_packages(pvt_edge.__path__, "pvt_edge.", onerror=lambda name: None)
    names = [module.name for module in found if not module.name.endswith("__main__")]
    return [name for name in names if not name.startswith(with_torch)]


def test_every_device_module_imports_with_the_core_alone():
    names = module_names()
    assert "pvt_edge.verification.verifier" in names
    assert "pvt_edge.predictor" in names
    assert "pvt_edge.cli.app" in names
    done = run_bare(f"import importlib\nfor name in {names!r}: importlib.import_module(name)\nprint('all')")
    assert done.stdout.strip() == "all", done.stderr


def test_help_with_the_core_alone():
    done = run_bare("sys.argv = ['pvt-edge', '--help']\nfrom pvt_edge.cli import main\nmain()")
    assert done.returncode == 0, done.stderr
    assert re.findall(r"^\W*(\w+)  ", done.stdout.partition("Commands")[2], re.MULTILINE) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_with_the_core_alone(command):
    done = run_bare(f"sys.argv = ['pvt-edge', {command!r}, '--help']\nfrom pvt_edge.cli import main\nmain()")
    assert done.returncode == 0, done.stderr
    assert f"Usage: pvt-edge {command}" in done.stdout


@pytest.mark.parametrize(
    ("code", "mend"),
    [
        ("pvt_edge.create_model('b0')", "torch"),
        ("pvt_edge.export_model(None, 'x')", "torch"),
    ],
)
def test_a_missing_package_is_named_with_the_mend(code, mend):
    done = run_bare(f"import pvt_edge\ntry:\n    {code}\nexcept pvt_edge.PvtEdgeError as error: print(error)")
    assert mend in done.stdout, done.stderr
    assert 'pip install "pvt-edge[export]"' in done.stdout

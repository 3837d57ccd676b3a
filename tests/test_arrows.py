"""Arrows between the folders point one way: benchmarks -> export -> pvt_edge -> runtimes (CONTRIBUTING.md).

So they do between the rooms inside: the inner folders, and the files that lie in none.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CHECKOUT = Path(__file__).resolve().parents[1]
LAYERS = ("runtimes", "pvt_edge", "export", "benchmarks")  # each may import those before it
BELOW_RUNTIMES = "pvt_edge.errors"
# These reach export and benchmarks, in functions alone: the command and the facade.
REACH_UP = ("pvt_edge/cli/", "pvt_edge/__init__.py")
WITH_TORCH = ("pvt_edge/models/", "pvt_edge/training/", "pvt_edge/checkpoints/", "export/", "benchmarks/studies/")
# Where models are made and trained. A device has no torch: nothing but the command and the facade reaches these.
WORKSHOP = ("pvt_edge/models", "pvt_edge/checkpoints", "pvt_edge/weights", "pvt_edge/training", "pvt_edge/zoo.py")
SETTINGS = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
HEAVY = tuple(SETTINGS["ruff"]["lint"]["flake8-tidy-imports"]["banned-module-level-imports"])
FILES = [path.relative_to(CHECKOUT) for layer in LAYERS for path in sorted((CHECKOUT / layer).rglob("*.py"))]


class Import(NamedTuple):
    """A module that is imported: by the file when it is loaded, by one of its functions, or only for the types."""

    module: str
    line: int
    when: str  # "load", "call" or "types"


def imports_of(source: str) -> list[Import]:
    return list(_imports(ast.parse(source), "load"))


def _imports(node: ast.AST, when: str) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, child.lineno, when) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are absolute"
            yield from (Import(f"{child.module}.{alias.name}", child.lineno, when) for alias in child.names)
        elif isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield from _imports(child, "call")
        elif isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            for each in child.body:
                yield from _imports(ast.Module([each], []), "types")
        else:
            yield from _imports(child, when)


def layer_of(module: str) -> str | None:
    """The folder that a module lies in; None for another's package."""
    first, _, rest = module.partition(".")
    if first != "pvt_edge":
        return None
    room = rest.partition(".")[0]
    return room if room in LAYERS else "pvt_edge"


def wrong_ways(file: str, source: str) -> list[str]:
    """What a file imports from where it must not, and what is heavy and not put off."""
    layer = file.partition("/")[0]
    found = []
    for module, line, when in imports_of(source):
        target = layer_of(module)
        if target is not None and target != layer:
            below = LAYERS.index(target) < LAYERS.index(layer)
            errors = layer == "runtimes" and f"{module}.".startswith(f"{BELOW_RUNTIMES}.")
            reached = file.startswith(REACH_UP) and when != "load"
            if not (below or errors or reached):
                found.append(f"{file}:{line}: {layer} imports {module}")
        if when == "load" and module.partition(".")[0] in HEAVY and not file.startswith(WITH_TORCH):
            found.append(f"{file}:{line}: {module} is imported with the file")
    return found


def test_every_folder_is_installed():
    """The wheel has the packages that are listed, and no others."""
    folders = {file.parent.as_posix() for file in FILES} - {"benchmarks/studies"}
    packages = {("pvt_edge/" if not name.startswith("pvt_edge") else "") + name for name in folders}
    installed = {name.replace(".", "/") for name in SETTINGS["setuptools"]["packages"]} - {"pvt_edge/live/static"}
    assert packages == installed


def test_no_file_imports_the_wrong_way():
    assert len(FILES) > 250
    found = [line for file in FILES for line in wrong_ways(file.as_posix(), (CHECKOUT / file).read_text("utf-8"))]
    assert found == []


@pytest.mark.parametrize(
    ("file", "source", "count"),
    [
        ("runtimes/a.py", "", 0),
        ("runtimes/a.py", "from pvt_edge.errors import DataError\nfrom pvt_edge.runtimes.table import require", 0),
        ("runtimes/a.py", "from pvt_edge.bundle import Bundle", 1),
        ("runtimes/a.py", "def f():\n    import pvt_edge.results", 1),
        ("pvt_edge/a.py", "from pvt_edge.runtimes import RUNTIMES", 0),
        ("pvt_edge/a.py", "def f():\n    from pvt_edge.export.onnx import quiet", 1),
        ("pvt_edge/a.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pvt_edge.benchmarks", 1),
        ("pvt_edge/cli/a.py", "def f():\n    from pvt_edge.export.onnx import quiet", 0),
        ("pvt_edge/cli/a.py", "from pvt_edge.export.onnx import quiet", 1),
        ("export/a.py", "import torch\nfrom pvt_edge.bundle import Bundle", 0),
        ("export/a.py", "from pvt_edge import benchmarks", 1),
        ("benchmarks/a.py", "from pvt_edge.export.onnx import quiet\nfrom pvt_edge import load", 0),
        ("benchmarks/a.py", "try:\n    import cv2.dnn\nexcept ImportError:\n    cv2 = None", 1),
        ("benchmarks/a.py", "class A:\n    from openvino import Core\n    def f(self):\n        import torch", 1),
    ],
)
def test_wrong_ways_are_seen(file, source, count):
    assert len(wrong_ways(file, source)) == count


def room_of(file: str) -> str:
    """The inner folder that a file lies in; of what lies in no inner folder, the file. runtimes/ is one room."""
    layer, *inner = file.split("/")
    return f"{layer}/{inner[0]}" if len(inner) > 1 or layer != "runtimes" else layer


def arrows(sources: Mapping[str, str]) -> dict[tuple[str, str], str]:
    """(room, room that it imports) -> one line that does, of files with their source; imports for types left out."""
    files = {}
    for file in sources:
        module = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        files[module if file.startswith("pvt_edge/") else f"pvt_edge.{module}"] = file
    found = {}
    for file, source in sources.items():
        for module, line, when in imports_of(source):
            while module and module not in files:
                module = module.rpartition(".")[0]
            # a name of the facade is asked for by its users, not by the rooms
            if module not in ("", "pvt_edge") and when != "types" and room_of(files[module]) != room_of(file):
                found[room_of(file), room_of(files[module])] = f"{file}:{line}: imports {module}"
    return found


def circles(edges: Mapping[tuple[str, str], str]) -> list[str]:
    """The lines by which rooms import each other, in circles of any length."""
    reached = {start: {end for begin, end in edges if begin == start} for start, _ in edges}
    for middle in reached:  # Warshall's closure
        for start in reached:
            if middle in reached[start]:
                reached[start] |= reached[middle]
    return [line for (start, end), line in edges.items() if start in reached.get(end, ())]


def into_workshop(edges: Mapping[tuple[str, str], str]) -> list[str]:
    """The lines by which device code imports what needs torch."""
    rooms = (*WORKSHOP, "pvt_edge/cli", "pvt_edge/__init__.py", "export/", "benchmarks/")
    return [line for (start, end), line in edges.items() if end in WORKSHOP and not start.startswith(rooms)]


def test_no_room_imports_in_a_circle():
    edges = arrows({file.as_posix(): (CHECKOUT / file).read_text("utf-8") for file in FILES})
    assert len(edges) > 150
    assert circles(edges) == []
    assert into_workshop(edges) == []


def test_circles_are_seen():
    a, b, c = (f"pvt_edge/{name}/x.py" for name in "abc")
    zoo, models, leaf = "pvt_edge/zoo.py", "pvt_edge/models/__init__.py", "pvt_edge/leaf.py"
    straight = {
        a: "from pvt_edge.b.x import f",
        b: "from pvt_edge.c import x",
        c: "if TYPE_CHECKING:\n    from pvt_edge.a.x import A",
        zoo: "from pvt_edge.models import MODELS\nfrom pvt_edge import leaf",
        models: "",
        leaf: "",
    }
    assert circles(arrows(straight)) == into_workshop(arrows(straight)) == []
    bent = {**straight, c: "def f():\n    from pvt_edge.a.x import A"}
    assert len(circles(arrows(bent))) == 3
    assert into_workshop(arrows({**straight, c: "def f():\n    import pvt_edge.models"})) == [
        "pvt_edge/c/x.py:2: imports pvt_edge.models"
    ]

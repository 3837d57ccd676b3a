"""Pages of the site that are made from the notebooks of examples/, as they are stored. A hook of MkDocs."""

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

NOTEBOOKS = Path(__file__).resolve().parents[1] / "examples" / "notebooks"


def on_files(files: "Files", config: "MkDocsConfig") -> "Files":
    """Add the pages and their pictures before MkDocs reads them."""
    from mkdocs.structure.files import File

    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        page, pictures = notebook_page(path)
        files.append(File.generated(config, f"{path.stem}.md", content=page))
        for name, content in pictures.items():
            files.append(File.generated(config, name, content=content))
    return files


def notebook_page(path: Path) -> tuple[str, dict[str, bytes]]:
    """The notebook as Markdown, and its pictures by the names that the page gives them."""
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "image/jpeg" in data:
                name = f"{path.stem}-{len(pictures) + 1}.jpg"
                pictures[name] = base64.b64decode(data["image/jpeg"])
                parts.append(f"![What the cell above shows]({name})")
            else:
                parts.append(f"```text\n{_text(output, data)}\n```")
    parts.append(f"The notebook itself: `examples/notebooks/{path.name}`.")
    return "\n\n".join(parts) + "\n", pictures


def _text(output: dict[str, Any], data: dict[str, Any]) -> str:
    return "".join(output.get("text") or data.get("text/plain", "")).rstrip()

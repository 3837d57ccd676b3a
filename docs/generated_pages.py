"""Pages of the site that are made from the code: every option, the API, the errors. A hook of MkDocs."""

import inspect
from typing import TYPE_CHECKING, Any

import pvt_edge
from pvt_edge import errors
from pvt_edge.cli.app import app
from pvt_edge.cli.spread import options_of
from pvt_edge.options.train import TrainOptions

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files


def on_files(files: "Files", config: "MkDocsConfig") -> "Files":
    """Add the pages before MkDocs reads them."""
    from mkdocs.structure.files import File

    for name, content in (("cli.md", cli_page()), ("api.md", api_page()), ("errors.md", errors_page())):
        files.append(File.generated(config, name, content=content))
    return files


def cli_page() -> str:
    """Every command with its arguments and options, as `--help` describes them."""
    import typer

    parts = ["# Every option", "Made from the code. `pvt-edge COMMAND --help` says the same."]
    for name, command in typer.main.get_command(app).commands.items():
        parts += [f"## {name}", _cell(command.help), _options(command)]
    return "\n\n".join(parts) + "\n"


def _options(command: Any) -> str:
    rows = ["| option | what it does | default |", "|---|---|---|"]
    for parameter in command.params:
        if getattr(parameter, "hidden", False):
            continue
        names = [*parameter.opts, *parameter.secondary_opts]
        spelled = " ".join(f"`{name}`" for name in names)
        if parameter.param_type_name == "argument":
            spelled = f"`{parameter.metavar or parameter.name.upper()}`"
        elif not parameter.is_flag and parameter.metavar:
            spelled += f" {_code(parameter.metavar)}"
        rows.append(f"| {spelled} | {_cell(parameter.help)} | {_default(parameter.default)} |")
    return "\n".join(rows)


def _default(value: Any) -> str:
    return "" if value is None or value is False or value in ("", ()) or callable(value) else _code(str(value))


def _code(text: str) -> str:
    """The text as code in a table: between backticks a bar would keep its backslash."""
    return f"<code>{_cell(text).replace(chr(92) + '|', '&#124;')}</code>"


def _cell(text: str | None) -> str:
    """The text in one line that a table can hold."""
    return " ".join((text or "").split()).replace("|", "\\|").replace("<", "&lt;")


def api_page() -> str:
    """The public names, each rendered from its docstring."""
    functions_first = sorted(pvt_edge.__all__, key=lambda name: (name[0].isupper(), name))
    names = [f"::: pvt_edge.{module_of(name)}.{name}" for name in functions_first if name != "PvtEdgeError"]
    intro = "All of it is in `pvt_edge`: `pvt_edge.load`, `pvt_edge.export_model` ... Errors have [a page](errors.md)."
    keywords = [
        "::: pvt_edge.options.export.ExportOptions",
        "## TrainOptions",
        "Keywords of `train`.",
        _train_options(),
    ]
    return "\n\n".join(["# Python API", intro, *names, *keywords]) + "\n"


def _train_options() -> str:
    """The keywords of `train`, in the words of `--help`."""
    rows = ["| keyword | what it does |", "|---|---|"]
    return "\n".join(rows + [f"| `{one.field}` | {_cell(one.flag.help)} |" for one in options_of(TrainOptions)])


def module_of(name: str) -> str:
    """The module where a public name is defined, below `pvt_edge`."""
    value = getattr(pvt_edge, name)
    return getattr(value, "__module__", "pvt_edge.variants").removeprefix("pvt_edge.")


def errors_page() -> str:
    """Every error: when it is raised, and what to do then."""
    rows = [f"| `{name}` | {when} | {remedy} |" for name, when, remedy in error_rows()]
    intro = (
        "Every error that is raised on purpose is a `pvt_edge.PvtEdgeError`. Its message is one line that says what "
        "failed, what was given and what would do. The command line prints it and exits with 1; "
        "`pvt-edge --debug ...` shows where it came from."
    )
    return "\n".join(["# Errors", "", intro, "", "| error | when | what to do |", "|---|---|---|", *rows, ""])


def error_rows() -> list[tuple[str, str, str]]:
    """Name, first paragraph and second paragraph of the docstring of every class in `pvt_edge.errors`."""
    found = []
    for name, kind in inspect.getmembers(errors, inspect.isclass):
        if issubclass(kind, (errors.PvtEdgeError, errors.PictureWarning)):
            when, _, remedy = inspect.cleandoc(kind.__doc__ or "").partition("\n\n")
            found.append((name, _cell(when), _cell(remedy)))
    return found

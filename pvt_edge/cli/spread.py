"""Commands of functions that take options objects: every field that has a `Flag` is an option of the command line."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from math import isnan
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple, get_args, get_origin, is_typeddict

import typer

from pvt_edge.options.flag import Flag


class _Option(NamedTuple):
    """A field, its flag, and the parameter that typer makes an option of."""

    field: str
    flag: Flag
    parameter: inspect.Parameter


def spread(
    after: Mapping[str, Sequence[str]] = MappingProxyType({}), panels: Mapping[str, str] = MappingProxyType({})
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A decorator: parameters that are options objects become an option a field, in the order of their fields.

    `after` says which of the function's own options `--help` lists after which field's, `panels` under which heading
    it lists an object's.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(function).parameters
        objects = {
            name: options for name, one in own.items() if (options := options_of(one.annotation, panels.get(name)))
        }

        def listed(name: str) -> Iterator[inspect.Parameter]:
            for option in objects.get(name, ()):
                yield option.parameter
                for there in after.get(option.field, ()):
                    yield from listed(there)
            if name not in objects:
                yield own[name]

        moved = {name for names in after.values() for name in names}
        parameters = [one for name in own if name not in moved for one in listed(name)]

        def command(**given: Any) -> None:
            for name, options in objects.items():
                typed = [(option, given.pop(option.parameter.name)) for option in options]
                for option, value in typed:
                    if isinstance(value, float) and isnan(value):  # which no range refuses
                        raise typer.BadParameter("nan is no number", param_hint=f"'{_spelled(option.parameter.name)}'")
                given[name] = own[name].annotation(
                    **{
                        option.field: option.flag.read(value) if option.flag.read else value
                        for option, value in typed
                        if value != option.parameter.default  # else the field's own default, of its own type
                    }
                )
            function(**given)

        command.__name__, command.__doc__, command.__module__ = function.__name__, function.__doc__, function.__module__
        command.__annotations__ = {one.name: one.annotation for one in parameters}
        command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]
        )
        return command

    return decorate


def options_of(kind: Any, panel: str | None = None) -> list[_Option]:
    """The options of an options object's class, a frozen dataclass or `TypedDict`; none of any other."""
    if is_dataclass(kind):
        found = [(field.name, field.type, field.default) for field in fields(kind)]
    elif is_typeddict(kind):  # what is not typed is left out of it
        found = [(name, annotation, None) for name, annotation in kind.__annotations__.items()]
    else:
        return []
    return [
        _option(name, annotation, flag, default, panel)
        for name, annotation, default in found
        if (flag := _flag(annotation)) is not None
    ]


def _flag(annotation: Any) -> Flag | None:
    marks = annotation.__metadata__ if get_origin(annotation) is Annotated else ()
    return next((mark for mark in marks if isinstance(mark, Flag)), None)


def _option(field: str, annotation: Any, flag: Flag, default: Any, panel: str | None) -> _Option:
    kind = flag.kind or _only(annotation.__origin__)
    name = flag.name or field
    if flag.default is not ...:
        default = flag.default
    elif annotation.__origin__ is bool:  # of a TypedDict; a dataclass has a default for it
        default = bool(default)
    spelled = flag.spelled or (_spelled(name) if kind is bool else "")  # without a --no- beside it
    info = typer.Option(
        *([spelled] if spelled else []),
        help=flag.help,
        metavar=flag.metavar,
        min=flag.min,
        max=flag.max,
        rich_help_panel=flag.panel or panel,
    )
    typed: Any = Annotated[kind | None if default is None else kind, info]
    return _Option(
        field, flag, inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=typed)
    )


def _spelled(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _only(annotation: Any) -> Any:
    """The type that is not None."""
    (kind,) = [part for part in get_args(annotation) if part is not type(None)] or [annotation]
    return kind

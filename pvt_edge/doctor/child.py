"""Questions asked in processes of their own: a library that crashes or hangs takes nothing with it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

PATIENCE_S = 30.0  # torch from an SD card takes ten
MARK = "pvt-edge-probe "  # libraries print lines of their own
_CODE = "import sys; sys.path[:] = {path!r}; from pvt_edge.doctor.probes import answer; answer({name!r})"


@dataclass(frozen=True)
class Answer:
    """What a probe found; `failure` says in a line why it came no further, None where it did.

    `with_mend` says that the failure is an error of ours, which names its mend.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    failure: str | None = None
    with_mend: bool = False


def ask_all(names: Iterable[str], patience_s: float = PATIENCE_S) -> dict[str, Answer]:
    """The answers of the probes named (`pvt_edge.doctor.probes`), asked at the same time."""
    listed = [*names]
    with ThreadPoolExecutor(max(len(listed), 1)) as pool:
        answers = pool.map(lambda name: ask(name, patience_s), listed)
        return dict(zip(listed, answers, strict=True))


def ask(name: str, patience_s: float = PATIENCE_S) -> Answer:
    """The answer of one probe. Never raises for what happens in it."""
    # the parent's path, not the child's own: a folder called openvino lies in every bundle
    code = _CODE.format(path=sys.path, name=name)
    return answer_of([sys.executable, "-c", code], patience_s)


def answer_of(command: list[str], patience_s: float) -> Answer:
    """What a command answers, with its death or silence as the failure; it is killed after `patience_s`."""
    pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    try:
        child = subprocess.Popen(command, text=True, errors="replace", start_new_session=True, **pipes)
    except OSError as error:
        return Answer(failure=f"no process could be started ({error.strerror or error})")
    with child:
        try:
            told, complained = child.communicate(timeout=patience_s)
        except subprocess.TimeoutExpired:
            _kill(child)
            return Answer(failure=f"it did not answer within {patience_s:g} s")
    for line in reversed(told.splitlines()):
        if line.startswith(MARK):
            return Answer(**json.loads(line.removeprefix(MARK)))
    last = next((line.strip() for line in reversed(complained.splitlines()) if line.strip()), "it said nothing")
    return Answer(failure=f"it {_death(child.returncode)}: {last[:200]}")


def _kill(child: "subprocess.Popen[str]") -> None:
    with suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(child.pid, signal.SIGKILL)  # what it started as well
        else:
            child.kill()
    child.communicate()


def _death(code: int) -> str:
    if code < 0:
        with suppress(ValueError):
            return f"crashed ({signal.Signals(-code).name})"
    return f"ended with code {code}"

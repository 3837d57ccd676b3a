"""What is asked of each library, in a process of its own: one that crashes or hangs takes nothing with it.

A probe fills in what it finds, and may raise or die.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from mmap import ACCESS_READ, mmap
from tempfile import TemporaryFile
from typing import IO, Any, NoReturn

from pvt_edge.errors import PvtEdgeError
from pvt_edge.runtimes.session import Facts, printable
from pvt_edge.runtimes.table import runtime_entry

PATIENCE_S = 30.0  # torch from an SD card takes ten
GRACE_S = 5  # an orphan of ours may outlive our patience by so much, and a killed one take to go
MARK = "pvt-edge-probe "  # libraries print lines of their own
_CODE = "import sys; sys.path[:] = {path!r}; from pvt_edge.doctor.probes import answer; answer({name!r}, {limit_s})"


@dataclass(frozen=True)
class Answer:
    """What a probe found; `failure` says in a line why it came no further, None where it did.

    `with_mend` says that the failure is an error of ours, which names its mend.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    failure: str | None = None
    with_mend: bool = False


@contextmanager
def asking(names: Iterable[str], patience_s: float = PATIENCE_S) -> Iterator[Callable[[], dict[str, Answer]]]:
    """Ask the probes named (`pvt_edge.doctor.probes`) at the same time.

    The function that is given waits for the answers, and never raises for what happens in a probe. What still runs at
    the end is killed, on Ctrl-C as well.
    """
    with ExitStack() as stack:
        asked = {name: stack.enter_context(Question(_command(name, patience_s), patience_s)) for name in names}
        yield lambda: {name: question.answer() for name, question in asked.items()}


def _command(name: str, patience_s: float) -> list[str]:
    # the parent's path, not the child's own: a folder called openvino lies in every bundle
    return [sys.executable, "-c", _CODE.format(path=sys.path, name=name, limit_s=int(patience_s) + GRACE_S)]


class Question:
    """A command that runs until it answers; leaving the context kills it with what it started.

    It writes into files: a pipe ends only when all have closed it, processes that a library leaves behind too.
    """

    def __init__(self, command: list[str], patience_s: float) -> None:
        self._command, self._patience_s = command, patience_s
        self._child: subprocess.Popen[bytes] | None = None
        self._files = ExitStack()

    def __enter__(self) -> "Question":
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._child is not None and self._child.returncode is None:
            self._end(self._child)
        self._files.close()

    def answer(self) -> Answer:
        if self._child is None:
            self._start()  # there were too many processes, of which those asked before have ended
        if self._child is None:
            return Answer(failure=f"no process could be started ({self._refusal})")
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(max(self._deadline - time.monotonic(), 0))
        code = self._child.returncode
        self._end(self._child)
        return _marked(_lines(self._stdout)) or Answer(failure=self._silence(code))

    def _start(self) -> None:
        try:
            self._stdout, self._stderr = (self._files.enter_context(_scratch_file()) for _ in range(2))
            files: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": self._stdout, "stderr": self._stderr}
            self._child = subprocess.Popen(self._command, start_new_session=True, **files)
        except OSError as error:
            self._refusal = error.strerror or error
        self._deadline = time.monotonic() + self._patience_s

    def _end(self, child: "subprocess.Popen[bytes]") -> None:
        with suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(child.pid, signal.SIGKILL)  # what it started as well
            else:
                child.kill()
        with suppress(subprocess.TimeoutExpired):  # one that a driver holds cannot even be killed
            child.wait(GRACE_S)

    def _silence(self, code: int | None) -> str:
        """Why there is no answer; `code` None where it had not ended."""
        if code is None:
            return f"it did not answer within {self._patience_s:g} s"
        last = next((line for line in reversed(_lines(self._stderr)) if line.strip()), "it said nothing")
        return f"it {_death(code)}: {printable(last)[:200]}"


def _scratch_file() -> IO[bytes]:
    """A file without a name, in memory where that can be: a read-only container has no place for another."""
    if hasattr(os, "memfd_create"):
        with suppress(OSError):
            return open(os.memfd_create("pvt-edge-probe"), "w+b")
    return TemporaryFile()


def _lines(file: IO[bytes]) -> list[str]:
    """Its lines, without moving the position, at which a process left behind may write on."""
    if not os.fstat(file.fileno()).st_size:
        return []
    with mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        return content[:].decode(errors="replace").splitlines()


def _marked(lines: list[str]) -> Answer | None:
    """The last answer among the lines; a library may print anything, a line that looks like ours too."""
    for line in reversed(lines):
        if line.startswith(MARK):
            with suppress(ValueError, TypeError, RecursionError):
                content = json.loads(line.removeprefix(MARK))
                if "failure" in content:
                    return Answer(**content)
    return None


def _death(code: int) -> str:
    if code < 0:
        with suppress(ValueError):
            return f"crashed ({signal.Signals(-code).name})"
    return f"ended with code {code}" if code else "ended without an answer"


def answer(name: str, limit_s: int) -> NoReturn:
    """Print the probe's facts, and its failure, behind the mark that the parent looks for, and end this process."""
    if hasattr(signal, "alarm"):
        signal.alarm(limit_s)  # a probe that hangs outlives a parent that was killed
    facts: Facts = {}
    failure, with_mend = None, False
    try:
        ask(name, facts)
    except PvtEdgeError as error:
        failure, with_mend = printable(error), True
    except BaseException as error:  # SystemExit too: a library that ends the process is broken
        failure = printable(f"{type(error).__name__}: {error}")[:400].removesuffix(":")
    answer = json.dumps({"facts": facts, "failure": failure, "with_mend": with_mend})
    sys.stdout.write(f"\n{MARK}{answer}\n")
    sys.stdout.flush()
    os._exit(0)  # threads that a library left running would keep the process


def _cuda(facts: Facts) -> None:
    from pvt_edge.runtimes.cuda import bindings, check, probe_cuda

    facts["gpus"] = []
    first = probe_cuda()
    count = int(check(bindings().cudaGetDeviceCount()))
    for index in range(count):
        facts["gpus"].append(asdict(first if index == first.index else probe_cuda(f"cuda:{index}")))


def _video(facts: Facts) -> None:
    import cv2

    facts["version"], facts["file"] = printable(cv2.__version__), printable(getattr(cv2, "__file__", ""))
    facts["build"] = str(cv2.getBuildInformation())


def ask(name: str, facts: Facts) -> None:
    """Fill in what the library behind the runtime or subject `name` says."""
    probe = SUBJECTS[name] if name in SUBJECTS else runtime_entry(name).opener.probe
    probe(facts)


# What is asked besides the runtimes
SUBJECTS: dict[str, Callable[[Facts], None]] = {"cuda": _cuda, "video": _video}

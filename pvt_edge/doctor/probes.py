"""What is asked of each library, in a process of its own. A probe fills in what it finds, and may raise or die."""

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from pvt_edge.doctor.child import MARK
from pvt_edge.errors import PvtEdgeError
from pvt_edge.runtimes.probe import Facts, printable
from pvt_edge.runtimes.table import runtime_entry


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
    from dataclasses import asdict

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

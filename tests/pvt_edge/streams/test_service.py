"""What systemd hears, on a real datagram socket."""

import os
import shutil
import socket
import subprocess
from dataclasses import replace

import pytest

from pvt_edge.streams.service import Service
from pvt_edge.streams.status import ENDED, FAILED, LOST, OPENING, RUNNING, StreamStatus

FINE = StreamStatus(0, "camera", True, RUNNING, fps=24.8, age_p95_ms=61.2, dropped=3, reconnects=1, idle_s=0.1)
LINE = "24.8 fps | age p95 61 ms | dropped 3 | reconnects 1"
HUNG = replace(FINE, idle_s=20.0)


@pytest.fixture(params=["path", "abstract"])
def systemd(request, tmp_path, monkeypatch):
    """The socket that systemd would listen on; its watchdog wants to hear us every 0.1 s."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@pvt-edge-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(name.replace("@", "\0"))
        listening.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        monkeypatch.setenv("WATCHDOG_USEC", "100000")
        yield listening


def hear(listening):
    return listening.recv(4096).decode()


def test_ready_alive_with_the_status_and_stopping(systemd):
    with Service(lambda: [FINE], hung_s=15.0):
        assert hear(systemd) == "READY=1"
        assert hear(systemd) == f"STATUS={LINE}\nWATCHDOG=1"
        assert hear(systemd) == f"STATUS={LINE}\nWATCHDOG=1"
    told = hear(systemd)
    while "WATCHDOG" in told:  # one more, where the end came late
        told = hear(systemd)
    assert told == "STOPPING=1"


def test_the_watchdog_falls_silent_when_a_stream_hangs_and_barks_when_it_goes_on(systemd):
    streams = [FINE, replace(FINE, id=1)]
    with Service(lambda: streams, hung_s=15.0):
        assert hear(systemd) == "READY=1"
        assert hear(systemd).endswith("WATCHDOG=1")
        streams[1] = HUNG
        while "WATCHDOG" in (told := hear(systemd)):
            pass  # was under way
        assert told == f"STATUS={LINE}; {LINE}"
        assert "WATCHDOG" not in hear(systemd)
        streams[1] = FINE
        while "WATCHDOG" not in hear(systemd):
            pass


@pytest.mark.parametrize(
    ("statuses", "hung"),
    [
        ([], False),
        ([FINE], False),
        ([HUNG], True),
        ([FINE, HUNG], True),
        ([replace(HUNG, state=LOST)], False),  # known to be away: being reopened
        ([replace(HUNG, state=OPENING)], False),
        ([replace(HUNG, state=ENDED)], False),
        ([replace(HUNG, state=FAILED)], False),
    ],
)
def test_what_is_a_hang(statuses, hung):
    assert Service(lambda: statuses, hung_s=15.0).hung() is hung


def test_a_reason_of_several_lines_is_no_second_message(systemd):
    lost = replace(FINE, state=LOST, reason="gone\nMAINPID=1")
    with Service(lambda: [lost], hung_s=15.0):
        assert hear(systemd) == "READY=1"
        assert hear(systemd) == f"STATUS={LINE} | lost: gone MAINPID=1\nWATCHDOG=1"


def test_a_reason_that_is_no_text_is_told_all_the_same(systemd):
    failed = replace(FINE, state=FAILED, reason="cannot read caf\udce9.mp4")
    with Service(lambda: [failed], hung_s=15.0):
        assert hear(systemd) == "READY=1"
        assert hear(systemd) == f"STATUS={LINE} | failed: cannot read caf\\udce9.mp4\nWATCHDOG=1"


@pytest.mark.parametrize("watchdog", ["", "0", "soon", "60000000"])
def test_without_a_watchdog_the_status_is_told_in_peace(monkeypatch, tmp_path, watchdog):
    monkeypatch.setenv("WATCHDOG_USEC", watchdog)
    assert Service(list, hung_s=15.0)._every_s == 5.0


def test_nothing_happens_without_systemd_or_when_it_is_gone(monkeypatch, tmp_path):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    with Service(lambda: 1 / 0, hung_s=15.0):
        pass
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    with Service(lambda: [FINE], hung_s=15.0):
        pass


def test_the_unit_is_one_that_systemd_takes(checkout, tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze here")
    text = (checkout / "docs" / "systemd" / "pvt-edge@.service").read_text()
    program = next(line for line in text.splitlines() if line.startswith("ExecStart=")).split("=")[1].split()[0]
    unit = tmp_path / "pvt-edge@.service"
    unit.write_text(text.replace(program, "/bin/true"))  # it checks that the program is there
    command = ["systemd-analyze", "verify", "--man=no", str(tmp_path / "pvt-edge@door.service")]
    (tmp_path / "pvt-edge@door.service").symlink_to(unit)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if "pvt-edge" in line]
    assert (done.returncode, said) == (0, [])

"""Cameras for tests: a real RTSP server, MJPEG over HTTP, a host that says nothing. They die when told to."""

import contextlib
import importlib.util
import socket
import subprocess
import threading
import time
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "benchmarks" / "studies" / "numbered_camera.py"
PYTHON = "/usr/bin/python3"  # the system's, which has GStreamer
NEEDED = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"


@cache
def numbered_camera():
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("numbered_camera", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_number(image):
    return numbered_camera().read_number(image)


@cache
def why_no_rtsp_server() -> str:
    try:
        done = subprocess.run([PYTHON, "-c", NEEDED], capture_output=True, text=True, check=False)
    except OSError as error:
        return str(error)
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


class RtspCamera:
    """A camera in a process of its own; `address` stays over a restart."""

    def __init__(self, *options: str, login: str = "") -> None:
        if why_no_rtsp_server():
            pytest.skip(f"no GStreamer RTSP server (gir1.2-gst-rtsp-server-1.0): {why_no_rtsp_server()}")
        self.options = [*options, *(["--login", login] if login else [])]
        self.port = 0
        self.process: subprocess.Popen[str] | None = None
        self.start()
        self.address = f"rtsp://{login + '@' if login else ''}127.0.0.1:{self.port}/cam"

    def start(self, *options: str) -> None:
        """Serve again, on the port of before."""
        command = [PYTHON, str(SCRIPT), "--port", str(self.port), *self.options, *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split()[1])

    def kill(self) -> None:
        """As by a power cut, but for the connections, which the system closes."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def __enter__(self) -> "RtspCamera":
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.kill()


def numbered_jpeg(number: int, wh=(320, 240)) -> bytes:
    planes = np.frombuffer(numbered_camera().draw_number(number, *wh), np.uint8).reshape(wh[1] * 3 // 2, wh[0])
    return cv2.imencode(".jpg", cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420))[1].tobytes()


class MjpegCamera:
    """Sends `frames`, bytes that should be JPEGs, one after the other as browsers take them, then closes or hangs.

    `login` is what an Authorization header must hold; `files` are served by path.
    """

    def __init__(self, frames=(), *, every_s=0.02, authorization="", hang=False, files=None, status=200) -> None:
        camera = self
        self.gone = threading.Event()
        self.streams_at = ["/cam", "/cam.jpg"]

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.0"

            def do_GET(self) -> None:
                if authorization and self.headers.get("Authorization") != authorization:
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="camera"')
                    self.end_headers()
                    return
                if self.path in (files or {}):
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(files[self.path])))
                    self.end_headers()
                    self.wfile.write(files[self.path])
                    return
                if self.path.split("?")[0] not in camera.streams_at or status != 200:
                    self.send_error(status if status != 200 else 404)
                    return
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                for data in frames:
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n".encode()
                    try:
                        self.wfile.write(head + data + b"\r\n")
                    except OSError:
                        return
                    if camera.gone.wait(every_s):
                        return
                if hang:
                    camera.gone.wait()

            def log_message(self, *arguments: object) -> None:
                pass

            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    super().handle()

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = False  # closing waits for them
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()
        self.host = f"127.0.0.1:{self.server.server_address[1]}"
        self.address = f"http://{self.host}/cam"

    def __enter__(self) -> "MjpegCamera":
        return self

    def __exit__(self, *error: object) -> None:
        self.gone.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class SilentHost:
    """Accepts, and never says a word; with `says`, that and nothing more."""

    def __init__(self, says: bytes = b"") -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.taken: list[socket.socket] = []
        self.says = says
        self.thread = threading.Thread(target=self._accept)
        self.thread.start()

    def _accept(self) -> None:
        while True:
            try:
                taken, _ = self.socket.accept()
            except OSError:
                return
            self.taken.append(taken)
            if self.says:
                taken.sendall(self.says)

    def __enter__(self) -> "SilentHost":
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()
        for taken in self.taken:
            taken.close()


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def wait_until(condition, timeout_s=20.0):
    """What `condition` gives once it is true; fails after the time."""
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(0.01)
    pytest.fail(f"did not happen within {timeout_s:g} s: {condition}")

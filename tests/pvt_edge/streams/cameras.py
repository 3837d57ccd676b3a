"""The cameras and files that the tests of sources have, a folder that cannot be imported from here."""

import importlib.util
from pathlib import Path


def load(name):
    path = Path(__file__).parents[1] / "sources" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"sources_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_cameras, _files = load("cameras"), load("files")
RtspCamera, MjpegCamera, SilentHost = _cameras.RtspCamera, _cameras.MjpegCamera, _cameras.SilentHost
closed_port, numbered_jpeg, read_number = _cameras.closed_port, _cameras.numbered_jpeg, _cameras.read_number
wait_until = _cameras.wait_until
write_clip, write_picture, write_video = _files.write_clip, _files.write_picture, _files.write_video

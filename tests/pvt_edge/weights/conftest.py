"""A server on this machine, a cache of its own, and no proxies but those a test asks for."""

import io

import pytest
import torch

from .server import Server


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache folder, which downloads of the test go to."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("PVT_EDGE_MIRROR", "PVT_EDGE_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PVT_EDGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def server():
    with Server() as running:
        yield running


def checkpoint(value: float, size: int = 256) -> bytes:
    """A small .pth of one tensor."""
    buffer = io.BytesIO()
    torch.save({"weight": torch.full((size,), value)}, buffer)
    return buffer.getvalue()

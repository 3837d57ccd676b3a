"""Good files in every envelope, and bad files of every kind: one WeightsError, one line, the path in it."""

import argparse
import fractions
import json
import os
import pickle
import struct
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from pvt_edge.checkpoints import read_checkpoint
from pvt_edge.errors import WeightsError

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2)}
ZIP, LEGACY = {}, {"_use_new_zipfile_serialization": False}


class Bomb:
    """Unpickled without care, it makes the file at `path`."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("form", [ZIP, LEGACY], ids=["zip", "legacy"])
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin", ".ckpt"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {
            "state_dict": state,
            "meta": {"epoch": 12, "CLASSES": ("a", "b")},
            "optimizer": {"lr": 0.1},
        },
        lambda state: {"model": state, "epoch": 3},
        lambda state: {"module": state},
        lambda state: {"model": {"state_dict": state}},
        lambda state: {"model": state, "args": argparse.Namespace(lr=0.1, output_dir="x")},
        lambda state: {"state_dict": state, "model": "pvt_v2_b0"},
        lambda state: {k: torch.nn.Parameter(v) for k, v in state.items()},
    ],
    ids=["plain", "mmdet", "model", "module", "nested", "argparse", "name beside", "parameters"],
)
def test_pickles(wrap, suffix, form, tmp_path):
    path = tmp_path / f"file{suffix}"
    torch.save(wrap(STATE), path, **form)
    checkpoint = read_checkpoint(path)
    assert checkpoint.tensors.keys() == STATE.keys()
    assert all(torch.equal(checkpoint.tensors[name], STATE[name]) for name in STATE)
    assert not any(tensor.requires_grad for tensor in checkpoint.tensors.values())
    assert checkpoint.metadata == {}


@pytest.mark.parametrize("name", ["file.safetensors", "misnamed.pth"])
def test_safetensors(name, tmp_path):
    path = tmp_path / name
    save_file(STATE, path, {"by": "hand"})
    checkpoint = read_checkpoint(str(path))
    assert all(torch.equal(checkpoint.tensors[name], STATE[name]) for name in STATE)
    assert checkpoint.metadata == {"by": "hand"}


def test_scalars_beside_the_tensors_are_no_tensors(tmp_path):
    torch.save({**STATE, "epoch": 3, 7: torch.ones(1)}, tmp_path / "file.pth")
    assert read_checkpoint(tmp_path / "file.pth").tensors.keys() == STATE.keys()


@pytest.mark.parametrize("form", [ZIP, LEGACY], ids=["zip", "legacy"])
def test_a_whole_module_gives_its_tensors(form, tmp_path):
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm2d(2), torch.nn.GELU())
    torch.save(module, tmp_path / "file.pt", **form)
    tensors = read_checkpoint(tmp_path / "file.pt").tensors
    assert tensors.keys() == module.state_dict().keys()
    assert all(torch.equal(tensors[name], tensor) for name, tensor in module.state_dict().items())


def _bytes_of(save, tmp_path) -> bytes:
    path = tmp_path / "whole"
    save(path)
    return path.read_bytes()


def _torch_bytes(content, tmp_path, **form) -> bytes:
    return _bytes_of(lambda path: torch.save(content, path, **form), tmp_path)


def _cut(share: float, form: dict):
    def content(tmp_path) -> bytes:
        whole = _torch_bytes(STATE, tmp_path, **form)
        return whole[: int(len(whole) * share)]

    return content


def _cut_safetensors(size: int):
    return lambda tmp_path: _bytes_of(lambda path: save_file(STATE, path), tmp_path)[:size]


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 14680064\n"
DAMAGED = "truncated, damaged or no checkpoint"
OBJECTS = "holds code or objects that are not tensors"
BAD_FILES = {
    # name: (file name, its bytes or a function of tmp_path, what the message says)
    "empty pth": ("a.pth", b"", "is empty"),
    "empty safetensors": ("a.safetensors", b"", "is empty"),
    "text": ("a.pth", b"these are not weights\n", "is a text file"),
    "text, not ASCII": ("a.bin", "Gewichte für später".encode(), "is a text file"),
    "text as safetensors": ("a.safetensors", b"404: Not Found", "is a text file"),
    "JSON": ("config.json", b'{"depths": [2, 2, 2, 2]}', "is a text file"),
    "web page": ("a.pth", b"<!DOCTYPE html>\n<html><body>Sign in</body></html>", "is a web page"),
    "web page in capitals": ("a.pth", b"\n<HTML><body>quota</body></HTML>", "is a web page"),
    "web page as safetensors": ("a.safetensors", b"<html></html>", "is a web page"),
    "LFS pointer": ("a.bin", LFS, "is a Git LFS pointer.*git lfs pull"),
    "LFS pointer as safetensors": ("a.safetensors", LFS, "is a Git LFS pointer"),
    "zip cut at 1/10": ("a.pth", _cut(0.1, ZIP), DAMAGED),
    "zip cut at 1/2": ("a.pth", _cut(0.5, ZIP), DAMAGED),
    "zip cut at the end": ("a.pth", _cut(0.98, ZIP), DAMAGED),
    "legacy cut at 1/10": ("a.pth", _cut(0.1, LEGACY), DAMAGED),
    "legacy cut at 1/2": ("a.pth", _cut(0.5, LEGACY), DAMAGED),
    "legacy cut at the end": ("a.pth", _cut(0.98, LEGACY), DAMAGED),
    "safetensors cut in the size": ("a.safetensors", _cut_safetensors(4), DAMAGED),
    "safetensors cut in the header": ("a.safetensors", _cut_safetensors(60), DAMAGED),
    "safetensors cut in the data": ("a.safetensors", _cut_safetensors(-5), DAMAGED),
    "safetensors of a huge header": ("a.safetensors", struct.pack("<Q", 1 << 62) + b"{", DAMAGED),
    "noise": (
        "a.pth",
        bytes(range(256)) * 4,
        r"begins as no checkpoint does \(00 01 02 03\).*give a .safetensors",
    ),
    "noise as safetensors": ("a.safetensors", bytes(range(256)) * 4, DAMAGED),
    "noise after a zip's mark": ("a.pth", b"PK\x03\x04" + bytes(range(256)), DAMAGED),
    "noise after a pickle's mark": ("a.pth", b"\x80\x02" + bytes(range(256)), f"{DAMAGED}|{OBJECTS}"),
    "a picture": ("a.pth", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", r"begins as no checkpoint does \(89 50 4e 47\)"),
    "plain pickle": ("a.pth", pickle.dumps({"a": [1.0]}, protocol=2), DAMAGED),
    "plain pickle, new protocol": ("a.pth", pickle.dumps({"a": [1.0]}, protocol=5), f"{OBJECTS}.*convert it"),
    "a list": ("a.pth", lambda tmp_path: _torch_bytes([torch.ones(2)], tmp_path), "holds a list, not a dict"),
    "a tensor": (
        "a.pth",
        lambda tmp_path: _torch_bytes(torch.ones(2), tmp_path),
        "holds a Tensor, not a dict",
    ),
    "an empty dict": (
        "a.pth",
        lambda tmp_path: _torch_bytes({}, tmp_path),
        "holds no tensors, it is an empty dict",
    ),
    "no tensors": (
        "a.pth",
        lambda tmp_path: _torch_bytes({"epoch": 1, "state_dict": {"lr": 0.1}}, tmp_path),
        r"holds no tensors, its entries are 1 \(lr\)",
    ),
    "sparse": (
        "a.pth",
        lambda tmp_path: _torch_bytes({"a": torch.eye(2).to_sparse()}, tmp_path),
        r"sparse.*1 \(a\)",
    ),
    "without data": (
        "a.pth",
        lambda tmp_path: _torch_bytes({"a": torch.ones(2, device="meta")}, tmp_path),
        "without data",
    ),
    "an object": (
        "a.pth",
        lambda tmp_path: _torch_bytes(fractions.Fraction(1, 2), tmp_path),
        rf"{OBJECTS} \(fractions.Fraction\), none of which was run: convert it to safetensors",
    ),
    "index of nothing": ("m.safetensors.index.json", b"{}", DAMAGED),
    "index that is cut": ("m.safetensors.index.json", b'{"weight_map": {"a": "m-1', DAMAGED),
    "index of a missing shard": (
        "m.safetensors.index.json",
        json.dumps({"weight_map": {"a": "m-1.safetensors"}}).encode(),
        r"m-1\.safetensors: no such file",
    ),
    "index that leaves its folder": (
        "m.safetensors.index.json",
        json.dumps({"weight_map": {"a": "../m-1.safetensors"}}).encode(),
        "which is no file beside it",
    ),
    "index that lists itself": (
        "m.safetensors.index.json",
        json.dumps({"weight_map": {"a": "m.safetensors.index.json"}}).encode(),
        "which is no file beside it",
    ),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_bad_files(kind, tmp_path):
    name, content, message = BAD_FILES[kind]
    path = tmp_path / name
    path.write_bytes(content(tmp_path) if callable(content) else content)
    with pytest.raises(WeightsError, match=message) as caught:
        read_checkpoint(path)
    assert str(caught.value).startswith(str(tmp_path))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("form", [ZIP, LEGACY], ids=["zip", "legacy"])
def test_code_in_a_file_is_not_run(form, tmp_path):
    path, trace = tmp_path / "a.pth", tmp_path / "trace"
    torch.save({"state_dict": {"a": Bomb(trace)}}, path, **form)
    with pytest.raises(WeightsError, match=rf"{OBJECTS}.*mkdir.*none of which was run: convert it") as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)
    assert not trace.exists()
    with path.open("rb") as file:
        assert torch.load(file, weights_only=False)  # the bomb is real
    assert trace.is_dir()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch.jit's own
def test_torchscript_is_refused(tmp_path):
    path = tmp_path / "a.pt"
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2)), path)
    with pytest.raises(WeightsError, match="is a TorchScript archive, which holds code"):
        read_checkpoint(path)


def test_missing_file(tmp_path):
    with pytest.raises(WeightsError, match=r"gone\.pth: no such file"):
        read_checkpoint(tmp_path / "gone.pth")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="is not a regular file"):
        read_checkpoint(tmp_path / "a.pth")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file")
def test_unreadable_file(tmp_path):
    path = tmp_path / "a.pth"
    torch.save(STATE, path)
    path.chmod(0)
    with pytest.raises(WeightsError, match="cannot be read: Permission denied"):
        read_checkpoint(path)


def test_names_from_files_cannot_break_the_line(tmp_path):
    path = tmp_path / "a.pth"
    torch.save({"state_dict": {"evil\n\x1b[31mname": 1}}, path)
    with pytest.raises(WeightsError) as caught:
        read_checkpoint(path)
    assert str(caught.value).isprintable()


def test_package_imports_without_torch():
    code = "import sys, pvt_edge.checkpoints; assert not {'torch', 'safetensors'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_all_names_resolve():
    import pvt_edge.checkpoints as package

    assert package.__all__ == [
        "Checkpoint",
        "WeightsReport",
        "load_weights",
        "read_checkpoint",
        "save_weights",
    ]
    assert all(getattr(package, name).__name__ == name for name in package.__all__)
    with pytest.raises(AttributeError, match="no attribute 'weights'"):
        _ = package.weights

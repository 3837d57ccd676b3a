"""Objects beside the weights: the tensors and plain values are had, nothing of the file runs."""

import argparse
import collections
import contextlib
import datetime
import enum
import functools
import os
import pathlib
import pickle
import subprocess
import sys
import types
import zipfile

import numpy as np
import pytest
import torch

from pvt_edge.checkpoints import read_checkpoint
from pvt_edge.errors import WeightsError

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2, dtype=torch.float16)}
ZIP, LEGACY = {}, {"_use_new_zipfile_serialization": False}
FORMS = pytest.mark.parametrize("form", [ZIP, LEGACY, {"pickle_protocol": 4}], ids=["zip", "legacy", "protocol 4"])


class Colour(enum.Enum):
    RED = 1


class Config(dict):
    """As mmengine's ConfigDict and addict's Dict: a dict that is a class of its own."""


class Settings:
    """A user's class, with attributes and a method."""

    def __init__(self):
        self.rate, self.inner = 0.1, Config(width=3)

    def step(self):
        return self.rate


class Stateful:
    """A class with a state of its own and a __setstate__ that would show."""

    def __getstate__(self):
        return {"path": "trace"}

    def __setstate__(self, state):
        raise AssertionError("the file's class was used")


BESIDE = {
    "numpy scalar": (np.float64(0.5), 0.5),
    "numpy integer": (np.int64(-3), -3),
    "numpy array": (np.arange(3), None),
    "path": (pathlib.PurePosixPath("/data/train"), "/data/train"),
    "date": (datetime.datetime(2024, 1, 2), None),
    "delta": (datetime.timedelta(1), None),
    "ordered": (collections.OrderedDict(a=1), {"a": 1}),
    "default": (collections.defaultdict(list, a=[1]), {"a": [1]}),
    "counter": (collections.Counter("aa"), {"a": 2}),
    "deque": (collections.deque([1, 2], maxlen=3), None),
    "partial": (functools.partial(sorted, key=len), None),
    "enum": (Colour.RED, None),
    "a class": (Settings, None),
    "an object": (Settings(), {"rate": 0.1, "inner": {"width": 3}}),
    "a method": (Settings().step, None),
    "its own state": (Stateful(), {"path": "trace"}),
    "config": (Config(model=Config(type="RetinaNet"), lr=0.1), {"model": {"type": "RetinaNet"}, "lr": 0.1}),
    "namespace": (argparse.Namespace(lr=0.1, out=pathlib.PurePosixPath("a/b")), {"lr": 0.1, "out": "a/b"}),
    "simple namespace": (types.SimpleNamespace(lr=0.1), {"lr": 0.1}),
    "generator": (torch.Generator().get_state(), None),
    "device": (torch.device("cpu"), None),
    "dtype": (torch.float16, None),
    "size": (torch.Size([2, 3]), (2, 3)),
    "set": ({1}, [1]),
    "range": (range(3), None),
    "slice": (slice(1, 2), None),
    "complex": (1j, None),
    "bytes": (b"\xff\x00", None),
    "none": (None, None),
}  # fmt: skip


@FORMS
@pytest.mark.parametrize("kind", BESIDE)
def test_objects_beside_the_weights(kind, form, tmp_path):
    beside, plain = BESIDE[kind]
    torch.save({"state_dict": STATE, "beside": beside, "epoch": 3, "list": [1, beside]}, tmp_path / "a.pth", **form)
    checkpoint = read_checkpoint(tmp_path / "a.pth")
    assert all(torch.equal(checkpoint.tensors[name], STATE[name]) for name in STATE)
    assert checkpoint.tensors.keys() == STATE.keys()
    assert checkpoint.extras.get("beside") == plain
    assert checkpoint.extras["epoch"] == 3
    assert checkpoint.extras["list"][0] == 1


@FORMS
def test_optimizer_and_scheduler_beside_the_weights(form, tmp_path):
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 3)
    del optimizer.step, schedule.optimizer  # a wrapper that no pickle takes, and the link to it
    content = {"state_dict": STATE, "optimizer": optimizer, "schedule": schedule, "state": optimizer.state_dict()}
    torch.save(content, tmp_path / "a.pth", **form)
    checkpoint = read_checkpoint(tmp_path / "a.pth")
    assert checkpoint.tensors.keys() == STATE.keys()
    assert checkpoint.extras["state"]["param_groups"][0]["lr"] == 0.001


class Marked(torch.Tensor):
    """A tensor of a class of its own."""


@FORMS
def test_tensors_of_other_classes_and_with_attributes_are_plain(form, tmp_path):
    named = STATE["a.bias"].clone()
    named.note = Settings()
    parameter = torch.nn.Parameter(STATE["a.bias"].clone())
    parameter.note = "x"
    state = {"a": STATE["a.weight"].as_subclass(Marked), "b": named, "c": parameter}
    torch.save({"state_dict": state, "beside": Settings()}, tmp_path / "a.pth", **form)
    tensors = read_checkpoint(tmp_path / "a.pth").tensors
    assert [type(tensor) for tensor in tensors.values()] == [torch.Tensor] * 3
    assert torch.equal(tensors["a"], STATE["a.weight"])
    assert torch.equal(tensors["b"], STATE["a.bias"])
    assert torch.equal(tensors["c"], STATE["a.bias"])


def test_a_file_that_refers_to_itself_ends(tmp_path):
    beside = [Settings()]
    beside.append(beside)
    many = [1]
    for _ in range(60):
        many = [many, many]
    torch.save({"state_dict": STATE, "self": beside, "many": many}, tmp_path / "a.pth")
    assert read_checkpoint(tmp_path / "a.pth").tensors.keys() == STATE.keys()


class Call:
    """Unpickled without care, it calls `function` with `args`."""

    def __init__(self, function, *args, state=None):
        self.reduced = (function, args) if state is None else (function, args, state)

    def __reduce__(self):
        return self.reduced


ATTACKS = (
    *("a call", "in a list", "as a key", "in a state", "in arguments", "eval", "exec", "system", "popen", "map"),
    *("nested pickle", "nested pickle of torch", "torch.load", "partial", "tensor's class", "parameter's state"),
    *("hooks", "numpy", "run a module", "write a file", "from a file"),
)


def _attacks(trace):
    """Content by the names above, each of which would make `trace` were it unpickled without care."""
    bomb = Call(os.mkdir, str(trace))
    nested = pickle.dumps(bomb)
    command = f"import os; os.mkdir({str(trace)!r})"
    saved = trace.with_name("nested.pth")
    torch.save(bomb, saved)
    return {
        "a call": bomb,
        "in a list": [1, {"a": bomb}],
        "as a key": {(bomb,): 1},
        "in a state": Call(Settings, state={"inner": bomb}),
        "in arguments": Call(Settings, bomb),
        "eval": Call(eval, f"__import__('os').mkdir({str(trace)!r})"),
        "exec": Call(exec, command),
        "system": Call(os.system, f"mkdir {trace}"),
        "popen": Call(subprocess.Popen, ["mkdir", str(trace)]),
        "nested pickle": Call(pickle.loads, nested),
        "nested pickle of torch": Call(torch.storage._load_from_bytes, saved.read_bytes()),
        "torch.load": Call(torch.load, str(saved), None, None),
        "partial": Call(functools.partial, os.mkdir, str(trace)),
        "map": Call(list, Call(map, os.mkdir, [str(trace)])),
        "tensor's class": Call(torch._tensor._rebuild_from_type_v2, os.mkdir, torch.Tensor, (str(trace),), {}),
        "parameter's state": Call(torch._utils._rebuild_parameter_with_state, torch.ones(1), False, {}, {"x": bomb}),
        "hooks": Call(torch._utils._rebuild_parameter, torch.ones(1), False, {1: bomb}),
        "numpy": Call(np.load, str(saved), None, True),
        "run a module": Call(__import__("runpy").run_path, str(trace)),
        "write a file": Call(pathlib.Path.mkdir, trace),
        "from a file": Call(torch.UntypedStorage.from_file, str(trace), True, 8),
    }


@FORMS
@pytest.mark.parametrize("place", ["beside", "in the state_dict", "alone"])
@pytest.mark.parametrize("kind", ATTACKS)
def test_nothing_of_a_file_runs(kind, place, form, tmp_path):
    trace = tmp_path / "trace"
    attack = _attacks(trace)[kind]
    state = {**STATE, "b": attack} if place == "in the state_dict" else STATE
    content = attack if place == "alone" else {"state_dict": state, "beside": attack}
    torch.save(content, tmp_path / "a.pth", **form)
    imported = set(sys.modules)
    try:
        tensors = read_checkpoint(tmp_path / "a.pth").tensors
    except WeightsError:
        pass
    else:
        assert tensors.keys() <= {*STATE, "b"}
    assert not trace.exists()
    assert not {name for name in set(sys.modules) - imported if not name.startswith("torch")}


def _written_by_hand(path, trace):
    """A file whose pickle calls what it has got by name: getattr(__import__("os"), "mkdir")(trace)."""
    call = b"cbuiltins\ngetattr\n(cbuiltins\n%s\n(X\x02\x00\x00\x00ostRX\x05\x00\x00\x00mkdirtR(V%s\ntR"
    torch.save({"state_dict": STATE}, path)
    with zipfile.ZipFile(path) as file:
        entries = {name: file.read(name) for name in file.namelist()}
    for function in (b"__import__", b"type"):
        pickled = next(name for name in entries if name.endswith("data.pkl"))
        head, tail = b"\x80\x02}(X\x06\x00\x00\x00beside", b"X\x05\x00\x00\x00statec__main__\nX\n)\x81u."
        entries[pickled] = head + call % (function, str(trace).encode()) + tail
        with zipfile.ZipFile(path, "w") as file:
            for name, content in entries.items():
                file.writestr(name, content)
        yield


def test_what_a_call_gave_is_not_called(tmp_path):
    trace = tmp_path / "trace"
    for _ in _written_by_hand(tmp_path / "a.pth", trace):
        with pytest.raises(WeightsError):
            read_checkpoint(tmp_path / "a.pth")
        assert not trace.exists()
    next(_written_by_hand(tmp_path / "a.pth", trace))
    with contextlib.suppress(AttributeError):  # its last name is of no class
        torch.load(tmp_path / "a.pth", weights_only=False)
    assert trace.is_dir()  # the file is real

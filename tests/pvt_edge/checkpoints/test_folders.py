"""A folder given as weights: the file that is taken of each layout, and shards."""

import json

import pytest
import torch
from safetensors.torch import save_file

from pvt_edge.checkpoints import read_checkpoint
from pvt_edge.errors import WeightsError

HALVES = ({"a.weight": torch.arange(6.0)}, {"a.bias": torch.ones(2)})
WHOLE = HALVES[0] | HALVES[1]
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


def _write(folder, *names):
    """Each file with its own name's length as a tensor, so that a test sees which was read."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors = {"a.weight": torch.tensor([float(len(name))])}
        if name.endswith(".txt") or name.startswith(("last_checkpoint", "refs")):
            path.write_text("epoch_3.pth" if "last" in name else "abc")
        elif path.suffix == ".safetensors":
            save_file(tensors, path)
        else:
            torch.save(tensors, path)


@pytest.mark.parametrize(
    ("names", "taken"),
    [
        (["model.safetensors", "pytorch_model.bin", "optimizer.pt"], "model.safetensors"),
        (["pytorch_model.bin", "training_args.bin", "optimizer.pt", "scheduler.pt"], "pytorch_model.bin"),
        (["x.bin", "rng_state.pth"], "x.bin"),
        (["best.pth"], "best.pth"),
        (["model_best.pth.tar", "notes.txt"], "model_best.pth.tar"),
        (["weights.safetensors", "weights.pth"], "weights.safetensors"),
        (["epoch_3.pth", "epoch_12.pth", "last_checkpoint"], "epoch_3.pth"),
        (["snapshots/abc/best.pth", "snapshots/def/pytorch_model.bin", "refs/main"], "snapshots/abc/best.pth"),
        (["snapshots/def/pytorch_model.bin"], "snapshots/def/pytorch_model.bin"),
    ],
)  # fmt: skip
def test_the_file_that_is_taken(names, taken, tmp_path):
    _write(tmp_path, *names)
    checkpoint = read_checkpoint(tmp_path)
    assert checkpoint.path == tmp_path / taken
    assert checkpoint.tensors["a.weight"].item() == len(taken)


def test_links_of_the_hugging_face_cache(tmp_path):
    (tmp_path / "blobs").mkdir()
    save_file(WHOLE, tmp_path / "blobs" / "0123abc")
    snapshot = tmp_path / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").symlink_to("../../blobs/0123abc")
    assert read_checkpoint(tmp_path).tensors.keys() == WHOLE.keys()
    assert read_checkpoint(snapshot).tensors.keys() == WHOLE.keys()


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ([], "is a folder without a weight file"),
        (["optimizer.pt", "notes.txt"], "is a folder without a weight file"),
        (["a.pth", "b.pth"], r"is a folder of 2 weight files \(a.pth, b.pth\): give the one to take"),
        (["snapshots/a/model.safetensors", "snapshots/b/model.safetensors"], "holds 2 snapshots"),
    ],
)
def test_folders_that_do_not_tell(names, reason, tmp_path):
    _write(tmp_path, *names)
    with pytest.raises(WeightsError, match=reason) as caught:
        read_checkpoint(tmp_path)
    assert str(caught.value).startswith(str(tmp_path))


def _write_shards(folder, index=True):
    for name, tensors in zip(SHARDS, HALVES, strict=True):
        save_file(tensors, folder / name)
    if index:
        names = {key: name for name, tensors in zip(SHARDS, HALVES, strict=True) for key in tensors}
        (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))


@pytest.mark.parametrize("index", [True, False], ids=["index", "no index"])
@pytest.mark.parametrize("given", ["", SHARDS[1]], ids=["folder", "shard"])
def test_shards(given, index, tmp_path):
    _write_shards(tmp_path, index)
    tensors = read_checkpoint(tmp_path / given).tensors
    assert all(torch.equal(tensors[name], WHOLE[name]) for name in WHOLE)
    assert len(tensors) == 2


def test_a_shard_alone_says_what_is_missing(tmp_path):
    save_file(HALVES[0], tmp_path / SHARDS[0])
    with pytest.raises(WeightsError, match=f"is one of 2 shards: put {SHARDS[1]} and model.safetensors.index.json"):
        read_checkpoint(tmp_path / SHARDS[0])

"""Files that come back bit for bit, and failures that leave the old file as it was."""

import os
import stat

import pytest
import torch
from safetensors import safe_open

from pvt_edge.checkpoints import load_weights, read_checkpoint, save_weights
from pvt_edge.checkpoints.loading import get_epsilons, set_epsilons
from pvt_edge.errors import WeightsError


@pytest.mark.parametrize("task", ["classify", "detect", "features"])
def test_round_trip_is_bit_for_bit(task, build, fill, tmp_path):
    source, target = fill(build(task, "b0")), build(task, "b0")
    backbone = getattr(source, "backbone", source)
    set_epsilons(backbone, 3e-6, 7e-6)
    save_weights(source, tmp_path / "a.safetensors")
    report = load_weights(target, tmp_path / "a.safetensors")
    assert report.dialect == "native"
    assert set(report.loaded) == set(source.state_dict())
    assert all(torch.equal(tensor, source.state_dict()[name]) for name, tensor in target.state_dict().items())
    assert get_epsilons(getattr(target, "backbone", target)) == ({3e-6}, {7e-6})


def test_metadata(b0, tmp_path):
    save_weights(b0, tmp_path / "a.safetensors", metadata={"labels": "a\nb", "variant": "b5"})
    assert read_checkpoint(tmp_path / "a.safetensors").metadata == {
        "format": "pvt-edge",
        "variant": "b0",  # the model's own, whatever the caller says
        "embed_eps": "1e-05",
        "block_eps": "1e-06",
        "labels": "a\nb",
    }


def test_half(b0, build, tmp_path):
    save_weights(b0, tmp_path / "whole.safetensors")
    save_weights(b0, tmp_path / "half.safetensors", half=True)
    with safe_open(tmp_path / "half.safetensors", framework="pt") as file:
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float16}  # noqa: SIM118
    ratio = (tmp_path / "half.safetensors").stat().st_size / (tmp_path / "whole.safetensors").stat().st_size
    assert ratio == pytest.approx(0.5, abs=0.01)
    model = build("classify", "b0")
    load_weights(model, tmp_path / "half.safetensors")
    assert torch.equal(model.head.weight, b0.head.weight.half().float())
    assert b0.head.weight.dtype == torch.float32


def test_half_keeps_counters(build, tmp_path):
    model = build("detect", "b0", head="lite")
    save_weights(model, tmp_path / "a.safetensors", half=True)
    tensors = read_checkpoint(tmp_path / "a.safetensors").tensors
    assert tensors["head.cls.0.norms.0.num_batches_tracked"].dtype == torch.int64


def test_half_refuses_values_beyond_it(build, tmp_path):
    model = build("features", "b0")
    with torch.no_grad():
        model.stages[0].norm.bias[0] = 1e5
    with pytest.raises(
        WeightsError, match=r"values beyond float16 in 1 \(stages\.0\.norm\.bias\): save with half=False"
    ):
        save_weights(model, tmp_path / "a.safetensors", half=True)
    assert list(tmp_path.iterdir()) == []


def test_replaces_and_leaves_nothing_beside(b0, tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"old")
    save_weights(b0, str(path))
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.safetensors"]
    assert read_checkpoint(path).tensors.keys() == b0.state_dict().keys()


@pytest.mark.skipif(os.name != "posix", reason="an open file can be replaced on POSIX alone")
def test_a_reader_of_the_old_file_is_not_disturbed(b0, tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"old")
    with path.open("rb") as old:
        save_weights(b0, path)
        assert old.read() == b"old"


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_other_users_can_read_the_file(b0, tmp_path):
    before = os.umask(0o022)
    try:
        save_weights(b0, tmp_path / "a.safetensors")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.safetensors").stat().st_mode) == 0o644


@pytest.mark.skipif(os.name != "posix", reason="file size limits are POSIX")
def test_full_disk_leaves_the_old_file(b0, tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))  # a file may grow to 1 MiB, the weights are 14
    try:
        with pytest.raises(WeightsError, match=r"a\.safetensors: cannot be written: File too large"):
            save_weights(b0, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.safetensors"]


def test_missing_folder(b0, tmp_path):
    with pytest.raises(WeightsError, match="cannot be written: No such file or directory"):
        save_weights(b0, tmp_path / "gone" / "a.safetensors")


def test_file_where_a_folder_should_be(b0, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(WeightsError, match="cannot be written: Not a directory"):
        save_weights(b0, tmp_path / "file" / "a.safetensors")


def test_folder_where_the_file_should_be(b0, tmp_path):
    (tmp_path / "a.safetensors").mkdir()
    with pytest.raises(WeightsError, match="cannot be written: Is a directory"):
        save_weights(b0, tmp_path / "a.safetensors")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.safetensors"]


@pytest.mark.parametrize("name", ["a.pth", "a", "a.safetensors.pt"])
def test_other_suffixes(name, b0, tmp_path):
    with pytest.raises(WeightsError, match=r"give a name that ends in \.safetensors"):
        save_weights(b0, tmp_path / name)


def test_metadata_of_other_types(b0, tmp_path):
    with pytest.raises(WeightsError, match=r"metadata must map str to str, not 1 \('epoch'\)"):
        save_weights(b0, tmp_path / "a.safetensors", metadata={"epoch": 3, "by": "hand"})


def test_mixed_epsilons(build, tmp_path):
    model = build("features", "b0")
    model.stages[2].norm.eps = 1e-3
    with pytest.raises(WeightsError, match="LayerNorms mix epsilons"):
        save_weights(model, tmp_path / "a.safetensors")

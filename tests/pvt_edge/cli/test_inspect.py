"""`pvt-edge inspect` of a checkpoint."""

import json

import torch

import pvt_edge


def test_inspect_a_checkpoint(pvt_edge_command, tmp_path):
    state = pvt_edge.create_model("b0", "classify", 5).state_dict()
    content = {"state_dict": state | {"criterion.weight": torch.ones(5)}, "state_dict_ema": state}
    torch.save(content, tmp_path / "last.pth")
    for given in (tmp_path / "last.pth", tmp_path):
        done = pvt_edge_command("inspect", str(given))
        assert done.returncode == 0, done.stderr
        for part in (
            "last.pth",
            "b0, classify of 5 classes",
            "averaged (EMA) weights of state_dict_ema",
            "'state_dict'",
        ):
            assert part in done.stdout
    said = json.loads(pvt_edge_command("inspect", str(tmp_path), "--json", "-").stdout)
    assert (said["variant"], said["num_classes"], said["others"]) == ("b0", 5, ["state_dict"])


def test_a_checkpoint_of_another_family(pvt_edge_command, tmp_path):
    model = pvt_edge.create_model("v1-tiny", "classify", 5)
    torch.save(model.state_dict(), tmp_path / "v1.pth")
    done = pvt_edge_command("inspect", str(tmp_path / "v1.pth"))
    assert "PVT-v1 tiny, classify of 5 classes" in done.stdout


def test_inspect_of_a_folder_without_either(pvt_edge_command, tmp_path):
    done = pvt_edge_command("inspect", str(tmp_path))
    assert done.returncode == 1
    assert "model.json" in done.stderr

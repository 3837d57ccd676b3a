"""The weight file of a folder as Hugging Face, timm and mmengine lay it out, and the shards of one in parts."""

import json
import re
from pathlib import Path

from pvt_edge.checkpoints.refusal import SHOWN, refuse

_USUAL = (
    *("model.safetensors", "model.safetensors.index.json"),
    *("pytorch_model.bin", "pytorch_model.bin.index.json"),
)
_SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt", ".bin", ".tar")
_NO_WEIGHTS = re.compile(r"(optimizer|scheduler|scaler|rng_state|training_args)[\w.-]*\.\w+")
_SHARD = re.compile(r"(?P<stem>.+)-(?P<part>\d{5})-of-(?P<parts>\d{5})(?P<suffix>\.\w+)")


def weight_file(path: Path) -> Path:
    """`path` itself, or the weight file (or index of shards) that the folder `path` holds.

    Takes `model.safetensors` before `pytorch_model.bin`, whole files before shards; what mmengine's
    `last_checkpoint` names; else the only file with a weight file's suffix. A Hugging Face cache folder leads to its
    snapshot. Raises `WeightsError` for a folder with none or with several to choose from.
    """
    if not path.is_dir():
        return path
    if (path / "snapshots").is_dir():
        return weight_file(_snapshot(path))
    for name in _USUAL:
        if (path / name).is_file():
            return path / name
    if (path / "last_checkpoint").is_file():
        named = path / Path((path / "last_checkpoint").read_text(encoding="utf-8-sig").strip()).name
        if named.is_file():
            return named
    found = sorted(p for p in path.iterdir() if p.suffix in _SUFFIXES and p.is_file())
    found = [p for p in found if not _NO_WEIGHTS.fullmatch(p.name)]
    indexes = sorted(path.glob("*.index.json"))
    if len(indexes) == 1:
        return indexes[0]
    safe = [p for p in found if p.suffix == ".safetensors"]
    for candidates in (safe, found):
        if len(candidates) == 1 or (candidates and all(_SHARD.fullmatch(p.name) for p in candidates)):
            return candidates[0]
    if not found:
        raise refuse(path, "is a folder without a weight file: give the .safetensors, .pth, .pt or .bin file itself")
    names = ", ".join([p.name for p in found][:SHOWN]) + (", ..." if len(found) > SHOWN else "")
    raise refuse(path, f"is a folder of {len(found)} weight files ({names}): give the one to take, {found[0]} say")


def _snapshot(cache: Path) -> Path:
    """The snapshot in a folder of the Hugging Face cache: that of `refs/main`, or the only one."""
    main = cache / "refs" / "main"
    if main.is_file():
        named = cache / "snapshots" / Path(main.read_text(encoding="utf-8-sig").strip()).name
        if named.is_dir():
            return named
    found = sorted(p for p in (cache / "snapshots").iterdir() if p.is_dir())
    if len(found) != 1:
        raise refuse(cache, f"holds {len(found)} snapshots: give the folder of the one to take, in {cache}/snapshots")
    return found[0]


def shards_of(path: Path) -> list[Path] | None:
    """All files of the model that `path` is a shard or the index of; None for a file that is whole.

    Raises `WeightsError` where shards are missing or an index lists what is no file beside it.
    """
    if path.name.endswith(".index.json"):
        return _listed(path)
    match = _SHARD.fullmatch(path.name)
    if match is None or int(match["parts"]) < 2:
        return None
    index = path.with_name(f"{match['stem']}{match['suffix']}.index.json")
    if index.is_file():
        return _listed(index)
    parts = int(match["parts"])
    shards = [path.with_name(f"{match['stem']}-{i:05}-of-{parts:05}{match['suffix']}") for i in range(1, parts + 1)]
    if missing := [shard.name for shard in shards if not shard.is_file()]:
        raise refuse(path, f"is one of {parts} shards: put {missing[0]} and {index.name} beside it")
    return shards


def _listed(index: Path) -> list[Path]:
    names = sorted(set(json.loads(index.read_text(encoding="utf-8-sig"))["weight_map"].values()))
    for name in names:
        if Path(name).name != name or name.endswith(".json"):
            raise refuse(index, f"lists {name!r}, which is no file beside it")
    return [index.with_name(name) for name in names]

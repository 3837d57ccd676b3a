"""Files of the cache: what is taken, what is refused, and how to mend it."""

import io
import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import pvt_edge
from pvt_edge.errors import WeightsError
from pvt_edge.weights.download import Patience
from pvt_edge.weights.obtaining import cache_folder, cached_path, hash_file
from pvt_edge.weights.obtaining import obtain as obtain_checked
from pvt_edge.weights.published import PublishedWeights
from pvt_edge.zoo import variant_in_file

from .conftest import checkpoint
from .server import Answer

HASTY = Patience(connect_s=2, stall_s=0.3, tries=2, first_wait_s=0.01)
CONTENT, OTHER = checkpoint(1.0), checkpoint(2.0)


def obtain(weights: PublishedWeights, **options) -> Path:
    return obtain_checked(weights, variant_in_file, **options)


def published(url: str, sha256: str = "") -> PublishedWeights:
    return PublishedWeights("imagenet", "official", "b0", url, "official/pvt_v2_b0.pth", sha256)


def refusal(weights: PublishedWeights, **options) -> str:
    with pytest.raises(WeightsError) as caught:
        obtain(weights, patience=HASTY, **options)
    told = str(caught.value)
    assert "\n" not in told
    return told


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_an_empty_file_is_refused(server, cache):
    weights = published(server.give("/file.pth", Answer(b"")))
    assert "what came from there is empty" in refusal(weights)
    assert names(cache / "weights" / "official") == []


def test_a_file_comes_once_and_is_recorded(server, cache):
    weights = published(server.give("/file.pth", Answer(CONTENT)))
    path = obtain(weights, patience=HASTY)
    assert path == cached_path(weights) == cache / "weights" / "official" / "pvt_v2_b0.pth"
    assert path.read_bytes() == CONTENT
    assert names(path.parent) == ["pvt_v2_b0.pth", "pvt_v2_b0.pth.json"]
    record = json.loads(path.with_name("pvt_v2_b0.pth.json").read_text())
    assert record == {"url": weights.url, "sha256": hash_file(path), "bytes": len(CONTENT)}
    assert obtain(weights) == path
    assert len(server.requests) == 1


def test_a_known_hash(server, tmp_path):
    (tmp_path / "file").write_bytes(CONTENT)
    sha256 = hash_file(tmp_path / "file")
    url = server.give("/file.pth", Answer(CONTENT))
    for known in (sha256, sha256[:8]):
        path = obtain(published(url, known), patience=HASTY)
        path.unlink()
    wrong = ("0" if sha256[0] != "0" else "1") + sha256[1:8]
    told = refusal(published(url, wrong))
    assert f"SHA-256 {sha256}, where its publisher tells {wrong}...: try again" in told
    assert "--weights FILE" in told
    assert not path.exists()
    assert not path.with_name(f"{path.name}.part").exists()


def test_a_hash_that_the_server_tells(server):
    url = server.give("/file.pth", Answer(CONTENT, headers={"X-Linked-ETag": '"' + "0" * 64 + '"'}))
    assert f"where the server tells {'0' * 64}" in refusal(published(url))


def test_another_file_than_the_first(server):
    weights = published(server.give("/file.pth", Answer(CONTENT), Answer(OTHER)))
    path = obtain(weights, patience=HASTY)
    path.unlink()
    told = refusal(weights)
    record = path.with_name(f"{path.name}.json")
    assert told.startswith(f"{weights.url} gave another file than the one that first came")
    assert told.endswith(f"if you accept the new one, delete {record}")
    record.unlink()
    assert obtain(weights, patience=HASTY).read_bytes() == OTHER


def test_a_file_damaged_in_the_cache(server):
    weights = published(server.give("/file.pth", Answer(CONTENT)))
    path = obtain(weights, patience=HASTY)
    path.write_bytes(CONTENT[:-1])
    told = refusal(weights)
    assert told.startswith(f"{path} is another file than the one that first came")
    assert f"delete {path} to download it again" in told
    path.unlink()
    assert obtain(weights, patience=HASTY).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer(b"<!DOCTYPE html><title>Log in to the hotel's network</title>"), "is a web page, not weights"),
        (Answer(CONTENT, length=len(CONTENT) - 50, cut=len(CONTENT) - 50), "is truncated, damaged or no checkpoint"),
        (Answer(b"\x00" * 5000), "begins as no checkpoint does"),
        (Answer(CONTENT, length=len(CONTENT) + 5), "5 bytes too early"),
        (Answer(status=404), "the server answered 404"),
    ],
    ids=["web page", "length too short", "wrong bytes", "length too long", "not found"],
)
def test_what_is_no_checkpoint_is_neither_kept_nor_recorded(server, cache, answer, told):
    weights = published(server.give("/file.pth", answer))
    assert told in refusal(weights)
    assert "pvt_v2_b0.pth" not in names(cache / "weights" / "official")
    assert "pvt_v2_b0.pth.json" not in names(cache / "weights" / "official")


def test_damage_that_torch_does_not_see(server, cache):
    content = bytearray(checkpoint(3.0, size=5000))
    content[len(content) // 2] ^= 1
    weights = published(server.give("/file.pth", Answer(bytes(content))))
    assert "is damaged: the checksum of " in refusal(weights)
    assert "pvt_v2_b0.pth.json" not in names(cache / "weights" / "official")


def test_weights_of_another_variant(server, cache):
    buffer = io.BytesIO()
    torch.save(pvt_edge.create_model("b0").state_dict(), buffer)
    url = server.give("/file.pth", Answer(buffer.getvalue()))
    weights = replace(published(url), variant="b1", file="official/pvt_v2_b1.pth")
    assert "are weights of b0, not of b1" in refusal(weights)
    assert names(cache / "weights" / "official") == []
    assert obtain(published(url), patience=HASTY).read_bytes() == buffer.getvalue()


def test_a_web_page_is_called_one_although_the_hash_is_known(server):
    page = Answer(b"<!DOCTYPE html><title>Log in to the hotel's network</title>")
    assert "is a web page, not weights" in refusal(published(server.give("/file.pth", page), "0" * 64))


def test_what_is_told_and_recorded_of_a_mirror(server, monkeypatch):
    weights = published("https://example.com/file.pth")
    monkeypatch.setenv("PVT_EDGE_MIRROR", server.url.replace("://", "://me:hush@"))
    told = refusal(weights)
    assert told.startswith(f"cannot download {server.url}/example.com/file.pth: the server answered 404")
    server.give("/example.com/file.pth", Answer(CONTENT))
    path = obtain(weights, patience=HASTY)
    record = json.loads(path.with_name(f"{path.name}.json").read_text())
    assert record["url"] == f"{server.url}/example.com/file.pth"


def test_offline(server, monkeypatch):
    weights = published(server.give("/file.pth", Answer(CONTENT)))
    place = f"put {weights.url} at {cached_path(weights)}"
    assert place in refusal(weights, offline=True)
    monkeypatch.setenv("PVT_EDGE_OFFLINE", "1")
    assert place in refusal(weights)
    assert server.requests == []
    monkeypatch.setenv("PVT_EDGE_OFFLINE", "0")
    path = obtain(weights, patience=HASTY)
    assert obtain(weights, offline=True) == path


def test_no_server_tells_where_to_put_the_file():
    weights = published("http://127.0.0.1:9/file.pth")
    told = refusal(weights)
    assert told.startswith("cannot download http://127.0.0.1:9/file.pth: Connection refused; ")
    assert str(cached_path(weights)) in told


def test_a_file_put_there_by_hand(server):
    weights = published(server.give("/file.pth", Answer(OTHER)))
    path = cached_path(weights)
    path.parent.mkdir(parents=True)
    path.write_text("not weights")
    assert "is a text file" in refusal(weights)
    path.write_bytes(CONTENT)
    assert obtain(weights, offline=True) == path
    assert path.with_name(f"{path.name}.json").exists()
    assert server.requests == []


def test_a_file_put_by_hand_into_a_cache_that_cannot_be_written(mount_disk, monkeypatch):
    disk = mount_disk("1m")
    monkeypatch.setenv("PVT_EDGE_CACHE", str(disk))
    weights = published("http://127.0.0.1:9/file.pth")
    path = cached_path(weights)
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    assert obtain(weights, offline=True) == path
    assert "its publisher tells 00000000..." in refusal(replace(weights, sha256="00000000"))
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
    path.write_text("not weights")
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    assert "is a text file" in refusal(weights)


def test_a_broken_record(server):
    weights = published(server.give("/file.pth", Answer(CONTENT)))
    path = obtain(weights, patience=HASTY)
    record = path.with_name(f"{path.name}.json")
    record.write_text("{")
    assert f"cannot read {record}" in refusal(weights)


def test_a_full_disk(server, mount_disk, monkeypatch):
    disk = mount_disk("100k")
    monkeypatch.setenv("PVT_EDGE_CACHE", str(disk))
    weights = published(server.give("/file.pth", Answer(bytes(1_000_000))))
    told = refusal(weights)
    assert told.startswith(f"cannot keep {disk}/weights/official/pvt_v2_b0.pth: No space left on device")
    assert "PVT_EDGE_CACHE" in told


def test_a_cache_that_is_a_file(server, cache):
    cache.write_text("")
    weights = published(server.give("/file.pth", Answer(CONTENT)))
    assert refusal(weights).startswith(f"cannot keep {cached_path(weights)}: Not a directory")


PROGRAM = """
import sys
from pvt_edge.weights.obtaining import obtain
from pvt_edge.weights.published import PublishedWeights
from pvt_edge.zoo import variant_in_file
print(obtain(PublishedWeights("imagenet", "official", "b0", sys.argv[1], "official/pvt_v2_b0.pth"), variant_in_file))
"""


def start(url: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", PROGRAM, url], stdout=subprocess.PIPE, text=True, cwd="/")


def test_two_processes_download_once(server):
    url = server.give("/file.pth", Answer(CONTENT))
    running = [start(url) for _ in range(2)]
    told = [process.communicate()[0].strip() for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert told == [str(cached_path(published(url)))] * 2
    assert len(server.requests) == 1


def test_a_killed_download_is_gone_on_with(server):
    content = checkpoint(3.0, size=200_000)
    url = server.give("/file.pth", Answer(content, stall=300_000), Answer(content))
    process = start(url)
    assert server.stalled.wait(60)
    part = cached_path(published(url)).with_name("pvt_v2_b0.pth.part")
    while not part.is_file() or not part.stat().st_size:
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not cached_path(published(url)).exists()
    obtain(published(url), patience=HASTY)
    assert server.headers_of("Range")[1] is not None
    assert cached_path(published(url)).read_bytes() == content


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({}, "{home}/.cache/pvt-edge"),
        ({"XDG_CACHE_HOME": "/var/kept"}, "/var/kept/pvt-edge"),
        ({"XDG_CACHE_HOME": "relative"}, "{home}/.cache/pvt-edge"),
        ({"PVT_EDGE_CACHE": "~/weights", "XDG_CACHE_HOME": "/var/kept"}, "{home}/weights"),
        ({"PVT_EDGE_CACHE": "."}, "{here}"),
    ],
)
@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="other systems keep caches elsewhere")
def test_cache_folder(environment, folder, tmp_path, monkeypatch):
    for name in ("PVT_EDGE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": str(tmp_path), **environment}.items():
        monkeypatch.setenv(name, value)
    assert str(cache_folder()) == folder.format(home=tmp_path, here=Path.cwd())


def test_no_home_for_the_cache(monkeypatch):
    monkeypatch.setenv("PVT_EDGE_CACHE", "~nobody-of-this-name/weights")
    assert "name a folder for them in PVT_EDGE_CACHE" in refusal(published("http://127.0.0.1:9/file.pth"))

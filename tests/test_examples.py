"""examples/ as their readers run them, one after the other in one folder, at small sizes."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import cv2
import numpy as np
import pytest
from PIL import Image

import pvt_edge
from pvt_edge.scenes import write_scenes

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
SIZE = ("160", "224")  # of the picture that the detector sees

for package in ("torch", "onnx", "onnxruntime"):
    pytest.importorskip(package, reason=f"the examples need {package}")


def run(folder: Path, name: str, *words: str) -> str:
    """What the example prints; fails where it fails."""
    program = ["sh"] if name.endswith(".sh") else [sys.executable]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", "COLUMNS": "200", "TERM": "dumb"}
    command = [*program, str(EXAMPLES / name), *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Path:
    """A folder with the bundle of the first example and a few drawn pictures."""
    folder = tmp_path_factory.mktemp("desk")
    told = run(folder, "01_export_and_predict.py", *SIZE)
    assert re.search(r"^Result\(\d+ boxes: .*RBC", told, re.MULTILINE), told
    write_scenes(folder / "scenes", 3)
    return folder


def test_export_and_predict(desk):
    about = json.loads((desk / "out/cells/model.json").read_text())
    assert (about["input"]["height"], about["input"]["width"]) == tuple(map(int, SIZE))
    assert cv2.imread(str(desk / "out/cells.jpg")).shape == (480, 640, 3)


def test_a_classifier_of_ones_own(tmp_path):
    rng = np.random.default_rng(1)
    for name, colour in (("apple", (40, 40, 220)), ("pear", (40, 200, 60))):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for i in range(10):
            picture = rng.integers(90, 130, (48, 64, 3)).astype(np.uint8)
            cv2.circle(picture, (int(rng.integers(20, 44)), 24), 16, colour, -1)
            cv2.imwrite(str(tmp_path / "pictures" / name / f"{i}.jpg"), picture)
    told = run(tmp_path, "02_your_own_classifier.py", "pictures", "epochs=4", "imgsz=32,32")
    shares = re.findall(r"/(apple|pear)/\d\.jpg: (apple|pear) ", told)
    assert len(shares) == 20
    assert sum(folder == said for folder, said in shares) >= 15, told


def test_a_detector_of_ones_own(tmp_path):
    write_scenes(tmp_path, 5, height=160, width=224)
    told = run(tmp_path, "03_your_own_detector.py", "instances.json", "epochs=1", "batch=2", "workers=0")
    assert float(re.findall(r"^AP on the pictures held back: ([\d.]+)$", told, re.MULTILINE)[0]) >= 0
    assert (tmp_path / "runs/mine/samples.jpg").is_file()
    assert json.loads((tmp_path / "out/mine/model.json").read_text())["labels"] == ["RBC", "WBC", "Platelets"]


def test_a_segmentation(tmp_path):
    told = run(tmp_path, "04_segmentation_overlay.py", *SIZE)
    shares = {
        name: float(share) for name, share in re.findall(r"^(\w+): ([\d.]+)% of the picture$", told, re.MULTILINE)
    }
    assert shares["background"] > shares["RBC"] > 5, told
    mask = np.array(Image.open(tmp_path / "out/mask.png"))
    assert mask.shape == (480, 640)
    assert (mask == 1).mean() == pytest.approx(shares["RBC"] / 100, abs=1e-3)
    assert cv2.imread(str(tmp_path / "out/overlay.jpg")).shape == (480, 640, 3)


def test_a_camera_that_counts(desk):
    pytest.importorskip("trackers", reason="tracking needs trackers")
    told = run(desk, "05_camera_that_counts.py", "synthetic://cells?frames=40&fps=15")
    assert re.match(r"frame 0: 0 in, 0 out\n", told)
    assert re.search(r"^objects: \d+ RBC", told, re.MULTILINE), told


def test_the_gate_of_ci(desk):
    old = desk / "out" / "old"
    shutil.copytree(desk / "out/cells", old, dirs_exist_ok=True)
    run(desk, "06_verify_in_ci.sh", "out/cells", "scenes/images", "out/old")
    assert json.loads((desk / "verify.json").read_text())
    with open(old / "model.fp32.onnx", "r+b") as file:  # one byte of the weights
        file.seek(-100_000, os.SEEK_END)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(AssertionError, match=re.escape("model.fp32.onnx")):
        run(desk, "06_verify_in_ci.sh", "out/old", "scenes/images")


def test_two_machines(desk):
    options = ("--quick", "--runtime", "onnxruntime,opencv", "--duration", "0.1")
    assert "take bench/benchmark.json" in run(desk, "07_benchmark_two_machines.sh", "out/cells", *options)
    options = ("bench/benchmark.json", *options, "--max-ratio", "1000")
    run(desk, "07_benchmark_two_machines.sh", "out/cells", *options)
    assert json.loads((desk / "bench-second/benchmark.json").read_text())["rows"]


def test_a_camera_asked_from_another_process(desk):
    pytest.importorskip("aiohttp", reason="the live page needs aiohttp")
    told = run(desk, "08_live_page_and_feed.py", "synthetic://cells?fps=15", "out/cells", "3")
    assert len(re.findall(r"^frame \d+, \d+ ms old: \d+ found$", told, re.MULTILINE)) == 3
    assert "health: ok" in told
    assert cv2.imread(str(desk / "snapshot.jpg")).shape == (480, 640, 3)


def test_pictures_in_bulk(desk):
    """By Ray where it is installed, else by processes; what was done is not done again."""
    shutil.copytree(desk / "scenes/images", desk / "bulk")
    (desk / "bulk/broken.jpg").write_text("no picture")
    command = ("09_pictures_in_bulk.py", "bulk", "out/cells", "found", "shard=2")
    assert "4 pictures, 2 of 2 shards now, 1 unread: ['" in run(desk, *command)
    rows = [json.loads(row) for i in (0, 1) for row in (desk / f"found/0000{i}.jsonl").read_text().splitlines()]
    names = [f"scene_{i:05d}.jpg" for i in range(3)]
    assert [Path(row["path"]).name for row in rows] == ["broken.jpg", *names]
    assert "broken.jpg" in rows[0]["error"]
    assert sum(len(row["predictions"]) for row in rows[1:]) > 10

    (desk / "found/00000.jsonl").write_text("{}\n")  # stays as it is
    (desk / "found/00001.jsonl").unlink()
    assert "3 pictures, 1 of 2 shards now, 0 unread" in run(desk, *command)


def test_the_server_of_the_guide(desk):
    """docs/serving.md: a picture posted is answered as the predictor answers it, and nonsense is refused."""
    (code,) = re.findall(r"```python\n(.*?)```", (EXAMPLES.parent / "docs/serving.md").read_text(), re.DOTALL)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (desk / "server.py").write_text(code.replace("8000", str(port)))
    address = f"http://127.0.0.1:{port}/"
    picture = desk / "scenes/images/scene_00000.jpg"
    with (
        subprocess.Popen([sys.executable, "server.py"], cwd=desk, stderr=subprocess.DEVNULL) as server,
        pvt_edge.load(desk / "out/cells") as predictor,
    ):
        try:
            while server.poll() is None:
                with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.1)  # it opens the bundle first
            with urlopen(address, picture.read_bytes()) as answer:
                assert json.load(answer)["predictions"] == predictor(picture).summary()
            with pytest.raises(HTTPError, match="400"):
                urlopen(address, b"no picture")
        finally:
            server.kill()


def test_onnxruntime_alone_finds_what_we_find(desk):
    """Pillow shrinks otherwise than OpenCV, so the picture has the input's own size."""
    write_scenes(desk / "small", 1, height=int(SIZE[0]), width=int(SIZE[1]))
    picture = desk / "small/images/scene_00000.jpg"
    told = run(desk, "10_onnxruntime_alone.py", str(picture), "out/cells")
    assert "pvt_edge" not in re.sub(
        r'""".*?"""', "", (EXAMPLES / "10_onnxruntime_alone.py").read_text(), flags=re.DOTALL
    )
    with pvt_edge.load(desk / "out/cells", runtime="onnxruntime") as predictor:
        ours = predictor(picture)
    found = re.findall(r"^(\w+) ([\d.]+) \[(.*)\]$", told, re.MULTILINE)
    assert len(found) == len(ours.boxes) > 3
    assert [name for name, _, _ in found] == ours.found_names()
    np.testing.assert_allclose([float(score) for _, score, _ in found], ours.boxes.conf, rtol=0, atol=5e-3)
    corners = np.array([[float(side) for side in place.split(", ")] for _, _, place in found])
    np.testing.assert_allclose(corners, ours.boxes.xyxy, rtol=0, atol=0.5)


def test_the_table_names_every_example():
    told = re.findall(r"^\| `(\d\d_\w+\.\w+)`", (EXAMPLES / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert told == sorted(path.name for path in EXAMPLES.glob("[0-9]*"))

"""Any number of pictures to JSON lines: by processes of this machine or, where Ray is installed, by a cluster.

    pip install "pvt-edge[openvino,opencv]"       # and "ray[data]" for more than one machine
    python 09_pictures_in_bulk.py pictures/ out/cells found/ workers=2 shard=64

Writes `found/00000.jsonl` and so on, a line a picture; one that cannot be read has an "error". A finished file is the
checkpoint: after a kill or a power cut the same command does what is left. New pictures want a new `found/`. Ray takes
the cluster of RAY_ADDRESS, whose machines all need these folders, or starts one on this machine.
"""

import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

import pvt_edge


class Worker:
    """Opens the bundle once, and turns shards, given by their numbers, into files."""

    def __init__(self, bundle: str, found: Path, threads: int) -> None:
        self.predictor, self.found = pvt_edge.load(bundle, threads=threads), found
        self.shards = json.loads((found / "shards.json").read_text())

    def __call__(self, batch: dict) -> dict:
        for number in batch["item"]:
            aside = self.found / f"{number:05d}.{os.getpid()}.part"
            aside.write_text("".join(self.line(path) + "\n" for path in self.shards[number]), encoding="utf-8")
            aside.rename(self.found / f"{number:05d}.jsonl")  # whole or not at all, whoever is killed
        return batch

    def line(self, path: str) -> str:
        try:
            return self.predictor([path])[0].to_json()
        except pvt_edge.PvtEdgeError as error:  # one bad picture must not cost the others
            return json.dumps({"path": path, "error": str(error)})


def start(*about) -> None:
    """In each process, once."""
    global worker
    worker = Worker(*about)


def work(number: int) -> None:
    """In a process, for each of its shards."""
    worker({"item": [number]})


def by_processes(todo: list[int], workers: int, *about) -> None:
    """A process that is killed ends the run; the same command goes on."""
    with ProcessPoolExecutor(workers, get_context("spawn"), start, about) as pool:
        for done, _ in enumerate(pool.map(work, todo), 1):
            print(f"{done} of {len(todo)} shards", flush=True)


def by_ray(todo: list[int], workers: int, *about) -> None:
    """A worker that is killed is started again, and its shard with it."""
    import ray

    # Workers hold a CPU each for as long as they live; without one more the task that reads would wait for ever.
    ray.init(**({} if "RAY_ADDRESS" in os.environ else {"num_cpus": workers + 1}))
    shards = ray.data.from_items(todo, override_num_blocks=len(todo))  # numbers travel, never pixels
    pool = ray.data.ActorPoolStrategy(size=workers)
    shards.map_batches(Worker, fn_constructor_args=about, batch_size=1, compute=pool, num_cpus=1).materialize()


if __name__ == "__main__":
    pictures, bundle, found = (Path(word).resolve() for word in sys.argv[1:4])
    options = {name: int(value) for name, value in (word.split("=") for word in sys.argv[4:])}
    workers, size = options.get("workers", 2), options.get("shard", 64)

    found.mkdir(parents=True, exist_ok=True)
    if not (found / "shards.json").exists():  # written once: a later run cuts the pictures the same way
        paths = sorted(str(path) for path in pictures.rglob("*") if path.is_file())
        (found / "part").write_text(json.dumps([paths[i : i + size] for i in range(0, len(paths), size)]))
        (found / "part").rename(found / "shards.json")
    shards = json.loads((found / "shards.json").read_text())

    todo = [number for number in range(len(shards)) if not (found / f"{number:05d}.jsonl").exists()]
    threads = max(1, (os.cpu_count() or 1) // workers)  # more than there are cores would wait for one another
    if todo:
        (by_ray if find_spec("ray") else by_processes)(todo, workers, str(bundle), found, threads)

    rows = [json.loads(row) for file in sorted(found.glob("*.jsonl")) for row in file.open(encoding="utf-8")]
    unread = [row["path"] for row in rows if "error" in row]
    print(f"{len(rows)} pictures, {len(todo)} of {len(shards)} shards now, {len(unread)} unread: {unread[:3]}")

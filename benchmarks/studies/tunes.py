"""What an export costs with each `--tune`, and what it gains: seconds of the command, then milliseconds of its results.

    .venv/bin/python benchmarks/studies/tunes.py --json benchmarks/results/tunes.json

`pvt-edge export --variant b0 --int8` as a fresh process for each tune, one after the other, each seen to the end; then
what "auto" takes of the bundles in each runtime, all in turns in one run, medians. Run it with nothing else on the
machine. Bundles stay in `--out`, and one that is there is not made again, so that a run that was cut goes on.
"""

import json
import shutil
import subprocess
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from recording import write_record

import pvt_edge
from pvt_edge.export.precision.trial import measure
from pvt_edge.scenes import draw_scene

RUNTIMES = ("openvino", "onnxruntime")


def main(
    tune: Annotated[list[str] | None, typer.Option(help="Among quick, full, off; quick and full by default.")] = None,
    seconds: Annotated[float, typer.Option(help="Of timing, for each runtime.")] = 30,
    out: Annotated[Path, typer.Option(help="Where the bundles go.")] = Path("out/tunes"),
    json_path: Annotated[Path | None, typer.Option("--json", help="Where to record the result.")] = None,
) -> None:
    """Export with each tune, time the results in turns, print and record both."""
    tunes = tune or ["quick", "full"]
    found: dict[str, Any] = {name: {"seconds": export(name, out / name)} for name in tunes}
    for runtime in RUNTIMES:
        for name, row in time_auto(runtime, {name: out / name for name in tunes}, seconds).items():
            found[name][runtime] = row
    for name, row in found.items():
        print(name, row)
    write_record(json_path, f"python benchmarks/studies/tunes.py --seconds {seconds:g}", {"tunes": found})


def export(tune: str, folder: Path) -> float:
    """The seconds that the command says it took."""
    report = folder.with_suffix(".json")
    if not report.is_file():
        script = shutil.which("pvt-edge", path=str(Path(sys.executable).parent)) or "pvt-edge"
        command = [script, "export", "--variant", "b0", "--int8", "--tune", tune, "--out", str(folder)]
        folder.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([*command, "--json", str(report)], check=True)
    seconds: float = json.loads(report.read_text(encoding="utf-8"))["seconds"]
    return seconds


def time_auto(runtime: str, bundles: dict[str, Path], seconds: float) -> dict[str, dict[str, Any]]:
    """Precision and median milliseconds of what "auto" takes of each bundle."""
    with ExitStack() as stack:
        opened = {name: stack.enter_context(pvt_edge.load(folder, runtime)) for name, folder in bundles.items()}
        picture = draw_scene(0).image[None]
        latency = measure(
            {name: partial(predictor.runtime.infer, {"images": picture}) for name, predictor in opened.items()}, seconds
        )
        return {
            name: {"precision": predictor.runtime.precision, "ms": latency[name].p50}
            for name, predictor in opened.items()
        }


if __name__ == "__main__":
    typer.run(main)

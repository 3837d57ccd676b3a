"""`pvt-edge doctor`: what this machine can run, and why not."""

from typing import TYPE_CHECKING

import typer

from pvt_edge.cli.options import JsonReport, check_json, write_json
from pvt_edge.cli.progress import interruptible

if TYPE_CHECKING:
    from rich.console import Console

    from pvt_edge.doctor import Examination
    from pvt_edge.doctor.facts import Facts, Verdict
    from pvt_edge.machine.nvidia import Gpu

STYLES = {"error": "red", "warning": "yellow", "hint": "cyan"}


def doctor(
    json: JsonReport = None,
) -> None:
    """Show what this machine can run and why not; exit with 1 where no runtime can run a bundle."""
    from rich.console import Console
    from rich.live import Live

    from pvt_edge.doctor import examine

    check_json(json)
    # no spinner: it takes a thread, and a machine may have none left to give
    asking = Live("asking each library", console=Console(stderr=True), transient=True, auto_refresh=False)
    with interruptible("stopped"), asking:
        examination = examine()
    if json:
        write_json(examination.to_json(), json)
    if json != "-":
        _print(Console(soft_wrap=True), examination)
    if not examination.can_run:
        raise typer.Exit(1)


def _print(console: "Console", examination: "Examination") -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    facts = Table.grid(padding=(0, 2))
    for name, value in _facts(examination.facts):
        facts.add_row(Text(name, "bold"), Text(value))
    console.print(facts)
    table = Table("runtime", "version", "runs", "on, or why not", box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for verdict in examination.verdicts:
        runs = Text("yes", "green") if verdict.ready else Text("no", "red")
        table.add_row(verdict.name, verdict.version or "", runs, Text(_runs_on(verdict), overflow="fold"))
    console.print()
    console.print(table, soft_wrap=False)
    console.print()
    extras = examination.facts.extras
    console.print(Text(f"extras complete: {', '.join(name for name, lacks in extras.items() if not lacks) or 'none'}"))
    for name, lacks in extras.items():
        if lacks:
            console.print(Text(f'extra {name}: {", ".join(lacks)} missing: pip install "pvt-edge[{name}]"'))
    for advice in examination.advice:
        console.print(Text(f"{advice.level}: {advice.text}: {advice.mend}", STYLES[advice.level]))
    if not examination.can_run:
        console.print(Text('no runtime here can run a bundle: pip install "pvt-edge[openvino,opencv]"', "red"))


def _facts(facts: "Facts") -> list[tuple[str, str]]:
    s, c = facts.system, facts.cpu
    where = [s.container and f"in {s.container}", s.wsl and "in WSL", s.virtual_environment and "virtual environment"]
    features = "features not told by this system" if c.features is None else ", ".join(c.features) or "no SIMD features"
    limit = f" ({c.quota:g} allowed)" if c.quota else ""
    rows = [
        ("pvt-edge", f"{s.pvt_edge}, Python {s.python}"),
        ("system", ", ".join([s.os, s.machine, *(part for part in where if part)])),
        ("CPU", f"{c.name}, {c.cores} cores{limit}: {features}"),
    ]
    rows += [("GPU", _gpu(gpu)) for gpu in facts.gpus] or [("GPU", "none of NVIDIA's")]
    if facts.jetson:
        j = facts.jetson
        rows.append(
            ("Jetson", f"{j.model}, JetPack {j.jetpack or '?'} (L4T {j.l4t or '?'}), mode {j.power_mode or '?'}")
        )
    if facts.opencv:
        o = facts.opencv
        video = ", ".join(o.backends) or "no video"
        rows.append(("OpenCV", f"{o.version}: {video}; windows: {o.gui or 'none, headless'}"))
    if s.cameras:
        rows.append(("cameras", ", ".join(s.cameras)))
    return rows


def _gpu(gpu: "Gpu") -> str:
    parts = [
        gpu.name,
        gpu.compute_capability and f"compute capability {gpu.compute_capability}",
        gpu.memory_mib and f"{gpu.memory_mib / 1024:.0f} GiB",
        gpu.driver and f"driver {gpu.driver}",
        gpu.cuda and f"CUDA {gpu.cuda}",
    ]
    return ", ".join(part for part in parts if part)


def _runs_on(verdict: "Verdict") -> str:
    if not verdict.ready:
        return verdict.reason or ""
    devices = [
        f"{device.name}{f' ({device.description})' if device.description else ''}: {' '.join(device.precisions)}"
        for device in verdict.devices
    ]
    return "; ".join(devices)

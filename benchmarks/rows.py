"""Which rows a bundle has here: every runtime at every precision and batch, or why one is absent."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pvt_edge.benchmarks.opening import COMPILED, Opening, TorchModel
from pvt_edge.benchmarks.record import Hint, Row
from pvt_edge.bundle import Bundle
from pvt_edge.errors import BundleError, RuntimeMissingError, UnknownNameError
from pvt_edge.runtimes import ModelSpec
from pvt_edge.runtimes.table import PRECISIONS as ASKABLE
from pvt_edge.runtimes.table import RUNTIMES, missing, runtime_entry

TORCH = ("torch", COMPILED)
PRECISIONS = ASKABLE[1:]  # without auto


def benched() -> tuple[str, ...]:
    """All that can be asked for: torch in two ways, then the runtimes in the table's order."""
    return (*TORCH, *(name for name in RUNTIMES if name not in TORCH))


def unnamed() -> tuple[str, ...]:
    """What is run where nothing is named: all but torch.compile, whose start alone takes minutes."""
    return tuple(name for name in benched() if name != COMPILED)


@dataclass(frozen=True)
class Choice:
    """Which of the rows to run, and how their runtimes are opened."""

    runtimes: tuple[str, ...] = field(default_factory=unnamed)
    precisions: tuple[str, ...] = PRECISIONS
    batches: tuple[int, ...] | None = None  # None: the bundle's own
    device: str = "auto"
    threads: int | None = None
    hint: Hint = "latency"
    streams: int | None = None

    def check(self) -> None:
        """Raise `UnknownNameError` for a runtime or precision that does not exist."""
        for kind, given, known in (("runtime", self.runtimes, benched()), ("precision", self.precisions, PRECISIONS)):
            for name in given:
                if name not in known:
                    raise UnknownNameError(kind, name, ("all", *known))


@dataclass(frozen=True)
class Plan:
    """A row that is to be measured; with a `reason`, one that cannot be."""

    row: Row
    opening: Opening | None = None

    @property
    def name(self) -> str:
        """The row's."""
        return self.row.name


def plan_rows(bundle: Bundle, choice: Choice, torch_model: TorchModel | str) -> list[Plan]:
    """The rows of `choice`, in the table's order; `torch_model` is the trained model, or why there is none.

    Raises a `PvtEdgeError` for names that do not exist and for a bundle that is broken.
    """
    choice.check()
    plans: list[Plan] = []
    for batch in choice.batches or (bundle.manifest.input.batch,):
        for runtime in choice.runtimes:
            if runtime in TORCH:
                plans += _torch_rows(bundle, choice, runtime, batch, torch_model)
            else:
                plans += _file_rows(bundle, choice, runtime, batch)
    return plans


def file_plan(
    bundle: Bundle, choice: Choice, path: Path, *, runtime: str, precision: str, batch: int, model: str | None
) -> Plan:
    """The row of one file outside the list of artifacts, of the stock route; `model` as `Row` has it."""
    row = _row("stock", runtime, precision, batch, model_bytes=_bytes_of(path), model=model)
    return Plan(row, _opening(bundle, choice, runtime, precision, batch, path))


def absent(route: str, runtime: str, precision: str, batch: int, reason: str, *, model: str | None = None) -> Plan:
    """The row of what cannot be run here."""
    return Plan(_row(route, runtime, precision, batch, status="absent", reason=reason, model=model))


def _torch_rows(bundle: Bundle, choice: Choice, runtime: str, batch: int, torch_model: TorchModel | str) -> list[Plan]:
    if "fp32" not in choice.precisions:
        return []
    reason = missing("torch") or (torch_model if isinstance(torch_model, str) else None)
    if reason is not None or isinstance(torch_model, str):
        return [absent("torch", runtime, "fp32", batch, str(reason))]
    opening = _opening(bundle, choice, runtime, "fp32", batch, None, torch_model)
    return [Plan(_row("torch", runtime, "fp32", batch), opening)]


def _file_rows(bundle: Bundle, choice: Choice, runtime: str, batch: int) -> list[Plan]:
    manifest = bundle.manifest
    if (reason := missing(runtime)) is not None:
        return [absent("pvt-edge", runtime, "", batch, reason)]
    ways = [way for way in bundle.ways() if way.runtime == runtime]
    if not any(way.artifact for way in ways):
        return [absent("pvt-edge", runtime, "", batch, str(ways[0].absent))]
    if not manifest.input.dynamic_batch and batch != manifest.input.batch:
        mend = f"export with --batch {batch}, or with --dynamic-batch"
        return [
            absent("pvt-edge", runtime, "", batch, f"its files have a static batch of {manifest.input.batch}: {mend}")
        ]
    plans = []
    able = runtime_entry(runtime).opener.float_precisions(choice.device)
    for way in sorted(ways, key=lambda way: PRECISIONS.index(way.precision)):
        precision, artifact = way.precision, way.artifact
        if artifact is None or precision not in choice.precisions:
            continue
        if way.rounded and precision not in able:
            if way.by_default:
                plans.append(absent("pvt-edge", runtime, precision, batch, "this device does not run bfloat16"))
            continue
        try:
            path = bundle.path(artifact)
        except BundleError as error:  # of one file: the others can still be run
            plans.append(Plan(_row("pvt-edge", runtime, precision, batch, status="failed", reason=str(error))))
            continue
        metrics = manifest.accuracy.metrics if manifest.accuracy else {}
        row = _row(
            "pvt-edge",
            runtime,
            precision,
            batch,
            model_bytes=artifact.bytes + sum(companion.bytes for companion in artifact.companions),
            accuracy=metrics.get(f"{runtime}-{precision}"),
        )
        plans.append(Plan(row, _opening(bundle, choice, runtime, precision, batch, path, spec=bundle.spec(artifact))))
    return plans


def _opening(
    bundle: Bundle,
    choice: Choice,
    runtime: str,
    precision: str,
    batch: int,
    path: Path | None,
    model: TorchModel | None = None,
    spec: ModelSpec | None = None,
) -> Opening:
    takes = bundle.manifest.input
    return Opening(
        runtime=runtime,
        precision=precision,
        input_name=takes.name,
        shape=(batch, takes.height, takes.width, 3),
        path=None if path is None else str(path),
        device=choice.device,
        threads=choice.threads,
        hint=choice.hint,
        streams=choice.streams,
        model=model,
        spec=spec,
    )


def _row(
    route: str,
    runtime: str,
    precision: str,
    batch: int,
    *,
    status: str = "measured",
    reason: str | None = None,
    model_bytes: int | None = None,
    accuracy: dict[str, float] | None = None,
    model: str | None = None,
) -> Row:
    return Row.model_validate(
        {
            "name": row_name(route, runtime, precision, batch, model),
            "route": route,
            "runtime": runtime,
            "precision": precision,
            "batch": batch,
            "status": status,
            "reason": reason,
            "model_bytes": model_bytes,
            "accuracy": accuracy,
            "model": model,
        }
    )


def row_name(route: str, runtime: str, precision: str, batch: int, model: str | None = None) -> str:
    """What the row is called, the same in every run; by a comparison model's name in place of its route's.

    >>> row_name("stock", "openvino", "int8", 4)
    'stock openvino int8 batch 4'
    """
    words = [model] if model else ["stock"] if route == "stock" else []
    words += [runtime, *([precision] if precision else []), *([f"batch {batch}"] if batch != 1 else [])]
    return " ".join(words)


def _bytes_of(path: Path) -> int:
    weights = path.with_suffix(".bin")
    return path.stat().st_size + (weights.stat().st_size if path.suffix == ".xml" else 0)


def find_torch_model(bundle: Bundle, weights: str | None, head: str | None = None) -> TorchModel | str:
    """The trained model behind the bundle: its bundled weights, or those given; else why there is none."""
    from pvt_edge.tasks import get_task
    from pvt_edge.weights import get_bundled

    manifest = bundle.manifest
    made_of = manifest.provenance.weights
    if weights is None and get_bundled(made_of) is None:
        return f"the bundle holds no torch weights (it was made of {made_of}): give them with --weights"
    return TorchModel(
        manifest.variant,
        manifest.task,
        weights or made_of,
        num_classes=None if get_bundled(weights or made_of) else get_task(manifest.task).num_classes(manifest),
        head=head,
        normalisation=manifest.normalise,
    )


def check_any(plans: Sequence[Plan]) -> None:
    """Raise `RuntimeMissingError` with every reason where nothing can be run."""
    if not any(plan.opening for plan in plans):
        reasons = "; ".join(dict.fromkeys(f"{plan.name}: {plan.row.reason}" for plan in plans)) or "no row was chosen"
        raise RuntimeMissingError(f"nothing here to benchmark: {reasons}")

"""build_bundle: on the device, engines from the graphs of a bundle; refresh_engines: those that do not fit, again."""

import shutil
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from pvt_edge.bundle import Bundle, BundleWriter, read_bundle
from pvt_edge.bundle.contents import records, reports
from pvt_edge.bundle.schema import Artifact, InputSpec, Precision
from pvt_edge.engines.workshop import OnStep, Workshop, engine_latency, open_workshop, write_engine
from pvt_edge.errors import BundleError, PvtEdgeError
from pvt_edge.options.build import BuildOptions
from pvt_edge.runtimes.cuda import probe_cuda
from pvt_edge.runtimes.passport import batches_of, differences, here
from pvt_edge.runtimes.tensorrt_library import load_library

DYNAMIC_BATCHES = (1, 1, 16)  # the profile of a dynamic batch where none is asked for; 16 is what a predictor feeds
CACHE = "timing.cache"


def build_bundle(
    folder: str | Path,
    *,
    library: str = "tensorrt",
    options: BuildOptions | None = None,
    rebuild: bool = False,
    on_step: OnStep | None = None,
) -> Bundle:
    """The bundle in `folder`, with an engine for this machine beside each of its FP16 and INT8 graphs.

    An engine that is there, was built on such a machine, of this graph and with these options, is kept unless
    `rebuild`. Where both run here they are timed, and "auto" takes the faster. The bundle is swapped when all of it
    is written: a build that fails or is stopped leaves it as it was. Raises a `PvtEdgeError`.
    """
    on_step = on_step or (lambda text: None)
    bundle = read_bundle(Path(folder))
    graphs = graphs_of(bundle)
    options = options or BuildOptions()
    options = replace(options, batches=profile_for(bundle.manifest.input.dynamic_batch, options))
    workshop = open_workshop(library, options)
    kept = [] if rebuild else [a for a in _engines(bundle, library) if _fits(a, graphs, workshop, options)]
    missing = {p: graph for p, graph in graphs.items() if p not in {engine.precision for engine in kept}}
    if not missing:
        on_step("every engine is there and fits this machine; --rebuild builds them again")
        return bundle
    others = [artifact for artifact in bundle.manifest.artifacts if artifact.runtime != library]
    with BundleWriter(bundle.folder) as writer:
        _copy(bundle, writer, [*others, *kept], library)
        sources = {p: bundle.path(graph) for p, graph in missing.items()}
        passports = write_engines(writer, workshop, options, sources, missing, on_step)
        built = [engine_artifact(writer, library, p, passport) for p, passport in passports.items()]
        kept = [engine_artifact(writer, library, a.precision, a.passport) for a in kept]  # with the cache as it now is
        engines = [
            engine.model_copy(update={"approximated": graphs[engine.precision].approximated})
            for engine in sorted([*kept, *built], key=lambda a: list(graphs).index(a.precision))
        ]
        excluded = bundle.manifest.auto_excluded
        candidates = {a.precision: a.passport or {} for a in engines if f"{library}-{a.precision}" not in excluded}
        auto = faster_engine(writer, bundle.manifest.input, workshop, candidates, on_step)
        manifest = bundle.manifest.model_copy(
            update={
                "artifacts": (*others, *engines),
                "auto_precision": {**bundle.manifest.auto_precision, **auto},
            }
        )
        return writer.finish(manifest)


def refresh_engines(bundle: Bundle, library: str) -> Bundle:
    """The bundle with engines that fit this machine: built again, with a warning, where they do not."""
    engines = _engines(bundle, library)
    machine = here(probe_cuda(), load_library(library))
    wrong = [text for engine in engines for text in differences(engine.passport or {}, machine)]
    if not wrong:
        return bundle
    reasons = "; ".join(dict.fromkeys(wrong))
    warnings.warn(f"{bundle.folder}: engines are built again for this machine ({reasons})", stacklevel=3)
    options = BuildOptions(batches=batches_of(engines[0].passport or {}))
    return build_bundle(bundle.folder, library=library, options=options)


def profile_for(dynamic_batch: bool, options: BuildOptions) -> tuple[int, int, int] | None:
    """The batches an engine takes: those asked for, else the default of a dynamic batch, else None."""
    return options.batches or (DYNAMIC_BATCHES if dynamic_batch else None)


def graphs_of(bundle: Bundle) -> dict[Precision, Artifact]:
    """The bundle's graphs for TensorRT by precision; raises `BundleError` where it has none."""
    spec = bundle.manifest.tensorrt
    files = {file: precision for precision, file in spec.graphs.items()} if spec else {}
    graphs = {files[a.file]: a for a in bundle.manifest.artifacts if a.file in files}
    if not graphs:
        raise BundleError(
            f"{bundle.folder} has no graph for TensorRT: export again with --format onnx,tensorrt --fp16 --int8"
        )
    return graphs


def write_engines(
    writer: BundleWriter,
    workshop: Workshop,
    options: BuildOptions,
    sources: Mapping[Precision, Path],
    graphs: Mapping[Precision, Artifact],
    on_step: OnStep,
) -> dict[Precision, dict[str, str]]:
    """Build every graph of `sources` into the writer's folder; returns the passports."""
    name = workshop.library.name
    if options.timing_cache is None:
        options = replace(options, timing_cache=writer.path(f"{name}/{CACHE}"))
    return {
        precision: write_engine(
            workshop,
            path,
            writer.path(engine_file(name, precision)),
            options,
            precision=precision,
            source=graphs[precision],
            on_step=on_step,
        )
        for precision, path in sources.items()
    }


def engine_file(library: str, precision: str) -> str:
    """Where an engine lies in a bundle."""
    return f"{library}/{precision}.engine"


def engine_artifact(writer: BundleWriter, library: str, precision: str, passport: dict[str, str] | None) -> Artifact:
    """The record of an engine that was written, with the timing cache beside it."""
    cache = f"{library}/{CACHE}"
    companions = (cache,) if writer.path(cache).is_file() else ()
    return writer.artifact(
        library, precision, engine_file(library, precision), companions=companions, passport=passport
    )


def faster_engine(
    writer: BundleWriter,
    spec: InputSpec,
    workshop: Workshop,
    passports: Mapping[Precision, Mapping[str, str]],
    on_step: OnStep,
) -> dict[str, Precision]:
    """The faster of several engines, timed where there is a GPU, by the library's name; else nothing."""
    name = workshop.library.name
    if workshop.device is None or len(passports) < 2:
        return {}
    on_step(f"timing {' and '.join(passports)} in turns")
    engines = {precision: writer.path(engine_file(name, precision)) for precision in passports}
    try:
        times = engine_latency(name, engines, passports, spec)
    except PvtEdgeError as error:  # an engine for other GPUs than this one
        on_step(f"not timed: {error}")
        return {}
    fastest = min(times, key=lambda precision: times[precision])
    measured = ", ".join(f"{precision} {ms:.2f} ms" for precision, ms in times.items())
    on_step(f"{measured}: auto takes {fastest}")
    return {name: fastest}


def _engines(bundle: Bundle, library: str) -> list[Artifact]:
    return [artifact for artifact in bundle.manifest.artifacts if artifact.runtime == library]


def _fits(engine: Artifact, graphs: dict[Precision, Artifact], workshop: Workshop, options: BuildOptions) -> bool:
    """Whether an engine of the bundle is what a build would make now."""
    passport = engine.passport or {}
    graph = graphs.get(engine.precision)
    same = graph is not None and passport.get("source_sha256") == graph.sha256
    same = same and passport.get("options") == options.words()
    if workshop.device is not None:
        same = same and not differences(passport, here(workshop.device, workshop.library))
    return bool(same)


def _copy(bundle: Bundle, writer: BundleWriter, artifacts: list[Artifact], library: str) -> None:
    """The bundle's files that stay, checked, and its timing cache to go on with."""
    kept = bundle.manifest.model_copy(update={"artifacts": tuple(artifacts)})
    for artifact in artifacts:
        bundle.path(artifact)
    names = {record.file for record in records(kept)} | set(reports(bundle.folder))
    for name in sorted(names):
        shutil.copyfile(bundle.folder / name, writer.path(name))
    with suppress(FileNotFoundError):
        shutil.copyfile(bundle.folder / library / CACHE, writer.path(f"{library}/{CACHE}"))

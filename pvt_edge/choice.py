"""Which of a bundle's artifacts runs here, and in which precision."""

from typing import TYPE_CHECKING

from pvt_edge.errors import BundleError, RuntimeMissingError, UnknownNameError
from pvt_edge.runtimes.table import PRECISIONS, check_precision, missing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pvt_edge.bundle.reader import Bundle
    from pvt_edge.bundle.schema import Artifact

AUTO_RUNTIMES = ("tensorrt", "tensorrt-rtx", "openvino", "onnxruntime", "opencv")
# What "auto" takes where the bundle does not say: the first that it holds.
AUTO_PRECISIONS = {
    "openvino": ("int8", "fp32", "fp16"),
    "onnxruntime": ("int8", "fp32", "fp16"),
    # float16 until a clock has said that INT8 is faster
    "tensorrt": ("fp16", "int8", "fp32"),
    "tensorrt-rtx": ("fp16", "int8", "fp32"),
    "opencv": ("fp32",),
}


def choose_runtime(bundle: "Bundle", runtime: str = "auto") -> str:
    """The runtime to open; "auto" is the first that is both in the bundle and installed here, OpenCV the last.

    Raises `UnknownNameError`, `BundleError` for one not in the bundle, `RuntimeMissingError` where none runs.
    """
    held = bundle.runtimes()
    if runtime not in ("auto", *AUTO_RUNTIMES):
        raise UnknownNameError("runtime", runtime, ("auto", *AUTO_RUNTIMES))
    if runtime != "auto":
        if runtime not in held:
            raise BundleError(f"{bundle.folder} has nothing for {runtime}: it has {_held(bundle)}")
        return runtime
    reasons = []
    for name in AUTO_RUNTIMES:
        if name not in held:
            reasons.append(f"{name} has no artifact in it")
        elif (reason := missing(name) or _unfit(name) or _excluded(bundle, name)) is not None:
            reasons.append(reason)
        else:
            return name
    raise RuntimeMissingError(f"nothing here can run {bundle.folder} ({_held(bundle)}): {'; '.join(reasons)}")


def _unfit(runtime: str) -> str | None:
    """Why an installed runtime cannot run here: engines need a GPU, our graphs an OpenCV that is new enough."""
    from pvt_edge.runtimes.cuda import probe_cuda
    from pvt_edge.runtimes.opencv import probe_opencv

    try:
        if runtime.startswith("tensorrt"):
            probe_cuda()
        elif runtime == "opencv":
            probe_opencv()
    except RuntimeMissingError as error:
        return str(error)
    return None


def choose_artifact(bundle: "Bundle", runtime: str, precision: str = "auto") -> tuple["Artifact", str]:
    """The artifact to open and the precision to run it in, of which "auto" is left to the runtime.

    "auto" takes what the bundle found to pay, never what it found to lose too much; OpenVINO then runs an fp32
    artifact in bf16 where the CPU can. Raises `UnknownNameError`, `BundleError` that lists what the bundle has or says
    why "auto" takes none of it, or `RuntimeInputError` for a precision that OpenCV does not run.
    """
    if precision not in PRECISIONS:
        raise UnknownNameError("precision", precision, PRECISIONS)
    if runtime == "opencv":  # the bundle lists no files of it that could tell
        check_precision(runtime, precision)
    if precision != "auto":
        return bundle.artifact(runtime, precision), precision
    if (reason := _excluded(bundle, runtime)) is not None:
        raise BundleError(f"{reason}: name the precision to run it all the same")
    excluded = bundle.manifest.auto_excluded
    held = [p for p in _precisions(bundle, runtime) if f"{runtime}-{p}" not in excluded]
    stated = bundle.manifest.auto_precision.get(runtime)
    first: str = next((p for p in AUTO_PRECISIONS[runtime] if p in held), "fp32")
    chosen: str = stated or first
    widens = runtime == "openvino" and (stated == "bf16" or (stated is None and chosen == "fp32"))
    widens = widens and "openvino-bf16" not in excluded
    return bundle.artifact(runtime, chosen), "auto" if widens else chosen


def _precisions(bundle: "Bundle", runtime: str) -> list[str]:
    return [artifact.precision for artifact in bundle.manifest.artifacts if artifact.runtime == runtime]


def _excluded(bundle: "Bundle", runtime: str) -> str | None:
    """Why "auto" takes nothing of the runtime, where the bundle says so of all that it holds for it."""
    excluded = bundle.manifest.auto_excluded
    names = [f"{runtime}-{precision}" for precision in _precisions(bundle, runtime)]
    if not names or any(name not in excluded for name in names):
        return None
    return f"auto takes none of {runtime}: {'; '.join(f'{name} is excluded, {excluded[name]}' for name in names)}"


def ways_to_run(artifacts: "Iterable[Artifact]") -> "list[tuple[Artifact, str]]":
    """(artifact, precision) of each as it is, and of OpenVINO's fp32 file rounded to bf16 as it is loaded."""
    ways: list[tuple[Artifact, str]] = []
    for artifact in artifacts:
        ways.append((artifact, artifact.precision))
        if (artifact.runtime, artifact.precision) == ("openvino", "fp32"):
            ways.append((artifact, "bf16"))
    return ways


def _held(bundle: "Bundle") -> str:
    return ", ".join(f"{a.runtime} {a.precision}" for a in bundle.manifest.artifacts) or "no artifacts"

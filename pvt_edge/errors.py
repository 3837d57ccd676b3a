"""Every error pvt-edge raises on purpose.

PvtEdgeError                    the base: catch this one
├── UnknownNameError            a variant, task, runtime, precision ... that does not exist
├── ArgumentError               a call with an argument of the wrong kind, or that the function does not have
├── ImageSizeError              an input size the model cannot take
├── WeightsError                a checkpoint that cannot be read or does not fit the model
├── DataError                   images, annotations or video that cannot be read
├── BundleError                 a bundle that is missing, broken, edited or too new
├── ExportError                 an export that failed or whose check failed
├── TrainingError               a training run that cannot go on: its loss is no number, the disk is full
├── RuntimeMissingError         a package or device that is not there
└── RuntimeInputError           arrays that do not match an artifact's inputs

A message says what failed, what was given, what would be accepted and what to do, in one line.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

LONGEST = 80  # letters of a value that a message repeats
MOST_NAMES = 20  # that a message lists; ImageNet has a thousand
EXTRA_OF = {
    "aiohttp": "serve",
    "av": "stream",
    "cuda": "tensorrt",
    "cv2": "opencv",
    "filelock": "export",
    "matplotlib": "plots",
    "nncf": "bench",
    "onnx": "export",
    "onnxruntime": "onnxruntime",
    "onnxscript": "export",
    "onnxsim": "export",
    "openvino": "openvino",
    "paho": "mqtt",
    "platformdirs": "export",
    "pycocotools": "val",
    "prometheus_client": "serve",
    "requests": "export",
    "safetensors": "export",
    "supervision": "supervision",
    "tensorrt": "tensorrt",
    "torch": "export",
    "trackers": "track",
    "transformers": "compare",
    "yaml": "val",
}


def described(given: object) -> str:
    """A short text or number as it is, of anything else its type: arrays and models would fill the screen."""
    if given is None or isinstance(given, (str, bytes, int, float, Path, tuple, list)):
        text = repr(given)
        return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    shape = getattr(given, "shape", None)
    with_shape = f" of shape {tuple(shape)}" if isinstance(shape, tuple) and shape else ""
    return f"a {type(given).__name__}{with_shape}"


def escaped(text: str) -> str:
    """The text in one line: a file's name may hold line breaks, and what moves a terminal's cursor."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def storable(text: str) -> str:
    """`text` as a file in UTF-8 can hold it: Python stands lone surrogates in for bytes of names that are not.

    >>> storable("caf\\udce9.jpg")
    'caf\\\\udce9.jpg'
    """
    return text.encode(errors="backslashreplace").decode()


def nearest(given: str, known: Iterable[str]) -> str | None:
    """The one of the `known` names that `given` most likely means, whatever its case; None where none is near."""
    names = {name.lower(): name for name in reversed([*known])}
    near = get_close_matches(given.lower(), names, n=1, cutoff=0.4)
    return names[near[0]] if near else None


class PvtEdgeError(Exception):
    """Base of all errors that pvt-edge raises on purpose.

    Catch this one where any of them will do, and show its message.
    """


class UnknownNameError(PvtEdgeError, ValueError):
    """A name outside a fixed set; the message suggests the nearest and lists the rest.

    Take the name that the message suggests, or one that it lists.
    """

    def __init__(self, kind: str, given: object, known: Iterable[str]) -> None:
        names = [*dict.fromkeys(str(name) for name in known)]
        near = nearest(given, names) if isinstance(given, str) else None
        hint = f"did you mean {near!r}? " if near is not None else ""
        shown = names[:MOST_NAMES]
        rest = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
        super().__init__(f"unknown {kind} {described(given)}: {hint}known are {', '.join(shown)}{rest}")


class ArgumentError(PvtEdgeError, TypeError):
    """A call with an argument of the wrong kind, or with one that the function does not have.

    Give what the message asks for.
    """


class ImageSizeError(PvtEdgeError, ValueError):
    """An image size that the model cannot take.

    Take the nearest size, which the message names; sides are multiples of 32.
    """


class WeightsError(PvtEdgeError):
    """A checkpoint that cannot be read or does not fit the model.

    Leave out the variant and number of classes, which the file mostly tells; `pvt-edge inspect FILE` shows
    what is in it.
    """


class DataError(PvtEdgeError):
    """Images, annotations or video that cannot be read.

    Look at the file and line that the message names; a folder or pattern leaves out what cannot be read.
    """


class PictureWarning(UserWarning):
    """A picture that was read, though not all of its file or not as a whole one; or labels read with a doubt.

    A warning: the work goes on. Look at the file that it names.
    """


class BundleError(PvtEdgeError):
    """A bundle that is missing, broken, edited or of a newer schema.

    Copy or export it again; `pvt-edge inspect BUNDLE` checks every file's hash.
    """


class TrainingError(PvtEdgeError):
    """A training run that cannot go on; what it saved before is kept.

    Make room on the disk or lower the learning rate, then go on with `--resume`.
    """


class ExportError(PvtEdgeError):
    """An export that failed, or whose artifact did not give the model's answers.

    Nothing was written, and what was there stays. Change what the message names; `pvt-edge --debug export
    ...` shows where it failed.
    """


class RuntimeMissingError(PvtEdgeError):
    """A package or a device that the asked-for runtime needs and that is not here.

    Install what the message names; `pvt-edge doctor` shows what runs on this machine.
    """


class RuntimeInputError(PvtEdgeError, ValueError):
    """Arrays whose names, dtype or shape are not those of the artifact's inputs.

    Give arrays as `model.json` describes them under `input`.
    """


def missing_package(error: ModuleNotFoundError) -> Exception:
    """The `RuntimeMissingError` that says how to install what `error` misses; `error` itself for other modules."""
    package = (error.name or "").split(".")[0]
    if package not in EXTRA_OF:
        return error
    return RuntimeMissingError(
        f'this needs {package}, which is not installed: pip install "pvt-edge[{EXTRA_OF[package]}]"'
    )

"""Weights that others publish: every URL, in one table, and the names of their classes."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pvt_edge.errors import UnknownNameError, WeightsError
from pvt_edge.variants import VARIANTS
from pvt_edge.weights import BUNDLED, NO_WEIGHTS

LABEL_SETS = ("imagenet", "coco")
TASK_OF = {"imagenet": "classify", "coco": "detect"}
# the first is the one that the bare name means
ORIGINS = {"imagenet": ("official", "timm", "hf"), "coco": ("mmdet",)}
_OFFICIAL = "https://github.com/whai362/PVT/releases/download/v2"
_HUB = "https://huggingface.co"
_MMDET = "https://download.openmmlab.com/mmdetection/v2.0/pvt"
# SHA-256 as the hub's pages of the files tell it
_TIMM_SHA256 = {
    "b0": "d0927f8c963fa7ae1ca6cd459449a076a954c561245ca6025103fceffd2df34c",
    "b1": "0cb38d3df58e50bb591e99ded2a1a2a02bc807415e9bed4d4076428239112caa",
    "b2": "0bff520d64b91bdbb35f2b5bff2b62d35a9d9c6d6a5056e683f1e7ce556d0e5e",
    "b5": "070ea6f6e2b9c06fa8dc9ba943c04d5fb74df01f2cb328d95ae65c94c304176b",
}
_HF_SHA256 = {
    "b0": "83f9f76db888d15a114a2a4f29f7a951cd22faaa461ded0e64d97c120bcc6314",
    "b1": "ce664e249b8d37bff2b212d7a32c29bff7ff8b6ea01f99ddb830b5465b347c5d",
    "b2": "7de92c6b5d39f1b50f7d4a3f45ec5c18c56f171b370f05c34d70ae977db0b61d",
    "b3": "5aa3abb052da631cf44ae71ee5996da1280be694c483597f58bc3b9a1a4ecfd2",
    "b4": "8ff81ec569db6a14bd1d3cd134300ef470295e15c68a3d05ea4c0d07df3b1d38",
    "b5": "ccbc55cf99f06303b7bf5c7a34f9774e41143e127f17eedbb922f2d3d1755312",
}
# OpenMMLab ends its names in the first eight digits of the hash; mmdet has no linear attention, hence no b2-li
_MMDET_TAILS = {
    "b0": "20210831_103157-13e9aabe",
    "b1": "20210831_103318-7e169a7d",
    "b2": "20210901_174843-529f0b9a",
    "b3": "20210903_151512-8357deff",
    "b4": "20210901_170151-83795c86",
    "b5": "20210902_201800-3420eb57",
    "v1-tiny": "20210831_103110-17b566bd",
    "v1-small": "20210906_142921-b6c94a5b",
    "v1-medium": "20210831_103243-55effa1b",
}


@cache
def get_labels(name: str) -> tuple[str, ...]:
    """The 1000 short names of "imagenet" (a WordNet synset's first word, two of a kind told apart), or COCO's 80."""
    text = Path(__file__).with_name(f"{name}.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())


@dataclass(frozen=True)
class PublishedWeights:
    """A file of one variant, and what it is for.

    `file` is its place in the cache; `sha256` its hash in hex, or the beginning of it, or nothing: as much as its
    publisher tells; `head` the name of its head, where its task has several.
    """

    dataset: str
    origin: str
    variant: str
    url: str
    file: str
    sha256: str = ""
    head: str | None = None

    @property
    def name(self) -> str:
        """What `--weights` calls it: imagenet:timm."""
        return f"{self.dataset}:{self.origin}"

    @property
    def task(self) -> str:
        """What the whole of it does; its backbone serves any task."""
        return TASK_OF[self.dataset]

    def check(self, task: str, num_classes: int | None, head: object = None) -> None:
        """`WeightsError` where a model of `task` with such a head could not hold all of it: before downloading."""
        if task != self.task:
            return
        classes = len(get_labels(self.dataset))
        if num_classes not in (None, classes):
            raise WeightsError(
                f"weights {self.name!r} have {classes} classes, not {num_classes}: leave "
                "--num-classes (num_classes in Python) out; load_weights(model, file, reinit_head=True) is for a head "
                "of your own"
            )
        if self.head is not None and isinstance(head, str) and head != self.head:
            raise WeightsError(
                f"weights {self.name!r} have the head {self.head}, not {head}: leave --head (head in Python) out"
            )


def _is_v1(variant: str) -> bool:
    return VARIANTS[variant].family == "pvt-v1"


def _official(variant: str) -> PublishedWeights:
    file = f"pvt_{variant[3:]}.pth" if _is_v1(variant) else f"pvt_v2_{variant.replace('-', '_')}.pth"
    return PublishedWeights("imagenet", "official", variant, f"{_OFFICIAL}/{file}", f"official/{file}")


def _timm(variant: str) -> PublishedWeights:
    repository = f"pvt_v2_{variant.replace('-', '_')}.in1k"
    url = f"{_HUB}/timm/{repository}/resolve/main/model.safetensors"
    sha256 = _TIMM_SHA256.get(variant, "")
    return PublishedWeights("imagenet", "timm", variant, url, f"timm/{repository}.safetensors", sha256)


def _hf(variant: str) -> PublishedWeights:
    if _is_v1(variant):  # whose hub folders hold pickles
        repository, owner, name = f"pvt-{variant[3:]}-224", "Zetatech", "pytorch_model.bin"
    else:
        repository, owner, name = f"pvt_v2_{variant.replace('-li', '_linear')}", "OpenGVLab", "model.safetensors"
    url = f"{_HUB}/{owner}/{repository}/resolve/main/{name}"
    sha256 = _HF_SHA256.get(variant, "")
    return PublishedWeights("imagenet", "hf", variant, url, f"hf/{repository}{Path(name).suffix}", sha256)


def _mmdet(variant: str, tail: str) -> PublishedWeights:
    backbone = f"pvt-{variant[3]}" if _is_v1(variant) else f"pvtv2-{variant}"
    folder = f"retinanet_{backbone}_fpn_1x_coco"
    file = f"{folder}_{tail}.pth"
    return PublishedWeights(
        "coco", "mmdet", variant, f"{_MMDET}/{folder}/{file}", f"mmdet/{file}", tail.rpartition("-")[2], "retinanet"
    )


PUBLISHED: dict[tuple[str, str], PublishedWeights] = {
    (weights.name, weights.variant): weights
    for weights in (
        *(make(variant) for make in (_official, _hf) for variant in VARIANTS),
        *(_timm(variant) for variant in VARIANTS if not _is_v1(variant)),
        *(_mmdet(variant, tail) for variant, tail in _MMDET_TAILS.items()),
    )
}


def is_file_name(weights: str) -> bool:
    """Whether `weights` is a file's or folder's path and not a name of ours: cells, imagenet, coco, none."""
    return weights not in BUNDLED and weights != NO_WEIGHTS and weights.partition(":")[0] not in ORIGINS


def find_published(name: str, variant: str) -> PublishedWeights | None:
    """What `name` ("imagenet", "imagenet:timm", "coco") means for `variant`; None where it names no published weights.

    A file that is called so is given as ./imagenet. Raises `UnknownNameError` for another origin and `WeightsError`
    for a variant that nobody publishes.
    """
    dataset, _, origin = name.partition(":")
    if dataset not in ORIGINS:
        return None
    origins = ORIGINS[dataset]
    if (origin or origins[0]) not in origins:
        raise UnknownNameError(f"origin of {dataset} weights", origin, origins)
    found = PUBLISHED.get((f"{dataset}:{origin or origins[0]}", variant))
    if found is None:
        variants = [known for (full, known) in PUBLISHED if full.startswith(f"{dataset}:")]
        raise WeightsError(
            f"nobody publishes {dataset} weights of {variant} that can be downloaded: there are "
            f"{', '.join(dict.fromkeys(variants))}; for {variant} give a file of your own with --weights FILE "
            "(weights= in Python)"
        )
    return found


def labels_of(name: str | None, task: str) -> tuple[str, ...] | None:
    """The names of the classes of a model for `task` that was loaded by the name of published weights; else None."""
    dataset, _, origin = (name or "").partition(":")
    return get_labels(dataset) if origin in ORIGINS.get(dataset, ()) and task == TASK_OF[dataset] else None

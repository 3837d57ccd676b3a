"""What a predictor says of one picture: the one record that drawing, saving and every sink take."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pvt_edge.errors import DataError, RuntimeMissingError

if TYPE_CHECKING:
    from supervision import Detections

STEPS = ("preprocess", "inference", "postprocess")


@dataclass(frozen=True, eq=False)
class Boxes:
    """n detections, best first: `xyxy` (n, 4) float32 in pixels of the original picture, `conf` (n,) float32
    in 0..1, `cls` (n,) int64 class ids, `id` (n,) int64 tracks where they are tracked (-1: not yet sure), else None.
    `boxes[0]`, `boxes[2:5]`, `boxes[boxes.conf > 0.5]` are Boxes too.

    >>> Boxes(np.zeros((0, 4)), np.zeros(0), np.zeros(0))
    Boxes(n=0)
    """

    xyxy: NDArray[np.float32]
    conf: NDArray[np.float32]
    cls: NDArray[np.int64]
    id: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "xyxy", np.asarray(self.xyxy, np.float32))
        object.__setattr__(self, "conf", np.asarray(self.conf, np.float32))
        object.__setattr__(self, "cls", np.asarray(self.cls, np.int64))
        n = len(self.xyxy)
        if self.xyxy.shape != (n, 4) or self.conf.shape != (n,) or self.cls.shape != (n,):
            raise DataError(
                f"boxes need xyxy (n, 4), conf (n,) and cls (n,), not {self.xyxy.shape}, {self.conf.shape} "
                f"and {self.cls.shape}"
            )
        if self.id is not None:
            object.__setattr__(self, "id", np.asarray(self.id, np.int64))
            if self.id.shape != (n,):
                raise DataError(f"track ids need the shape ({n},) of their boxes, not {self.id.shape}")

    def __len__(self) -> int:
        return len(self.xyxy)

    def __getitem__(self, index: "int | slice | Sequence[int] | NDArray[Any]") -> "Boxes":
        rows = [index] if isinstance(index, (int, np.integer)) else index
        return Boxes(self.xyxy[rows], self.conf[rows], self.cls[rows], None if self.id is None else self.id[rows])

    def __iter__(self) -> Iterator["Boxes"]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"Boxes(n={len(self)})"


@dataclass(frozen=True, eq=False)
class Probs:
    """The share of each class, `data` (K,) float32 in 0..1, K >= 1."""

    data: NDArray[np.float32]

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", np.asarray(self.data, np.float32))
        if self.data.ndim != 1 or len(self.data) == 0:
            raise DataError(f"class shares need the shape (K,) with K >= 1, not {self.data.shape}")

    @property
    def top5(self) -> tuple[int, ...]:
        """The ids of the best five, or of all where there are fewer, best first."""
        return tuple(np.argsort(-self.data, kind="stable")[:5].tolist())

    @property
    def top1(self) -> int:
        return int(self.data.argmax())

    @property
    def top5conf(self) -> NDArray[np.float32]:
        return self.data[list(self.top5)]

    @property
    def top1conf(self) -> float:
        return float(self.data[self.top1])


@dataclass(frozen=True)
class StreamInfo:
    """Which stream a frame is of, `source` without secrets, and what had gone wrong in it up to this frame:
    frames dropped for newer ones, times the source was lost and came back, frames that could not be decoded.
    """

    id: int
    source: str
    dropped: int = 0
    reconnects: int = 0
    decode_errors: int = 0


@dataclass(frozen=True)
class FrameInfo:
    """Which frame: `id` from 0, `captured_at` in Unix seconds, `age_ms` its age when the result was ready.

    A frame that was dropped has used up its id. `page` counts from 1 in a file of several pages (a TIFF stack, an
    animation), else it is None; `video_s` is when a video file shows it, in seconds after its first frame, else None.
    `stream` is None outside streams.
    """

    id: int = 0
    captured_at: float = 0.0
    age_ms: float = 0.0
    stream: StreamInfo | None = None
    page: int | None = None
    video_s: float | None = None


@dataclass(frozen=True)
class Counter:
    """A line or zone that counts: its corners (k, 2) in pixels, and the counts so far by name."""

    name: str
    points: tuple[tuple[int, int], ...]
    counts: Mapping[str, int]


@dataclass(frozen=True, eq=False)
class Result:
    """What was found in one picture `image` (H, W, 3) uint8 BGR, which is the caller's own array and no copy.

    Of `boxes`, `probs`, `mask` (H, W) int64 class ids and `features` {name: (C, h, w) float32} those of the
    task are set, and None are the others. `names[id]` is a class's name; `speed` is in ms; `path` the file it
    came from; `counters` the stream's lines and zones.
    """

    image: NDArray[np.uint8]
    names: tuple[str, ...] | Mapping[int, str]
    boxes: Boxes | None = None
    probs: Probs | None = None
    mask: NDArray[np.int64] | None = None
    features: Mapping[str, NDArray[np.float32]] | None = None
    path: str | None = None
    speed: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(STEPS, 0.0))
    frame: FrameInfo = FrameInfo()
    counters: tuple[Counter, ...] = ()

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise DataError(f"a result needs an image (H, W, 3) uint8, not {self.image.shape} {self.image.dtype}")
        if self.mask is not None and self.mask.shape != self.orig_hw:
            raise DataError(f"the mask is {self.mask.shape}, the image {self.orig_hw}")
        if set(self.speed) != set(STEPS):
            raise DataError(f"speed needs {', '.join(STEPS)}, not {', '.join(self.speed)}")
        known = set(range(len(self.names))) if isinstance(self.names, tuple) else set(self.names)
        used = set(self.boxes.cls.tolist()) if self.boxes is not None else set()
        if self.probs is not None:
            used = set(range(len(self.probs.data)))
        if not used <= known:
            raise DataError(f"class ids without a name: {sorted(used - known)[:5]}; {len(known)} names are known")

    @property
    def orig_hw(self) -> tuple[int, int]:
        return self.image.shape[0], self.image.shape[1]

    def plot(self) -> NDArray[np.uint8]:
        """An annotated copy of the picture, (H, W, 3) uint8 BGR."""
        return self.annotated.copy()

    @cached_property
    def annotated(self) -> NDArray[np.uint8]:
        """The annotated picture, drawn once for all who show it, and read-only."""
        from pvt_edge.drawing import draw_boxes, draw_classes, draw_counters, draw_mask

        image = self.image.copy()
        if self.mask is not None:
            draw_mask(image, self.mask)
        if self.boxes is not None:
            ids = self.boxes.cls.tolist()
            words = [self._words(i, track) for i, track in zip(ids, self._tracks(), strict=True)]
            texts = [(word, f"{c:.2f}") for word, c in zip(words, self.boxes.conf.tolist(), strict=True)]
            draw_boxes(image, self.boxes.xyxy, ids, texts)
        if self.probs is not None:
            draw_classes(image, [(self.names[i], float(self.probs.data[i])) for i in self.probs.top5])
        draw_counters(image, self.counters)
        image.flags.writeable = False
        return image

    def _tracks(self) -> list[int | None]:
        """The track of each box; None where it has none."""
        if self.boxes is None:
            return []
        if self.boxes.id is None:
            return [None] * len(self.boxes)
        return [track if track >= 0 else None for track in self.boxes.id.tolist()]

    def _words(self, class_id: int, track: int | None) -> str:
        return self.names[class_id] if track is None else f"{self.names[class_id]} #{track}"

    def found_names(self) -> list[str]:
        """What was found, by name: each box's class, or a picture's best class."""
        if self.boxes is not None:
            return [self.names[i] for i in self.boxes.cls.tolist()]
        return [self.names[self.probs.top1]] if self.probs is not None else []

    def save(self, path: str | Path) -> Path:
        """The path, after writing the annotated picture there; its suffix chooses the format."""
        from pvt_edge.picture_file import write_image

        return write_image(Path(path), self.plot())

    def summary(self) -> list[dict[str, Any]]:
        """A row per box, {"name", "class", "confidence", "box": {"x1", "y1", "x2", "y2"}}, best first.

        Tracked boxes have "track_id" too, None before the track is sure. A classification gives its top five
        without "box"; feature maps give {"name", "shape"}.
        """
        if self.boxes is not None:
            boxes = self.boxes
            rows = zip(boxes.cls.tolist(), boxes.conf.tolist(), boxes.xyxy.tolist(), self._tracks(), strict=True)
            return [
                self._row(i, conf)
                | {"box": dict(zip(("x1", "y1", "x2", "y2"), _rounded(box), strict=True))}
                | ({} if boxes.id is None else {"track_id": track})
                for i, conf, box, track in rows
            ]
        if self.probs is not None:
            return [self._row(i, float(self.probs.data[i])) for i in self.probs.top5]
        return [{"name": name, "shape": list(maps.shape)} for name, maps in (self.features or {}).items()]

    def _row(self, class_id: int, conf: float) -> dict[str, Any]:
        return {"name": self.names[class_id], "class": class_id, "confidence": round(conf, 5)}

    def to_json(self) -> str:
        """One line: {"path", "frame", "orig_hw", "speed", "predictions"}, the last as `summary` gives it.

        The "frame" has "video_s", null but for video files, and that of a page "page". A stream's lines have "stream"
        too, {"id", "source", "dropped", "reconnects", "decode_errors"}, and "counts" of its lines and zones.
        """
        frame: dict[str, Any] = {
            "id": self.frame.id,
            "captured_at": self.frame.captured_at,
            "age_ms": round(self.frame.age_ms, 3),
            "video_s": None if self.frame.video_s is None else round(self.frame.video_s, 6),
        }
        if self.frame.page is not None:
            frame["page"] = self.frame.page
        line = {
            "path": self.path,
            "frame": frame,
            "orig_hw": list(self.orig_hw),
            "speed": {step: round(self.speed[step], 3) for step in STEPS},
            "predictions": self.summary(),
        }
        if self.frame.stream is not None:
            line["stream"] = asdict(self.frame.stream)
        if self.counters:
            line["counts"] = {counter.name: dict(counter.counts) for counter in self.counters}
        text = json.dumps(line, ensure_ascii=False)
        return text.encode("utf-8", "backslashreplace").decode()  # a path may hold bytes that are no text

    def to_supervision(self) -> "Detections":
        """The boxes as `supervision.Detections`; names are in `data["class_name"]`.

        `RuntimeMissingError` without supervision, `DataError` for a result without boxes.
        """
        if self.boxes is None:
            raise DataError("only a detector's result has boxes for supervision")
        try:
            from supervision import Detections
        except ImportError as error:
            raise RuntimeMissingError(
                f'supervision cannot be imported ({error}); pip install "pvt-edge[supervision]"'
            ) from error
        names = np.array([self.names[i] for i in self.boxes.cls.tolist()], dtype=str)
        return Detections(
            xyxy=self.boxes.xyxy,
            confidence=self.boxes.conf,
            class_id=self.boxes.cls.astype(int),
            tracker_id=None if self.boxes.id is None else self.boxes.id.astype(int),
            data={"class_name": names},
        )


def _rounded(box: list[float]) -> list[float]:
    return [round(value, 2) for value in box]

"""What a predictor says of one picture: the one record that drawing, saving and every sink take."""

import json
from collections import Counter as Tally
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from pvt_edge.boxes import Boxes
from pvt_edge.errors import ArgumentError, DataError, RuntimeMissingError, described
from pvt_edge.frame_info import Counter, FrameInfo, StreamInfo

if TYPE_CHECKING:
    from pandas import DataFrame
    from supervision import Detections

__all__ = ["STEPS", "Boxes", "Counter", "FrameInfo", "Probs", "Result", "StreamInfo"]

STEPS = ("preprocess", "inference", "postprocess")
CORNERS = ("x1", "y1", "x2", "y2")
MOST_SHOWN = 8  # classes that a line names


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

    def __len__(self) -> int:
        return len(self.data)

    def __repr__(self) -> str:
        return f"Probs(classes={len(self)}, top1={self.top1}, top1conf={self.top1conf:.2f})"


@dataclass(frozen=True, eq=False)
class Result:
    """What was found in one picture `image` (H, W, 3) uint8 BGR, which is the caller's own array and no copy.

    Of `boxes`, `probs`, `mask` (H, W) int64 class ids and `features` {name: (C, h, w) float32} those of the
    task are set, and None are the others. `names[id]` is a class's name; `speed` is in ms; `path` the file it
    came from; `counters` the stream's lines and zones.

    `len(result)` counts the boxes, or a classification's classes. A result is true, also where nothing was found.
    """

    image: NDArray[np.uint8]
    names: tuple[str, ...] | Mapping[int, str]
    boxes: Boxes | None = None
    probs: Probs | None = None
    mask: NDArray[np.int64] | None = None
    features: Mapping[str, NDArray[np.float32]] | None = None
    path: str | None = None
    speed: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(STEPS, 0.0))
    frame: FrameInfo = field(default_factory=FrameInfo)
    counters: tuple[Counter, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.image, np.ndarray):
            raise ArgumentError(f"a result needs an image (H, W, 3) uint8, not {described(self.image)}")
        if isinstance(self.names, list):
            object.__setattr__(self, "names", tuple(self.names))
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise DataError(f"a result needs an image (H, W, 3) uint8, not {self.image.shape} {self.image.dtype}")
        if self.mask is not None and self.mask.shape != self.orig_hw:
            raise DataError(f"the mask is {self.mask.shape}, the image {self.orig_hw}")
        if set(self.speed) != set(STEPS):
            raise DataError(f"speed needs {', '.join(STEPS)}, not {', '.join(self.speed)}")
        if self.boxes is not None and self.boxes.orig_hw != self.orig_hw:
            object.__setattr__(self, "boxes", replace(self.boxes, orig_hw=self.orig_hw))
        known = set(range(len(self.names))) if isinstance(self.names, tuple) else set(self.names)
        used = set(self.boxes.cls.tolist()) if self.boxes is not None else set()
        if self.probs is not None:
            used = set(range(len(self.probs.data)))
        if not used <= known:
            raise DataError(f"class ids without a name: {sorted(used - known)[:5]}; {len(known)} names are known")

    @property
    def orig_hw(self) -> tuple[int, int]:
        return self.image.shape[0], self.image.shape[1]

    def __len__(self) -> int:
        return len(next((found for found in (self.boxes, self.probs, self.features) if found is not None), ()))

    def __bool__(self) -> bool:
        return True

    def __getitem__(self, index: object) -> NoReturn:
        raise ArgumentError(
            "this is the one Result of one picture, not a list: its boxes are result.boxes; for a list call "
            "predictor([picture])"
        )

    def __repr__(self) -> str:
        height, width = self.orig_hw
        at = "" if self.path is None else f", path={self.path!r}"
        return f"Result({self._found()}, {width}x{height} pixels{at})"

    def _found(self) -> str:
        """What was found in words: "3 boxes: 2 RBC, 1 WBC"."""
        if self.boxes is not None:
            counts = ", ".join(f"{count} {name}" for name, count in Tally(self.found_names()).most_common(MOST_SHOWN))
            return f"{len(self.boxes)} box{'' if len(self.boxes) == 1 else 'es'}{counts and ': ' + counts}"
        if self.probs is not None:
            return f"{self.names[self.probs.top1]!r} {self.probs.top1conf:.2f}"
        return f"{len(self.features)} feature maps" if self.features is not None else "a mask"

    def plot(self) -> NDArray[np.uint8]:
        """An annotated copy of the picture, (H, W, 3) uint8 BGR."""
        return self.annotated.copy()

    @cached_property
    def annotated(self) -> NDArray[np.uint8]:
        """The annotated picture, drawn once for all who show it, and read-only."""
        from pvt_edge.counter_drawing import draw_counts, draw_outlines
        from pvt_edge.drawing import draw_boxes, draw_classes, draw_mask

        image = self.image.copy()
        labels = []
        if self.mask is not None:
            draw_mask(image, self.mask)
        draw_outlines(image, self.counters)
        if self.boxes is not None:
            ids = self.boxes.cls.tolist()
            words = [self._words(i, track) for i, track in zip(ids, self._tracks(), strict=True)]
            texts = [(word, f"{c:.2f}") for word, c in zip(words, self.boxes.conf.tolist(), strict=True)]
            labels = draw_boxes(image, self.boxes.xyxy, ids, texts)
        if self.probs is not None:
            draw_classes(image, [(self.names[i], float(self.probs.data[i])) for i in self.probs.top5])
        draw_counts(image, self.counters, labels)
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

    def show(self) -> None:
        """Show the annotated picture: below a notebook's cell, else in a window until q, escape or its cross.

        `DataError` where there is no screen, `RuntimeMissingError` for an OpenCV without windows.
        """
        from pvt_edge.screen import show_image

        show_image(self.annotated, self.path or "pvt-edge")

    def save_crops(self, folder: str | Path) -> list[Path]:
        """The files written to `folder`: what each box holds, as smear_RBC_1.jpg, best first within a class.

        Files that are there already are kept: the numbers go on behind them. `DataError` for a result without boxes
        and for a folder that cannot be written.
        """
        from pvt_edge.crops import write_crops

        if self.boxes is None:
            raise DataError(f"only a detector's result has boxes to cut out, this one has {self._found()}")
        stem = Path(self.path).stem if self.path is not None else f"frame_{self.frame.id:06d}"
        return write_crops(Path(folder), stem, self.image, self.boxes.xyxy, self.found_names())

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
                | {"box": dict(zip(CORNERS, _rounded(box), strict=True))}
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

    def to_df(self) -> "DataFrame":
        """The rows of `summary` as a pandas DataFrame, x1, y1, x2 and y2 in columns of their own.

        The columns are there also where nothing was found. `RuntimeMissingError` without pandas.
        """
        try:
            from pandas import DataFrame
        except ImportError as error:
            raise RuntimeMissingError(f"to_df() needs pandas ({error}): pip install pandas") from error
        columns = ["name", "class", "confidence"] if self.features is None else ["name", "shape"]
        if self.boxes is not None:
            columns += CORNERS if self.boxes.id is None else [*CORNERS, "track_id"]
        rows = [{**row, **row.get("box", {})} for row in self.summary()]
        return DataFrame(rows, columns=columns)

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

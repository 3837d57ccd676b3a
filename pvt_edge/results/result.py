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

from pvt_edge.errors import ArgumentError, DataError, RuntimeMissingError, described
from pvt_edge.results.fields import Boxes, Counter, FrameInfo, Probs
from pvt_edge.results.masks import MaskStyle, check_mask, count_pixels, mask_rows, save_index_png, within

if TYPE_CHECKING:
    from pandas import DataFrame
    from supervision import Detections

STEPS = ("preprocess", "inference", "postprocess")
CORNERS = ("x1", "y1", "x2", "y2")
MOST_SHOWN = 8  # classes that a line names


@dataclass(frozen=True, eq=False)
class Result:
    """What was found in one picture.

    Of `boxes`, `probs`, `mask` and `features` those of the task are set, and None are the others. `len(result)` counts
    the boxes, a classification's classes, or those in a mask. A result is true, also where nothing was found.

    Attributes:
        image: The picture, (H, W, 3) uint8 BGR, which is the caller's own array and no copy.
        names: `names[id]` is a class's name.
        boxes: Of a detector.
        probs: Of a classifier.
        mask: Of a segmenter, (H, W) class ids; 255 (uint8) or -1 (wider) is no class.
        features: {name: (C, h, w) float32}.
        path: The file that the picture came from.
        speed: Milliseconds of "preprocess", "inference" and "postprocess".
        frame: Which frame of its source it is, and when that was taken.
        counters: A stream's lines and zones.
        canvas: The picture that is drawn on, where it is another.
        style: How its mask is shown.
    """

    image: NDArray[np.uint8]
    names: tuple[str, ...] | Mapping[int, str]
    boxes: Boxes | None = None
    probs: Probs | None = None
    mask: NDArray[Any] | None = None
    features: Mapping[str, NDArray[np.float32]] | None = None
    path: str | None = None
    speed: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(STEPS, 0.0))
    frame: FrameInfo = field(default_factory=FrameInfo)
    counters: tuple[Counter, ...] = ()
    canvas: NDArray[np.uint8] | None = None
    style: MaskStyle = field(default_factory=MaskStyle)

    def __post_init__(self) -> None:
        if not isinstance(self.image, np.ndarray):
            raise ArgumentError(f"a result needs an image (H, W, 3) uint8, not {described(self.image)}")
        if isinstance(self.names, list):
            object.__setattr__(self, "names", tuple(self.names))
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise DataError(f"a result needs an image (H, W, 3) uint8, not {self.image.shape} {self.image.dtype}")
        if self.mask is not None:
            check_mask(self.mask, self.orig_hw)
        if set(self.speed) != set(STEPS):
            raise DataError(f"speed needs {', '.join(STEPS)}, not {', '.join(self.speed)}")
        if self.boxes is not None and self.boxes.orig_hw != self.orig_hw:
            object.__setattr__(self, "boxes", replace(self.boxes, orig_hw=self.orig_hw))
        known = set(range(len(self.names))) if isinstance(self.names, tuple) else set(self.names)
        used = set(self.boxes.cls.tolist()) if self.boxes is not None else set()
        if self.probs is not None:
            used = set(range(len(self.probs.data)))
        numbered = isinstance(self.names, tuple)
        if self.mask is not None and not (numbered and within(self.mask, len(known))):  # counting takes longer
            used |= self.pixels.keys()
        if not used <= known:
            raise DataError(f"class ids without a name: {sorted(used - known)[:5]}; {len(known)} names are known")

    @property
    def orig_hw(self) -> tuple[int, int]:
        """(height, width) of the picture."""
        return self.image.shape[0], self.image.shape[1]

    def __len__(self) -> int:
        kinds = (self.boxes, self.probs, self.features)
        return len(next((found for found in kinds if found is not None), self.pixels))

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
        if self.features is not None:
            return f"{len(self.features)} feature maps"
        areas = ", ".join(f"{name} {share:.1%}" for name, share in [*self.areas().items()][:MOST_SHOWN])
        return f"a mask{areas and ': ' + areas}"

    @cached_property
    def pixels(self) -> dict[int, int]:
        """How many pixels of the mask each of its classes has, by id, most first; empty without a mask."""
        return {} if self.mask is None else count_pixels(self.mask)

    def areas(self) -> dict[str, float]:
        """The share 0..1 of the picture that each class of the mask covers, by name, largest first."""
        height, width = self.orig_hw
        return {self.names[i]: count / (height * width) for i, count in self.pixels.items()}

    def plot(self, *, opacity: float | None = None) -> NDArray[np.uint8]:
        """An annotated copy of the picture.

        Args:
            opacity: How much a mask covers it, 0..1, by default as `style` says. What is called "background" stays
                clear.

        Returns:
            (H, W, 3) uint8 BGR.

        Raises:
            RuntimeInputError: For another opacity.
        """
        if opacity is None:
            return self.annotated.copy()
        return replace(self, style=MaskStyle(opacity)).annotated.copy()

    @cached_property
    def annotated(self) -> NDArray[np.uint8]:
        """The annotated picture, drawn once for all who show it, and read-only."""
        from pvt_edge.drawing.annotation import annotate

        image = annotate(self)
        image.flags.writeable = False
        return image

    def tracks(self) -> list[int | None]:
        """The track of each box; None where it has none, or is not sure yet."""
        if self.boxes is None:
            return []
        if self.boxes.id is None:
            return [None] * len(self.boxes)
        return [track if track >= 0 else None for track in self.boxes.id.tolist()]

    def found_names(self) -> list[str]:
        """What was found, by name: each box's class, a picture's best class, or the classes of a mask."""
        if self.boxes is not None:
            return [self.names[i] for i in self.boxes.cls.tolist()]
        return [self.names[self.probs.top1]] if self.probs is not None else [self.names[i] for i in self.pixels]

    def save(self, path: str | Path) -> Path:
        """Write the annotated picture.

        Args:
            path: A file, whose suffix chooses the format.

        Returns:
            The path.

        Raises:
            DataError: For a suffix of no format, and a place that cannot be written.
        """
        from pvt_edge.pictures.files import write_image

        return write_image(Path(path), self.plot())

    def show(self) -> None:
        """Show the annotated picture: below a notebook's cell, else in a window until q, escape or its cross.

        Raises:
            DataError: Where there is no screen.
            RuntimeMissingError: For an OpenCV without windows.
        """
        from pvt_edge.pictures.screen import show_image

        show_image(self.annotated, self.path or "pvt-edge")

    def save_crops(self, folder: str | Path) -> list[Path]:
        """Write what each box holds, as smear_RBC_1.jpg, best first within a class.

        Args:
            folder: Files that are there already are kept: the numbers go on behind them.

        Returns:
            The files.

        Raises:
            DataError: For a result without boxes and for a folder that cannot be written.
        """
        from pvt_edge.results.conversions import write_crops

        if self.boxes is None:
            raise DataError(f"only a detector's result has boxes to cut out, this one has {self._found()}")
        stem = Path(self.path).stem if self.path is not None else f"frame_{self.frame.id:06d}"
        return write_crops(Path(folder), stem, self.image, self.boxes.xyxy, self.found_names())

    def save_mask(self, path: str | Path) -> Path:
        """Write the mask as a PNG of class ids with a palette; of ids beyond 255 of 16 bits.

        What has no class is 255, or 65535.

        Args:
            path: A file that ends in .png.

        Returns:
            The path.

        Raises:
            DataError: For a result without a mask, and a place that cannot be written.
        """
        if self.mask is None:
            raise DataError(f"only a segmenter's result has a mask, this one has {self._found()}")
        return save_index_png(Path(path), self.mask)

    def summary(self, *, polygons: bool = False) -> list[dict[str, Any]]:
        """What was found as plain rows.

        Args:
            polygons: Give the outlines of a mask's classes too, as "segmentation" [[x, y, x, y, ...], ...].

        Returns:
            Of boxes a row each, best first, in pixels of the picture,
            {"name", "class", "confidence", "box": {"x1", "y1", "x2", "y2"}}; tracked ones have "track_id" too, None
            before the track is sure. A classification gives its top five without "box"; a mask {"name", "class",
            "area", "pixels"} of each of its classes, the largest first, "area" being the share 0..1 of the picture;
            feature maps give {"name", "shape"}.
        """
        if self.mask is not None:
            return mask_rows(self.mask, self.pixels, self.names, "polygons" if polygons else None)
        if self.boxes is not None:
            boxes = self.boxes
            rows = zip(boxes.cls.tolist(), boxes.conf.tolist(), boxes.xyxy.tolist(), self.tracks(), strict=True)
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

    def to_json(self, *, polygons: bool | None = None) -> str:
        """One line of JSON.

        Args:
            polygons: Give a mask's "segmentation" as polygons, in place of COCO's run lengths {"size", "counts"}; by
                default as `style` says.

        Returns:
            {"path", "frame", "orig_hw", "speed", "predictions"}, the last as `summary` gives it. The "frame" has
            "video_s", null but for video files, and that of a page "page". A stream's lines have "stream" too, {"id",
            "source", "dropped", "reconnects", "decode_errors"}, and "counts" of its lines and zones.
        """
        polygons = self.style.polygons if polygons is None else polygons
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
            "predictions": self.summary(polygons=polygons),
        }
        if self.mask is not None and not polygons:
            line["predictions"] = mask_rows(self.mask, self.pixels, self.names, "run lengths")
        if self.frame.stream is not None:
            line["stream"] = asdict(self.frame.stream)
        if self.counters:
            line["counts"] = {counter.name: dict(counter.counts) for counter in self.counters}
        text = json.dumps(line, ensure_ascii=False)
        return text.encode("utf-8", "backslashreplace").decode()  # a path may hold bytes that are no text

    def to_df(self) -> "DataFrame":
        """The rows of `summary` as a pandas DataFrame.

        Returns:
            x1, y1, x2 and y2 are columns of their own, which are there also where nothing was found.

        Raises:
            RuntimeMissingError: Without pandas.
        """
        try:
            from pandas import DataFrame
        except ImportError as error:
            raise RuntimeMissingError(f"to_df() needs pandas ({error}): pip install pandas") from error
        columns = ["name", "class", "confidence"] if self.features is None else ["name", "shape"]
        columns = ["name", "class", "area", "pixels"] if self.mask is not None else columns
        if self.boxes is not None:
            columns += CORNERS if self.boxes.id is None else [*CORNERS, "track_id"]
        rows = [{**row, **row.get("box", {})} for row in self.summary()]
        return DataFrame(rows, columns=columns)

    def to_supervision(self) -> "Detections":
        """What was found, for the supervision library.

        Returns:
            The boxes, or each class of a mask with the box around it; names are in `data["class_name"]`.

        Raises:
            RuntimeMissingError: Without supervision.
            DataError: For a result without boxes and mask.
        """
        from pvt_edge.results.conversions import box_detections, mask_detections

        if self.boxes is not None:
            return box_detections(self.boxes, self.names)
        if self.mask is not None:
            return mask_detections(self.mask, self.names)
        raise DataError("only a detector's result has boxes for supervision, or a segmenter's a mask")


def _rounded(box: list[float]) -> list[float]:
    return [round(value, 2) for value in box]

"""Which box is the one of the frame before: ByteTrack, from Roboflow's trackers."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pvt_edge.errors import DataError, RuntimeMissingError

if TYPE_CHECKING:
    from pvt_edge.results import Result

# Focal loss gives lower scores than the detector of ByteTrack's paper (0.6 there): boxes from here on start tracks
# and are matched first, those below only keep a track alive.
SURE_CONF = 0.4
DEFAULT_FPS = 30.0
LONGEST_GAP_S = 3600.0  # between two frames; more, or less than nothing, is a clock that was set


class Tracker:
    """Gives the boxes of one stream's results, in order, their ids from 1; `DataError` for a result without boxes."""

    def __init__(self, fps: float | None, *, live: bool) -> None:
        try:
            import supervision  # noqa: F401 - what the tracker takes and gives
            from trackers import ByteTrackTracker
        except ImportError as error:
            raise RuntimeMissingError(f'tracking needs trackers ({error}): pip install "pvt-edge[track]"') from error
        self._step_s = 1 / (fps or DEFAULT_FPS)
        self._live = live
        self._now_s = 0.0
        self._captured_at: float | None = None
        self._tracks = ByteTrackTracker(
            frame_rate=fps or DEFAULT_FPS, track_activation_threshold=SURE_CONF, high_conf_det_threshold=SURE_CONF
        )

    def follow(self, result: "Result") -> "Result":
        """The result with `boxes.id` set."""
        from supervision import Detections

        boxes = result.boxes
        if boxes is None:
            raise DataError("only a detector's boxes can be tracked; this bundle gives none")
        found = Detections(
            xyxy=boxes.xyxy.astype(np.float64),
            confidence=boxes.conf,
            class_id=boxes.cls.astype(int),
            data={"row": np.arange(len(boxes))},  # the tracker gives them back in another order
        )
        tracked = self._tracks.update(found, timestamp=self._tell_time(result.frame.captured_at, result.frame.video_s))
        ids = np.full(len(boxes), -1, np.int64)
        if len(tracked):
            ids[tracked.data["row"]] = np.where(tracked.tracker_id < 0, -1, tracked.tracker_id + 1)
        return replace(result, boxes=replace(boxes, id=ids))

    def _tell_time(self, captured_at: float, video_s: float | None) -> float:
        """Seconds of the stream's own time: a video's, else for files evenly spaced, however fast they are read."""
        if video_s is not None:
            self._now_s = max(self._now_s, video_s + self._step_s)
            return self._now_s
        gap_s = captured_at - self._captured_at if self._captured_at is not None else 0.0
        self._captured_at = captured_at
        self._now_s += gap_s if self._live and 0 < gap_s < LONGEST_GAP_S else self._step_s
        return self._now_s

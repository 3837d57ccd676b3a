"""Results as a predictor gives them, and what a video file holds."""

import cv2
import numpy as np

from pvt_edge.results import Boxes, FrameInfo, Result, StreamInfo

NAMES = ("RBC",)


def result(number=0, path=None, hw=(48, 64), grey=100, at=0.0, stream=None, track=None, video_s=None):
    """One box on a grey picture, of the stream with that number."""
    boxes = Boxes([[10, 10, 30, 30]], [0.9], [0], None if track is None else [track])
    info = None if stream is None else StreamInfo(stream, f"camera {stream}", dropped=3)
    frame = FrameInfo(number, at, 12.5, info, video_s=video_s)
    return Result(np.full((*hw, 3), grey, np.uint8), NAMES, boxes=boxes, path=path, frame=frame)


def read_video(path):
    """(frames, frames per second)."""
    capture = cv2.VideoCapture(str(path))
    frames = []
    while True:
        found, image = capture.read()
        if not found:
            return frames, capture.get(cv2.CAP_PROP_FPS)
        frames.append(image)

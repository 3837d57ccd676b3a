"""Picture and video files that tests write."""

import cv2
import numpy as np


def write_picture(path, grey=100, hw=(64, 80)):
    assert cv2.imwrite(str(path), np.full((*hw, 3), grey, np.uint8))
    return path


def write_video(path, frames=12, fps=10.0, codec="MJPG", wh=(64, 48)):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, wh)
    assert writer.isOpened()
    for number in range(frames):
        writer.write(np.full((wh[1], wh[0], 3), 20 * number, np.uint8))
    writer.release()
    return path

"""Picture and video files that tests write."""

from fractions import Fraction

import av
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


def scene(seed=0, hw=(96, 128)):
    """A smooth picture (H, W, 3) that another seed changes everywhere: what was read can be told from what was not."""
    rng = np.random.default_rng(seed)
    return cv2.resize(rng.integers(30, 220, (6, 8, 3), np.uint8), hw[::-1], interpolation=cv2.INTER_CUBIC)


def write_clip(path, times, *, codec="libx264", pix_fmt="yuv420p", hw=(96, 128), flags=0, options=None, format=None):
    """A video through FFMPEG that shows `scene(0)`, `scene(1)` ... at these times (s)."""
    with av.open(str(path), "w", format=format) as container:
        stream = container.add_stream(codec, rate=25, options=options or {"crf": "12"})
        stream.width, stream.height, stream.pix_fmt = hw[1], hw[0], pix_fmt
        stream.codec_context.time_base = Fraction(1, 25 if codec in ("mpeg2video", "dvvideo") else 1000)
        stream.codec_context.flags |= flags
        for number, at in enumerate(times):
            frame = av.VideoFrame.from_ndarray(scene(number, hw), format="bgr24")
            frame.time_base = stream.codec_context.time_base
            frame.pts = round(at / frame.time_base)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def remux(path, to, **options):
    """A copy of the pictures of a video as they are packed, in another file."""
    with av.open(str(path)) as source, av.open(str(to), "w", **options) as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                container.mux(packet)
    return to

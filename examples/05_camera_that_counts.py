"""Count what crosses a line in front of a camera.

    pip install "pvt-edge[openvino,opencv,stream,track]"
    python 05_camera_that_counts.py 0                          # the first webcam; or rtsp://..., or clip.mp4
    python 05_camera_that_counts.py synthetic://cells          # drawn cells that drift by, without a camera

Without code: pvt-edge predict out/cells 0 --count-line 0,240,640,240 --serve 127.0.0.1:8080
"""

import sys

import pvt_edge
from pvt_edge.streams.counting import LineCounter, ObjectCounter

source = sys.argv[1] if len(sys.argv) > 1 else "synthetic://cells?frames=300"
bundle = sys.argv[2] if len(sys.argv) > 2 else "out/cells"

line = LineCounter("middle", [(320, 0), (320, 480)])  # in pixels of the camera's picture
objects = ObjectCounter()  # each object once, whatever the number of frames that show it
before = None

with pvt_edge.load(bundle) as predictor:
    # Of a camera each result is of the newest frame, and one that breaks off is opened again.
    for result in predictor.stream(source, track=True):
        objects.add(result)
        crossed = line.update(result.boxes).counts
        if crossed != before:
            print(f"frame {result.frame.id}: {crossed['in']} in, {crossed['out']} out", flush=True)
            before = crossed

print("objects:", ", ".join(f"{count} {name}" for name, count in objects.counts().most_common()))

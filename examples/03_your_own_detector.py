"""Teach a detector your own boxes and put it into a bundle.

    pip install "pvt-edge[train,export]"
    python 03_your_own_detector.py data.yaml              # YOLO; or a COCO file, or a Pascal VOC folder
    python 03_your_own_detector.py scenes:12 epochs=1     # generated blood cells, to see it work

A COCO file's pictures are looked for beside it, in `images/`.
"""

import sys

import pvt_edge

data = sys.argv[1]
options = {name: int(value) for name, value in (word.split("=") for word in sys.argv[2:])}

# "cells" knows blood cells; for anything else weights="imagenet" is the better start, and is fetched once.
# freeze="head-only" leaves the backbone as it is: quick, and with few pictures as good (docs/own-data.md).
run = pvt_edge.train(data, task="detect", variant="b0", weights="cells", freeze="head-only", out="runs/mine", **options)
print(f"AP on the pictures held back: {run.figures['AP']:.3f}")
print(f"labels beside what was found: {run.folder / 'samples.jpg'}")

model = pvt_edge.create_model(None, "detect", weights=run.best)
bundle = pvt_edge.export_model(model, "out/mine", formats=("onnx",))
print("wrote", bundle.folder, "for", ", ".join(bundle.manifest.labels))

"""Teach a classifier your own classes and put it into a bundle.

    pip install "pvt-edge[train,export]"
    python 02_your_own_classifier.py pictures/            # pictures/apple/1.jpg, pictures/pear/1.jpg ...
    python 02_your_own_classifier.py pictures/ epochs=6 imgsz=64,64

Fifty pictures of each class are a start. A fifth of them is held back to judge by.
"""

import sys

import pvt_edge

pictures = sys.argv[1]
options = dict(word.split("=") for word in sys.argv[2:])
if "imgsz" in options:
    options["imgsz"] = tuple(int(side) for side in options["imgsz"].split(","))
if "epochs" in options:
    options["epochs"] = int(options["epochs"])

# What is left out (epochs, size, learning rate ...) is chosen by the number of pictures and by this machine. The
# bundled backbone needs no download; weights="imagenet" knows more of the world and is fetched once.
run = pvt_edge.train(pictures, task="classify", variant="b0", weights="cells", out="runs/mine", **options)
print(f"balanced accuracy on the pictures held back: {run.figures['balanced']:.3f}")

# Labels, size and resize are in the weights' file, so that the export asks for none of them.
model = pvt_edge.create_model(None, "classify", weights=run.best)
pvt_edge.export_model(model, "out/mine", formats=("onnx",))

with pvt_edge.load("out/mine") as predictor:
    for result in predictor.stream(f"{pictures}/**/*"):
        best = result.probs
        print(f"{result.path}: {result.names[best.top1]} {best.top1conf:.2f}")

"""A runtime that finds plain-coloured areas, and predictors on it."""

import numpy as np

from pvt_edge.bundle.reader import Bundle
from pvt_edge.bundle.schema import InputSpec, Manifest, PostprocessSpec, Provenance, ResizeSpec
from pvt_edge.errors import RuntimeInputError
from pvt_edge.predictor import Predictor
from pvt_edge.runtimes import TensorSpec

LABELS = ("blue", "green", "red")
COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
INPUT_HW = (160, 160)
HASH = "0" * 64
NUMBERS = {"detect": ("boxes", "scores", "labels"), "classify": ("logits",), "features": ("mean", "maps")}


class ColourFinder:
    """A runtime that finds the blue, green and red area of each picture, or gives each channel's mean."""

    name, precision, device = "colours", "fp32", "cpu"

    def __init__(self, task="detect", batch=1, spoil=None, batch_range=None):
        self.task, self.spoil, self.closed, self.batches = task, spoil, False, []
        self.inputs = (TensorSpec("images", "uint8", (batch, *INPUT_HW, 3)),)
        self.batch_range = batch_range or ((1, None) if batch == -1 else (batch, batch))
        self.outputs = tuple(TensorSpec(name, "float32", ()) for name in NUMBERS[task])

    def infer(self, feeds):
        if self.closed:
            raise RuntimeInputError("closed")
        batch = feeds["images"]
        assert batch.dtype == np.uint8
        assert batch.shape[1:] == (*INPUT_HW, 3)
        fewest, most = self.batch_range
        assert fewest <= len(batch) <= (most or len(batch))
        self.batches.append(batch)
        arrays = dict(zip(NUMBERS[self.task], getattr(self, f"_{self.task}")(batch), strict=True))
        if self.spoil:
            arrays[self.spoil][:] = np.nan
        return arrays

    def _detect(self, batch):
        boxes = np.zeros((len(batch), 6, 4), np.float32)  # each area twice, the second a little smaller
        scores = np.zeros((len(batch), 6), np.float32)
        for row, image in enumerate(batch):
            for label in range(3):
                others = [channel for channel in range(3) if channel != label]
                ys, xs = np.nonzero((image[..., label] > 180) & (image[..., others].max(axis=-1) < 75))
                if len(xs):
                    box = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
                    boxes[row, label], boxes[row, label + 3] = box, box + np.array([1, 1, -1, -1])
                    scores[row, label], scores[row, label + 3] = 0.9 - label / 10, 0.5 - label / 10
        return boxes, scores, np.tile(np.arange(6) % 3, (len(batch), 1))

    def _classify(self, batch):
        return (batch.reshape(len(batch), -1, 3).mean(axis=1).astype(np.float32) / 50,)

    def _features(self, batch):
        channels_first = batch.transpose(0, 3, 1, 2).astype(np.float32)
        return channels_first.mean(axis=(2, 3)), channels_first[:, :, ::8, ::8]

    def close(self):
        self.closed = True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def manifest(task="detect", artifacts=(), **fields):
    records = [
        {
            "file": f"{runtime}.{precision}",
            "sha256": HASH,
            "bytes": 0,
            "runtime": runtime,
            "precision": precision,
        }
        for runtime, precision in artifacts
    ]
    defaults = {
        "variant": "b0",
        "task": task,
        "labels": LABELS,
        "input": InputSpec(height=INPUT_HW[0], width=INPUT_HW[1]),
        "outputs": NUMBERS[task],
        "resize": ResizeSpec(mode="letterbox" if task == "detect" else "stretch"),
        "postprocess": PostprocessSpec() if task == "detect" else None,
        "artifacts": records,
        "provenance": Provenance(pvt_edge="0", created="now", weights="none", versions={}, machine="here"),
    }
    return Manifest.model_validate(defaults | fields)


def predictor_for(tmp_path, task="detect", *, batch=1, spoil=None, batch_range=None, **fields):
    return Predictor(Bundle(tmp_path, manifest(task, **fields)), ColourFinder(task, batch, spoil, batch_range))


def picture(*areas, hw=(480, 640)):
    """A black picture with (label, x0, y0, x1, y1) areas."""
    image = np.zeros((*hw, 3), np.uint8)
    for label, x0, y0, x1, y1 in areas:
        image[y0:y1, x0:x1] = COLOURS[label]
    return image


TWO = picture((0, 100, 100, 300, 300), (1, 350, 100, 600, 400))

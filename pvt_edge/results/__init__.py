"""What a predictor says of one picture: boxes, shares or a mask, and what can be made of them."""

from pvt_edge.results.fields import Boxes, Counter, FrameInfo, Probs, StreamInfo
from pvt_edge.results.result import Result

__all__ = ["Boxes", "Counter", "FrameInfo", "Probs", "Result", "StreamInfo"]

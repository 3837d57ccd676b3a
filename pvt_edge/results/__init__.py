"""What a predictor says of one picture: boxes, shares or a mask, and what can be made of them."""

from pvt_edge.results.boxes import Boxes
from pvt_edge.results.frame_info import Counter, FrameInfo, StreamInfo
from pvt_edge.results.probs import Probs
from pvt_edge.results.result import Result

__all__ = ["Boxes", "Counter", "FrameInfo", "Probs", "Result", "StreamInfo"]

"""Where results go: annotated pictures, an annotated video, JSON lines."""

from pvt_edge.sinks.images import ImageFile, ImageFolder
from pvt_edge.sinks.json_lines import JsonLines
from pvt_edge.sinks.opening import open_sinks
from pvt_edge.sinks.sink import Sink, Sinks
from pvt_edge.sinks.video import VideoFile

__all__ = ["ImageFile", "ImageFolder", "JsonLines", "Sink", "Sinks", "VideoFile", "open_sinks"]

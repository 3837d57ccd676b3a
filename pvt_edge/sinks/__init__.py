"""Where results go: annotated pictures and videos, masks, JSON lines, CSV, a window, a webhook, MQTT."""

from pvt_edge.sinks.images import ImageFile, ImageFolder, MaskFolder
from pvt_edge.sinks.mqtt import Mqtt
from pvt_edge.sinks.opening import open_sinks
from pvt_edge.sinks.rows import CsvRows, JsonLines
from pvt_edge.sinks.sink import Sink, Sinks
from pvt_edge.sinks.video import VideoFile, VideoFiles
from pvt_edge.sinks.webhook import Webhook
from pvt_edge.sinks.window import Window

__all__ = [
    "CsvRows",
    "ImageFile",
    "ImageFolder",
    "JsonLines",
    "MaskFolder",
    "Mqtt",
    "Sink",
    "Sinks",
    "VideoFile",
    "VideoFiles",
    "Webhook",
    "Window",
    "open_sinks",
]

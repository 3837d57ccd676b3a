"""Where frames come from: cameras, network streams, image files, folders, patterns, video files."""

from pvt_edge.options.stream import SourceOptions
from pvt_edge.sources.images import ImageFiles, read_image
from pvt_edge.sources.opening import open_source
from pvt_edge.sources.source import Frame, LiveSource, Source
from pvt_edge.sources.video import VideoFile

__all__ = ["Frame", "ImageFiles", "LiveSource", "Source", "SourceOptions", "VideoFile", "open_source", "read_image"]

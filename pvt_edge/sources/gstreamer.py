"""GStreamer pipelines for NVIDIA's Jetson, whose cameras and decoder OpenCV reaches through GStreamer alone."""

from pvt_edge.errors import DataError
from pvt_edge.options.source import SourceOptions

# BGR for OpenCV; the newest frame alone is kept, and none is held back for its presentation time
TO_OPENCV = (
    "nvvidconv{flip} ! video/x-raw,format=BGRx{size} ! videoconvert ! video/x-raw,format=BGR"
    " ! appsink drop=true max-buffers=1 sync=false"
)
CSI_SIZE = (1280, 720, 30.0)  # a mode that all common sensors have
DEPAY = {"h264": "rtph264depay ! h264parse", "h265": "rtph265depay ! h265parse"}


def csi_pipeline(sensor: int, options: SourceOptions, flip: int = 0) -> str:
    """The pipeline of a CSI camera; `flip` 0 to 7 turns or mirrors it as nvvidconv's flip-method does."""
    width, height = options.width or CSI_SIZE[0], options.height or CSI_SIZE[1]
    rate = options.fps or CSI_SIZE[2]
    framerate = f"{round(rate)}/1" if float(rate).is_integer() else f"{round(rate * 1000)}/1000"
    return (
        f"nvarguscamerasrc sensor-id={sensor} ! video/x-raw(memory:NVMM),width={width},height={height},"
        f"format=NV12,framerate={framerate} ! " + TO_OPENCV.format(flip=f" flip-method={flip}", size="")
    )


def rtsp_pipeline(address: str, options: SourceOptions) -> str:
    """The pipeline of an RTSP stream, decoded by the Jetson's video engine."""
    codec = (options.codec or "h264").lower()
    if codec not in DEPAY:
        raise DataError(f"an RTSP stream's codec is {' or '.join(DEPAY)}, not {codec}: set --source-codec")
    if any(sign in address for sign in "\"'\\ \t\n"):  # would end the pipeline's string
        raise DataError("the address holds quotes, blanks or backslashes: write them as %22, %27, %20, %5C")
    size = f",width={options.width},height={options.height}" if options.width and options.height else ""
    protocols = f" protocols={options.rtsp_transport}"
    timeout_us = round(options.stall_s * 1e6)
    return (
        f'rtspsrc location="{address}" latency=100 drop-on-latency=true{protocols} tcp-timeout={timeout_us} ! '
        f"{DEPAY[codec]} ! nvv4l2decoder enable-max-performance=1 ! " + TO_OPENCV.format(flip="", size=size)
    )

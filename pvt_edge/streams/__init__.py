"""From cameras to sinks without lag: readers, the fair inbox, the sinks' threads, tracking and counting."""

from pvt_edge.streams.delivery import Delivery
from pvt_edge.streams.runner import StreamRunner, run_streams
from pvt_edge.streams.status import StreamStatus, frames_per_second

__all__ = ["Delivery", "StreamRunner", "StreamStatus", "frames_per_second", "run_streams"]

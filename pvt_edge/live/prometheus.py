"""The streams' numbers in Prometheus' text format, with those of the process."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from pvt_edge.errors import escaped
from pvt_edge.streams.status import RUNNING, StreamStatus

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

LABELS = ("stream", "source")
# name, help, how it is read from a status
COUNTERS: tuple[tuple[str, str, Callable[[StreamStatus], float]], ...] = (
    ("pvt_edge_frames", "Frames answered.", lambda s: s.frames),
    (
        "pvt_edge_frames_dropped",
        "Frames read and never run, as a newer one came or they were too old.",
        lambda s: s.dropped,
    ),
    ("pvt_edge_decode_errors", "Frames that could not be decoded.", lambda s: s.decode_errors),
    ("pvt_edge_reconnects", "Times the source was lost and came back.", lambda s: s.reconnects),
)
GAUGES: tuple[tuple[str, str, Callable[[StreamStatus], float | None]], ...] = (
    ("pvt_edge_stream_up", "1 while the source gives frames.", lambda s: float(s.state == RUNNING)),
    ("pvt_edge_fps", "Frames answered a second, over the last 10 s.", lambda s: s.fps),
    ("pvt_edge_idle_seconds", "Time since the last answer.", lambda s: s.idle_s),
    (
        "pvt_edge_inference_seconds",
        "Median time of the model, over the last 10 s.",
        lambda s: _seconds(s.inference_p50_ms),
    ),
)


class StreamCollector:
    """Reads `statuses` whenever Prometheus asks; `viewers` gives how many watch and how many were dropped."""

    def __init__(self, statuses: Callable[[], Sequence[StreamStatus]], viewers: Callable[[], tuple[int, int]]) -> None:
        self._statuses, self._viewers = statuses, viewers

    def collect(self) -> "Iterator[Metric]":
        """The metric families, as prometheus_client wants them."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        statuses = self._statuses()
        for name, documentation, count in COUNTERS:
            yield _filled(CounterMetricFamily(name, documentation, labels=LABELS), statuses, count)
        for name, documentation, read in GAUGES:
            yield _filled(GaugeMetricFamily(name, documentation, labels=LABELS), statuses, read)
        age = GaugeMetricFamily(
            "pvt_edge_age_seconds", "Age of frames when answered, over the last 10 s.", labels=(*LABELS, "quantile")
        )
        objects = GaugeMetricFamily("pvt_edge_objects", "Objects in the newest answer.", labels=(*LABELS, "class"))
        counted = GaugeMetricFamily(
            "pvt_edge_counted", "What lines and zones have counted.", labels=(*LABELS, "counter", "what")
        )
        for status in statuses:
            labels = _labels(status)
            for quantile, ms in (("0.5", status.age_p50_ms), ("0.95", status.age_p95_ms)):
                if ms is not None:
                    age.add_metric([*labels, quantile], ms / 1e3)
            for name, found in (status.objects or {}).items():
                objects.add_metric([*labels, name], found)
            for counter, counts in (status.counts or {}).items():
                for what, number in counts.items():
                    counted.add_metric([*labels, counter, what], number)
        yield from (age, objects, counted)
        watching, dropped = self._viewers()
        yield GaugeMetricFamily("pvt_edge_viewers", "Who watches the live page's video.", value=watching)
        yield CounterMetricFamily("pvt_edge_viewers_dropped", "Viewers that were too slow.", value=dropped)


def make_registry(collector: StreamCollector) -> "CollectorRegistry":
    """A registry of the collector and of the process: memory, processor time, open files."""
    from prometheus_client import CollectorRegistry, ProcessCollector

    registry = CollectorRegistry()
    registry.register(collector)
    ProcessCollector(registry=registry)
    return registry


def _filled(
    family: "Metric", statuses: Iterable[StreamStatus], read: Callable[[StreamStatus], float | None]
) -> "Metric":
    for status in statuses:
        value = read(status)
        if value is not None:
            family.add_metric(_labels(status), value)  # type: ignore[attr-defined]
    return family


def _labels(status: StreamStatus) -> list[str]:
    return [str(status.id), escaped(status.source)]  # a file's name may hold bytes that are no text


def _seconds(ms: float | None) -> float | None:
    return None if ms is None else ms / 1e3

"""The live page: video, counts, charts, health and metrics of running streams, in any browser."""

from pvt_edge.live.access import Address, parse_address
from pvt_edge.live.page import LivePage

__all__ = ["Address", "LivePage", "parse_address"]

"""Dialects: how libraries name and lay out the tensors of each family, in one file a family."""

from pvt_edge.checkpoints.dialects import pvt_v1, pvt_v2
from pvt_edge.checkpoints.dialects.dialect import DIALECTS, Dialect, Pair, get_dialect, register_dialect

__all__ = ["DIALECTS", "Dialect", "Pair", "get_dialect", "pvt_v1", "pvt_v2", "register_dialect"]

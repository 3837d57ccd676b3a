"""Deploy forms. Importing a file here puts its rewrites into the table of `form.py`."""

from pvt_edge.export.deploy import classifier, detector, pvt_v1, pvt_v2, segmenter

__all__ = ["classifier", "detector", "pvt_v1", "pvt_v2", "segmenter"]

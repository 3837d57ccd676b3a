"""What this machine can run and why not, with nothing but the core installed.

>>> from pvt_edge.doctor import examine
>>> [verdict.name for verdict in examine().verdicts if verdict.ready]
['onnxruntime', 'openvino']
"""

from pvt_edge.doctor.examination import Examination, examine

__all__ = ["Examination", "examine"]

"""How a source may be asked for."""

import pytest

from pvt_edge.errors import DataError, UnknownNameError
from pvt_edge.sources import SourceOptions


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"width": 0}, "width must be 1 to 16384 pixels, not 0"),
        ({"height": 20000}, "height must be 1 to 16384 pixels, not 20000"),
        ({"fps": 0}, "more than 0 and at most 1000, not 0"),
        ({"fps": float("nan")}, "not nan"),
        ({"stall_s": 0}, "0.1 to 3600 seconds, not 0"),
        ({"stall_s": float("inf")}, "not inf"),
        ({"codec": "mjpeg"}, "did you mean 'mjpg'"),
        ({"rtsp_transport": "tpc"}, "did you mean 'tcp'"),
    ],
)
def test_what_cannot_be_is_refused(asked, why):
    with pytest.raises((DataError, UnknownNameError), match=why):
        SourceOptions(**asked)


def test_nothing_asked():
    options = SourceOptions()
    assert (options.width, options.height, options.fps, options.codec) == (None, None, None, None)
    assert (options.stall_s, options.rtsp_transport) == (5.0, "tcp")

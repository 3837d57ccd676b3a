"""PyAV's picture -> pixels as a player shows them."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av import VideoFrame

MATRIX_BYTES = 36  # nine numbers of 32 bits: a b u, c d v, x y w


class BgrConverter:
    """Pictures of one video as (H, W, 3) uint8 BGR, each of its own size.

    The colours are those that the video states: matrix, full or limited range, 8 bits or more; without a statement
    BT.601 and limited range, as FFMPEG takes them. Fields of interlaced pictures stay woven, each with its own colours.
    Transparency is left out, and pixels that are not square stay as they are stored.
    """

    def __init__(self) -> None:
        from av.video.reformatter import VideoReformatter

        self._reformatter = VideoReformatter()  # one for all: it keeps its tables while sizes stay
        self._matrix: tuple[int, ...] | None = None

    def convert(self, picture: "VideoFrame") -> NDArray[np.uint8] | None:
        """The picture, turned and mirrored as the video says; None where its pixels are of a kind without colours."""
        try:
            bgr = self._reformatter.reformat(picture, format="bgr24", interpolation="BICUBIC")
        except ValueError:
            return None
        image = picture.to_ndarray() if bgr is picture else pixels(bgr)  # the decoder's own memory is not given away
        if picture.key_frame:  # asking is dear, and where it changes a stream begins anew
            self._matrix = display_matrix(picture)
        return np.ascontiguousarray(turned(np.asarray(image, np.uint8), self._matrix))


def pixels(picture: "VideoFrame") -> NDArray[np.uint8]:
    """The pixels (H, W, 3) of a picture of three bytes a pixel, in its own memory where rows follow without a gap."""
    plane = picture.planes[0]
    row_bytes = 3 * picture.width
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)  # type: ignore[call-overload]  # a buffer
    return np.ascontiguousarray(rows[: picture.height, :row_bytes]).reshape(picture.height, picture.width, 3)


def display_matrix(picture: "VideoFrame") -> tuple[int, ...] | None:
    """The numbers of the picture's display matrix (ISO 14496-12, 6.2.2); None where it has none."""
    found: Any = picture.side_data.get("DISPLAYMATRIX")
    if found is None:
        return None
    data = bytes(found)[:MATRIX_BYTES]
    return tuple(np.frombuffer(data, np.int32).tolist()) if len(data) == MATRIX_BYTES else None


def turned(image: NDArray[np.uint8], matrix: tuple[int, ...] | None) -> NDArray[np.uint8]:
    """The image (H, W, 3) turned by quarters and mirrored as the matrix says; other angles are left alone.

    >>> turned(np.zeros((2, 5, 3), np.uint8), (0, -65536, 0, 65536, 0, 0, 0, 0, 1 << 30)).shape
    (5, 2, 3)
    """
    if matrix is None:
        return image
    a, b, _, c, d = matrix[:5]  # x' = a x + c y, y' = b x + d y
    if not b and not c and a and d:
        return image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
    if not a and not d and b and c:
        return image.swapaxes(0, 1)[:: -1 if b < 0 else 1, :: -1 if c < 0 else 1]
    return image

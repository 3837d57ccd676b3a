"""What is to be told of the pages of pictures though they were read."""

import warnings

import numpy as np
from numpy.typing import NDArray

from pvt_edge.errors import PictureWarning
from pvt_edge.pictures.pixel_depth import LOW, PixelMax, nearest_depth
from pvt_edge.sources.picture import Page, Picture


class PageWarnings:
    """Gives a `PictureWarning` of each page that is odd, and at the end one of pixels of 16 bits that leave the upper
    bits unused, unless `pixel_max` says what is white.
    """

    def __init__(self, pixel_max: PixelMax) -> None:
        self._tells_depth = pixel_max is None
        self._deep, self._dark, self._highest = 0, 0, 0.0  # pages of 16 bits; those whose upper bits are unused

    def see(self, page: Page, path: str) -> None:
        """Take a page of the picture at `path`."""
        if page.oddity is not None:
            _warn(f"{path}: {page.oddity}")
        if page.highest is not None:
            self._deep += 1
            if page.highest <= LOW:
                self._dark, self._highest = self._dark + 1, max(self._highest, page.highest)

    def end(self, name: str) -> None:
        """All pages of the source of that name were seen."""
        if self._tells_depth and self._dark and self._highest > 0:
            depth = nearest_depth(max(self._highest, 255))
            some = f"in {self._dark} of {self._deep} pictures pixels"
            _warn(
                f"{name}: {'pixels' if self._dark == self._deep else some} of 16 bits go no higher than "
                f"{self._highest:g}, so they are dark: say which value is white with --pixel-max {depth} "
                f"(pixel_max={depth})"
            )


def read_first(picture: Picture, name: str, pixel_max: PixelMax) -> NDArray[np.uint8]:
    """The first page (H, W, 3), with a `PictureWarning` of what is odd with it, and where there are more.

    Raises `DataError` as `Picture.read`.
    """
    page, told = picture.read(0, pixel_max), PageWarnings(pixel_max)
    if picture.count > 1:
        _warn(f"{name}: of {picture.count} pages only the first is used")
    told.see(page, name)
    told.end(name)
    return page.image


def _warn(text: str) -> None:
    warnings.warn(text, PictureWarning, stacklevel=3)

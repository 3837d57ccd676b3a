"""The microscope's lamp, lens and camera: from optical density to the pixels of a picture."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvt_edge.scenes.shapes import blotches

LAMP = np.array((199.0, 205.0, 203.0), np.float32)  # BGR of the empty field


@dataclass(frozen=True)
class Camera:
    """What stays the same while one camera looks: `light` (H, W, 3) is the empty field, with its dust."""

    light: NDArray[np.float32]
    blur: float  # deviation in pixels
    fringe: tuple[float, float]  # sideways shift of red against blue, pixels
    noise: float
    quality: int


def set_up_camera(rng: np.random.Generator, height: int, width: int, scale: float) -> Camera:
    """A random camera for pictures of this size."""
    odd = rng.random() < 0.15  # another microscope: far from the usual exposure and white balance
    colour = np.exp(rng.normal(0.0, 0.035 if odd else 0.012, 3)) * np.exp(rng.normal(0.0, 0.10 if odd else 0.025))
    light = np.empty((height, width, 3), np.float32)
    light[:] = np.minimum(LAMP * colour, 245.0)
    light *= _shading(rng, height, width)
    for _ in range(rng.poisson(7 * width / height / (640 / 480))):
        _dust(rng, light, scale)
    turn, shift = rng.uniform(0, 2 * np.pi), abs(rng.normal(0.0, 0.7)) * scale
    return Camera(
        light,
        blur=float((1.0 + rng.gamma(1.5, 0.4)) * scale),
        fringe=(float(shift * np.cos(turn)), float(shift * np.sin(turn))),
        noise=float(rng.uniform(2.2, 4.4)),
        quality=int(rng.integers(62, 96)),
    )


def take_picture(
    rng: np.random.Generator, camera: Camera, density: NDArray[np.float32], blur: float | None = None
) -> NDArray[np.uint8]:
    """The picture (H, W, 3) uint8 BGR of a smear's `density` (H, W, 3). `blur` replaces the camera's own."""
    import cv2

    height, width = density.shape[:2]
    sigma = camera.blur if blur is None else blur
    if sigma > 0.3:
        density = np.asarray(cv2.GaussianBlur(density, (0, 0), sigma), np.float32)
    image = camera.light * np.asarray(cv2.exp(-density), np.float32)
    image += _sensor_noise(rng, height, width, camera.noise)
    clean = np.asarray(cv2.convertScaleAbs(np.clip(image, 0, 255)), np.uint8)
    if max(map(abs, camera.fringe)) > 0.3:
        clean = _shift_colours(clean, camera.fringe)
    _, packed = cv2.imencode(".jpg", clean, [cv2.IMWRITE_JPEG_QUALITY, camera.quality])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)


def _shading(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """Vignetting off the centre, and slow colour drifts over the field, (H, W, 3) about 1."""
    import cv2

    rows, columns = 16, 20  # slow enough to be drawn small and stretched
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j].astype(np.float32)
    centre = rng.normal(0.0, 0.25, 2)
    far = (x - centre[0]) ** 2 + (y - centre[1]) ** 2
    shade = 1.0 - abs(rng.normal(0.0, 0.012)) * far
    drift = rng.normal(0.0, 0.005, (3, 2))
    shade = shade[..., None] + x[..., None] * drift[:, 0] + y[..., None] * drift[:, 1]
    shade += 0.006 * blotches(rng, (rows, columns), 6.0)[..., None]
    return np.asarray(cv2.resize(shade.astype(np.float32), (width, height)), np.float32)


def _dust(rng: np.random.Generator, light: NDArray[np.float32], scale: float) -> None:
    """One dust grain drawn into `light`: mostly a small faint ring, sometimes a blurred grey spot."""
    height, width = light.shape[:2]
    big = rng.random() < 0.12
    size = (rng.uniform(5, 11) if big else rng.uniform(2.5, 4.5)) * scale
    x, y = rng.uniform(0, width), rng.uniform(0, height)
    reach = int(3 * size) + 1
    rows = slice(max(int(y) - reach, 0), int(y) + reach)
    columns = slice(max(int(x) - reach, 0), int(x) + reach)
    dy = (np.arange(height, dtype=np.float32)[rows, None] - np.float32(y)) / np.float32(size)
    dx = (np.arange(width, dtype=np.float32)[None, columns] - np.float32(x)) / np.float32(size)
    r = np.sqrt(dx * dx + dy * dy)
    depth = rng.uniform(0.03, 0.14)
    spot = np.exp(-r * r) if big else np.exp(-(((r - 1.0) / 0.45) ** 2)) - 0.8 * np.exp(-((r / 0.6) ** 2))
    light[rows, columns] *= (1.0 - np.float32(depth) * spot)[..., None]


def _shift_colours(image: NDArray[np.uint8], shift: tuple[float, float]) -> NDArray[np.uint8]:
    """Lateral colour of the lens: blue moved one way, red the other."""
    import cv2

    channels = []
    for channel, way in zip(cv2.split(image), (-0.5, 0.0, 0.5), strict=True):
        matrix = np.array([[1, 0, way * shift[0]], [0, 1, way * shift[1]]], np.float64)
        size = (image.shape[1], image.shape[0])
        channels.append(channel if way == 0 else cv2.warpAffine(channel, matrix, size, borderMode=cv2.BORDER_REPLICATE))
    return np.asarray(cv2.merge(channels), np.uint8)


def _sensor_noise(rng: np.random.Generator, height: int, width: int, strength: float) -> NDArray[np.float32]:
    """Noise (H, W, 3) whose neighbours agree, as a Bayer sensor's do, strongest in blue."""
    import cv2

    coarse = rng.standard_normal((height // 2 + 1, width // 2 + 1, 3), dtype=np.float32)
    coarse += 0.8 * coarse[..., 1:2]  # brightness noise common to the channels
    coarse *= np.array((0.85, 0.5, 0.5), np.float32) * np.float32(strength)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)

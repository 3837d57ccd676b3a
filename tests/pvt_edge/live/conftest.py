"""A live page on a port of its own, the streams it tells of, and a real browser."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pvt_edge.live import LivePage
from pvt_edge.results import Boxes, FrameInfo, Result, StreamInfo
from pvt_edge.streams import StreamStatus
from pvt_edge.streams.status import RUNNING

TOKEN = "a-token-of-the-tests"
CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
BROWSER_OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

RUNNING_STREAM = StreamStatus(
    0,
    "rtsp://***@camera/1",
    True,
    RUNNING,
    frames=1200,
    fps=24.8,
    age_p50_ms=40.0,
    age_p95_ms=61.0,
    inference_p50_ms=22.0,
    dropped=3,
    reconnects=1,
    width=64,
    height=48,
    objects={"RBC": 14, "WBC": 2},
    counts={"line 1": {"in": 5, "out": 4}},
)


class Streams:
    """What a runner would tell, and results as it would give them."""

    def __init__(self, *statuses: StreamStatus) -> None:
        self.list = list(statuses)

    def __call__(self) -> list[StreamStatus]:
        return self.list

    def change(self, **fields: object) -> None:
        self.list[0] = replace(self.list[0], **fields)

    def result(self, frame: int, *, grey: int = 0, stream: int = 0, hw: tuple[int, int] = (48, 64)) -> Result:
        info = FrameInfo(frame, 1e9 + frame, 5.0, StreamInfo(stream, self.list[stream].source))
        boxes = Boxes(np.array([[8, 8, 24, 24]]), np.array([0.9]), np.array([0]))
        return Result(np.full((*hw, 3), grey, np.uint8), ("RBC", "WBC"), boxes, frame=info)


@pytest.fixture
def streams() -> Streams:
    return Streams(RUNNING_STREAM)


@pytest.fixture
def open_page(streams) -> Iterator[Callable[..., LivePage]]:
    """Opens a page that tells of `streams`; all are closed at the end."""
    opened: list[LivePage] = []

    def open_one(address: str = "127.0.0.1:0", *, told=streams, token: str | None = None, **options) -> LivePage:
        opened.append(LivePage(address, token=token, statuses=told, stall_s=5.0, **options))
        return opened[-1]

    yield open_one
    for page in opened:
        page.close()


@pytest.fixture
def page(open_page) -> LivePage:
    return open_page()


@pytest.fixture(scope="session")
def browser():
    """Debian's Chromium, driven by Selenium."""
    if not (CHROMIUM.exists() and DRIVER.exists()):
        pytest.skip("no browser: apt-get install chromium chromium-driver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for option in BROWSER_OPTIONS:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    yield driver
    driver.quit()

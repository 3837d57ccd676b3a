"""The live page in a real browser, on a desk and on a phone."""

import time
from dataclasses import replace

import pytest

from pvt_edge.streams.status import LOST, RUNNING

from .conftest import RUNNING_STREAM, TOKEN, Streams

WIDTHS = {"desk": (1280, 800), "phone": (390, 844)}


@pytest.fixture
def visit(browser):
    def open_at(url: str, device: str = "desk"):
        width, height = WIDTHS[device]
        browser.delete_all_cookies()
        browser.get_log("browser")  # of the page before
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": device == "phone"}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        browser.get(url)
        return browser

    yield open_at
    browser.get("about:blank")  # lets go of the video


def text(browser, selector: str) -> str:
    return browser.execute_script("return document.querySelector(arguments[0])?.innerText ?? ''", selector)


def wait_for(browser, script: str, seconds: float = 10.0):
    end = time.monotonic() + seconds
    while not (found := browser.execute_script(f"return {script}")):
        assert time.monotonic() < end, f"waited in vain for {script}"
        time.sleep(0.05)
    return found


@pytest.mark.parametrize("device", WIDTHS)
def test_the_page_shows_video_numbers_charts_and_counts(visit, page, streams, device):
    page.write(streams.result(0, grey=120))
    browser = visit(page.url, device)
    wait_for(browser, "document.querySelector('#picture').naturalWidth === 64")
    wait_for(browser, "document.querySelectorAll('#age path').length === 2")
    assert text(browser, "#health") == "ok"
    assert text(browser, "#tiles").split("\n") == [
        *("FPS", "24.8", "Age p95", "61 ms", "Inference", "22 ms"),
        *("Frames", "1,200", "Dropped", "3", "Reconnects", "1"),
    ]
    assert text(browser, "#objects").split() == ["RBC", "14", "WBC", "2"]
    assert text(browser, "#counters").split() == ["line", "1", "in", "5", "out", "4"]
    wait_for(browser, "document.querySelector('#fps path').getAttribute('d').includes('L')")  # a line, not a dot
    width = WIDTHS[device][0]
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width  # nothing sticks out
    video = browser.execute_script("return document.querySelector('#screen').getBoundingClientRect().width")
    assert video > 0.5 * width
    assert browser.get_log("browser") == []


def test_the_video_moves(visit, page, streams):
    page.write(streams.result(0, grey=0))
    browser = visit(page.url)
    grey = """(() => { const c = document.createElement('canvas'), p = document.querySelector('#picture');
        if (!p.naturalWidth) return -1; c.width = 64; c.height = 48; const g = c.getContext('2d');
        g.drawImage(p, 0, 0); return g.getImageData(50, 40, 1, 1).data[0]; })()"""
    wait_for(browser, f"0 <= {grey} && {grey} < 10")
    page.write(streams.result(1, grey=200))
    wait_for(browser, f"Math.abs({grey} - 200) < 10")


def test_a_lost_source_is_seen_and_its_return_too(visit, page, streams):
    page.write(streams.result(0))
    browser = visit(page.url)
    wait_for(browser, "document.querySelector('#health').innerText === 'ok'")
    assert text(browser, "#notice") == ""
    streams.change(state=LOST, reason="no frame for 5.0 s")
    wait_for(browser, "document.querySelector('#notice').innerText === 'Lost: no frame for 5.0 s. Trying again.'")
    assert text(browser, "#health") == "down"
    assert browser.execute_script("return document.querySelector('#screen').classList.contains('stale')")
    streams.change(state=RUNNING)
    wait_for(browser, "document.querySelector('#health').innerText === 'ok'")
    assert text(browser, "#notice") == ""


def test_streams_are_chosen_from_a_list(visit, open_page):
    names = ["rtsp://a/1", "rtsp://b/1"]
    streams = Streams(*(replace(RUNNING_STREAM, id=i, source=name, fps=10.0 + i) for i, name in enumerate(names)))
    page = open_page(told=streams)
    page.write(streams.result(0, stream=0))
    page.write(streams.result(0, stream=1, hw=(60, 60)))
    browser = visit(page.url, "phone")
    wait_for(browser, "document.querySelectorAll('#streams button').length === 2")
    assert text(browser, "#streams").split("\n") == ["0 rtsp://a/1 · 10.0 fps", "1 rtsp://b/1 · 11.0 fps"]
    browser.execute_script("document.querySelectorAll('#streams button')[1].click()")
    wait_for(browser, "document.querySelector('#picture').naturalWidth === 60")
    wait_for(browser, "document.querySelector('#source').innerText.startsWith('rtsp://b/1')")


def test_a_chart_shows_the_last_minutes_though_the_clocks_differ(visit, page, browser):
    ahead = "const now = Date.now; Date.now = () => now() + 86400e3"
    script = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": ahead})
    try:
        visit(page.url)
        wait_for(browser, "document.querySelector('#fps path')?.getAttribute('d').includes('L')")
        assert "\u22121 min" in browser.execute_script("return document.querySelector('#fps svg').textContent")
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)


def test_the_past_of_a_stream_that_comes_late_is_not_drawn_for_another(visit, open_page, browser):
    streams = Streams(*(replace(RUNNING_STREAM, id=i, fps=fps) for i, fps in enumerate((10.0, 50.0))))
    slow = """const real = window.fetch, wait = (ms) => new Promise((done) => setTimeout(done, ms));
        window.fetch = async (path, options) => {
            if (path !== '/api/history/1') return real(path, options);
            await wait(500); wait(700).then(() => { window.came = true; }); return real(path, options); }"""
    script = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": slow})
    try:
        visit(open_page(told=streams).url)
        wait_for(browser, "document.querySelectorAll('#streams button').length === 2")
        browser.execute_script("document.querySelectorAll('#streams button')[1].click(); choose(0)")
        wait_for(browser, "window.came")
        assert browser.execute_script("return samples.every((sample) => sample.fps === 10)")
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)


def test_a_name_from_a_camera_is_text_and_no_script(visit, open_page):
    streams = Streams(replace(RUNNING_STREAM, source="<img src=x onerror=document.title='taken'>", objects={"<b>": 1}))
    browser = visit(open_page(told=streams).url)
    wait_for(browser, "document.querySelector('#source').innerText.includes('<img src=x')")
    wait_for(browser, "document.querySelector('#objects').innerText.includes('<b>')")
    assert browser.title == "pvt-edge live"


def test_logging_in_by_the_form(visit, open_page):
    browser = visit(open_page(token=TOKEN).url, "phone")
    assert browser.current_url.endswith("/login")
    assert browser.execute_script("return document.documentElement.scrollWidth") == WIDTHS["phone"][0]
    fill = "document.querySelector('#token').value = arguments[0]; document.querySelector('form').submit()"
    browser.execute_script(fill, "wrong-token-wrong")
    wait_for(browser, "document.querySelector('form') !== null")
    browser.execute_script(fill, TOKEN)
    wait_for(browser, "document.querySelector('#tile-FPS')?.innerText === '24.8'")
    assert TOKEN not in browser.current_url


def test_a_server_that_went_away_is_told(visit, open_page, streams):
    page = open_page()
    page.write(streams.result(0))
    browser = visit(page.url)
    wait_for(browser, "document.querySelector('#health').innerText === 'ok'")
    page.close()
    wait_for(browser, "document.querySelector('#health').innerText === 'no answer'")
    assert text(browser, "#notice") == "The server does not answer."

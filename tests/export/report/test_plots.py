"""The plots show what was measured: their ink is measured in turn."""

import numpy as np
import pytest

from pvt_edge.export.precision.record import BlockSensitivity, Latency, LayerGroup, Metric
from pvt_edge.export.report import pareto
from pvt_edge.export.report.files import draw_plots
from pvt_edge.export.report.pareto import scale_of
from pvt_edge.reporting.plots import BLACK, BLUE, CHOSEN, GREEN, GREY, ORANGE, PINK, SHADE

from .reading import bars, ink, picture
from .searches import CANDIDATES, GROUPS, block_names, candidate, search, sensitivities

LONG = r"a very long name that goes on and on, with a $\frac, a $dollar, an under_score and 漢字 in it, and more " * 3


def drawn(folder, name: str, **changes: object) -> np.ndarray:
    """The plot of that name, of a search with `changes`."""
    draw_plots(folder, search(**changes))
    return picture(folder / "plots" / f"{name}.png")


def test_latency_bars_are_as_long_as_the_medians(tmp_path):
    image = drawn(tmp_path, "latency")
    (fp32,), (bf16,), (chosen,), int8 = (bars(image, colour, least=25) for colour in (BLACK, GREEN, CHOSEN, BLUE))
    assert [bar[0] for bar in (*int8[:2], chosen, int8[2], bf16, fp32)] == sorted(
        bar[0] for bar in (fp32, bf16, chosen, *int8)
    )
    assert len({bar[1] for bar in (fp32, bf16, chosen, *int8)}) == 1
    pixels_a_ms = (fp32[2] - fp32[1]) / 51.8
    for bar, ms in ((bf16, 24.8), (chosen, 22.4), (int8[0], 21.9), (int8[2], 22.6)):
        assert (bar[2] - bar[1]) / pixels_a_ms == pytest.approx(ms, abs=0.2)
    whisker = np.flatnonzero(ink(image, GREY)[fp32[0] - 1 : fp32[0] + 2].any(axis=0))
    whisker = whisker[(whisker >= fp32[2]) & (whisker < fp32[1] + 70 * pixels_a_ms)]
    assert (whisker.max() - fp32[1]) / pixels_a_ms == pytest.approx(51.8 * 1.3, abs=0.4)


def test_one_hiccup_does_not_squeeze_the_bars(tmp_path):
    hiccup = CANDIDATES[0].model_copy(update={"latency": Latency(p50=51.8, p90=60, p99=2000, inferences=200)})
    image = drawn(tmp_path, "latency", candidates=(hiccup, *CANDIDATES[1:]))
    (fp32,) = bars(image, BLACK, least=25)
    assert fp32[2] - fp32[1] > 300


def test_nothing_is_chosen(tmp_path):
    candidates = [c.model_copy(update={"chosen": False}) for c in CANDIDATES]
    draw_plots(tmp_path, search(candidates=candidates, kept=False))
    for name in ("latency", "pareto"):
        assert not ink(picture(tmp_path / "plots" / f"{name}.png"), CHOSEN).any()


def centre(mask: np.ndarray) -> tuple[float, float]:
    """(x, y) of the middle of what is set."""
    rows, columns = np.nonzero(mask)
    return (columns.min() + columns.max()) / 2, (rows.min() + rows.max()) / 2


def test_pareto_points_lie_where_they_were_measured(tmp_path):
    points = (
        candidate("fp32", 40, 0.8170),
        candidate("bf16", 30, 0.8160),
        candidate("int8 all", 20, 0.8110, chosen=False),
    )
    image = drawn(tmp_path, "pareto", candidates=points)
    black = ink(image, BLACK)
    black[:130] = False  # the title
    # the marker alone is filled: names, numbers and lines are thin
    fp32 = centre(_filled(black))
    bf16, int8 = (centre(ink(image, colour)) for colour in (GREEN, BLUE))
    assert (fp32[0] - int8[0]) / (fp32[0] - bf16[0]) == pytest.approx(2, abs=0.02)
    assert (int8[1] - fp32[1]) / (bf16[1] - fp32[1]) == pytest.approx(6, abs=0.2)
    shaded = np.flatnonzero(ink(image, SHADE).sum(axis=1) > 500)
    budget = fp32[1] * 1 + (bf16[1] - fp32[1]) * 5
    assert shaded.min() == pytest.approx(budget, abs=4)
    assert shaded.min() < int8[1] < shaded.max()


def _filled(mask: np.ndarray, size: int = 9) -> np.ndarray:
    """Where whole squares of `size` pixels are set."""
    import cv2

    kernel = np.ones((size, size), np.uint8)
    return cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, kernel) > 0


def test_pareto_points_are_on_the_axes_scale():
    figure = pareto.draw(search())
    drawn_at = [tuple(dots.get_offsets()[0]) for dots in figure.axes[0].collections]
    for c in CANDIDATES[1:]:
        assert (c.latency.p50, c.value) in drawn_at
    assert max(x for x, _ in drawn_at) < 51.8  # fp32 is off the scale


def test_pareto_marks_the_chosen_one(tmp_path):
    image = drawn(tmp_path, "pareto")
    x, y = centre(_filled(ink(image, CHOSEN)))
    around = ink(image, CHOSEN)[int(y) - 20 : int(y) + 21, int(x) - 20 : int(x) + 21]
    distance = np.hypot(*np.indices(around.shape) - 20)
    assert around[(distance > 14) & (distance < 18)].mean() > 0.5  # a ring
    assert ink(image, CHOSEN)[:, int(x) + 21 :].any()  # its name


def test_pareto_without_a_budget(tmp_path):
    assert ink(drawn(tmp_path, "pareto"), SHADE).sum() > 50_000
    assert ink(drawn(tmp_path, "pareto", max_drop=None), SHADE).sum() < 1000  # smooth edges of letters


@pytest.mark.parametrize(
    ("points", "off_scale"),
    [
        ([("fp32", 51.8, 0.817), ("bf16", 24.8, 0.8168), ("int8", 22.4, 0.816)], ["51.8 ms", "", ""]),
        ([("fp32", 30.0, 0.817), ("bf16", 24.8, 0.8168), ("int8", 22.4, 0.816)], ["", "", ""]),
        ([("fp32", 51.8, 0.817), ("bf16", 24.8, 0.8168), ("int8", 60.0, 0.816)], ["", "", ""]),
        ([("fp32", 30.0, 0.817), ("int8 a", 24.8, 0.3121), ("int8 b", 22.4, 0.798)], ["", "0.3121", ""]),
        ([("int8 a", 24.8, 0.8), ("int8 b", 24.8, 0.8)], ["", ""]),
        ([("fp32", 51.8, 0.817)], [""]),
    ],
)
def test_what_lies_off_the_scale(points, off_scale):
    scale = scale_of(search(candidates=[candidate(*point) for point in points]))
    assert [point.off_scale for point in scale.points] == off_scale
    for point in scale.points:
        assert scale.ms_limits[0] < point.x < scale.ms_limits[1]
        assert scale.value_limits[0] < point.y < scale.value_limits[1]
    assert scale.value_limits[0] < 0.812  # the budget is always in sight


def test_no_scale_without_a_timed_candidate():
    untimed = (candidate("fp32", None, 0.8), candidate("int8", 20, float("nan")))
    assert scale_of(search(candidates=untimed)) is None


def test_sensitivity_bars_are_as_long_as_the_drops(tmp_path):
    blocks = (
        BlockSensitivity(block="stages.0.blocks.0.mlp.fc1", drop=0.002),
        BlockSensitivity(block="stages.0.blocks.0.attn.q", drop=0.008),
        BlockSensitivity(block="head", drop=-0.004),
    )
    image = drawn(tmp_path, "sensitivity", sensitivities=blocks)
    # above the bars there is the legend
    (attn,), (mlp,), (head,) = (bars(image, colour, least=25) for colour in (BLUE, ORANGE, PINK))
    assert attn[0] < mlp[0] < head[0]
    pixels = (attn[2] - attn[1]) / 0.008
    assert (mlp[2] - mlp[1]) / pixels == pytest.approx(0.002, abs=1e-4)
    assert (head[2] - head[1]) / pixels == pytest.approx(0.004, abs=1e-4)
    assert head[2] == pytest.approx(attn[1], abs=6)  # on the other side of zero


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (25, 25), (200, 25)])
def test_how_many_blocks_are_drawn(tmp_path, count, rows):
    blocks = [BlockSensitivity(block=f"blocks.{i}.attn", drop=0.002) for i in range(count)]
    blocks.append(BlockSensitivity(block="blocks.x.attn", drop=float("nan")))
    assert len(bars(drawn(tmp_path, "sensitivity", sensitivities=blocks), BLUE, least=18)) == rows


def test_layers_compare_both(tmp_path):
    image = drawn(tmp_path, "layers")
    default, ours = (bars(image, colour, least=25) for colour in (GREY, CHOSEN))
    assert (len(default), len(ours)) == (5, 5)  # of the sixth group, one has no bar and one a short bar
    for a, b, group in zip(default, ours, GROUPS, strict=False):
        assert a[0] < b[0]
        assert (b[2] - b[1]) / (a[2] - a[1]) == pytest.approx(group.after_ms / group.before_ms, abs=0.02)


AWKWARD = {
    "one candidate": {"candidates": CANDIDATES[:1]},
    "all alike": {"candidates": [candidate(name, 22.4, 0.8) for name in ("fp32", "bf16", "int8 a", "int8 b")]},
    "on top of each other": {
        "candidates": [candidate(f"int8 {i}", 22.4 + i * 1e-3, 0.8 + i * 1e-5) for i in range(30)],
    },
    "all over budget": {"candidates": [candidate("fp32", 50, 0.817), candidate("int8", 20, 0.1)]},
    "no budget at all": {"max_drop": 0.0},
    "zero throughout": {
        "sensitivities": [BlockSensitivity(block=f"blocks.{i}.mlp", drop=0.0) for i in range(30)],
        "layer_groups": [LayerGroup(group="none", before_ms=0.0, after_ms=0.0, layers=0)],
        "candidates": [candidate("fp32", 0.0001, 0.0)],
    },
    "no number": {"sensitivities": [BlockSensitivity(block="a", drop=float("nan")), *sensitivities(block_names())]},
    "long names": {
        "variant": LONG,
        "machine": LONG,
        "metric": Metric(name="top1", words=LONG, data=LONG),
        "candidates": [candidate(name + LONG, 20 + len(name), 0.8, chosen=not name) for name in ("", "int8", "int8 ")],
        "sensitivities": [BlockSensitivity(block=f"stages.{i}.{LONG}", drop=0.1 / (i + 1)) for i in range(30)],
        "layer_groups": [LayerGroup(group=LONG, before_ms=2, after_ms=1, layers=4)],
    },
}


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_searches(tmp_path, name):
    names = draw_plots(tmp_path, search(**AWKWARD[name]))
    assert len(names) == 4
    for file in names:
        image = picture(tmp_path / file)
        assert image.shape[1] == 1275
        assert (image[:, :6] == 255).all()  # nothing runs out of the picture
        assert (image[:, -4:] == 255).all()
        assert (image[:6] == 255).all()
        assert (image[-4:] == 255).all()


def test_a_users_own_style_is_left_alone(tmp_path):
    import matplotlib

    with matplotlib.rc_context({"figure.facecolor": "black", "font.size": 30}):
        before = dict(matplotlib.rcParams)
        image = drawn(tmp_path, "latency")
        assert dict(matplotlib.rcParams) == before
    assert (image == drawn(tmp_path, "latency")).all()

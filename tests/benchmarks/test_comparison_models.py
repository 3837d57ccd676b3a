"""Models of other designs beside PVT: what they are, and how they stand in the tables."""

import sys

import pytest

from pvt_edge.benchmarks.benchmark import find_fastest
from pvt_edge.benchmarks.comparison_models import COMPARISON_MODELS, check_models
from pvt_edge.benchmarks.record import Model, ModelFacts, Study, StudyEntry
from pvt_edge.benchmarks.study_table import pair_cells, pair_columns, study_page
from pvt_edge.benchmarks.table import page
from pvt_edge.benchmarks.words import model_cells, model_columns
from pvt_edge.errors import ArgumentError, ExportError, RuntimeMissingError, UnknownNameError

from .records import benchmark, row

PARAMETERS = {
    "vit-s": 22_050_664,
    "vit-b": 86_567_656,
    "deit-ti": 5_717_416,
    "deit-s": 22_050_664,
    "swin-t": 28_288_354,
    "resnet-18": 11_689_512,
    "resnet-50": 25_557_032,
}


def other(name, runtime, p50, **changes):
    names = {"name": f"{name} {runtime}", "route": "stock", "model": name}
    return row(runtime, p50, **changes).model_copy(update=names)


DEIT = ModelFacts(name="deit-s", parameters=22_050_664, macs=4_600_000_000, top1=79.8, source="its paper")
RUN = benchmark(
    row("openvino fp32", 30.0),
    row("openvino int8", 12.0),
    row("torch fp32", 50.0, route="torch"),
    row("stock openvino fp32", 33.0),
    other("deit-s", "openvino fp32", 28.0),
    other("deit-s", "openvino int8", 9.0),
    other("swin-t", "openvino fp32", None),
    variant="b2",
    task="classify",
    parameters=25_362_856,
    macs=4_030_000_000,
).model_copy(update={"compared": (DEIT,)})


def test_there_is_no_other_model():
    assert set(COMPARISON_MODELS) == set(PARAMETERS)


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_model_is_as_large_as_published(name):
    pytest.importorskip("transformers", reason="transformers is not installed")
    import torch

    with torch.device("meta"):
        model = COMPARISON_MODELS[name].build((224, 224), 1000)
    assert sum(parameter.numel() for parameter in model.parameters()) == PARAMETERS[name]
    assert model.config._attn_implementation == "eager"


@pytest.mark.parametrize("name", ["deit-ti", "resnet-18", "swin-t"])
def test_a_model_takes_the_size_and_classes_of_the_run(name):
    pytest.importorskip("transformers", reason="transformers is not installed")
    import torch

    model, state = COMPARISON_MODELS[name], torch.random.get_rng_state()
    images = torch.rand(1, 3, 224, 256, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        logits = model.build((224, 256), 7)(images)
        again = model.build((224, 256), 7)(images)
    assert logits.shape == (1, 7)
    assert torch.equal(logits, again)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_size_that_a_model_does_not_take():
    with pytest.raises(ExportError, match="swin-t needs an input of 224 pixels a side at least, not 192x224"):
        COMPARISON_MODELS["swin-t"].check_size((192, 224))


def test_what_cannot_be_compared_is_said_first(monkeypatch):
    check_models(("stock",), "detect")
    with pytest.raises(UnknownNameError, match="did you mean 'resnet-50'"):
        check_models(("stock", "resnet50"), "classify")
    with pytest.raises(ArgumentError, match="vit-s is a classifier, and nothing to compare features with"):
        check_models(("vit-s",), "features")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(RuntimeMissingError, match=r'pip install "pvt-edge\[compare\]"'):
        check_models(("vit-s",), "classify")


def test_all_models_stand_in_one_table():
    assert model_columns(RUN) == ["model", "M params", "G MACs", "top-1", "openvino fp32", "openvino int8"]
    assert model_cells(RUN) == [
        ["b2", "25.36", "4.03", "82.0", "30.0", "12.0"],
        ["b2 stock", "25.36", "4.03", "82.0", "33.0", "-"],
        ["deit-s", "22.05", "4.60", "79.8", "28.0", "9.00"],
        ["swin-t", "-", "-", "-", "-", "-"],
    ]
    text = page(RUN, ())
    for line in ("| deit-s | 22.05 | 4.60 | 79.8 | 28.0 | 9.00 |", "deit-s 79.8, its paper", "random weights"):
        assert line in text


def test_without_comparison_models_there_is_no_such_table():
    alone = RUN.model_copy(update={"rows": RUN.rows[:4], "compared": ()})
    assert model_cells(alone) == []
    assert "Models compared" not in page(alone, ())


def test_the_fastest_row_is_one_of_the_bundle():
    assert find_fastest(RUN.rows, RUN.noise) == "openvino int8"


def entry(name, height, macs, rows, **changes):
    model = Model(variant=name, task="classify", height=height, width=224, weights="none", bundle=None, macs=macs)
    found = StudyEntry(model=model, variant=name, height=height, width=224, rows=rows, seconds=1.0)
    return found.model_copy(update=changes)


def test_pairs_are_of_like_cost_and_of_one_size():
    beside = entry("deit-s", 224, None, RUN.rows[4:6], model=None, compared=DEIT)
    study = Study(
        pvt_edge="0.1.0",
        created="2026-01-01T00:00:00+00:00",
        command="pvt-edge benchmark --variants b1,b2,v1-small --compare deit-s",
        task="classify",
        weights="random",
        settings=RUN.settings,
        machine=RUN.machine,
        entries=(
            entry("b1", 224, 2_110_000_000, RUN.rows[:2]),
            entry("b2", 224, 4_030_000_000, (*RUN.rows[:2], RUN.rows[3])),
            entry("b2", 448, 4_030_000_000, RUN.rows[:2]),
            entry("v1-small", 224, 3_800_000_000, RUN.rows[:1]),
            beside,
        ),
        seconds=9.0,
    )
    assert pair_columns(study) == ["pair", "input", "top-1", "openvino fp32", "openvino int8"]
    assert pair_cells(study) == [
        ["b2 / deit-s", "224x224", "82.0/79.8", "1.07x", "1.33x"],
        ["v1-small / deit-s", "224x224", "79.8/79.8", "1.07x", "-"],
    ]
    assert "| deit-s | 224 | 22.05 | 4.60 | 79.8 | 1.0 | 1.0 | 28.0 | 9.00 | - |" in study_page(study)
    without = study.model_copy(update={"entries": study.entries[:4]})
    assert pair_cells(without) == []
    assert "Pairs" not in study_page(without)

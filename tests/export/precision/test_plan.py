"""The placement of a graph as a plan, and back."""

from pvt_edge.export.precision.layers import find_blocks
from pvt_edge.precision_plan import plan_of, read_plan


def test_a_placement_comes_back(tmp_path, small):
    known = find_blocks(small)
    chosen = frozenset(known[::3])
    spelled = plan_of("b0", "detect", known, chosen)
    assert list(spelled.blocks) == known
    path = tmp_path / "plan.json"
    path.write_text(spelled.model_dump_json(), encoding="utf-8")
    assert read_plan(path, "b0", "detect").int8_blocks(known) == chosen

"""What variants are called."""

import pytest

from pvt_edge.errors import UnknownNameError
from pvt_edge.models import FAMILIES
from pvt_edge.variants import FAMILY_TITLES, VARIANTS, get_variant, title_of


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("b0", "PVT-v2 b0"),
        ("b2-li", "PVT-v2 b2-li"),
        ("v1-tiny", "PVT-v1 tiny"),
        ("a variant from outside", "a variant from outside"),
    ],
)
def test_title_of(name, title):
    assert title_of(name) == title


def test_families_have_the_titles_of_their_variants():
    for variant in VARIANTS.values():
        assert FAMILIES[variant.family].title == FAMILY_TITLES[variant.family]


@pytest.mark.parametrize(
    ("given", "name"),
    [("B2_Li", "b2-li"), ("pvt_v2_b2_linear", "b2-li"), ("pvt_v2_b0", "b0"), ("pvt_large", "v1-large")],
)
def test_names_of_official_files(given, name):
    assert get_variant(given).name == name


def test_a_name_that_does_not_exist():
    with pytest.raises(UnknownNameError, match="did you mean 'v1-tiny'"):
        get_variant("v1-tin")

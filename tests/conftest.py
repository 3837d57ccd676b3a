"""What all tests share: where real pictures lie, for those who have them."""

import os
from pathlib import Path

import pytest

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data" / "bccd"


@pytest.fixture(scope="session")
def bccd() -> Path:
    """The folder of the BCCD data set; it is no part of the repository."""
    folder = Path(os.environ.get("PVT_EDGE_BCCD", BESIDE))
    if not (folder / "instances_train.json").is_file():
        pytest.skip(f"no BCCD data in {folder}: set PVT_EDGE_BCCD to the folder with instances_train.json")
    return folder

"""What tests of training share: one thread, and twelve pictures of two colours."""

import cv2
import numpy as np
import pytest

COLOURS = {"blue": (220, 60, 40), "red": (40, 60, 220)}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """On a busy machine, threads that wait for each other take most of the time of small tensors."""
    torch = pytest.importorskip("torch", reason="training needs PyTorch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    """Twelve noisy pictures of two colours, a folder a class."""
    folder, rng = tmp_path_factory.mktemp("colours"), np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (folder / name).mkdir()
        for i in range(6):
            picture = np.clip(np.array(colour) + rng.normal(0, 20, (40, 48, 3)), 0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / name / f"{i}.png"), picture)
    return folder

"""Where torch.compile keeps what it has compiled."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pvt_edge.benchmarks.opening import COMPILED


@contextmanager
def own_compiler_cache(scratch: Path) -> Iterator[None]:
    """Within, torch.compile begins with an empty cache in `scratch`, so that its cold start is one."""
    key = "TORCHINDUCTOR_CACHE_DIR"
    before = os.environ.get(key)
    os.environ[key] = str(scratch / COMPILED)
    try:
        yield
    finally:
        if before is None:
            del os.environ[key]
        else:
            os.environ[key] = before

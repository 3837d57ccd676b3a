"""TensorRT engines of another machine, built again for this one."""

import warnings

from pvt_edge.bundle.reader import Bundle
from pvt_edge.options.build import BuildOptions


def refresh_engines(bundle: Bundle, library: str) -> Bundle:
    """The bundle with engines that fit this machine: built again, with a warning, where they do not."""
    from pvt_edge.runtimes.cuda import probe_cuda
    from pvt_edge.runtimes.passport import batches_of, differences, here
    from pvt_edge.runtimes.tensorrt_library import load_library

    engines = [artifact for artifact in bundle.manifest.artifacts if artifact.runtime == library]
    machine = here(probe_cuda(), load_library(library))
    wrong = [text for engine in engines for text in differences(engine.passport or {}, machine)]
    if not wrong:
        return bundle
    from pvt_edge.engines.bundle_build import build_bundle

    reasons = "; ".join(dict.fromkeys(wrong))
    warnings.warn(f"{bundle.folder}: engines are built again for this machine ({reasons})", stacklevel=3)
    options = BuildOptions(batches=batches_of(engines[0].passport or {}))
    return build_bundle(bundle.folder, library=library, options=options)

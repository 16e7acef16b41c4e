"""Extraction of the 1702 feature columns of a prepared case by the chosen engine."""

from __future__ import annotations

from collections.abc import Generator

from DeepRadScoreLib.imaging.carriers import PreparedCase
from DeepRadScoreLib.models import DEFAULT_ENGINE, Engine
from DeepRadScoreLib.progress import run_to_end

FEATURE_STEPS: dict[Engine, int] = {Engine.OWN: 24, Engine.PYRADIOMICS: 120}
"""About how many steps `feature_steps` has."""


def extract_features(prepared: PreparedCase, engine: Engine = DEFAULT_ENGINE, *, threads: int = 1) -> dict[str, float]:
    """The 1702 feature columns of a case, in the order of `FEATURE_COLUMNS`; see `feature_steps`."""
    return run_to_end(feature_steps(prepared, engine, threads=threads))


def feature_steps(
    prepared: PreparedCase, engine: Engine = DEFAULT_ENGINE, *, threads: int = 1
) -> Generator[str, None, dict[str, float]]:
    """Extract the 851 features of the tumour and of its shell, step by step.

    Each label is yielded before its step; the value of the generator is the dictionary of the 1702 columns in the order
    of `FEATURE_COLUMNS`. `threads`: of our own engine; the values do not depend on it.

    Raises
    ------
    RegionError: a region that pyradiomics would refuse (empty, one voxel, or voxels in one direction only), or one for
        which a feature has no finite value.
    MissingPackageError: a package of the engine is not installed.
    """
    if engine is Engine.PYRADIOMICS:
        from DeepRadScoreLib.radscore.pyradiomics_engine import pyradiomics_feature_steps

        return pyradiomics_feature_steps(prepared)
    from DeepRadScoreLib.radscore.own_engine import own_feature_steps

    return own_feature_steps(prepared, threads)


def engine_ready_steps(engine: Engine) -> Generator[str, None, None]:
    """What an engine needs once on a machine, so that many cases at a time need not each do it; see `compile_steps`."""
    if engine is Engine.OWN:
        from DeepRadScoreLib.radscore.engine.compiled import compile_steps

        yield from compile_steps()


def cores() -> int:
    """Processor cores that this process may use."""
    import joblib

    return joblib.cpu_count()

"""The engine against pyradiomics on some 370 small regions: every kind of image with every kind of region."""

from __future__ import annotations

import math

import pytest

from DeepRadScoreLib.errors import RegionError
from DeepRadScoreLib.progress import run_to_end
from DeepRadScoreLib.radscore.engine import intensity
from DeepRadScoreLib.radscore.names import FEATURE_NAMES, REGIONS
from DeepRadScoreLib.radscore.own_engine import own_feature_steps
from DeepRadScoreLib.radscore.pyradiomics_engine import pyradiomics_feature_steps
from support.engine_oracle import compared, plain_pyradiomics
from support.own_values import own_values
from support.synthetic_regions import synthetic_cases

REGIONS_AT_LEAST = 300


def test_equal_to_pyradiomics(capsys: pytest.CaptureFixture[str]) -> None:
    cases = [case.prepared() for case in synthetic_cases()]
    comparison = compared(own_values, plain_pyradiomics, cases)
    with capsys.disabled():
        print(f"\n{len(cases)} synthetic cases: {comparison.report()}")
    assert not comparison.failures
    assert comparison.compared == len(cases) * len(REGIONS) * len(FEATURE_NAMES)
    assert len(cases) * len(REGIONS) >= REGIONS_AT_LEAST


def test_a_region_without_a_finite_value_is_refused_as_by_pyradiomics() -> None:
    pytest.importorskip("radiomics")
    refused = 0
    for case in synthetic_cases():
        prepared = case.prepared()
        values = own_values(prepared)
        if all(math.isfinite(value) for region in values.values() for value in region.values()):
            continue
        sentences = []
        for steps in (own_feature_steps, pyradiomics_feature_steps):
            with pytest.raises(RegionError) as refusal:
                run_to_end(steps(prepared))
            sentences.append(str(refusal.value))
        assert sentences[0] == sentences[1]
        refused += 1
    assert refused > 3


def test_one_thread_and_three_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intensity, "MIN_VOXELS_FOR_THREADS", 0)
    for case in list(synthetic_cases())[::17]:
        prepared = case.prepared()
        assert repr(own_values(prepared, threads=3)) == repr(own_values(prepared, threads=1))

"""One case compared with training cases like it: nothing is said; with another image, scores or scan: what, and why."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from DeepRadScoreLib.analyses.comparison import Comparison, compare
from DeepRadScoreLib.bundles.bundle import Bundle
from DeepRadScoreLib.imaging import PreparedCase, case_from_images, prepare
from DeepRadScoreLib.imaging.acquisition import Acquisition
from DeepRadScoreLib.likeness.evidence import Evidence
from DeepRadScoreLib.likeness.limits import TrainingLimits
from DeepRadScoreLib.likeness.measures import MEASURES, case_measures
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS
from support.imaging_phantoms import tumour_case

N = 60
SCAN = Acquisition("B30f", 120.0, 1.0, True, "Maker")


@pytest.fixture(scope="module")
def prepared() -> PreparedCase:
    return prepare(replace(case_from_images(*tumour_case(radius=8.0)), acquisition=SCAN))


@pytest.fixture(scope="module")
def features() -> pd.DataFrame:
    return pd.DataFrame(np.zeros((1, len(FEATURE_COLUMNS))), columns=list(FEATURE_COLUMNS))


@pytest.fixture(scope="module")
def bundle(prepared: PreparedCase) -> Bundle:
    """Of 60 training cases about the same one; without networks and endpoints, which are not compared here."""
    rng = np.random.default_rng(0)
    measures = np.array(list(case_measures(prepared).values())) * np.exp(0.1 * rng.normal(size=(N, len(MEASURES))))
    training = Evidence(
        pd.DataFrame(rng.normal(size=(N, len(FEATURE_COLUMNS))), columns=list(FEATURE_COLUMNS)),
        pd.DataFrame(measures, columns=list(MEASURES)),
        acquisitions=[SCAN] * N,
    )
    folds = [(np.flatnonzero(np.arange(N) % 3 != k), np.flatnonzero(np.arange(N) % 3 == k)) for k in range(3)]
    return Bundle(None, (), {}, limits=TrainingLimits.fit(training, folds))  # type: ignore[arg-type]


def test_a_case_like_the_training_cases(bundle: Bundle, prepared: PreparedCase, features: pd.DataFrame) -> None:
    found = compare(bundle, prepared, features, [], {})
    assert found.likeness is not None and found.likeness.percentile < 60
    assert (found.likeness.reasons, found.unlike, found.notes) == ((), frozenset(), ())


def test_a_noisy_image_is_named(bundle: Bundle, prepared: PreparedCase, features: pd.DataFrame) -> None:
    image = sitk.GetImageFromArray(
        prepared.patch.hu[None] + np.random.default_rng(1).normal(0, 300, (1, 160, 160)).astype(np.float32)
    )
    image.CopyInformation(prepared.patch.image)
    found = compare(bundle, replace(prepared, patch=replace(prepared.patch, image=image)), features, [], {})
    assert [note.code for note in found.notes] == ["far_from_training"]
    assert found.notes[0].severity == "warning" and "no finding is given" in found.notes[0].message
    assert "than any of them" in found.notes[0].message
    assert found.likeness is not None and found.likeness.percentile == 100
    named = {reason.what for reason in found.likeness.reasons}
    assert len(named) == 3 and any(what.startswith("noise") for what in named)
    assert all(not reason.low <= reason.value <= reason.high for reason in found.likeness.reasons)


def test_features_of_another_population_are_named(
    bundle: Bundle, prepared: PreparedCase, features: pd.DataFrame
) -> None:
    moved = features + 2.0 * np.random.default_rng(2).choice((-1, 1), features.shape)
    moved["tumour_original_shape_Sphericity"] = 40.0
    found = compare(bundle, prepared, moved, [], {})
    assert found.likeness is not None
    assert found.likeness.reasons[0].what == "tumour_original_shape_Sphericity"
    assert found.likeness.reasons[0].value == 40.0


def test_a_scan_unlike_those_of_training(bundle: Bundle, prepared: PreparedCase, features: pd.DataFrame) -> None:
    other = replace(prepared, acquisition=Acquisition("LUNG", 120.0, 1.0, False, "Maker"))
    (note,) = compare(bundle, other, features, [], {}).notes
    assert (note.code, note.severity) == ("scan_unlike_training", "info")
    assert "kernel LUNG" in note.message and "contrast agent" in note.message and "voltage" not in note.message


def test_without_limits_nothing_is_said(bundle: Bundle, prepared: PreparedCase, features: pd.DataFrame) -> None:
    assert compare(replace(bundle, limits=None), prepared, features, [], {}) == Comparison()

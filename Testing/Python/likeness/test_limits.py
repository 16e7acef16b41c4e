"""Limits learned from cases of a known distribution: uniform percentiles, false alarms, power, and what is stored."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load
from scipy.stats import beta, kstest

from DeepRadScoreLib.imaging.acquisition import UNKNOWN, Acquisition
from DeepRadScoreLib.likeness.evidence import Evidence
from DeepRadScoreLib.likeness.limits import FENCE, TrainingLimits
from DeepRadScoreLib.likeness.measures import MEASURES
from DeepRadScoreLib.likeness.parts import Part
from DeepRadScoreLib.likeness.ranges import Ranges
from DeepRadScoreLib.likeness.scans import Scans
from DeepRadScoreLib.likeness.storage import ARRAYS, TEXT, from_files, to_files
from DeepRadScoreLib.likeness.thresholds import CONFIDENCE, FALSE_ALARMS, Thresholds, allowed_alarms
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS

N_TRAIN, FOLDS = 150, 3
MIXING = np.random.default_rng(5)
FEATURE_AXES = MIXING.normal(size=(8, len(FEATURE_COLUMNS)))
MEASURE_AXES = MIXING.normal(size=(5, len(MEASURES)))
POOLED_AXES = MIXING.normal(size=(6, 64))


def gaussian_cases(n: int, seed: int, networks: int = FOLDS) -> Evidence:
    """Cases of one Gaussian population."""
    rng = np.random.default_rng(seed)
    names = pd.Index([f"case-{number}" for number in range(n)], name="case_id")

    def drawn(axes: np.ndarray, noise: float) -> np.ndarray:
        return rng.normal(size=(n, len(axes))) @ axes + noise * rng.normal(size=(n, axes.shape[1]))

    measures = np.exp(0.05 * drawn(MEASURE_AXES, 1.0))
    column = pd.DataFrame(rng.normal(size=(n, 3)), columns=["deep_ct", "radscore_tumour", "radscore_peritumoral"])
    return Evidence(
        pd.DataFrame(drawn(FEATURE_AXES, 1.0), index=names, columns=list(FEATURE_COLUMNS)),
        pd.DataFrame(measures, index=names, columns=list(MEASURES)),
        tuple(drawn(POOLED_AXES, 0.5) for _ in range(networks)),
        {"EGFR": column},
        [Acquisition("B30f", 120.0, 1.5, True, "Maker")] * n,
    )


def folds_of(n: int, k: int = FOLDS) -> list[tuple[np.ndarray, np.ndarray]]:
    fold = np.arange(n) % k
    return [(np.flatnonzero(fold != number), np.flatnonzero(fold == number)) for number in range(k)]


@pytest.fixture(scope="module")
def limits() -> TrainingLimits:
    found = TrainingLimits.fit(gaussian_cases(N_TRAIN, 1), folds_of(N_TRAIN))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def others() -> Evidence:
    return gaussian_cases(300, 2)


def test_percentiles_of_like_cases_are_uniform(limits: TrainingLimits, others: Evidence) -> None:
    """About: the left-out cases are judged by two thirds of the training cases, so their distances are larger."""
    percentiles = limits.judge(others).percentiles / 100
    assert kstest(percentiles, "uniform").statistic < 0.2
    assert 0 <= percentiles.min() < 0.05 and 0.97 < percentiles.max() <= 1


def test_false_alarms_of_like_cases(limits: TrainingLimits, others: Evidence) -> None:
    judged = limits.judge(others)
    assert set(judged.parts) == set(Part)
    assert judged.far.mean() <= 0.07
    assert judged.beyond.mean() <= 0.01
    assert judged.endpoints["EGFR"].mean() <= 0.01


@pytest.mark.parametrize("part", list(Part))
def test_each_part_sees_what_leaves_the_population(limits: TrainingLimits, others: Evidence, part: Part) -> None:
    """Every vector moves by some standard deviations of the noise, which is small beside that of the population."""
    rng = np.random.default_rng(3)
    features, measures, pooled = others.features, others.measures, others.pooled
    assert measures is not None
    if part == Part.FEATURES:
        features = features + 1.5 * rng.choice((-1, 1), len(FEATURE_COLUMNS))
    elif part == Part.IMAGE:
        measures = measures * np.exp(0.2 * rng.choice((-1, 1), len(MEASURES)))
    else:
        pooled = tuple(each + 1.5 * rng.choice((-1, 1), 64) for each in pooled)
    judged = limits.judge(Evidence(features, measures, pooled))
    assert judged.far.mean() > 0.95
    assert (judged.parts[part] == judged.scores).mean() > 0.95


def test_cases_of_which_less_is_known_are_judged_by_the_rest(limits: TrainingLimits, others: Evidence) -> None:
    whole, less = limits.judge(others), limits.judge(Evidence(others.features))
    assert set(less.parts) == {Part.FEATURES}
    np.testing.assert_array_equal(less.scores, whole.parts[Part.FEATURES])
    assert (less.scores <= whole.scores).all()


def test_a_column_beyond_its_fence_stops_its_endpoint(limits: TrainingLimits) -> None:
    case = gaussian_cases(1, 4)
    low, high = limits.columns["EGFR"].bounds("radscore_tumour")
    middle = float(limits.columns["EGFR"].quantiles[3, 1])
    for value, stops in (
        (middle + 0.9 * FENCE * (high - middle), False),
        (middle - 1.1 * FENCE * (middle - low), True),
    ):
        case.columns["EGFR"]["radscore_tumour"] = value
        assert limits.judge(case).endpoints["EGFR"].tolist() == [stops]


def test_limits_come_back_from_their_files(limits: TrainingLimits, others: Evidence) -> None:
    files = to_files(limits)
    found = from_files(files)
    np.testing.assert_allclose(found.judge(others).scores, limits.judge(others).scores, atol=1e-5)
    assert (found.judge(others).far == limits.judge(others).far).all()
    assert found.scans == limits.scans and found.missing == limits.missing == ()
    assert to_files(found)[TEXT] == files[TEXT]
    assert sum(map(len, files.values())) < 1_000_000


def test_no_training_row_is_stored(limits: TrainingLimits) -> None:
    training = gaussian_cases(N_TRAIN, 1)
    assert training.measures is not None
    files = to_files(limits)
    stored = [row for array in load(files[ARRAYS]).values() for row in np.atleast_2d(array)]
    text = json.loads(files[TEXT])
    stored += [np.array(column) for column in zip(*text["measures"].values(), strict=True)]
    stored += [np.array(column) for column in zip(*text["columns"]["EGFR"].values(), strict=True)]
    tables = [training.features.to_numpy(), training.measures.to_numpy(), *training.pooled]
    tables += [training.columns["EGFR"].to_numpy()]
    compared = 0
    for table in tables:
        rows = np.array([row for row in stored if row.shape == table.shape[1:]])
        compared += len(rows)
        assert not np.isclose(table[:, None], rows[None], rtol=1e-3).all(axis=2).any()
        if table.shape[1] > 10:
            assert np.abs(np.corrcoef(table, rows)[: len(table), len(table) :]).max() < 0.99
    assert compared > 50


def test_few_cases_have_no_limits() -> None:
    assert TrainingLimits.fit(gaussian_cases(9, 1), folds_of(9)) is None


def test_what_was_not_known_in_training_is_missing() -> None:
    known = gaussian_cases(40, 1)
    columns = {"EGFR": known.columns["EGFR"][["radscore_tumour", "radscore_peritumoral"]]}
    found = TrainingLimits.fit(Evidence(known.features, columns=columns), folds_of(40))
    assert found is not None
    assert found.missing == ("image", "network", "deep_columns", "acquisition")
    assert set(found.judge(gaussian_cases(5, 2)).parts) == {Part.FEATURES}


@pytest.mark.parametrize("n", [45, 100, 160, 400])
def test_the_warning_limit_is_wilks_tolerance_limit(n: int) -> None:
    """Share of a population above the k-th largest of n: Beta(k, n + 1 - k)."""
    k = allowed_alarms(n) + 1
    assert beta.cdf(FALSE_ALARMS, k, n + 1 - k) >= CONFIDENCE - 1e-9
    assert beta.cdf(FALSE_ALARMS, k + 1, n - k) < CONFIDENCE
    scores = np.random.default_rng(0).normal(size=n)
    assert (scores > Thresholds.of(scores).warn).sum() == allowed_alarms(n)


def test_the_limit_beyond_is_the_quantile_of_an_exponential_tail() -> None:
    scores = np.random.default_rng(0).exponential(size=20_000)
    assert Thresholds.of(scores).beyond == pytest.approx(-np.log(0.001), rel=0.03)
    outlier = np.append(scores[:160], 100.0)
    assert Thresholds.of(outlier).beyond == pytest.approx(Thresholds.of(scores[:160]).beyond, rel=0.5)


def test_ranges_are_numpys_percentiles_and_excess_is_one_at_their_ends() -> None:
    table = pd.DataFrame({"a": np.arange(201.0), "b": 3.0})
    ranges = Ranges.of(table)
    assert ranges.bounds("a") == (1.0, 199.0)
    np.testing.assert_allclose(
        ranges.excess(np.array([[199.0, 3.0], [1.0, 4.0], [100.0, 3.0]])), [[1, 0], [1, np.inf], [0, 0]]
    )
    assert Ranges.from_dict(ranges.to_dict()).bounds("a") == (1.0, 199.0)


def test_scans_count_what_headers_told() -> None:
    told = [Acquisition("B30f", 120.0, 1.0, True, "Maker"), Acquisition("B50f", 100.0, 2.0, False, "Maker"), UNKNOWN]
    scans = Scans.of(told)
    assert scans.kernel == {"B30f": 1, "B50f": 1} and scans.contrast == {"no": 1, "yes": 1}
    assert scans.unseen(Acquisition("LUNG", 110.0, 5.0, True, "Maker")) == ("kernel", "slice_thickness_mm")
    assert scans.unseen(UNKNOWN) == () and Scans.of([UNKNOWN]).unseen(told[0]) == ()
    assert Scans.from_dict(json.loads(json.dumps(scans.to_dict()))) == scans

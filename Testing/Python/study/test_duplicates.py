"""The same image or features under two patient ids: refused across training and test, named within one of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.errors import CohortError
from DeepRadScoreLib.imaging.fingerprint import image_fingerprint
from DeepRadScoreLib.study.data import StudyData, StudyInputs
from DeepRadScoreLib.study.duplicates import find_duplicates, refuse_duplicates
from DeepRadScoreLib.study.evaluation.evaluate import evaluate_from_table
from DeepRadScoreLib.study.plans import EvaluationPlan, TrainingPlan
from DeepRadScoreLib.study.training.train import train_bundle
from support.small_evaluation import write_small_cohort
from support.small_study import small_plan, small_study

QUICK = TrainingPlan(folds=2, repeats=1, search="quick")


def data_of(features: pd.DataFrame, patients: list[str], **labels: list[float]) -> StudyData:
    index = pd.Index([f"c{i}" for i in range(len(features))], name="case_id")
    return StudyData(
        features.set_axis(index), None, pd.DataFrame(labels, index=index), pd.Series(patients, index=index)
    )


def noise(n: int = 40, columns: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(rng.normal(100.0, 3.0, (n, columns)), columns=[f"tumour_f{i}" for i in range(columns)])


def test_equal_and_rounded_rows_are_found_and_near_ones_are_not():
    features = noise()
    features.iloc[30] = features.iloc[3]
    features.iloc[31] = [float(f"{value:.6g}") for value in features.iloc[4]]
    features.iloc[32] = features.iloc[5] + 0.05 * 3.0
    features.iloc[33] = features.iloc[6]
    patients = [f"p{i}" for i in range(40)]
    patients[33] = "p6"
    labels = [float(i % 2) for i in range(40)]
    found = find_duplicates(data_of(features, patients, EGFR=labels, KRAS=[np.nan] * 40))
    assert [(each.cases, each.what) for each in found] == [(("c3", "c30"), "features"), (("c4", "c31"), "features")]
    assert [each.contradicting for each in found] == [("EGFR",), ("EGFR",)]
    assert 'patients "p3" and "p30" have the same features (cases "c3" and "c30"), though' in found[0].sentence


def test_the_near_rows_are_those_of_all_pairwise_distances():
    from scipy.spatial.distance import pdist, squareform

    rng = np.random.default_rng(1)
    features = noise(200)
    for row in range(100, 120):
        features.iloc[row] = features.iloc[row - 100] * (1 + rng.choice([1e-6, 1e-5, 1e-4, 1e-3]) * rng.normal(size=60))
    distance = squareform(pdist((features - features.mean()) / features.std(ddof=0))) / np.sqrt(60)
    expected = {(a, b) for a, b in np.argwhere(distance <= 0.01) if a < b}
    found = find_duplicates(data_of(features, [f"p{i:03d}" for i in range(200)], EGFR=[0.0] * 200))
    assert {each.rows for each in found} == expected
    assert 5 < len(expected) < 20


def test_few_or_coarse_columns_and_empty_patches_say_nothing():
    few = noise(columns=9)
    few.iloc[1] = few.iloc[0]
    assert not find_duplicates(data_of(few, [f"p{i}" for i in range(40)], EGFR=[0.0] * 40))
    coarse = (noise() > 100).astype(float)
    coarse.iloc[1] = coarse.iloc[0]
    data = data_of(coarse, [f"p{i}" for i in range(40)], EGFR=[0.0] * 40)
    assert not find_duplicates(replace(data, patches=np.zeros((40, 4, 4))))


def test_one_image_with_two_masks_and_one_patch_are_found():
    patients = [f"p{i}" for i in range(40)]
    data = data_of(noise(), patients, EGFR=[1.0] * 40)
    patches = np.random.default_rng(2).normal(size=(40, 4, 4))
    patches[8] = patches[7]
    prints = [f"{i}" for i in range(40)]
    prints[20] = prints[21] = "2"
    prints[30] = prints[31] = ""
    found = find_duplicates(replace(data, patches=patches), prints)
    assert [(each.patients, each.what) for each in found] == [
        (("p2", "p20"), "CT"),
        (("p2", "p21"), "CT"),
        (("p7", "p8"), "deep patch"),
    ]


def test_a_fingerprint_is_of_the_values_alone():
    rng = np.random.default_rng(3)
    hu = rng.integers(-1000, 400, (5, 6, 7)).astype(np.int16)
    image = sitk.GetImageFromArray(hu)
    turned = sitk.Cast(sitk.PermuteAxes(sitk.Flip(image, [True, False, False]), [2, 0, 1]), sitk.sitkFloat32)
    assert image_fingerprint(turned) == image_fingerprint(image) != ""
    hu[0, 0, 0] += 1
    assert image_fingerprint(sitk.GetImageFromArray(hu)) != image_fingerprint(image)
    assert image_fingerprint(sitk.Image([4, 4, 4], sitk.sitkInt16)) == ""


@pytest.fixture
def copied(tmp_path, monkeypatch) -> StudyInputs:
    """Case 40, whose patient is in the test part of the column split, has the features of case 50, who is not."""
    monkeypatch.setenv("DEEPRADSCORE_CACHE", str(tmp_path / "cache"))
    table, path = write_small_cohort(tmp_path, 72)
    features = pd.read_csv(path)
    features.iloc[50, 1:] = features.iloc[40, 1:]
    features.to_csv(path, index=False)
    return StudyInputs(table, path, endpoints=("EGFR",))


@pytest.mark.parametrize("split", ["cv", "column"])
def test_an_evaluation_with_one_tumour_in_training_and_test_is_refused(split, copied):
    with pytest.raises(
        CohortError, match=r'"p040" and "p050" have the same features.*give both cases the same patient'
    ):
        evaluate_from_table(copied, EvaluationPlan(("strict",), QUICK, split, 2), Run())


def test_training_refuses_one_image_in_both_sets(tmp_path):
    cohort, computed = small_study(70, keys=("EGFR",))
    prints = [f"{i}" for i in range(70)]
    prints[25] = prints[26]
    with pytest.raises(CohortError, match=r'the patients "p025" and "p026" have the same CT .*one could be trained on'):
        train_bundle(cohort, replace(computed, fingerprints=prints), small_plan(), Run(tmp_path))


def test_those_of_one_set_are_given_back():
    found = find_duplicates(data_of(noise(4), list("abcd"), EGFR=[0.0] * 4), ["1", "1", "2", "2"])
    sites = pd.Series(["north", "north", "south", "south"])
    assert refuse_duplicates(found, sites, Path("cohort.csv")) == found
    with pytest.raises(CohortError, match=r'cohort.csv: the patients "a" and "b" .*, and 1 more such pairs'):
        refuse_duplicates(found, pd.Series(list("nsns")), Path("cohort.csv"))
    with pytest.raises(CohortError):
        refuse_duplicates(found, None, Path("cohort.csv"))

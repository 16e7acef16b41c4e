"""Shuffled voxels: same shape and histogram, no texture; and the cache stores each request for a case by itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from DeepRadScoreLib.cohort.table import Cohort
from DeepRadScoreLib.computing import one_case
from DeepRadScoreLib.computing.case_record import CaseTask, cache_folder
from DeepRadScoreLib.computing.extraction import extract_cohort
from DeepRadScoreLib.computing.one_case import compute_case
from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.endpoints import KEYS
from DeepRadScoreLib.errors import CohortError
from DeepRadScoreLib.imaging import case_from_images, prepare, shuffled_voxels
from DeepRadScoreLib.radscore.extraction import extract_features
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS, REGIONS
from support.imaging_phantoms import image_of, tumour_case


def textured(seed: int = 0, radius: float = 6.0) -> tuple[sitk.Image, sitk.Image]:
    """A ball whose HU rise along x, so that neighbours are alike until they are shuffled."""
    ct, mask = tumour_case(radius=radius)
    values = sitk.GetArrayFromImage(ct) + 30 * (np.arange(40) - 20)
    return image_of((values + np.random.default_rng(seed).normal(0, 5, values.shape)).astype(np.int16)), mask


def prepared(preprocessing: str = "canonical", seed: int = 0):
    ct, mask = textured(seed)
    return prepare(case_from_images(ct, mask, case_id="ball"), preprocessing=preprocessing)


def voxels(case, region: str | None) -> np.ndarray:
    image, masks = (
        sitk.GetArrayFromImage(case.image),
        {name: sitk.GetArrayFromImage(getattr(case, name)) for name in REGIONS},
    )
    return image[masks[region] == 1] if region else image[sum(masks.values()) == 0]


@pytest.mark.parametrize("preprocessing", ["canonical", "pyradiomics"])
def test_each_region_keeps_its_voxels_in_another_order_and_the_rest_stays(preprocessing):
    case = prepared(preprocessing)
    shuffled = shuffled_voxels(case, 7)
    for region in REGIONS:
        before, after = voxels(case, region), voxels(shuffled, region)
        np.testing.assert_array_equal(np.sort(before), np.sort(after))
        assert (before != after).mean() > 0.8
        assert abs(np.corrcoef(before, after)[0, 1]) < 0.1
    np.testing.assert_array_equal(voxels(case, None), voxels(shuffled, None))
    assert shuffled.image.GetPixelID() == case.image.GetPixelID()
    for name in ("GetOrigin", "GetSpacing", "GetDirection"):
        assert getattr(shuffled.image, name)() == getattr(case.image, name)()
    for field in dataclasses.fields(case):
        if field.name != "image":
            assert getattr(shuffled, field.name) is getattr(case, field.name)


def test_the_case_itself_is_left_as_it_was():
    case = prepared()
    before = sitk.GetArrayFromImage(case.image)
    shuffled_voxels(case, 7)
    np.testing.assert_array_equal(before, sitk.GetArrayFromImage(case.image))


def test_the_order_comes_from_the_seed_and_the_voxels_alone():
    case = prepared()
    first = voxels(shuffled_voxels(case, 7), "tumour")
    renamed = dataclasses.replace(case, case_id="other", image=sitk.Cast(case.image, sitk.sitkFloat32))
    np.testing.assert_array_equal(first, voxels(shuffled_voxels(renamed, 7), "tumour"))
    assert not np.array_equal(first, voxels(shuffled_voxels(case, 8), "tumour"))
    orders = [
        np.argsort(voxels(shuffled_voxels(dataclasses.replace(case, image=image), 7), "tumour"), kind="stable")
        for image in (ranked(case, 1), ranked(case, 2))
    ]
    assert not np.array_equal(*orders)


def ranked(case, factor: int) -> sitk.Image:
    """Every voxel another value, in the same order for every factor."""
    values = factor * np.arange(np.prod(case.image.GetSize()), dtype=np.int32).reshape(case.image.GetSize()[::-1])
    image = sitk.GetImageFromArray(values)
    image.CopyInformation(case.image)
    return image


def test_shape_and_first_order_features_stay_and_texture_goes():
    case = prepared()
    before, after = extract_features(case), extract_features(shuffled_voxels(case, 7))
    table = pd.DataFrame({"before": before, "after": after})
    kind = table.index.str.extract(r"^[a-z]+_(.*?_[a-z]+)_", expand=False)
    stays = np.isin(kind, ["original_shape", "original_firstorder"])
    assert stays.sum() == 2 * (14 + 18)
    np.testing.assert_allclose(table["after"][stays], table["before"][stays], rtol=1e-9)
    for texture in ("glcm", "glrlm", "glszm", "gldm", "ngtdm"):
        rows = table[kind == f"original_{texture}"]
        moved = ~np.isclose(rows["after"], rows["before"], rtol=1e-3)
        assert moved.mean() > 0.6, texture
    correlation = table.loc["tumour_original_glcm_Correlation"]
    assert correlation["before"] > 0.6
    assert abs(correlation["after"]) < 0.15


@pytest.fixture
def cohort(tmp_path, monkeypatch) -> Cohort:
    """Three cases, the second has a second mask, the third none at all."""
    monkeypatch.setenv("DEEPRADSCORE_CACHE", str(tmp_path / "cache"))
    rows = []
    for number in range(3):
        ct, mask = textured(number, radius=5.0)
        files = {"ct": ct, "mask": mask, "repeat_mask": tumour_case(radius=5.6)[1]}
        for role, image in files.items():
            sitk.WriteImage(image, str(tmp_path / f"{role}-{number}.nrrd"))
        rows.append({"case_id": f"c{number}", **{role: str(tmp_path / f"{role}-{number}.nrrd") for role in files}})
    table = pd.DataFrame(rows).assign(patient_id=["p0", "p1", "p2"])
    table.loc[[0, 2], "repeat_mask"] = ""
    Path(table["mask"][2]).unlink()
    table = table.set_index("case_id", drop=False)
    labels = pd.DataFrame(np.nan, index=table.index, columns=list(KEYS))
    return Cohort(Path("three.csv"), table, labels, {"PDL1": 0, "TPS": 0, "CD8A": 0}, float("nan"))


def cached_files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache").rglob("*.npz"))


def never(*given: object, **options: object) -> None:
    raise AssertionError("this was not to be computed")


def test_patches_alone_need_no_radiomics_and_no_second_mask(cohort, tmp_path, monkeypatch):
    monkeypatch.setattr(one_case, "extract_features", never)
    lines = []
    found = extract_cohort(cohort, Run(report=lines.append), wants="patches")
    assert [(event.done, event.total) for event in lines] == [(1, 3), (2, 3), (3, 3)]
    assert found.features.shape == (2, 0)
    assert list(found.features.index) == ["c0", "c1"]
    assert found.repeats is None
    assert list(found.failed) == ["c2"]
    ct = sitk.GetArrayFromImage(textured(1, radius=5.0)[0])
    assert found.patches.shape == (2, 160, 160)
    np.testing.assert_array_equal(found.patches[1][75:85, 75:85], ct[14][15:25, 15:25])
    assert len(cached_files(tmp_path)) == 2
    monkeypatch.setattr(one_case, "prepare", never)
    Path(cohort.table["repeat_mask"]["c1"]).unlink()
    again = extract_cohort(cohort, Run(), wants="patches")
    np.testing.assert_array_equal(found.patches, again.patches)
    assert found.quality == again.quality


def test_the_three_wants_do_not_meet_in_the_cache_but_patches_come_from_a_full_run(cohort, tmp_path, monkeypatch):
    full = extract_cohort(cohort, Run())
    assert len(cached_files(tmp_path)) == 2
    with monkeypatch.context() as patched:
        patched.setattr(one_case, "prepare", never)
        patches = extract_cohort(cohort, Run(), wants="patches")
    assert len(cached_files(tmp_path)) == 2
    assert patches.features.shape == (2, 0)
    assert patches.repeats is None
    np.testing.assert_array_equal(full.patches, patches.patches)
    assert full.quality == patches.quality
    shuffled = extract_cohort(cohort, Run(), wants="shuffled", seed=1)
    assert len(cached_files(tmp_path)) == 4
    assert shuffled.patches.shape == (2, 0)
    assert tuple(shuffled.features.columns) == FEATURE_COLUMNS
    assert np.isfinite(shuffled.repeats).all(axis=1).tolist() == [False, True]
    monkeypatch.setattr(one_case, "extract_features", never)
    pd.testing.assert_frame_equal(shuffled.features, extract_cohort(cohort, Run(), wants="shuffled", seed=1).features)
    features = extract_cohort(cohort, Run(), wants="features", seed=1)
    pd.testing.assert_frame_equal(full.features, features.features)
    np.testing.assert_array_equal(full.repeats, features.repeats)
    assert features.patches.shape == (2, 0)
    assert len(cached_files(tmp_path)) == 4
    with pytest.raises(CohortError, match=r"AssertionError in test_shuffling\.py"):
        extract_cohort(cohort, Run(), wants="shuffled", seed=2)


def test_shuffled_features_do_not_depend_on_the_order_of_the_cases(cohort):
    row = cohort.table.loc["c0"]
    task = CaseTask("a", row["ct"], row["mask"], wants="shuffled", seed=4)
    alone = compute_case(task, cache_folder())
    direct = prepare(case_from_images(*textured(0, radius=5.0), case_id="b"))
    assert alone.error == ""
    np.testing.assert_array_equal(alone.features, list(extract_features(shuffled_voxels(direct, 4)).values()))

"""What every engine does alike: names, refusals and values of the features of both regions."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from DeepRadScoreLib.errors import RegionError
from DeepRadScoreLib.models import Engine
from DeepRadScoreLib.radscore.extraction import extract_features, feature_steps
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS, FEATURE_NAMES, REGIONS, region_columns
from support.feature_cases import ball, mask_image, noise_image, prepared_case


@pytest.fixture(scope="module")
def noise() -> sitk.Image:
    return noise_image()


@pytest.fixture(params=Engine)
def engine(request: pytest.FixtureRequest) -> Engine:
    if request.param is Engine.PYRADIOMICS:
        pytest.importorskip("radiomics")
    return request.param


def test_names_are_those_of_the_reference_table(shared: Path) -> None:
    with (shared / "reference" / "oracle" / "pyradiomics_3.0.1_tumour.csv").open() as stream:
        names = tuple(row["feature"] for row in csv.DictReader(stream))
    assert names == FEATURE_NAMES
    assert len(FEATURE_NAMES) == 851
    assert len(set(FEATURE_COLUMNS)) == 1702
    assert region_columns("tumour") + region_columns("peritumoral") == FEATURE_COLUMNS


@pytest.mark.parametrize(
    ("voxels", "words"),
    [
        (np.s_[:0, :0, :0], "no voxel"),
        (np.s_[5:6, 5:6, 5:6], "point or a line"),
        (np.s_[5:6, 5:6, 5:12], r"point or a line, too small for texture features \(voxels: 7\)"),
        (([5, 9], [5, 9], [5, 5]), "original_firstorder_RobustMeanAbsoluteDeviation has no finite value"),
    ],
)
@pytest.mark.parametrize("region", REGIONS)
def test_a_region_without_features_is_refused_by_name(
    noise: sitk.Image, voxels, words: str, region: str, engine: Engine
) -> None:
    small = np.zeros(noise.GetSize()[::-1])
    small[voxels] = 1
    masks = {"tumour": ball(noise, 4), "peritumoral": ball(noise, 6, inner=4), region: mask_image(small, noise)}
    with pytest.raises(RegionError, match=words) as refusal:
        extract_features(prepared_case("case 7", noise, masks["tumour"], masks["peritumoral"]), engine)
    assert f"case 7, {region} region" in str(refusal.value)


@pytest.mark.parametrize("region", REGIONS)
def test_a_region_off_the_grid_of_the_image_is_refused(noise: sitk.Image, region: str, engine: Engine) -> None:
    moved = ball(noise, 4)
    moved.SetOrigin((0.0, 0.0, 0.0))
    masks = {"tumour": ball(noise, 4), "peritumoral": ball(noise, 6, inner=4), region: moved}
    with pytest.raises(RegionError, match=f"case 7, {region} region: the region does not lie on the grid"):
        extract_features(prepared_case("case 7", noise, masks["tumour"], masks["peritumoral"]), engine)


def test_the_engines_agree_and_ours_is_the_default(noise: sitk.Image) -> None:
    pytest.importorskip("radiomics")
    case = prepared_case("noise", noise, ball(noise, 5.2), ball(noise, 8.2, inner=5.2))
    ours, theirs = (extract_features(case, engine) for engine in Engine)
    assert tuple(ours) == tuple(theirs) == FEATURE_COLUMNS
    np.testing.assert_allclose(list(ours.values()), list(theirs.values()), rtol=1e-6)
    assert list(ours.values()) != list(theirs.values())
    assert extract_features(case) == ours


def test_every_step_has_a_label(noise: sitk.Image, engine: Engine) -> None:
    labels = list(feature_steps(prepared_case("noise", noise, ball(noise, 4), ball(noise, 6, inner=4)), engine))
    assert len(labels) > 5
    assert all(labels)

"""The 851 features of both regions against the original pyradiomics 3.0.1 and against the installed pyradiomics."""

from __future__ import annotations

import csv
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from DeepRadScoreLib.errors import MissingPackageError, RegionError
from DeepRadScoreLib.imaging.carriers import DeepPatch, PreparedCase
from DeepRadScoreLib.radscore.engine import extract_features, feature_steps
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS, FEATURE_NAMES, REGIONS, region_columns

CASES = ("lung1", "lung2", "ibsi_ct_phantom", "pat_2", "LUNG1-001")
CLASSES = ("shape", "firstorder", "glcm", "glrlm", "glszm", "ngtdm", "gldm")


def prepared_case(name: str, image: sitk.Image, tumour: sitk.Image, shell: sitk.Image) -> PreparedCase:
    blank = sitk.Image([160, 160, 1], sitk.sitkFloat32)
    patch = DeepPatch(blank, np.zeros((160, 160), bool), (0, 0, 0), area_mm2=0.0, cut_off_share=0.0)
    return PreparedCase(name, "pyradiomics", 3.0, image, tumour, shell, patch, blank, blank, ())


def mask_image(array: np.ndarray, like: sitk.Image) -> sitk.Image:
    mask = sitk.GetImageFromArray(array.astype(np.uint8))
    mask.CopyInformation(like)
    return mask


def plain_pyradiomics(image: sitk.Image, mask: sitk.Image) -> dict[str, float]:
    from radiomics.featureextractor import RadiomicsFeatureExtractor

    extractor = RadiomicsFeatureExtractor(binWidth=25, voxelArrayShift=1000, label=1, additionalInfo=False)
    extractor.disableAllImageTypes()
    extractor.enableImageTypes(Original={}, Wavelet={})
    extractor.disableAllFeatures()
    for name in CLASSES:
        extractor.enableFeatureClassByName(name)
    return {name: float(value) for name, value in extractor.execute(image, mask).items()}


@pytest.fixture(scope="module")
def noise() -> sitk.Image:
    """int16, 1 mm, odd and even sizes, oblique, with an origin of its own."""
    values = np.random.default_rng(3).normal(-400, 250, (21, 24, 27)).round().astype(np.int16)
    image = sitk.GetImageFromArray(values)
    image.SetOrigin((-31.0, 12.5, 700.25))
    image.SetDirection((0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0))
    return image


def ball(image: sitk.Image, radius: float, inner: float = -1.0) -> sitk.Image:
    z, y, x = np.indices(image.GetSize()[::-1])
    distance = np.sqrt((z - 10) ** 2 + (y - 11.5) ** 2 + (x - 13) ** 2)
    return mask_image((distance <= radius) & (distance > inner), image)


def test_names_are_those_of_the_reference_table(shared: Path) -> None:
    with (shared / "reference" / "oracle" / "pyradiomics_3.0.1_tumour.csv").open() as stream:
        names = tuple(row["feature"] for row in csv.DictReader(stream))
    assert names == FEATURE_NAMES
    assert len(FEATURE_NAMES) == 851
    assert len(set(FEATURE_COLUMNS)) == 1702
    assert region_columns("tumour") + region_columns("peritumoral") == FEATURE_COLUMNS


def test_the_library_imports_radiomics_late() -> None:
    code = "import sys; import DeepRadScoreLib.radscore.engine; assert 'radiomics' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture(scope="module")
def relative_errors(shared: Path) -> dict[tuple[str, str, str], float]:
    """(case, region, feature) -> |found - reference| / |reference|, over all shared cases."""
    from radiomics import imageoperations

    folder = shared / "reference" / "oracle"
    reference = {}
    for region in REGIONS:
        with (folder / f"pyradiomics_3.0.1_{region}.csv").open() as stream:
            reference[region] = {row["feature"]: row for row in csv.DictReader(stream)}
    with (folder / "cases.csv").open() as stream:
        paths = {row["case"]: row for row in csv.DictReader(stream)}
    errors = {}
    for name in CASES:
        stored = sitk.ReadImage(str(folder / paths[name]["image"]))
        labels = sitk.Cast(sitk.ReadImage(str(folder / paths[name]["mask"])) == 1, sitk.sitkUInt32)
        image, tumour = imageoperations.resampleImage(
            stored, labels, resampledPixelSpacing=[1, 1, 1], interpolator="sitkBSpline", padDistance=10, label=1
        )
        shell_array = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / f"{name}_shell3mm.nii.gz")))
        case = prepared_case(name, image, sitk.Cast(tumour, sitk.sitkUInt8), mask_image(shell_array, image))
        found = extract_features(case)
        assert tuple(found) == FEATURE_COLUMNS
        for region in REGIONS:
            for feature in FEATURE_NAMES:
                expected = float(reference[region][feature][name])
                difference = abs(found[f"{region}_{feature}"] - expected)
                errors[name, region, feature] = difference / abs(expected) if expected else difference
    return errors


@pytest.mark.parametrize("name", CASES)
def test_equal_to_the_original_pyradiomics(
    relative_errors: dict[tuple[str, str, str], float], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    of_case = {key[1:]: error for key, error in relative_errors.items() if key[0] == name}
    worst = max(of_case, key=of_case.__getitem__)
    within = sum(error <= 1e-6 for error in of_case.values())
    with capsys.disabled():
        print(
            f"\n{name}: {within} of {len(of_case)} features within 1e-6; worst {of_case[worst]:.1e}, {' '.join(worst)}"
        )
    assert len(of_case) == within == 1702


def test_equal_to_the_installed_pyradiomics_on_a_prepared_image(noise: sitk.Image) -> None:
    tumour, shell = ball(noise, 5.2), ball(noise, 8.2, inner=5.2)
    found = extract_features(prepared_case("noise", noise, tumour, shell))
    for region, mask in zip(REGIONS, (tumour, shell), strict=True):
        expected = plain_pyradiomics(noise, mask)
        assert tuple(expected) == FEATURE_NAMES
        np.testing.assert_array_equal([found[column] for column in region_columns(region)], list(expected.values()))


def test_a_label_comes_before_every_step_and_the_shared_wavelet_once(
    noise: sitk.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    from radiomics import imageoperations

    calls = []
    original = imageoperations.getWaveletImage
    monkeypatch.setattr(imageoperations, "getWaveletImage", lambda *a, **k: calls.append(1) or original(*a, **k))
    steps = feature_steps(prepared_case("noise", noise, ball(noise, 4), ball(noise, 6, inner=4)))
    labels = []
    with pytest.raises(StopIteration) as end:
        while True:
            labels.append(next(steps))
    assert len(labels) == len(set(labels)) == 1 + 2 + 1 + 9 * 2 * 6
    assert calls == [1]
    assert tuple(end.value.value) == FEATURE_COLUMNS


@pytest.mark.parametrize(
    ("voxels", "words"),
    [
        (np.s_[:0, :0, :0], "no voxel"),
        (np.s_[5:6, 5:6, 5:6], "point or a line"),
        (np.s_[5:6, 5:6, 5:12], "point or a line"),
        (([5, 9], [5, 9], [5, 5]), "original_firstorder_RobustMeanAbsoluteDeviation has no finite value"),
    ],
)
@pytest.mark.parametrize("region", REGIONS)
def test_a_region_without_features_is_refused_by_name(noise: sitk.Image, voxels, words: str, region: str) -> None:
    small = np.zeros(noise.GetSize()[::-1])
    small[voxels] = 1
    masks = {"tumour": ball(noise, 4), "peritumoral": ball(noise, 6, inner=4), region: mask_image(small, noise)}
    with pytest.raises(RegionError, match=words) as refusal:
        extract_features(prepared_case("case 7", noise, masks["tumour"], masks["peritumoral"]))
    assert f"case 7, {region} region" in str(refusal.value)


@pytest.mark.parametrize("voxels", [np.s_[5:6, 5:7, 5:7], np.s_[5:7, 5:7, 5:7], np.s_[5:6, 2:9, 3:9]])
@pytest.mark.parametrize("flat", [False, True])
def test_the_smallest_regions_give_what_pyradiomics_gives(noise: sitk.Image, voxels, flat: bool) -> None:
    small = np.zeros(noise.GetSize()[::-1])
    small[voxels] = 1
    mask = mask_image(small, noise)
    image = noise * 0 + 40 if flat else noise
    found = extract_features(prepared_case("small", image, mask, mask))
    expected = plain_pyradiomics(image, mask)
    for region in REGIONS:
        np.testing.assert_array_equal([found[column] for column in region_columns(region)], list(expected.values()))


def test_pyradiomics_stays_silent_and_its_logger_is_left_as_it_was(noise: sitk.Image, caplog, capfd) -> None:
    caplog.set_level(logging.WARNING, logger="radiomics")
    flat = noise * 0 + 40
    extract_features(prepared_case("flat", flat, ball(noise, 4), ball(noise, 6, inner=4)))
    assert logging.getLogger("radiomics").level == logging.WARNING
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_without_radiomics_the_mending_line_is_given(noise: sitk.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "radiomics", None)
    with pytest.raises(MissingPackageError, match="pip install pyradiomics-bhklab"):
        extract_features(prepared_case("noise", noise, ball(noise, 4), ball(noise, 6, inner=4)))

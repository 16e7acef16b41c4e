"""Extraction by the installed pyradiomics against the original pyradiomics 3.0.1 and against its own extractor."""

from __future__ import annotations

import csv
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from DeepRadScoreLib.errors import MissingPackageError
from DeepRadScoreLib.models import Engine
from DeepRadScoreLib.radscore.extraction import extract_features
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS, FEATURE_NAMES, REGIONS, region_columns
from DeepRadScoreLib.radscore.pyradiomics_engine import pyradiomics_feature_steps
from support.engine_oracle import plain_pyradiomics
from support.feature_cases import ball, mask_image, noise_image, prepared_case

pytest.importorskip("radiomics")

CASES = ("lung1", "lung2", "pat_2")


@pytest.fixture(scope="module")
def noise() -> sitk.Image:
    return noise_image()


def test_the_library_imports_radiomics_late() -> None:
    code = "import sys; import DeepRadScoreLib.radscore.pyradiomics_engine; assert 'radiomics' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture(scope="module")
def relative_errors(shared: Path) -> dict[tuple[str, str, str], float]:
    """(case, region, feature) -> |found - reference| / |reference|, over the smaller shared cases."""
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
        found = extract_features(case, Engine.PYRADIOMICS)
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
    found = extract_features(prepared_case("noise", noise, tumour, shell), Engine.PYRADIOMICS)
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
    steps = pyradiomics_feature_steps(prepared_case("noise", noise, ball(noise, 4), ball(noise, 6, inner=4)))
    labels = []
    with pytest.raises(StopIteration) as end:
        while True:
            labels.append(next(steps))
    assert len(labels) == len(set(labels)) == 1 + 2 + 1 + 9 * 2 * 6
    assert calls == [1]
    assert tuple(end.value.value) == FEATURE_COLUMNS


@pytest.mark.parametrize("voxels", [np.s_[5:6, 5:7, 5:7], np.s_[5:7, 5:7, 5:7], np.s_[5:6, 2:9, 3:9]])
@pytest.mark.parametrize("flat", [False, True])
def test_the_smallest_regions_give_what_pyradiomics_gives(noise: sitk.Image, voxels, flat: bool) -> None:
    small = np.zeros(noise.GetSize()[::-1])
    small[voxels] = 1
    mask = mask_image(small, noise)
    image = noise * 0 + 40 if flat else noise
    found = extract_features(prepared_case("small", image, mask, mask), Engine.PYRADIOMICS)
    expected = plain_pyradiomics(image, mask)
    for region in REGIONS:
        np.testing.assert_array_equal([found[column] for column in region_columns(region)], list(expected.values()))


def test_pyradiomics_stays_silent_and_its_logger_is_left_as_it_was(noise: sitk.Image, caplog, capfd) -> None:
    caplog.set_level(logging.WARNING, logger="radiomics")
    flat = noise * 0 + 40
    extract_features(prepared_case("flat", flat, ball(noise, 4), ball(noise, 6, inner=4)), Engine.PYRADIOMICS)
    assert logging.getLogger("radiomics").level == logging.WARNING
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_without_radiomics_the_mending_line_is_given(noise: sitk.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "radiomics", None)
    case = prepared_case("noise", noise, ball(noise, 4), ball(noise, 6, inner=4))
    with pytest.raises(MissingPackageError, match=r"pip install 'DeepRadScore\[pyradiomics\]'") as error:
        extract_features(case, Engine.PYRADIOMICS)
    assert "SlicerRadiomics" in str(error.value)

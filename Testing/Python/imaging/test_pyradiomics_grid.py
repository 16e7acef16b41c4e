"""The 1 mm grid of `--preprocessing pyradiomics` against pyradiomics itself, to the bit."""

from __future__ import annotations

import csv
import sys

import numpy as np
import pytest
import SimpleITK as sitk

from DeepRadScoreLib.errors import RegionError
from DeepRadScoreLib.imaging import Case, prepare, read_case
from DeepRadScoreLib.imaging.frame import pyradiomics_frame
from support.imaging_phantoms import image_of, rotation, tumour_case

CASES = ("lung1", "lung2", "ibsi_ct_phantom", "pat_2", "LUNG1-001")
PIXELS = (sitk.sitkInt16, sitk.sitkInt32, sitk.sitkFloat32, sitk.sitkFloat64)


def of_pyradiomics(case: Case, shell_mm: float) -> tuple[sitk.Image, sitk.Image]:
    """CT and tumour as pyradiomics resamples them."""
    imageoperations = pytest.importorskip("radiomics.imageoperations")
    pad = max(10, int(np.ceil(shell_mm)))
    settings = {"resampledPixelSpacing": [1, 1, 1], "interpolator": "sitkBSpline", "padDistance": pad, "label": 1}
    return imageoperations.resampleImage(case.ct, sitk.Cast(case.tumour, sitk.sitkUInt32), **settings)


def assert_same(image: sitk.Image, expected: sitk.Image) -> None:
    for fact in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        assert getattr(image, fact)() == getattr(expected, fact)(), fact
    assert sitk.GetArrayViewFromImage(image).tobytes() == sitk.GetArrayViewFromImage(expected).tobytes()


def assert_as_by_pyradiomics(case: Case, shell_mm: float = 3.0) -> None:
    ct, tumour = of_pyradiomics(case, shell_mm)
    found = pyradiomics_frame(case, shell_mm)
    assert found.ct.GetPixelID() == ct.GetPixelID() == case.ct.GetPixelID()
    assert_same(found.ct, ct)
    assert_same(found.tumour, sitk.Cast(tumour, sitk.sitkUInt8))


@pytest.mark.parametrize("name", CASES)
def test_equal_on_the_shared_cases(shared, name):
    folder = shared / "reference" / "oracle"
    with (folder / "cases.csv").open() as stream:
        row = next(r for r in csv.DictReader(stream) if r["case"] == name)
    case = read_case(folder / row["image"], folder / row["mask"])
    assert_as_by_pyradiomics(case)
    ct = sitk.Cast(case.ct, sitk.sitkInt16 if case.ct.GetPixelID() == sitk.sitkFloat32 else sitk.sitkFloat32)
    assert_as_by_pyradiomics(Case(name, ct, case.tumour))


def random_case(rng: np.random.Generator) -> Case:
    """A box of random voxels, somewhere in a CT of random geometry with flat parts; every third touches an end."""
    size = rng.integers(6, 170, 3)
    spacing = np.where(rng.random(3) < 0.2, 1.0, rng.choice([0.4, 0.5, 0.7, 0.977, 1.25, 2.5, 3.0, 5.0], 3))
    spacing *= np.where(rng.random(3) < 0.3, 1 + rng.normal(0, 1e-6, 3), 1.0)
    low = rng.integers(0, size - 2)
    high = np.minimum(low + rng.integers(0, 25, 3), size - 1)
    if rng.random() < 1 / 3:
        low, high = (np.zeros(3, int), high) if rng.random() < 0.5 else (low, size - 1)
    mask = np.zeros(size[::-1], np.uint8)
    box = tuple(slice(a, b + 1) for a, b in zip(low[::-1], high[::-1], strict=True))
    mask[box] = rng.random(mask[box].shape) < 0.7
    mask[box][0, 0, 0] = 1
    hu = np.round(rng.normal(-300, 500, mask.shape))
    hu[:, : size[1] // 2] = -1024
    direction = rotation(*rng.uniform(-40, 40, 2)) if rng.random() < 0.5 else np.eye(3)[:, rng.permutation(3)]
    origin = rng.normal(0, 200, 3)
    pixel = PIXELS[int(rng.integers(len(PIXELS)))]
    if pixel in PIXELS[2:]:
        hu = hu + rng.normal(0, 1, hu.shape)
    ct = sitk.Cast(image_of(hu, spacing, origin, direction), pixel)
    return Case("random", ct, image_of(mask, spacing, origin, direction))


def test_equal_on_random_geometries():
    rng = np.random.default_rng(15)
    for _ in range(60):
        assert_as_by_pyradiomics(random_case(rng), float(rng.choice([3.0, 10.5, 20.0])))


@pytest.mark.parametrize("pixel", PIXELS)
@pytest.mark.parametrize("spacing", [(0.8, 0.8, 5.0), (1.0, 1.0, 1.0), (1.0, 1.0, 3.0)])
def test_equal_in_each_pixel_type(pixel, spacing):
    ct, mask = tumour_case((60, 50, 90), spacing, 9.0, direction=rotation(20, 30), origin=(0.1, -99.3, 1234.5))
    assert_as_by_pyradiomics(Case("phantom", sitk.Cast(ct, pixel), mask))


def test_one_slice_keeps_its_thickness():
    ct, mask = tumour_case((60, 50, 30), (0.8, 0.8, 5.0), 9.0)
    values = sitk.GetArrayFromImage(mask)
    values[:15], values[16:] = 0, 0
    case = Case("flat", ct, image_of(values, mask.GetSpacing()))
    assert_as_by_pyradiomics(case)
    assert pyradiomics_frame(case, 3.0).ct.GetSpacing() == (1.0, 1.0, 5.0)


def test_prepared_without_pyradiomics(monkeypatch):
    for module in [name for name in sys.modules if name.split(".")[0] == "radiomics"]:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, "radiomics", None)
    prepared = prepare(Case("phantom", *tumour_case(spacing=(0.8, 0.8, 2.0))), preprocessing="pyradiomics")
    assert prepared.image.GetSpacing() == (1.0, 1.0, 1.0)


def test_an_empty_mask_is_refused():
    ct, mask = tumour_case()
    with pytest.raises(RegionError, match="the tumour mask is empty"):
        pyradiomics_frame(Case("phantom", ct, mask * 0), 3.0)

"""Contours that stand twice along z are remarked on; those of other CTs are not."""

from __future__ import annotations

import numpy as np
import pytest

from DeepRadScoreLib.imaging import case_from_images, prepare, read_case
from DeepRadScoreLib.imaging.checks.double_contours import strongest_repeat
from DeepRadScoreLib.synthetic.causes import LATENTS
from DeepRadScoreLib.synthetic.phantom import make_case
from support.shifts import Volume, acquisition

RNG = np.random.default_rng(0)
SPACING = (1.5, 3.0, 3.0)


def noted(case) -> list[str]:
    return [note.message for note in prepare(case).quality if note.code == "double_contours"]


def breathing(case, mm: float):
    return acquisition.breathing(Volume.of(case), RNG, mm).case("breathing")


@pytest.mark.parametrize("slices", [3, 6, 8])
def test_slices_averaged_with_others_correlate_by_one_half_there_and_without_not_at_all(slices):
    """White noise: changes of (n(z) + n(z - k)) / 2 have half their variance in common with those k slices further."""
    hu = RNG.normal(-400, 100, (48, 80, 80))
    correlation, apart = strongest_repeat((hu[slices:] + hu[:-slices]) / 2, SPACING)
    assert correlation == pytest.approx(0.5, abs=0.02)
    assert apart == slices * 1.5
    assert (strongest_repeat(hu, SPACING) or (0, 0))[0] < 0.05


def test_nothing_is_said_of_few_or_thick_slices_or_where_nothing_changes():
    hu = RNG.normal(-400, 100, (48, 20, 20))
    assert strongest_repeat(hu[:6], SPACING) is None
    assert strongest_repeat(hu, (7.0, 3.0, 3.0)) is None
    assert strongest_repeat(np.full((48, 20, 20), -700), SPACING) is None
    assert strongest_repeat(hu[:, :, :0], SPACING) is None


def test_surfaces_that_run_on_from_slice_to_slice_are_no_second_contour():
    """Edges that move by half a voxel a slice change much the same voxels in the next slices."""
    z, y, x = np.indices((48, 80, 80))
    hu = np.where((x + 0.5 * z) % 40 + 0 * y < 20, 40, -850)
    found = strongest_repeat(hu, SPACING)
    assert found is None or found[0] < 0.05


@pytest.mark.parametrize("site", ["A", "B"])
def test_two_phases_of_the_breath_in_one_phantom_are_noted(site):
    case = case_from_images(*make_case(dict.fromkeys(LATENTS, 0.0), site, 5), case_id="phantom")
    assert noted(case) == []
    for mm in (5.0, 8.0):
        (message,) = noted(breathing(case, mm))
        assert f"{mm:.0f} mm apart" in message or f"{mm - 1:.0f} mm apart" in message


@pytest.mark.parametrize("name", ["nsclc-radiomics-lung1/ct/LUNG1-001", "nsclc-radiomics-lung1/ct/LUNG1-002"])
def test_they_are_noted_in_cts_of_patients_that_lack_them_as_they_are(shared, name):
    ct, mask = (shared / "data" / f"{name}_{what}_crop40.nii.gz" for what in ("ct", "gtv1"))
    case = read_case(ct, mask)
    assert noted(case) == []
    assert len(noted(breathing(case, 9.0))) == 1

"""A result's image files as 3D Slicer's own data model reads them: placed, named, coloured."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from DeepRadScoreLib.imaging import read_case
from DeepRadScoreLib.imaging.origin import SYNTHETIC_LABEL
from DeepRadScoreLib.report.figures import SHELL_COLOUR, TUMOUR_COLOUR
from DeepRadScoreLib.report.writing import write_profile
from support.dicom_results import profile_of, study
from support.viewers import in_slicer


def positions(mask: sitk.Image) -> np.ndarray:
    """(n, 3) centres of the voxels that are not 0, mm, LPS."""
    axes = np.reshape(mask.GetDirection(), (3, 3)) * mask.GetSpacing()
    return np.argwhere(sitk.GetArrayFromImage(mask))[:, ::-1] @ axes.T + mask.GetOrigin()


def test_regions_and_maps(tmp_path):
    if in_slicer.MISSING:
        pytest.skip(in_slicer.MISSING)
    profile = profile_of(read_case(study(tmp_path / "study")), synthetic=True)
    write_profile(profile, tmp_path / "out")
    regions = tmp_path / "out" / "regions.seg.nrrd"
    found, voxels = in_slicer.opened([regions, tmp_path / "out" / "gradcam_EGFR.nrrd"])
    for n, (name, mask, colour) in enumerate(
        (
            ("Tumour", profile.prepared.tumour, TUMOUR_COLOUR),
            ("Shell 3 mm", profile.prepared.peritumoral, SHELL_COLOUR),
        )
    ):
        segment = found[str(regions)][n]
        assert segment["name"] == f"{name} ({SYNTHETIC_LABEL})"
        np.testing.assert_allclose(voxels[f"0 {n}"][:, :3], positions(mask), atol=1e-5)
        np.testing.assert_allclose(segment["colour"], [part / 255 for part in bytes.fromhex(colour[1:])], atol=1e-5)
    heat = profile.heat_map("EGFR")
    np.testing.assert_allclose(voxels["1"][:, :3], positions(heat), atol=1e-4)
    np.testing.assert_array_equal(np.float32(voxels["1"][:, 3]), profile.gradcam["EGFR"][profile.gradcam["EGFR"] != 0])


def test_the_segmentation_is_read_as_the_tumour_again(tmp_path):
    root = study(tmp_path / "study")
    case = read_case(root)
    profile = profile_of(case)
    write_profile(profile, tmp_path / "out")
    again = read_case(root / "ct", tmp_path / "out" / "regions.seg.nrrd")
    assert again.other_tumours is None
    shared = sitk.GetArrayFromImage(again.tumour) & sitk.GetArrayFromImage(case.tumour)
    assert shared.sum() > 0.8 * sitk.GetArrayFromImage(case.tumour).sum()

"""Files as other programs write them: each is placed and measured rightly, or refused by name; none wrongly in silence.

The truth is the ball of the phantom (its lattice volume, where it lies) and what ITK and nibabel make of the file.
"""

from __future__ import annotations

import bz2
import json
import locale
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from DeepRadScoreLib.cohort.table import read_cohort
from DeepRadScoreLib.computing.case_record import CaseSettings
from DeepRadScoreLib.computing.extraction import CohortFeatures, extract_cohort
from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.errors import CohortError, InputError
from DeepRadScoreLib.imaging import Case, MaskContent, case_from_images, lung_on_grid, read_case, read_image
from DeepRadScoreLib.imaging.formats.files import write_image
from DeepRadScoreLib.models import MaskGrid
from DeepRadScoreLib.report.case_folders import analyse_cases
from support import dicom_phantoms
from support.foreign_files import (
    CENTRE,
    HU,
    MASK,
    MEAN_HU,
    ORIGIN,
    SIZE,
    SPACING,
    VOLUME_MM3,
    affine,
    itk_image,
    moved,
    sheared,
    write_itk,
    write_nifti,
    write_nrrd,
)
from support.imaging_phantoms import image_of, rotation


@dataclass(frozen=True)
class Made:
    """A CT and a mask on disk, and the options with which they are read."""

    ct: Path
    mask: Path
    options: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Right:
    """The tumour of the phantom, at its place to a tenth of a voxel, and the codes of the remarks on it."""

    codes: tuple[str, ...] = ()
    says: str = ""


@dataclass(frozen=True)
class Refused:
    """One sentence that names the reason."""

    match: str
    without: str = "damaged"


Maker = Callable[[Path], Made]
TRUE = affine()


def nifti_pair(folder: Path, suffix: str = ".nii", **fields: object) -> Made:
    """CT and mask with the same header."""
    ct, mask = folder / f"ct{suffix}", folder / f"mask{suffix}"
    return Made(write_nifti(ct, HU, **fields), write_nifti(mask, MASK, **fields))


def pair(**fields: object) -> Maker:
    return lambda folder: nifti_pair(folder, **fields)


def nifti_ct(values: np.ndarray = HU, **fields: object) -> Maker:
    """Such a CT with a plain mask."""
    return lambda folder: Made(write_nifti(folder / "ct.nii", values, **fields), write_itk(folder / "m.nrrd", MASK))


def nifti_mask(values: np.ndarray = MASK, **fields: object) -> Maker:
    """Such a mask on a plain CT."""
    return lambda folder: Made(write_itk(folder / "ct.nrrd", HU), write_nifti(folder / "m.nii", values, **fields))


def itk_mask(values: np.ndarray = MASK, name: str = "m.nrrd", options: dict[str, object] | None = None, **geometry):
    """Such a mask on a plain CT."""

    def make(folder: Path) -> Made:
        return Made(write_itk(folder / "ct.nrrd", HU), write_itk(folder / name, values, **geometry), options or {})

    return make


def itk_ct(values: np.ndarray = HU, name: str = "ct.nrrd", **geometry: object) -> Maker:
    """Such a CT with a plain mask."""
    return lambda folder: Made(write_itk(folder / name, values, **geometry), write_itk(folder / "m.nrrd", MASK))


def nrrd_ct(fields: dict[str, str], data: bytes | None = None) -> Maker:
    return lambda folder: Made(
        write_nrrd(folder / "ct.nrrd", HU, fields, data), write_nrrd(folder / "m.nrrd", MASK, fields)
    )


def in_unit(mm: float) -> np.ndarray:
    matrix = TRUE / mm
    matrix[3, 3] = 1.0
    return matrix


def turned_ct(folder: Path) -> Made:
    """A left-handed CT as dcm2niix writes it, and the mask as Slicer saves it on the CT with its slices turned."""
    turned = affine(origin=(ORIGIN[0], ORIGIN[1], ORIGIN[2] + SPACING[2] * (SIZE[2] - 1)))
    turned[2, 2] *= -1
    ct = write_nifti(folder / "ct.nii", HU[::-1], sform=turned, qform=turned)
    return Made(ct, write_itk(folder / "m.seg.nrrd", MASK))


def with_json(fields: dict[str, object]) -> Maker:
    def make(folder: Path) -> Made:
        (folder / "ct.json").write_text(json.dumps(fields))
        return nifti_pair(folder, sform=TRUE, qform=TRUE)

    return make


def with_dicom(*, without: int | None = None, spacing: float = SPACING[2]) -> Maker:
    """The CT's DICOM files beside it, all of the phantom's slices or one fewer at its place, at a spacing."""

    def make(folder: Path) -> Made:
        count = SIZE[2] + (without is not None)
        series = dicom_phantoms.ct_series(np.zeros((count, *HU.shape[1:]), np.int16), spacing=(0.7, 0.8, spacing))
        dicom_phantoms.save([one for n, one in enumerate(series) if n != without], folder)
        return nifti_pair(folder, sform=TRUE, qform=TRUE)

    return make


def evened(folder: Path) -> Made:
    (folder / "ct_Eq_1.nii").write_bytes(b"")
    return nifti_pair(folder, sform=TRUE, qform=TRUE)


def nifti_2(folder: Path) -> Made:
    made = nifti_pair(folder, sform=TRUE, qform=TRUE)
    nibabel.save(nibabel.Nifti2Image(HU.T, TRUE), made.ct)
    return made


def metaimage(change: Callable[[Path], None] = lambda _: None, name: str = "ct.mhd", compress: bool = False) -> Maker:
    def make(folder: Path) -> Made:
        sitk.WriteImage(itk_image(HU), str(folder / name), compress)
        change(folder)
        return Made(folder / name, write_itk(folder / "m.mha", MASK))

    return make


def named_pixels(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / "ct.mhd").read_text()
        (folder / "ct.mhd").write_text(text.replace("ct.raw", name))

    return change


def detached_nrrd(folder: Path) -> Made:
    (folder / "pixels.raw").write_bytes(HU.tobytes())
    fields = {"data file": "pixels.raw"}
    return Made(write_nrrd(folder / "ct.nrrd", HU, fields, b""), write_itk(folder / "m.nrrd", MASK))


def cropped_mask(folder: Path) -> Made:
    """A mask that Slicer has cropped to its segment."""
    part = itk_image(MASK)[4:34, 5:33, 2:24]
    sitk.WriteImage(part, str(folder / "m.seg.nrrd"))
    return Made(write_itk(folder / "ct.nrrd", HU), folder / "m.seg.nrrd")


def lung(values: np.ndarray, options: dict[str, object] | None = None, **geometry: object) -> Maker:
    def make(folder: Path) -> Made:
        made = itk_mask()(folder)
        path = write_itk(folder / "lung.nrrd", values, **geometry)
        return Made(made.ct, made.mask, {"lung_mask": path, **(options or {})})

    return make


TURN = rotation(2.0)
LOST = {
    "its origin": {"origin": (0.0, 0.0, 0.0)},
    "mirrored axes": {"direction": np.diag([-1.0, -1.0, 1.0])},
    "RAS taken for LPS": {
        "direction": np.diag([-1.0, -1.0, 1.0]),
        "origin": (-ORIGIN[0], -ORIGIN[1], ORIGIN[2]),
    },
    "all of it": {"origin": (0.0, 0.0, 0.0), "spacing": (1.0, 1.0, 1.0)},
    "its spacing": {"spacing": (1.0, 1.0, 1.0)},
    "slices upside down": {"direction": np.diag([1.0, 1.0, -1.0])},
    "over half a voxel": {"origin": (ORIGIN[0] + 0.6 * SPACING[0], *ORIGIN[1:])},
}
FLOATS = MASK * 0.996

TABLE: dict[str, tuple[Maker, Right | Refused]] = {
    # --- NIfTI: fields that agree
    "nifti, qform and sform": (pair(sform=TRUE, qform=TRUE), Right()),
    "nifti, gzip": (pair(suffix=".nii.gz", sform=TRUE, qform=TRUE), Right()),
    "nifti, qform alone": (pair(qform=TRUE), Right()),
    "nifti, sform alone": (pair(sform=TRUE), Right()),
    "nifti, sform alone, aligned": (pair(sform=TRUE, codes=(0, 2)), Right()),
    "nifti, big endian": (pair(sform=TRUE, qform=TRUE, order=">"), Right()),
    "nifti, no unit": (pair(sform=TRUE, qform=TRUE, units=0), Right()),
    "nifti, slope nan": (pair(sform=TRUE, qform=TRUE, slope=np.nan, intercept=np.nan), Right()),
    "nifti, slope 0": (pair(sform=TRUE, qform=TRUE, slope=0.0), Right()),
    "nifti, left-handed CT, mask by Slicer": (turned_ct, Right(("mask_resampled",))),
    # --- NIfTI: pixdim
    "pixdim 1, sform": (pair(sform=TRUE, pixdim=(1, 1, 1)), Right(("nifti_pixdim_unset",) * 2, "pixdim")),
    "pixdim 1, sform aligned": (
        pair(sform=TRUE, codes=(0, 2), pixdim=(1, 1, 1)),
        Right(("nifti_pixdim_unset",) * 2, "pixdim"),
    ),
    "pixdim 0, sform": (pair(sform=TRUE, pixdim=(0, 0, 0)), Right(("nifti_pixdim_unset",) * 2, "pixdim")),
    "pixdim 1, mask alone": (nifti_mask(sform=TRUE, pixdim=(1, 1, 1)), Right(("nifti_pixdim_unset",), "^Mask: pixdim")),
    "pixdim 1, qform set": (pair(sform=TRUE, qform=TRUE, pixdim=(1, 1, 1)), Refused("pixdim says voxels of 1 x 1 x 1")),
    "pixdim of other slices": (pair(sform=TRUE, pixdim=(0.7, 0.8, 1.25)), Refused("pixdim says.* the sform 0.7 x 0.8")),
    "sform without spacing": (pair(sform=affine((1, 1, 1)), pixdim=SPACING), Refused("pixdim says.* sform 1 x 1 x 1")),
    "pixdim negative": (pair(qform=TRUE, pixdim=(-0.7, 0.8, 2)), Refused("pixdim is -0.7 x 0.8 x 2")),
    "pixdim nan": (pair(qform=TRUE, pixdim=(np.nan, 0.8, 2)), Refused("pixdim is nan")),
    # --- NIfTI: qform and sform
    "forms apart": (pair(sform=moved(TRUE, 5, 0, 0), qform=TRUE), Refused("qform and sform place.* 5 mm apart")),
    "forms apart, sform aligned": (
        pair(sform=moved(TRUE, 0, 0, 40), qform=TRUE, codes=(1, 2)),
        Refused("qform and sform place.* 40 mm apart"),
    ),
    "forms apart, mask alone": (
        nifti_mask(sform=moved(TRUE, 5, 0, 0), qform=TRUE, codes=(1, 2)),
        Refused("qform and sform place.* 5 mm apart"),
    ),
    "forms rotated": (pair(sform=TRUE @ np.diag([1, 1, -1, 1]), qform=TRUE), Refused("qform and sform place")),
    "forms mirrored": (pair(sform=np.diag([-1, 1, 1, 1]) @ TRUE, qform=TRUE), Refused("qform and sform place")),
    "forms a third of a voxel apart": (
        pair(sform=TRUE, qform=moved(TRUE, 0.25, 0, 0), codes=(1, 2)),
        Right(("nifti_forms_differ",) * 2, "qform and sform .* 0.25 mm"),
    ),
    "tilt hidden by a qform": (
        pair(sform=sheared(TRUE, 0.27, axis=2, onto=1), qform=TRUE),
        Refused("sform is sheared by 15.* degrees .*gantry tilt.* apart"),
    ),
    "no form": (pair(), Right(("nifti_unplaced",) * 2, "qform_code and sform_code")),
    "sform of zeros": (pair(sform=np.diag([0.0, 0, 0, 1]), pixdim=SPACING), Refused("the sform is no place in space")),
    # --- angles
    "sform sheared": (pair(sform=sheared(TRUE, 0.27)), Refused(r"right angles \(gantry tilt or shear\): 15")),
    "axes off 3e-4": (pair(sform=sheared(TRUE, 3e-4)), Right(("axes_straightened",) * 2, "0.017 degrees")),
    "axes off 1e-3, gzip": (
        pair(suffix=".nii.gz", sform=sheared(TRUE, 1e-3, axis=2, onto=1), codes=(0, 2)),
        Right(("axes_straightened",) * 2, "0.057 degrees"),
    ),
    "axes off 1e-3, qform straight": (pair(sform=sheared(TRUE, 1e-3), qform=TRUE), Right()),
    "axes off 1e-4": (pair(sform=sheared(TRUE, 1e-4)), Right(("axes_straightened",) * 2)),
    "nrrd, axes off 5e-4": (
        nrrd_ct({"space directions": "(0.7,0,0) (0.0004,0.8,0) (0,0,2)"}),
        Right(("axes_straightened",) * 2, "degrees off right angles"),
    ),
    # --- units, spacing
    "CT in metres": (nifti_ct(sform=in_unit(1000), qform=in_unit(1000), units=1), Right()),
    "mask in metres": (nifti_mask(sform=in_unit(1000), units=1), Right()),
    "both in micrometres": (pair(sform=in_unit(0.001), qform=in_unit(0.001), units=3), Right()),
    "mask in micrometres": (nifti_mask(qform=in_unit(0.001), units=3), Right()),
    "metres, pixdim unset": (
        pair(sform=in_unit(1000), pixdim=(1, 1, 1), units=1),
        Right(("nifti_pixdim_unset",) * 2),
    ),
    "mm called metres": (pair(sform=TRUE, qform=TRUE, units=1), Refused("xyzt_units says metre.* 700 x 800 x 2000 mm")),
    "mm called micrometres": (nifti_ct(qform=TRUE, units=3), Refused("xyzt_units says micrometre.* 0.0007 x ")),
    "mask called metres": (nifti_mask(qform=TRUE, units=1), Refused("xyzt_units says metre")),
    "nifti of 25 mm": (pair(qform=affine((0.7, 0.8, 25))), Refused("its voxels are 0.7 x 0.8 x 25 mm")),
    "nrrd of 0.01 mm": (itk_ct(spacing=(0.01, 0.01, 2)), Refused("its voxels are 0.01 x 0.01 x 2 mm")),
    "metaimage of 30 mm": (itk_ct(name="ct.mha", spacing=(0.7, 0.7, 30)), Refused("its voxels are")),
    "mask of 0.001 mm": (itk_mask(spacing=(0.001, 0.001, 0.001)), Refused("its voxels are")),
    # --- slope
    "slope 0 with intercept": (
        nifti_ct(HU + np.int16(1024), sform=TRUE, slope=0.0, intercept=-1024.0),
        Refused("scl_slope is 0.* scl_inter is -1024"),
    ),
    "mask of slope 0 with intercept": (nifti_mask(sform=TRUE, slope=0.0, intercept=1.0), Refused("scl_slope is 0")),
    "slope and intercept": (
        nifti_ct(((HU + 1024) // 1).astype(np.int16), sform=TRUE, slope=1.0, intercept=-1024.0),
        Right(),
    ),
    # --- what it was converted from lies beside it
    "json agrees": (with_json({"SpacingBetweenSlices": 2.0, "SliceThickness": 3}), Right()),
    "json of thick slices": (with_json({"SliceThickness": 5.0}), Right()),
    "json of another spacing": (
        with_json({"SpacingBetweenSlices": 2.05}),
        Right(("conversion_differs",), "SpacingBetweenSlices 2.05 mm.* 2 mm"),
    ),
    "json that is none": (with_json({}), Right()),
    "dicom agrees": (with_dicom(), Right()),
    "dicom lacks a slice": (with_dicom(without=9), Right(("conversion_differs",), "24 slices over 48 mm.* 24 over 46")),
    "dicom of another spacing": (
        with_dicom(spacing=2.05),
        Right(("conversion_differs",), "over 47.15 mm.* over 46 mm"),
    ),
    "dcm2niix evened it": (evened, Right(("conversion_differs",), "ct_Eq_1.nii")),
    # --- lost geometry
    **{
        f"mask lost {what}": (itk_mask(**geometry), Refused("has the CT's size.* elsewhere; say --mask-grid same"))
        for what, geometry in LOST.items()
    },
    **{
        f"mask lost {what}, same": (
            itk_mask(options={"mask_grid": "same"}, **geometry),
            Right(("mask_grid_replaced",), "voxel by voxel"),
        )
        for what, geometry in LOST.items()
    },
    "mask a third of a voxel off": (
        itk_mask(origin=(ORIGIN[0] + 0.3 * SPACING[0], *ORIGIN[1:])),
        Right(("mask_resampled",)),
    ),
    "mask at its place, same": (itk_mask(options={"mask_grid": "same"}), Right()),
    "mask at its place, as stored": (itk_mask(options={"mask_grid": "as-stored"}), Right()),
    "mask cropped": (cropped_mask, Right(("mask_resampled",))),
    "mask cropped, same": (
        lambda folder: Made(cropped_mask(folder).ct, folder / "m.seg.nrrd", {"mask_grid": "same"}),
        Refused("30 x 28 x 22 voxels and the CT 40 x 36 x 24"),
    ),
    "mask grid of no kind": (itk_mask(options={"mask_grid": "copy"}), Refused('"copy" is not known')),
    "mask without forms on a CT with them": (nifti_mask(), Refused("has the CT's size")),
    "lung mask lost its origin": (lung(HU.astype(np.uint8) * 0 + 1, origin=(0, 0, 0)), Refused("has the CT's size")),
    "lung mask lost its origin, same": (
        lung(HU.astype(np.uint8) * 0 + 1, {"mask_grid": "same"}, origin=(0, 0, 0)),
        Right(),
    ),
    # --- other images
    "mhd with raw": (metaimage(), Right()),
    "mha": (metaimage(name="ct.mha"), Right()),
    "mha, compressed": (metaimage(name="ct.mha", compress=True), Right()),
    "mhd with zraw": (metaimage(compress=True), Right()),
    "mhd, cut short": (metaimage(lambda f: os.truncate(f / "ct.raw", 5000)), Refused("cut short", "zzz")),
    "mhd without its pixels": (metaimage(lambda f: (f / "ct.raw").unlink()), Refused('pixels as "ct.raw"')),
    "mhd, pixels elsewhere": (metaimage(named_pixels("../ct.raw")), Refused('pixels as "../ct.raw"')),
    "mhd of many files": (metaimage(named_pixels("LIST")), Refused('pixels as "LIST"')),
    "mhd of a pattern": (metaimage(named_pixels("ct%03d.raw 1 24 1")), Refused('pixels as "ct%03d.raw')),
    "nrrd, detached": (detached_nrrd, Right()),
    "nrrd, bzip2": (nrrd_ct({"encoding": "bzip2"}, bz2.compress(HU.tobytes())), Refused('compressed by "bzip2"')),
    "nrrd, zstd": (nrrd_ct({"encoding": "zstd"}, b"\x28\xb5\x2f\xfd"), Refused('compressed by "zstd"')),
    "nifti-2": (nifti_2, Refused("this is a NIfTI-2 file")),
    # --- values
    "CT, 32 bits": (itk_ct(HU.astype(np.int32)), Right()),
    "CT, doubles": (itk_ct(HU.astype(np.float64), "ct.mha"), Right()),
    "CT beyond 16 bits": (itk_ct(np.where(MASK, np.int32(70000), HU)), Refused("not in HU: .* to 70000")),
    "CT beyond 16 bits by its slope": (
        nifti_ct(sform=TRUE, slope=100.0, intercept=0.0),
        Refused("not in HU"),
    ),
    "label beyond 16 bits": (itk_mask(MASK.astype(np.uint32) * np.uint32(70000)), Right()),
    "label beyond 32 bits": (itk_mask(MASK.astype(np.int64) * (2**32 + 1)), Right()),
    "float label beyond 32 bits": (itk_mask(MASK * float(2**32 + 1)), Refused("not whole numbers")),
    # --- masks of another kind
    "labels through floats": (itk_mask(FLOATS), Right(("labels_rounded",), "0.996 for 1")),
    "labels through 32-bit floats, nifti": (
        nifti_mask(FLOATS.astype(np.float32), sform=TRUE),
        Right(("labels_rounded",), "0.996 for 1"),
    ),
    "labels through a slope": (nifti_mask(MASK * np.uint8(251), sform=TRUE, slope=1 / 255), Right(("labels_rounded",))),
    "labels cut to 51.8": (itk_mask(MASK * 51.8), Refused("not whole numbers")),
    "a probability map": (itk_mask(np.clip(MASK * 0.7, 0, 1)), Refused("not whole numbers.*threshold|threshold")),
    "the CT as mask": (itk_mask(HU), Refused("this is no mask: it has [0-9]+ different values and more, from -9")),
    "noise as lung mask": (
        lung(np.arange(HU.size, dtype=np.int32).reshape(HU.shape)),
        Refused("this is no mask: it has [0-9]+ different values"),
    ),
    "the CT as lung mask": (lung(HU), Refused("this is no mask")),
    "floats as lung mask": (lung(HU / 1000.0), Refused("this is no mask")),
}


@pytest.mark.parametrize("name", TABLE)
def test_files_of_others(name, tmp_path, capfd):
    make, expected = TABLE[name]
    made = make(tmp_path)
    if isinstance(expected, Refused):
        with pytest.raises(InputError) as caught:
            read_case(made.ct, made.mask, **made.options)
        text = str(caught.value)
        assert re.search(expected.match, text), text
        assert expected.without not in text
        assert "itk" not in text.lower()
        assert caught.value.mend
        assert capfd.readouterr().err == ""
    else:
        case = read_case(made.ct, made.mask, **made.options)
        assert tuple(note.code for note in case.notes) == expected.codes
        assert re.search(expected.says, " ".join(note.message for note in case.notes))
        check_tumour(case, placed="nifti_unplaced" not in expected.codes)


def check_tumour(case: Case, *, placed: bool = True) -> None:
    """It is the phantom's: voxel by voxel, by its volume, its HU and its place."""
    tumour, hu = sitk.GetArrayFromImage(case.tumour), sitk.GetArrayFromImage(case.ct)
    volume = tumour.sum() * np.prod(case.tumour.GetSpacing())
    assert volume == pytest.approx(VOLUME_MM3, rel=1e-5)
    assert hu[tumour > 0].mean() == pytest.approx(MEAN_HU, abs=1e-3)
    if placed:
        shape = sitk.LabelShapeStatisticsImageFilter()
        shape.Execute(case.tumour)
        expected = sitk.LabelShapeStatisticsImageFilter()
        expected.Execute(itk_image(MASK))
        np.testing.assert_allclose(shape.GetCentroid(1), expected.GetCentroid(1), atol=0.1 * min(SPACING))


def test_the_phantom_is_no_mirror_image_of_itself():
    assert pytest.approx(4 / 3 * np.pi * 6**3, rel=0.03) == VOLUME_MM3
    assert all((np.flip(MASK, axis) != MASK).any() for axis in range(3))
    assert np.abs(np.array(CENTRE) - np.multiply(SPACING, np.subtract(SIZE, 1)) / 2).min() > 2


@pytest.mark.parametrize("what", LOST)
def test_as_stored_is_where_itk_has_it(what, tmp_path):
    made = itk_mask(**LOST[what])(tmp_path)
    ct, mask = (sitk.ReadImage(str(path)) for path in (made.ct, made.mask))
    there = sitk.Resample(mask, ct, sitk.Transform(), sitk.sitkNearestNeighbor)
    if sitk.GetArrayFromImage(there).any():
        case = read_case(made.ct, made.mask, mask_grid="as-stored")
        differing = np.count_nonzero(sitk.GetArrayFromImage(case.tumour) != sitk.GetArrayFromImage(there))
        assert differing <= 0.01 * MASK.sum()
    else:
        with pytest.raises(InputError, match="outside the CT"):
            read_case(made.ct, made.mask, mask_grid="as-stored")


def test_axes_stored_in_another_order_are_no_lost_geometry(tmp_path):
    """The CT sagittal, the mask axial, both at their place."""
    ct = sitk.PermuteAxes(itk_image(HU), [2, 0, 1])
    sitk.WriteImage(ct, str(tmp_path / "ct.nrrd"))
    case = read_case(tmp_path / "ct.nrrd", write_itk(tmp_path / "m.nrrd", MASK))
    check_tumour(case)
    case = case_from_images(sitk.PermuteAxes(itk_image(HU), [1, 0, 2]), itk_image(MASK), case_id="p")
    check_tumour(case)


@pytest.mark.parametrize("suffix", [".nii", ".nrrd"])
def test_axes_off_by_more_than_a_tenth_of_a_voxel_are_refused_and_called_no_tilt(suffix, tmp_path):
    """A thousandth over 400 pixels: a fifth of a voxel at the corners, a tenth once it is shared by both axes."""
    values = np.zeros((3, 400, 400), np.int16)
    for cosine, refused in ((4e-4, False), (1.2e-3, True)):
        path = tmp_path / f"ct{suffix}"
        if suffix == ".nii":
            write_nifti(path, values, sform=sheared(TRUE, cosine))
        else:
            write_nrrd(path, values, {"space directions": f"(0.7,0,0) ({0.8 * cosine:.7f},0.8,0) (0,0,2)"})
        if refused:
            with pytest.raises(InputError, match=r"not at right angles: 0\.069 degrees") as caught:
                read_image(path)
            assert "tilt" not in str(caught.value)
        else:
            direction = np.reshape(read_image(path).GetDirection(), (3, 3))
            np.testing.assert_allclose(direction.T @ direction, np.eye(3), atol=1e-12)


def test_oblique_masks_at_their_place(tmp_path):
    for direction in (rotation(12, 7), rotation(3) @ np.diag([1, -1, -1])):
        made = Made(
            write_itk(tmp_path / "ct.nrrd", HU, direction=direction),
            write_itk(tmp_path / "m.nii.gz", MASK, direction=direction),
        )
        assert read_case(made.ct, made.mask).notes == ()


@pytest.fixture(scope="module")
def languages(tmp_path_factory):
    """A folder with German, where it can be made."""
    folder = tmp_path_factory.mktemp("languages")
    if shutil.which("localedef"):
        command = ["localedef", "-i", "de_DE", "-f", "UTF-8", str(folder / "de_DE.UTF-8")]
        subprocess.run(command, check=False, capture_output=True)
    return folder


@pytest.fixture
def decimal_comma(languages, monkeypatch):
    """The process in a language whose decimal sign is a comma."""
    before = locale.setlocale(locale.LC_NUMERIC)
    if (languages / "de_DE.UTF-8").exists():
        monkeypatch.setenv("LOCPATH", str(languages))
    for name in ("de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "German_Germany.1252"):
        try:
            locale.setlocale(locale.LC_NUMERIC, name)
            break
        except locale.Error:
            continue
    else:
        pytest.skip("no language with a decimal comma is installed")
    yield
    locale.setlocale(locale.LC_NUMERIC, before)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".nii.gz"])
def test_a_process_with_decimal_commas(decimal_comma, suffix, tmp_path):
    path = tmp_path / f"ct{suffix}"
    write_image(itk_image(HU), path)
    assert locale.localeconv()["decimal_point"] == ","
    image = read_image(path)
    np.testing.assert_allclose(image.GetSpacing(), SPACING, rtol=1e-6)
    np.testing.assert_allclose(image.GetOrigin(), ORIGIN, rtol=1e-6)
    assert locale.localeconv()["decimal_point"] == ","


def test_the_values_of_an_image_given_as_lung_mask_are_not_walked_through(monkeypatch):
    """Each of some 4000 values was made a mask of its own, for minutes."""
    values = np.random.default_rng(0).integers(0, 4000, (40, 300, 300), dtype=np.int16)
    monkeypatch.setattr(MaskContent, "binary", lambda *_: pytest.fail("a mask of one value"))
    with pytest.raises(InputError, match="this is no mask"):
        lung_on_grid(image_of(values), image_of(values), "lung")


def test_whoever_reads_a_sheared_sform_by_itk_finds_it_refused_as_before(tmp_path):
    made = pair(sform=sheared(TRUE, 3e-4))(tmp_path)
    read_image(made.ct)
    with pytest.raises(RuntimeError, match="orthonormal"):
        sitk.ReadImage(str(made.ct))


# --- what the commands and a table say of lost geometry ---------------------------------------------------------------


@pytest.fixture
def cohort(tmp_path):
    """A function from the cells of `mask_grid` to a table of cases whose masks lost their origins."""
    write_itk(tmp_path / "ct.nrrd", HU)
    write_itk(tmp_path / "m.nrrd", MASK, origin=(0, 0, 0))

    def write(*cells: str) -> Path:
        rows = [f"c{number},ct.nrrd,m.nrrd,{cell}" for number, cell in enumerate(cells)]
        (tmp_path / "cohort.csv").write_text("\n".join(["case_id,ct,mask,mask_grid", *rows]))
        return tmp_path / "cohort.csv"

    return write


def patches(table: Path, cache: Path, mask_grid: MaskGrid | None = None) -> CohortFeatures:
    return extract_cohort(read_cohort(table), Run(cache), CaseSettings(mask_grid=mask_grid), wants="patches")


def test_a_cell_of_the_table_comes_before_the_option(cohort, tmp_path):
    found = patches(cohort("same", "", "as-stored"), tmp_path / "cache")
    assert list(found.features.index) == ["c0"]
    assert [note.code for note in found.quality[0] if "grid" in note.code] == ["mask_grid_replaced"]
    assert "has the CT's size" in found.failed["c1"]
    assert str(tmp_path) not in found.failed["c1"]
    assert "outside the CT" in found.failed["c2"]
    found = patches(cohort("same", "", "as-stored"), tmp_path / "cache", MaskGrid.SAME)
    assert list(found.features.index) == ["c0", "c1"]


def test_a_cell_that_says_nothing_known(cohort):
    with pytest.raises(CohortError, match='row 3, column "mask_grid": "copied" is no place of a mask; write same or'):
        read_cohort(cohort("same", "copied"))


def test_the_batch_takes_the_option(cohort, tmp_path):
    outcomes = list(analyse_cases(read_cohort(cohort("", "same")), None, tmp_path / "out"))
    assert [outcome.status for outcome in outcomes] == ["failed", "done"]
    assert "--mask-grid same" in outcomes[0].message

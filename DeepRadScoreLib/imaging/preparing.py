"""Preparation of a case: image and regions on the 1 mm lattice, deep patch and quality notes."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.errors import InputError, RegionError
from DeepRadScoreLib.imaging.carriers import Case, PreparedCase, Preprocessing
from DeepRadScoreLib.imaging.checks.double_contours import double_contour_notes
from DeepRadScoreLib.imaging.checks.quality import case_notes, patch_notes, region_notes, shell_notes, volume_notes
from DeepRadScoreLib.imaging.diameters import diameters
from DeepRadScoreLib.imaging.frame import canonical_lattice, ct_on_lattice_steps, masks_on_lattice, pyradiomics_frame
from DeepRadScoreLib.imaging.grids.geometry import index_box
from DeepRadScoreLib.imaging.grids.lps import LpsCase, LpsImage
from DeepRadScoreLib.imaging.masks.placement import placement_notes
from DeepRadScoreLib.imaging.regions import lps_patch, peritumoral_shell
from DeepRadScoreLib.numerals import counted
from DeepRadScoreLib.progress import map_steps, run_to_end

MAX_SHELL_MM = 20.0
MIN_VOXELS = 8
RESAMPLING = "Resampling the CT to 1 mm"


def prepare(
    case: Case, *, preprocessing: Preprocessing = Preprocessing.CANONICAL, shell_mm: float = 3.0
) -> PreparedCase:
    """Prepare a case without stopping between the steps, see `prepare_steps`."""
    return run_to_end(prepare_steps(case, preprocessing=preprocessing, shell_mm=shell_mm))


def prepare_steps(
    case: Case, *, preprocessing: Preprocessing = Preprocessing.CANONICAL, shell_mm: float = 3.0
) -> Generator[str, None, PreparedCase]:
    """Prepare a case in short steps: yields the name of the next step, returns the prepared case.

    Parameters
    ----------
    preprocessing: "canonical" (method: canonical frame) or "pyradiomics" (its own grid of the case as stored).
    shell_mm: thickness of the peritumoral shell, over 0 and at most 20 mm.

    Raises
    ------
    InputError: an option out of range.
    RegionError: a region that is too small for pyradiomics, a shell of which nothing is left, or a mask outside the
        body, on air or on bone.
    """
    _check_options(preprocessing, shell_mm)
    yield "Putting the CT in order"
    lps = LpsCase.of(case)
    if preprocessing == Preprocessing.CANONICAL:
        lattice = canonical_lattice(lps.tumour, shell_mm)
        resampled = masks_on_lattice(case, lattice)
        ct = yield from map_steps(ct_on_lattice_steps(lps.ct, lattice), lambda axis: f"{RESAMPLING} along {axis}")
        resampled = replace(resampled, ct=ct)
    else:
        yield RESAMPLING
        resampled = pyradiomics_frame(case, shell_mm)
    yield "Drawing the peritumoral shell"
    shells = _shells(resampled, shell_mm)
    yield "Checking where the mask lies"
    placement = tuple(placement_notes(lps, resampled, shells.final))
    yield "Cutting the deep patch"
    patch = lps_patch(lps)
    k = patch.centre_ijk[2]
    yield "Checking the quality"
    mask_ml = lps.tumour.volume_ml if case.mask_ml is None else case.mask_ml
    axes = diameters(lps.tumour.voxels, lps.tumour.spacing)
    quality = (
        *case.notes,
        *case_notes(lps, shell_mm, mask_ml),
        *double_contour_notes(lps),
        *shell_notes(shells.whole, shells.without_others, shells.final, lung=case.lung is not None),
        *patch_notes(lps, patch),
        *placement,
        *volume_notes(lps, mask_ml, LpsImage.of(resampled.tumour).volume_ml),
        *region_notes(resampled.ct, resampled.tumour, shells.final),
    )
    return PreparedCase(
        case_id=case.case_id,
        preprocessing=preprocessing,
        shell_mm=shell_mm,
        image=resampled.ct,
        tumour=resampled.tumour,
        peritumoral=shells.final,
        patch=patch,
        slice_ct=lps.ct.wrap(lps.ct.voxels[k : k + 1], (0, 0, k)),
        slice_tumour=lps.tumour.wrap(lps.tumour.voxels[k : k + 1], (0, 0, k)),
        quality=quality,
        acquisition=case.acquisition,
        mask_ml=mask_ml,
        axes_mm=(axes.long.length_mm, axes.short.length_mm),
    )


def lattice_regions(case: Case, shell_mm: float) -> tuple[sitk.Image, sitk.Image]:
    """Tumour and peritumoral shell in the canonical frame, as `prepare` makes them, without touching the CT's voxels.

    Returns
    -------
    Two uint8 images of 0 and 1 on the 1 mm lattice.

    Raises
    ------
    InputError, RegionError: as `prepare_steps`.
    """
    _check_options(Preprocessing.CANONICAL, shell_mm)
    resampled = masks_on_lattice(case, canonical_lattice(LpsImage.of(case.tumour), shell_mm))
    return resampled.tumour, _shells(resampled, shell_mm).final


@dataclass(frozen=True)
class _Shells:
    """The shell by distance alone; without the other tumours; and the final one, confined to the lung mask as well."""

    whole: sitk.Image
    without_others: sitk.Image
    final: sitk.Image


def _shells(case: Case, shell_mm: float) -> _Shells:
    """The shells of a case on its 1 mm lattice."""
    _check_region(case.tumour, "the tumour", case.case_id)
    whole = peritumoral_shell(case.tumour, shell_mm)
    without_others = whole if case.other_tumours is None else sitk.And(whole, case.other_tumours == 0)
    final = without_others if case.lung is None else sitk.And(without_others, case.lung)
    _check_region(final, "the peritumoral shell", case.case_id)
    return _Shells(whole, without_others, final)


def _check_options(preprocessing: str, shell_mm: float) -> None:
    if preprocessing not in tuple(Preprocessing):
        raise InputError(
            f'"{preprocessing}" is no preprocessing', where="preprocessing", mend="choose canonical or pyradiomics"
        )
    if not 0 < shell_mm <= MAX_SHELL_MM:
        raise InputError(
            f"a shell of {shell_mm:g} mm cannot be made", where="shell_mm", mend="choose more than 0 and at most 20 mm"
        )


def _check_region(region: sitk.Image, name: str, case_id: str) -> None:
    """Refuse a region of under 8 voxels, or extended along fewer than two axes: pyradiomics cannot describe it."""
    array = sitk.GetArrayViewFromImage(region)
    box = index_box(array)
    count = int(np.count_nonzero(array))
    extended = 0 if box is None else int((box[1] > box[0]).sum())
    if count < MIN_VOXELS or extended < 2:
        along = "1 axis" if extended == 1 else f"{extended} axes"
        small = f"{name} has {counted(count, 'voxel')} of 1 mm along {along}: too small for radiomics"
        what = small if count else f"nothing is left of {name}"
        raise RegionError(what, where=case_id, mend="check the tumour mask, the other tumours and the lung mask")

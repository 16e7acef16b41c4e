"""The one door: a case as stored becomes the image, regions and patch that everything else works on."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.errors import InputError, RegionError
from DeepRadScoreLib.imaging.carriers import Case, PreparedCase, Preprocessing
from DeepRadScoreLib.imaging.frame import (
    Lattice,
    Masks,
    canonical_lattice,
    ct_on_lattice,
    in_lps_order,
    mask_like,
    mask_on_lattice,
    masks_of,
    pyradiomics_frame,
)
from DeepRadScoreLib.imaging.geometry import index_box, to_lps
from DeepRadScoreLib.imaging.quality import case_notes, intensity_notes, patch_notes, shell_notes
from DeepRadScoreLib.imaging.regions import deep_patch, peritumoral_shell
from DeepRadScoreLib.stepping import run_to_end

MAX_SHELL_MM = 20.0
MIN_VOXELS = 8


def prepare(
    case: Case, *, preprocessing: Preprocessing = Preprocessing.CANONICAL, shell_mm: float = 3.0
) -> PreparedCase:
    """Prepare a case in one go. See `prepare_steps`."""
    return run_to_end(prepare_steps(case, preprocessing=preprocessing, shell_mm=shell_mm))


def prepare_steps(
    case: Case, *, preprocessing: Preprocessing = Preprocessing.CANONICAL, shell_mm: float = 3.0
) -> Generator[str, None, PreparedCase]:
    """Prepare a case in short steps: yields what comes next, returns the prepared case.

    Parameters
    ----------
    preprocessing: "canonical" (method: canonical frame) or "pyradiomics" (its own resampling of the case as stored).
    shell_mm: thickness of the peritumoral shell, over 0 and at most 20 mm.

    Raises
    ------
    InputError: an option out of range.
    RegionError: a region that is too small for pyradiomics, or a shell of which nothing is left.
    """
    _check_options(preprocessing, shell_mm)
    yield "Putting the CT in order"
    lps = in_lps_order(case)
    yield "Resampling the CT to 1 mm"
    if preprocessing == Preprocessing.CANONICAL:
        lattice = canonical_lattice(lps.tumour, shell_mm)
        image, masks = ct_on_lattice(lps.ct, lattice), _on_lattice(masks_of(lps), lattice)
    else:
        image, tumour = pyradiomics_frame(case, shell_mm)
        masks = replace(masks_of(case).each(lambda mask: mask_like(mask, image)), tumour=tumour)
    yield "Drawing the peritumoral shell"
    shells = _shells(masks, shell_mm, case.case_id)
    yield "Cutting the deep patch"
    patch = deep_patch(lps)
    k = patch.centre_ijk[2]
    yield "Checking the quality"
    quality = (
        *case.notes,
        *case_notes(lps, shell_mm),
        *shell_notes(shells.geometric, shells.without_others, shells.kept, lung=masks.lung is not None),
        *patch_notes(lps, patch),
        *intensity_notes(image, masks.tumour, shells.kept),
    )
    return PreparedCase(
        case_id=case.case_id,
        preprocessing=preprocessing,
        shell_mm=shell_mm,
        image=image,
        tumour=masks.tumour,
        peritumoral=shells.kept,
        patch=patch,
        slice_ct=lps.ct[:, :, k : k + 1],
        slice_tumour=lps.tumour[:, :, k : k + 1],
        quality=quality,
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
    masks = masks_of(case).each(to_lps)
    masks = _on_lattice(masks, canonical_lattice(masks.tumour, shell_mm))
    return masks.tumour, _shells(masks, shell_mm, case.case_id).kept


@dataclass(frozen=True)
class _Shells:
    """The shell: as the distance alone gives it, without the other tumours, and what the lung mask leaves of that."""

    geometric: sitk.Image
    without_others: sitk.Image
    kept: sitk.Image


def _on_lattice(masks: Masks, lattice: Lattice) -> Masks:
    return masks.each(lambda mask: mask_on_lattice(mask, lattice))


def _shells(masks: Masks, shell_mm: float, case_id: str) -> _Shells:
    _check_region(masks.tumour, "the tumour", case_id)
    geometric = peritumoral_shell(masks.tumour, shell_mm)
    without_others = geometric if masks.other_tumours is None else sitk.And(geometric, masks.other_tumours == 0)
    kept = without_others if masks.lung is None else sitk.And(without_others, masks.lung)
    _check_region(kept, "the peritumoral shell", case_id)
    return _Shells(geometric, without_others, kept)


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
    """At least 8 voxels that extend along at least two axes: what pyradiomics asks for, and a texture to speak of."""
    array = sitk.GetArrayViewFromImage(region)
    box = index_box(array)
    count = int(np.count_nonzero(array))
    extended = 0 if box is None else int((box[1] > box[0]).sum())
    if count >= MIN_VOXELS and extended >= 2:
        return
    what = (
        f"{name} has {count} voxels of 1 mm along {extended} axes: too small for radiomics"
        if count
        else f"nothing is left of {name}"
    )
    raise RegionError(what, where=case_id, mend="check the tumour mask, the other tumours and the lung mask")

"""Quality notes: remarks with a stable code on what limits the trust in the numbers of a case.

Their codes stand in `quality_codes`; those on the place of the mask come from `placement`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.imaging.carriers import PATCH_PIXELS, DeepPatch, QualityNote
from DeepRadScoreLib.imaging.grids.lps import LpsCase, LpsImage
from DeepRadScoreLib.imaging.masks.morphology import pieces
from DeepRadScoreLib.numerals import share_text

THICK_MM = 3.0
SMALL_ML = 0.5
VOLUME_TOLERANCE = 0.03
VOLUME_WARNING = 0.10
"""Share by which the volume on the 1 mm lattice may differ without a remark, and without a warning."""
OFF_AXIAL_DEGREES = 20.0
LUNG_SHARE = 0.30
METAL_HU = 3000.0
SOLID_METAL_HU, MAX_DENSE_MM3 = 2500.0, 20.0
"""Cortical bone stays under 2000 HU; calcifications and noise over the first are smaller than the second."""
PADDING_HU = -1500.0
SAMPLE_VOXELS, MIN_LEVELS = 60_000, 100
MAX_TOP_HU, MAX_AT_TOP = 1500.0, 0.001
"""A window cuts off bone: 0.006 and more of a CT's voxels have the highest value then, otherwise 0.00004 at most."""
SIDES = ("right", "left", "front", "back", "lower", "upper")
"""The first and last end of the image along each of the LPS axes x, y, z."""


def case_notes(case: LpsCase, shell_mm: float, mask_ml: float) -> Iterator[QualityNote]:
    """Remarks on the grid and the mask of a case, and on the mask at the ends of the image; `mask_ml`: its volume."""
    yield from _grid_notes(case.ct)
    tumour, box = case.inside, case.tumour_box
    if mask_ml < SMALL_ML:
        yield QualityNote.warning(
            "small_tumour", f"The tumour is small ({mask_ml:.2f} mL): its texture rests on few voxels."
        )
    sizes = np.bincount(pieces(tumour, by_corners=True).ravel())[1:]
    if sizes.size > 1:
        largest = sizes.max() / tumour.sum()
        yield QualityNote.warning(
            "several_pieces",
            f"The tumour mask has {sizes.size} separate pieces; the largest has {share_text(largest)}.",
        )
    if 1 in tumour.shape:
        yield QualityNote.warning("flat_tumour", "The tumour mask is one voxel thick along one axis.")
    yield from _edge_notes(case.ct, box, shell_mm)
    yield from _metal_notes(case.ct, box, shell_mm)
    yield from _window_notes(case.ct)


def volume_notes(case: LpsCase, mask_ml: float, lattice_ml: float) -> Iterator[QualityNote]:
    """A remark on a lattice that holds another volume of the tumour than its mask, and why.

    Parameters
    ----------
    mask_ml, lattice_ml: volume of the tumour mask on its own grid and on the 1 mm lattice, in mL.
    """
    share = lattice_ml / mask_ml - 1
    if abs(share) <= VOLUME_TOLERANCE:
        return
    low, high = case.tumour_box
    ends = [first == 0 or last == size - 1 for first, last, size in zip(low, high, case.ct.size[::-1], strict=True)]
    if any(ends) and share < 0:
        reason = "it ends at the centres of the CT's outermost voxels, and the tumour goes on beyond them"
    elif abs(case.tumour.volume_ml / mask_ml - 1) > VOLUME_TOLERANCE:
        reason = "the mask was drawn on another grid, and the CT's is too coarse for it"
    else:
        size = " x ".join(f"{spacing:.2f}" for spacing in case.ct.spacing)
        reason = f"it has points at whole millimetres alone, and the mask voxels of {size} mm"
    note = QualityNote.warning if abs(share) > VOLUME_WARNING else QualityNote.info
    yield note(
        "volume_differs",
        f"The tumour mask has {mask_ml:.2f} mL, the 1 mm lattice of the features {lattice_ml:.2f} mL ({share:+.0%}): "
        f"{reason}.",
    )


def _grid_notes(ct: LpsImage) -> Iterator[QualityNote]:
    spacing = ct.spacing
    if max(spacing) > THICK_MM + 1e-4:
        yield QualityNote.warning(
            "thick_slices", f"The CT has slices of {max(spacing):.2f} mm: what lies between them is interpolated."
        )
    tilt = float(np.degrees(np.arccos(np.clip(ct.direction[2, 2], -1, 1))))
    if tilt > OFF_AXIAL_DEGREES:
        yield QualityNote.warning(
            "off_axial", f"The slices lie {tilt:.0f} degrees off axial; the patch is one of them."
        )
    if abs(spacing[0] / spacing[1] - 1) > 0.01:
        yield QualityNote.warning(
            "pixels_not_square",
            f"The pixels of the nearly axial plane are {spacing[0]:.2f} x {spacing[1]:.2f} mm; the patch is distorted.",
        )


def _edge_notes(ct: LpsImage, box: tuple[np.ndarray, np.ndarray], shell_mm: float) -> Iterator[QualityNote]:
    last = np.array(ct.size) - 1
    gaps = np.column_stack([box[0][::-1], last - box[1][::-1]])
    gaps_mm = gaps * np.array(ct.spacing)[:, None]
    touching = [side for side, gap in zip(SIDES, gaps.ravel(), strict=True) if gap == 0]
    cut = [side for side, gap_mm in zip(SIDES, gaps_mm.ravel(), strict=True) if gap_mm < shell_mm]
    if touching:
        yield QualityNote.warning(
            "tumour_at_image_edge", f"The tumour reaches the {' and '.join(touching)} end of the CT."
        )
    if cut:
        yield QualityNote.warning(
            "shell_cut_by_image", f"The peritumoral shell ends with the CT at its {' and '.join(cut)} end."
        )


def _metal_notes(ct: LpsImage, box: tuple[np.ndarray, np.ndarray], shell_mm: float) -> Iterator[QualityNote]:
    """A remark on metal in the slices of tumour and shell, wherever in them it lies: streaks cross the whole slice."""
    reach = int(np.ceil(shell_mm / ct.spacing[2]))
    slices = ct.voxels[max(int(box[0][0]) - reach, 0) : int(box[1][0]) + reach + 1]
    volume = np.count_nonzero(slices > SOLID_METAL_HU) * float(np.prod(ct.spacing))
    if volume > MAX_DENSE_MM3:
        yield QualityNote.warning(
            "metal_in_slices",
            f"Metal lies in the slices of the tumour ({volume:.0f} mm3 over {SOLID_METAL_HU:g} HU): its streaks may "
            "cross the regions.",
        )


def _window_notes(ct: LpsImage) -> Iterator[QualityNote]:
    """A remark on a CT whose values end where a window ended; an image of a few values only is left to other checks."""
    step = max(1, int(np.ceil(np.cbrt(ct.voxels.size / SAMPLE_VOXELS))))
    sample = ct.voxels[::step, ::step, ::step]
    top = sample.max()
    share = np.count_nonzero(sample == top) / sample.size
    if top < MAX_TOP_HU and share > MAX_AT_TOP and np.unique(sample).size > MIN_LEVELS:
        yield QualityNote.warning(
            "values_cut_off",
            f"{share_text(share)} of the CT's voxels have {top:g} HU and none has more: a window has cut off what is "
            "denser; export the CT without it.",
        )


def shell_notes(
    whole: sitk.Image, without_others: sitk.Image, final: sitk.Image, *, lung: bool
) -> Iterator[QualityNote]:
    """Remarks on the shares of the shell that other tumours, and then the lung mask, exclude."""
    all_voxels, free, confined = (
        int(sitk.GetArrayViewFromImage(shell).sum()) for shell in (whole, without_others, final)
    )
    if free < all_voxels:
        yield QualityNote.info(
            "shell_shares_other_tumour",
            f"Other tumours take {share_text(1 - free / all_voxels)} of the peritumoral shell.",
        )
    if lung and free:
        share = confined / free
        note = QualityNote.warning if share < LUNG_SHARE else QualityNote.info
        yield note("shell_lung_share", f"The lung mask leaves {share_text(share)} of the peritumoral shell.")


def patch_notes(case: LpsCase, patch: DeepPatch) -> Iterator[QualityNote]:
    """Remarks on the deep patch of a case."""
    if patch.cut_off_share > 0:
        yield QualityNote.warning(
            "patch_cuts_tumour", f"The tumour is wider than the patch, which cuts off {patch.cut_off_share:.1%} of it."
        )
    half = PATCH_PIXELS // 2
    if any(
        centre < half or centre + half > size
        for centre, size in zip(patch.centre_ijk[:2], case.ct.size[:2], strict=True)
    ):
        yield QualityNote.info("patch_padded", "The patch leaves the CT and is filled up with -1000 HU.")


def region_notes(image: sitk.Image, tumour: sitk.Image, peritumoral: sitk.Image) -> Iterator[QualityNote]:
    """Remarks on the two regions of the 1 mm image."""
    values = sitk.GetArrayViewFromImage(image)
    regions = [values[sitk.GetArrayViewFromImage(mask) != 0] for mask in (tumour, peritumoral)]
    if np.ptp(regions[0]) == 0:
        yield QualityNote.warning(
            "uniform_tumour", f"Every tumour voxel has {regions[0][0]:g} HU: there is no texture."
        )
    low, high = min(r.min() for r in regions), max(r.max() for r in regions)
    if high > METAL_HU:
        yield QualityNote.warning("metal_in_region", f"A region holds {high:g} HU: metal or an artefact of it.")
    if low < PADDING_HU:
        yield QualityNote.warning(
            "padding_in_region", f"A region holds {low:g} HU: it leaves the reconstructed field of view."
        )

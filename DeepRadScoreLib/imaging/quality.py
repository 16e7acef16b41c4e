"""Quality notes: remarks with a stable code on what limits the trust in the numbers of a case.

| code | severity | when |
|---|---|---|
| `mask_resampled` | info | the mask came on another grid (from reading) |
| `mask_outside_ct` | warning | a share of the tumour mask lies outside the CT (from reading) |
| `thick_slices` | warning | spacing over 3 mm along some axis |
| `small_tumour` | warning | under 0.5 mL |
| `several_pieces` | warning | the tumour mask is not connected |
| `flat_tumour` | warning | the mask has one slice only |
| `tumour_at_image_edge` | warning | the tumour reaches the first or last voxel |
| `shell_cut_by_image` | warning | the shell reaches beyond the CT |
| `shell_shares_other_tumour` | info | other tumours exclude this share of the shell |
| `shell_lung_share` | info, warning under 30 % | the lung mask leaves this share of the shell |
| `off_axial` | warning | the slices lie more than 20 degrees off axial |
| `pixels_not_square` | warning | the patch's pixels are not square |
| `patch_cuts_tumour` | warning | the tumour is wider than the patch |
| `patch_padded` | info | the patch leaves the CT |
| `uniform_tumour` | warning | the tumour has one HU value only |
| `metal_in_region` | warning | a voxel of a region over 3000 HU |
| `padding_in_region` | warning | a voxel of a region under -1500 HU (outside the scanner's field of view) |

Codes about DICOM files are defined where these are read, in `imaging/dicom`; `lung_mask_differs` in `analysis`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import label as connected_pieces

from DeepRadScoreLib.imaging.carriers import PATCH_PIXELS, Case, DeepPatch, QualityNote
from DeepRadScoreLib.imaging.geometry import direction_of, index_box

THICK_MM = 3.0
SMALL_ML = 0.5
OFF_AXIAL_DEGREES = 20.0
LUNG_SHARE = 0.30
METAL_HU = 3000.0
PADDING_HU = -1500.0
SIDES = ("right", "left", "front", "back", "lower", "upper")
"""The first and last end of the image along each of the LPS axes x, y, z."""


def case_notes(case: Case, shell_mm: float) -> Iterator[QualityNote]:
    """Remarks on the grid and the mask of a case in LPS order, and on the mask at the ends of the image."""
    yield from _grid_notes(case.ct)
    mask = sitk.GetArrayViewFromImage(case.tumour)
    box = index_box(mask)
    if box is None:
        return
    tumour = mask[tuple(slice(low, high + 1) for low, high in zip(*box, strict=True))] != 0
    volume_ml = float(tumour.sum() * np.prod(case.tumour.GetSpacing()) / 1000)
    if volume_ml < SMALL_ML:
        yield QualityNote.warning(
            "small_tumour", f"The tumour is small ({volume_ml:.2f} mL): its texture rests on few voxels."
        )
    pieces, count = connected_pieces(tumour, structure=np.ones((3, 3, 3)))
    if count > 1:
        largest = np.bincount(pieces.ravel())[1:].max() / tumour.sum()
        yield QualityNote.warning(
            "several_pieces", f"The tumour mask has {count} separate pieces; the largest has {largest:.0%}."
        )
    if 1 in tumour.shape:
        yield QualityNote.warning("flat_tumour", "The tumour mask is one voxel thick along one axis.")
    yield from _edge_notes(case, box, shell_mm)


def _grid_notes(ct: sitk.Image) -> Iterator[QualityNote]:
    spacing = ct.GetSpacing()
    if max(spacing) > THICK_MM + 1e-4:
        yield QualityNote.warning(
            "thick_slices", f"The CT has slices of {max(spacing):.2f} mm: what lies between them is interpolated."
        )
    tilt = float(np.degrees(np.arccos(np.clip(direction_of(ct)[2, 2], -1, 1))))
    if tilt > OFF_AXIAL_DEGREES:
        yield QualityNote.warning(
            "off_axial", f"The slices lie {tilt:.0f} degrees off axial; the patch is one of them."
        )
    if abs(spacing[0] / spacing[1] - 1) > 0.01:
        yield QualityNote.warning(
            "pixels_not_square",
            f"The pixels of the nearly axial plane are {spacing[0]:.2f} x {spacing[1]:.2f} mm; the patch is distorted.",
        )


def _edge_notes(case: Case, box: tuple[np.ndarray, np.ndarray], shell_mm: float) -> Iterator[QualityNote]:
    last = np.array(case.ct.GetSize()) - 1
    gaps = np.column_stack([box[0][::-1], last - box[1][::-1]])
    gaps_mm = gaps * np.array(case.ct.GetSpacing())[:, None]
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


def shell_notes(
    whole: sitk.Image, without_others: sitk.Image, final: sitk.Image, *, lung: bool
) -> Iterator[QualityNote]:
    """Remarks on the shares of the shell that other tumours, and then the lung mask, exclude."""
    all_voxels, free, confined = (
        int(sitk.GetArrayViewFromImage(shell).sum()) for shell in (whole, without_others, final)
    )
    if free < all_voxels:
        yield QualityNote.info(
            "shell_shares_other_tumour", f"Other tumours take {1 - free / all_voxels:.0%} of the peritumoral shell."
        )
    if lung and free:
        share = confined / free
        note = QualityNote.warning if share < LUNG_SHARE else QualityNote.info
        yield note("shell_lung_share", f"The lung mask leaves {share:.0%} of the peritumoral shell.")


def patch_notes(case: Case, patch: DeepPatch) -> Iterator[QualityNote]:
    """Remarks on the deep patch of a case in LPS order."""
    if patch.cut_off_share > 0:
        yield QualityNote.warning(
            "patch_cuts_tumour", f"The tumour is wider than the patch, which cuts off {patch.cut_off_share:.1%} of it."
        )
    half = PATCH_PIXELS // 2
    if any(
        centre < half or centre + half > size
        for centre, size in zip(patch.centre_ijk[:2], case.ct.GetSize()[:2], strict=True)
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

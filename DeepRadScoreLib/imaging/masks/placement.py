"""Whether a tumour mask lies where a tumour can lie: refused outside the body and on bone, remarked on in plain tissue.

Thresholds were set between the tumours of the whole and cropped CTs of patients and of synthetic cases, and the same
masks moved to other places; each constant says by how much.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.errors import RegionError
from DeepRadScoreLib.imaging.carriers import Case, QualityNote
from DeepRadScoreLib.imaging.checks.body import find_body
from DeepRadScoreLib.imaging.grids.lps import LpsCase, box_slices
from DeepRadScoreLib.imaging.masks.morphology import squared_distances
from DeepRadScoreLib.numerals import share_text

MAX_VOXELS = 150_000
RING_MM = (4.0, 9.0)
"""The surroundings behind the shell."""
MAX_OUTSIDE = 0.5
AIR_HU, ONLY_AIR = -930.0, 0.9
BONE_HU, ONLY_BONE = 200.0, 0.5
"""Share of the tumour over 200 HU: at most 0.15 in tumours."""
DENSE_HU, BONE_IN_TUMOUR, BONE_BEHIND = 300.0, 0.02, 0.01
"""Bone goes on outside of the mask. Tumours have at most 0.04 over 300 HU, and none around where it is over 0.001."""
TISSUE_HU, MIN_TISSUE = -500.0, 0.44
"""Share of the tumour over -500 HU: 0.51 and more in tumours, at most 0.37 one diameter beside them, in lung."""
FAT_HU, MAX_FAT = (-130.0, -70.0), 0.5
NEAR_MM, LUNG_HU, MIN_LUNG = 40.0, (-950.0, -500.0), 0.002
NO_CONTRAST_HU, LESION_CONTRAST_HU = 100.0, 300.0
"""Tumours are denser than what lies behind the shell by 231 HU and more."""
MIXED_TISSUE = 0.75
"""Tumours have 0.77 and more over -500 HU; a mask with less and without contrast lies over a border of the lung."""
MIRROR_RING_MM = (2.0, 6.0)
MIRRORS = {
    (1,): "front to back",
    (2,): "left to right",
    (0,): "top to bottom",
    (1, 2): "front to back and left to right",
}


def placement_notes(case: LpsCase, resampled: Case, shell: sitk.Image) -> Iterator[QualityNote]:
    """Remarks on the place of the tumour mask; all their codes are in `quality_codes.ABSTAIN_CODES`.

    Parameters
    ----------
    resampled, shell: the case on the 1 mm lattice, and its peritumoral shell.

    Raises
    ------
    RegionError: a mask outside the body, or on air or bone alone.
    """
    regions = _Regions.of(resampled, shell)
    body = find_body(case.ct)
    native = _Native.of(case)
    if body is not None and body.share_outside(native.voxels) > MAX_OUTSIDE:
        raise _misplaced("outside the body", case.case_id)
    if regions.only_air:
        raise _misplaced("on air", case.case_id)
    if regions.only_bone:
        raise _misplaced("on bone", case.case_id)
    yield from _tissue_notes(regions)
    if not native.lung_near:
        yield QualityNote.warning("no_lung_near", f"No lung lies within {NEAR_MM:g} mm of the tumour mask.")
    mirrored = native.mirror_that_fits if regions.contrast < NO_CONTRAST_HU else None
    if mirrored is not None:
        yield QualityNote.warning(
            "mask_mirrored",
            f"The tumour mask fits nothing where it lies, but a lesion where it is mirrored {mirrored}.",
        )
    if body is not None and body.upside_down:
        yield QualityNote.warning(
            "upside_down", "The CT is upside down: its spine lies at the front; CT and mask may not belong together."
        )


def _misplaced(place: str, case_id: str) -> RegionError:
    return RegionError(
        f"the tumour mask lies {place}", where=case_id, mend="give the mask that was drawn on this CT's tumour"
    )


@dataclass(frozen=True)
class _Regions:
    """HU of the tumour, the peritumoral shell and what lies behind the shell, (n,) each."""

    tumour: np.ndarray
    shell: np.ndarray
    behind: np.ndarray

    @classmethod
    def of(cls, resampled: Case, shell: sitk.Image) -> _Regions:
        """Regions of the 1 mm lattice; every second or third voxel of a large one."""
        step = int(np.ceil(np.cbrt(sitk.GetArrayViewFromImage(shell).size / MAX_VOXELS)))
        hu, tumour, around = (
            sitk.GetArrayViewFromImage(image)[::step, ::step, ::step]
            for image in (resampled.ct, resampled.tumour, shell)
        )
        squared = squared_distances(tumour != 0, RING_MM[1] / step)
        low, high = (int(limit**2 / step**2) for limit in RING_MM)
        behind = (squared > low) & (squared <= high)
        return cls(hu[tumour != 0], hu[around != 0], hu[behind])

    @property
    def only_air(self) -> bool:
        return min(float(np.mean(part < AIR_HU)) for part in (self.tumour, self.shell)) > ONLY_AIR

    @property
    def contrast(self) -> float:
        """Mean HU of the tumour less that of what lies behind the shell."""
        return float(self.tumour.mean() - self.behind.mean()) if self.behind.size else np.inf

    @property
    def only_bone(self) -> bool:
        return float(np.mean(self.tumour > BONE_HU)) > ONLY_BONE


def _tissue_notes(regions: _Regions) -> Iterator[QualityNote]:
    tumour = regions.tumour
    tissue = float(np.mean(tumour > TISSUE_HU))
    if tissue < MIN_TISSUE:
        yield QualityNote.warning(
            "mask_on_lung",
            f"Only {share_text(tissue)} of the tumour mask is denser than {TISSUE_HU:g} HU: plain lung, or a lesion of "
            "ground glass, which cannot be told from it.",
        )
    elif tissue < MIXED_TISSUE and regions.contrast < NO_CONTRAST_HU:
        yield QualityNote.warning(
            "mask_on_border",
            f"The tumour mask is hardly denser than what lies around it and {share_text(1 - tissue)} of it is lung: it "
            "lies over a border of the lung, or over a faint lesion that cannot be told from one.",
        )
    if np.mean(tumour > DENSE_HU) > BONE_IN_TUMOUR and np.mean(regions.behind > DENSE_HU) > BONE_BEHIND:
        yield QualityNote.warning("mask_on_bone", "The tumour mask holds bone that goes on beyond it.")
    if np.mean((tumour > FAT_HU[0]) & (tumour < FAT_HU[1])) > MAX_FAT:
        yield QualityNote.warning("mask_on_fat", "Most of the tumour mask is fat.")


@dataclass(frozen=True)
class _Native:
    """The CT and the box of its tumour, in LPS order.

    Attributes
    ----------
    hu: (z, y, x), the whole CT.
    tumour: bool (z, y, x), the box around the tumour.
    low, high: its first and last voxel.
    spacing: mm along z, y, x.
    """

    hu: np.ndarray
    tumour: np.ndarray
    low: np.ndarray
    high: np.ndarray
    spacing: np.ndarray

    @classmethod
    def of(cls, case: LpsCase) -> _Native:
        return cls(case.ct.voxels, case.inside, *case.tumour_box, np.array(case.ct.spacing[::-1]))

    @property
    def voxels(self) -> np.ndarray:
        """Indices z, y, x of the tumour's voxels, (n, 3)."""
        return np.argwhere(self.tumour) + self.low

    @property
    def lung_near(self) -> bool:
        """Whether lung lies near the tumour; true where the CT ends too near for a judgement."""
        reach = np.ceil(NEAR_MM / self.spacing).astype(int)
        low, high = self.low - reach, self.high + reach
        if (low < 0).any() or (high >= self.hu.shape).any():
            return True
        z, y, x = np.maximum(np.round(3 / self.spacing), 1).astype(int)
        near = self.hu[box_slices(low, high)][::z, ::y, ::x]
        return float(np.mean((near > LUNG_HU[0]) & (near < LUNG_HU[1]))) > MIN_LUNG

    @property
    def mirror_that_fits(self) -> str | None:
        """The mirroring of the mask within the CT, in words, with which it fits a dense lesion in lung; or None."""
        from scipy.ndimage import distance_transform_edt

        room = np.minimum(self.low, np.array(self.hu.shape) - 1 - self.high)
        margin = np.minimum(np.ceil(MIRROR_RING_MM[1] / self.spacing).astype(int), room)
        tumour = np.pad(self.tumour, [(int(n), int(n)) for n in margin])
        distance = distance_transform_edt(~tumour, sampling=self.spacing)
        ring = (distance > MIRROR_RING_MM[0]) & (distance <= MIRROR_RING_MM[1])
        for axes, name in MIRRORS.items():
            hu = np.flip(self.hu, axes)[box_slices(self.low - margin, self.high + margin)]
            dense = np.mean(hu[tumour] > TISSUE_HU) > MIN_TISSUE
            if dense and ring.any() and hu[tumour].mean() - hu[ring].mean() > LESION_CONTRAST_HU:
                return name
        return None

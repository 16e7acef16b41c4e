"""A case as stored, and the same case prepared for features and networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.imaging.acquisition import UNKNOWN, Acquisition
from DeepRadScoreLib.models import Preprocessing

if TYPE_CHECKING:
    from DeepRadScoreLib.imaging.dicom.pairing import SourceSeries

Severity = Literal["info", "warning"]
PATCH_PIXELS = 160


@dataclass(frozen=True)
class QualityNote:
    """One remark on a case: a stable `code` in snake_case, a `severity` and one sentence for the reader."""

    code: str
    severity: Severity
    message: str

    @classmethod
    def info(cls, code: str, message: str) -> QualityNote:
        """A note that does not speak against the results."""
        return cls(code, "info", message)

    @classmethod
    def warning(cls, code: str, message: str) -> QualityNote:
        """A note that may speak against the results."""
        return cls(code, "warning", message)


@dataclass(frozen=True)
class Case:
    """One CT with its tumour, in the pixel type, axis order and geometry of its file.

    Attributes
    ----------
    ct: 3-D scalar image in HU.
    tumour: uint8 image of 0 and 1 on the grid of `ct`.
    other_tumours: uint8 image of 0 and 1 on the same grid (other labels of the mask), or None.
    lung: uint8 image of 0 and 1 on the same grid to which the shell is confined, or None.
    notes: remarks from reading it.
    source: the headers of the CT where it was read from DICOM.
    acquisition: what these headers tell of the scan; nothing for other files.
    mask_ml: volume of the tumour mask in mL where it was drawn on another grid than the CT's, else None.
    settings: what was asked for when it was read: `other_labels`, and `mask_grid` where given.

    Examples
    --------
    >>> from DeepRadScoreLib import read_case
    >>> case = read_case("ct.nrrd", "tumour.nrrd", case_id="first")
    >>> case.case_id, case.ct.GetSize(), case.tumour.GetPixelIDTypeAsString()
    ('first', (48, 48, 40), '8-bit unsigned integer')
    """

    case_id: str
    ct: sitk.Image
    tumour: sitk.Image
    other_tumours: sitk.Image | None = None
    lung: sitk.Image | None = None
    notes: tuple[QualityNote, ...] = ()
    source: SourceSeries | None = field(default=None, repr=False, compare=False)
    acquisition: Acquisition = UNKNOWN
    mask_ml: float | None = None
    settings: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        size, spacing = (
            " x ".join(f"{value:.3g}" for value in values) for values in (self.ct.GetSize(), self.ct.GetSpacing())
        )
        return f"Case({self.case_id!r}: CT {size} voxels of {spacing} mm, notes: {len(self.notes)})"

    def change_masks(self, change: Callable[[sitk.Image], sitk.Image]) -> Case:
        """The case after the same change to each of its masks; the CT is not changed."""

        def changed(mask: sitk.Image | None) -> sitk.Image | None:
            return None if mask is None else change(mask)

        return replace(
            self,
            tumour=change(self.tumour),
            other_tumours=changed(self.other_tumours),
            lung=changed(self.lung),
            mask_ml=None,
        )


@dataclass(frozen=True)
class DeepPatch:
    """The deep patch: 160 x 160 native pixels of the slice with the largest tumour area.

    Attributes
    ----------
    image: 160 x 160 x 1 float32 image in HU at its true position (LPS order), -1000 where it leaves the CT.
    tumour: bool array, (160, 160), rows y, columns x.
    centre_ijk: the centroid's voxel in the LPS-ordered CT, which is pixel (80, 80) of the patch; its k is the slice.
    area_mm2: tumour area in that slice.
    cut_off_share: share of that area that lies outside the patch.
    """

    image: sitk.Image = field(repr=False)
    tumour: np.ndarray = field(repr=False)
    centre_ijk: tuple[int, int, int]
    area_mm2: float
    cut_off_share: float

    @property
    def hu(self) -> np.ndarray:
        """The pixels, float32, (160, 160), rows y, columns x, in HU."""
        return sitk.GetArrayFromImage(self.image)[0]


@dataclass(frozen=True)
class PreparedCase:
    """A case as all later steps use it; none of them reads the file again.

    Attributes
    ----------
    image: the CT on the 1 mm lattice that pyradiomics gets (int16 in the canonical frame).
    tumour, peritumoral: uint8 images of 0 and 1 on that lattice.
    patch: the deep patch.
    slice_ct, slice_tumour: the whole native slice of the patch (n x m x 1, HU; uint8), for display.
    quality: all remarks, from reading on.
    acquisition: that of the case.
    mask_ml: volume of the tumour mask in mL on the grid that it was drawn on; None: not known.
    axes_mm: long and short axis of the tumour on the CT's slices, see `diameters`; None: not known.
    """

    case_id: str
    preprocessing: Preprocessing
    shell_mm: float
    image: sitk.Image = field(repr=False)
    tumour: sitk.Image = field(repr=False)
    peritumoral: sitk.Image = field(repr=False)
    patch: DeepPatch
    slice_ct: sitk.Image = field(repr=False)
    slice_tumour: sitk.Image = field(repr=False)
    quality: tuple[QualityNote, ...]
    acquisition: Acquisition = UNKNOWN
    mask_ml: float | None = None
    axes_mm: tuple[float, float] | None = field(default=None, repr=False)

    def volume_ml(self, region: Literal["tumour", "peritumoral"]) -> float:
        """Volume of a region on the 1 mm lattice, in mL."""
        mask: sitk.Image = getattr(self, region)
        return float(sitk.GetArrayViewFromImage(mask).sum() * np.prod(mask.GetSpacing()) / 1000.0)

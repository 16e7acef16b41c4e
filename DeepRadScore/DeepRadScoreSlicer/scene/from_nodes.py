"""Nodes of the scene as images and as a case of the library."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer

from DeepRadScoreLib import imaging
from DeepRadScoreLib.imaging import Case, MaskContent, QualityNote
from DeepRadScoreLib.imaging.checks.ct_checks import check_axes, check_hu
from DeepRadScoreLib.imaging.grids.geometry import image_like, index_box
from DeepRadScoreLib.imaging.grids.lps import box_slices
from DeepRadScoreLib.imaging.masks.other_labels import other_tumours, union
from DeepRadScoreLib.imaging.origin import SYNTHETIC_KEY
from DeepRadScoreLib.models import OtherLabels
from DeepRadScoreSlicer.scene.image_files import LungMask, notes_of
from DeepRadScoreSlicer.scene.ownership import SYNTHETIC
from DeepRadScoreSlicer.scene.segments import DrawnSegments, common_grid, drawn_segments, on_one_grid
from DeepRadScoreSlicer.scene.usable import check_volume, check_voxels
from DeepRadScoreSlicer.scene.voxels import array_of, extent_around, image_hash, same_grid, set_geometry
from DeepRadScoreSlicer.translation import tr as _

REACH_MM = 35.0
"""More than the thickest shell and the margin of the 1 mm lattice around it."""


@dataclass(frozen=True)
class Chosen:
    """Nodes by ID, "" where nothing is chosen yet, thickness of the shell in mm, and what other segments are."""

    volume_id: str = ""
    segmentation_id: str = ""
    segment_id: str = ""
    shell_mm: float = 3.0
    other_labels: OtherLabels = OtherLabels.AUTO

    @property
    def complete(self) -> bool:
        """Whether CT, segmentation and segment are chosen."""
        return bool(self.volume_id and self.segmentation_id and self.segment_id)

    @property
    def volume(self) -> Any | None:
        """The CT, or None where it is not in the scene any more."""
        return slicer.mrmlScene.GetNodeByID(self.volume_id) if self.volume_id else None

    @property
    def segmentation(self) -> Any | None:
        """The segmentation, or None where it is not in the scene any more."""
        return slicer.mrmlScene.GetNodeByID(self.segmentation_id) if self.segmentation_id else None


def volume_image(volume: Any) -> sitk.Image:
    """A copy of a volume node's voxels with their pixel type, geometry (LPS) and the mark of a synthetic CT.

    Raises
    ------
    InputError: no volume, no voxels, a vector or 4-D volume, or one under a transform.
    """
    check_volume(volume)
    return _image(volume)


def _image(volume: Any) -> sitk.Image:
    image = sitk.GetImageFromArray(array_of(volume.GetImageData()))
    set_geometry(image, volume, volume.GetImageData().GetExtent()[::2])
    text = _synthetic_mark(volume)
    if text:
        image.SetMetaData(SYNTHETIC_KEY, text)
    return image


def segment_image(segmentation: Any, segment_id: str) -> sitk.Image:
    """One segment as a uint8 image of 0 and 1 on the segmentation's grid, in LPS, as it would be saved.

    Raises
    ------
    InputError: no segmentation, one under a transform, one without labelmaps.
    RegionError: no such segment, or an empty one.
    """
    drawn = drawn_segments(segmentation, segment_id, OtherLabels.IGNORE)
    content = on_one_grid(drawn, common_grid(segmentation.GetSegmentation()))
    return content.binary(content.segments[0])


@dataclass(frozen=True)
class NodeImages:
    """CT and segments of the chosen nodes as images, converted once for an analysis.

    Attributes
    ----------
    ct: voxels and geometry (LPS) of the volume node.
    content: the tumour's segment and the others that may be other tumours.
    other_labels: which of these are, as in `read_case`.
    notes: remarks on the files that the nodes were loaded from.
    """

    ct: sitk.Image
    content: MaskContent
    segment_id: str
    other_labels: OtherLabels = OtherLabels.AUTO
    notes: tuple[QualityNote, ...] = ()

    def case(self, case_id: str, lung_mask: LungMask | None = None) -> Case:
        """The case that reading the CT's file and the segmentation's would give.

        That is the labelmap that Slicer made segments of, or the `.seg.nrrd` that Slicer saves.

        Raises
        ------
        InputError, RegionError: as `DeepRadScoreLib.imaging.read_case`.
        """
        case = imaging.case_from_segments(
            self.ct, self.content, case_id=case_id, segment=self.segment_id, other_labels=self.other_labels
        )
        case = replace(case, notes=(*self.notes, *case.notes))
        return case if lung_mask is None else replace(case, lung=lung_mask.on(case.ct))

    def fingerprint(self) -> str:
        """Hashes of the CT, of the tumour's segment and of the other tumours near it, as far as a shell can reach.

        They change with any voxel and with the geometry.
        """
        tumour = next(one for one in self.content.segments if one.identity == self.segment_id)
        inside = self.content.binary(tumour)
        others = other_tumours(self.content, tumour, self.other_labels).tumours
        near = _near(union(self.content, others), inside) if others else None
        return " ".join(image_hash(image) for image in (self.ct, inside, near) if image is not None)


def _near(others: sitk.Image, tumour: sitk.Image) -> sitk.Image | None:
    """The part of other tumours within `REACH_MM` of a tumour's box, on the same grid; None where it is empty."""
    box = index_box(sitk.GetArrayViewFromImage(tumour))
    assert box is not None
    margin = np.ceil(REACH_MM / np.array(tumour.GetSpacing()[::-1])).astype(int)
    labels = sitk.GetArrayViewFromImage(others)
    around = box_slices(np.maximum(box[0] - margin, 0), np.minimum(box[1] + margin, np.array(labels.shape) - 1))
    kept = np.zeros_like(labels)
    kept[around] = labels[around]
    return image_like(kept, tumour) if kept.any() else None


def images_of(
    volume: Any, segmentation: Any, segment_id: str, other_labels: OtherLabels = OtherLabels.AUTO
) -> NodeImages:
    """Convert CT and segments to images. Raises InputError and RegionError as `volume_image` and `segment_image`."""
    ct, drawn = volume_image(volume), drawn_segments(segmentation, segment_id, other_labels)
    content = on_one_grid(drawn, common_grid(segmentation.GetSegmentation()))
    return NodeImages(ct, content, segment_id, other_labels, (*notes_of(volume), *notes_of(segmentation)))


def case_from_nodes(
    volume: Any, segmentation: Any, segment_id: str, case_id: str, other_labels: OtherLabels = OtherLabels.AUTO
) -> Case:
    """Case of a CT and a segment in the scene, see `NodeImages.case`."""
    return images_of(volume, segmentation, segment_id, other_labels).case(case_id)


def masks_from_nodes(
    volume: Any, segmentation: Any, segment_id: str, case_id: str, other_labels: OtherLabels = OtherLabels.AUTO
) -> Case:
    """The masks of a case around the tumour, as far as a peritumoral shell can reach: quicker than the whole case.

    The CT is replaced by zeros. The canonical frame does not depend on what is cut away.
    """
    check_volume(volume)
    drawn = drawn_segments(segmentation, segment_id, other_labels)
    drawn = _with_other_tumours(segmentation, segment_id, drawn, other_labels)
    return _around(volume, segmentation, drawn, segment_id, case_id)[0]


def tumour_from_nodes(volume: Any, segmentation: Any, segment_id: str) -> Case:
    """CT and tumour around the tumour, see `masks_from_nodes`; the whole CT is checked once after each change of it."""
    check_volume(volume)
    drawn = drawn_segments(segmentation, segment_id, OtherLabels.IGNORE)
    _check_hu(volume)
    case, extent = _around(volume, segmentation, drawn, segment_id, "")
    first = volume.GetImageData().GetExtent()[::2]
    box = [slice(extent[2 * a] - first[a], extent[2 * a + 1] + 1 - first[a]) for a in (2, 1, 0)]
    return replace(case, ct=image_like(array_of(volume.GetImageData())[tuple(box)], case.ct))


def _with_other_tumours(segmentation: Any, segment_id: str, drawn: DrawnSegments, how: OtherLabels) -> DrawnSegments:
    """The tumour's segment and those of the other tumours; that is decided by whole segments."""
    if len(drawn.segments) == 1 or how != OtherLabels.AUTO:
        return drawn
    content = on_one_grid(drawn, common_grid(segmentation.GetSegmentation()))
    tumour = next(one for one in content.segments if one.identity == segment_id)
    used = {segment_id} | {one.identity for one in other_tumours(content, tumour, how).tumours}
    return replace(drawn, segments=[one for one in drawn.segments if one.identity in used])


def _around(
    volume: Any, segmentation: Any, drawn: DrawnSegments, segment_id: str, case_id: str
) -> tuple[Case, tuple[int, ...]]:
    """The masks of a case around the tumour on a CT of zeros, and its extent in the CT (first and last i, j, k)."""
    common = common_grid(segmentation.GetSegmentation())
    tumour = next(one for one in drawn.segments if one.identity == segment_id)
    extent = extent_around(tumour.box, tumour.labelmap, volume, volume.GetImageData().GetExtent(), REACH_MM)
    grid = sitk.Image([last - first + 1 for first, last in zip(extent[::2], extent[1::2], strict=True)], sitk.sitkUInt8)
    set_geometry(grid, volume, extent[::2])
    on_ct = same_grid(common, volume)
    common.SetExtent(
        extent if on_ct else extent_around(tumour.box, tumour.labelmap, common, common.GetExtent(), REACH_MM)
    )
    case = imaging.masks_from_segments(grid, on_one_grid(drawn, common), case_id=case_id, segment=segment_id)
    return case, extent


_checked: dict[str, tuple[int, int]] = {}
"""Volume node -> when its voxels and the node itself were changed last as its CT was found to be in HU."""


def _check_hu(volume: Any) -> None:
    """Refuse a CT that `imaging` would refuse; one that passed is looked at again only after a change."""
    changed = volume.GetImageData().GetMTime(), volume.GetMTime()
    if _checked.get(volume.GetID()) != changed:
        data, place, where = volume.GetImageData(), sitk.Image(1, 1, 1, sitk.sitkUInt8), _("the CT")
        set_geometry(place, volume, data.GetExtent()[::2])
        check_axes(place, where=where)
        check_hu(array_of(data), volume.GetSpacing(), where=where)
        _checked[volume.GetID()] = volume.GetImageData().GetMTime(), volume.GetMTime()


def anonymous_case_id(volume: Any) -> str:
    """ "case-" and twelve digits made of the CT's SeriesInstanceUID, as for a CT that the library reads from DICOM.

    Where it has none: of its instances' UIDs, else of its voxels and geometry. Never of a name. A transform that is
    still to be hardened hinders nothing here.

    Raises
    ------
    InputError: no volume, no voxels, a vector or 4-D volume.
    """
    check_voxels(volume)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = 0 if hierarchy is None else hierarchy.GetItemByDataNode(volume)
    series = hierarchy.GetItemUID(item, slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMUIDName()) if item else ""
    return imaging.anonymous_case_id(series or volume.GetAttribute("DICOM.instanceUIDs") or image_hash(_image(volume)))


def _synthetic_mark(volume: Any) -> str:
    """The text of the synthetic cohort's mark, or "": of the node, else of the file that it was loaded from.

    Slicer does not read such marks and would lose them at the next save: the node remembers it from now on.
    """
    text = volume.GetAttribute(SYNTHETIC)
    if text:
        return text
    storage = volume.GetStorageNode()
    path = None if storage is None else storage.GetFullNameFromFileName()
    if not path or not path.lower().endswith(".nrrd"):
        return ""
    reader = sitk.ImageFileReader()
    reader.SetFileName(path)
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return ""
    if not reader.HasMetaDataKey(SYNTHETIC_KEY):
        return ""
    text = reader.GetMetaData(SYNTHETIC_KEY)
    volume.SetAttribute(SYNTHETIC, text)
    return text

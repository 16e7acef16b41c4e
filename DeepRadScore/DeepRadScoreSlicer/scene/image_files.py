"""Image files of a case, checked by the library before Slicer loads them; what it puts right is loaded from memory.

Slicer's readers place a file whose header contradicts itself by one of its fields, cut labels that went through floats
down to the number below, and make a segment of each value of an image that is no mask.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer

from DeepRadScoreLib.imaging import QualityNote, lung_on_grid, read_image
from DeepRadScoreLib.imaging.formats.conversion import conversion_notes
from DeepRadScoreLib.imaging.formats.file_names import file_stem
from DeepRadScoreLib.imaging.formats.files import check_image, is_dicom, read_stored, write_image
from DeepRadScoreLib.imaging.grids.geometry import direction_of
from DeepRadScoreLib.imaging.masks.mask_grid import replacement, with_grid
from DeepRadScoreLib.imaging.masks.segments import whole_labels
from DeepRadScoreLib.imaging.reading import named_notes
from DeepRadScoreLib.models import MaskGrid
from DeepRadScoreSlicer.scene.display.viewing import LUNG
from DeepRadScoreSlicer.scene.reading import read_labelmap, read_volume
from DeepRadScoreSlicer.scene.voxels import image_to_volume, set_geometry
from DeepRadScoreSlicer.translation import tr as _

SLICER_READS = (".nrrd", ".nii", ".nii.gz")
"""Formats that Slicer reads as segmentations."""
NOTES = "DeepRadScore.FileNotes"
"""Attribute of a node: the remarks on its file, as JSON."""


def load_volume(path: Path, name: str) -> Any:
    """A CT from its file, by Slicer's reader where that places it rightly.

    Raises
    ------
    InputError: as `imaging.formats.files.read_stored`, but damage within compressed voxels is not found.
    RuntimeError: Slicer cannot read it.
    """
    if is_dicom(path):
        return _volume_from(path, name)
    file = check_image(path)
    if file.put_right:
        node = image_to_volume(_right_handed(read_image(path)), name)
        node.GetDisplayNode().SetWindowLevelMinMax(LUNG.low, LUNG.high)
    else:
        node = _volume_from(path, name)
    keep_notes(node, named_notes(_("CT"), (*file.notes, *conversion_notes(path, file.grid))))
    return node


def load_segmentation(
    mask: Path, name: str, volume: Any, *, ct: Path | None = None, mask_grid: MaskGrid | None = None
) -> Any:
    """A mask from its file, by Slicer's reader, from the file as the library reads it where that is another.

    Parameters
    ----------
    volume: the CT.
    ct: its file, with whose voxels those of the mask are paired for `MaskGrid.SAME`.
    mask_grid: as in `DeepRadScoreLib.imaging.read_case`.

    Raises
    ------
    InputError, RegionError: as `read_case`.
    RuntimeError: Slicer cannot read it.
    """
    stored = read_stored(mask)
    labels = whole_labels(stored.image, where=mask)
    grid = check_image(ct).grid if ct is not None and mask_grid == MaskGrid.SAME else _grid_of(volume)
    moved = replacement(stored.image, grid, mask_grid, where=mask, ct_name=_("the CT"))
    image = labels.layers[0] if labels.notes else stored.image
    notes = (*named_notes(_("Mask"), stored.notes), *labels.notes, *(() if moved is None else (moved,)))
    if moved is not None:
        image = with_grid(image, grid)
    if notes or not mask.name.lower().endswith(SLICER_READS):
        node = _from_image(image, mask, name)
    else:
        node = _segmentation_from(mask, name)
    keep_notes(node, notes)
    return node


@dataclass(frozen=True)
class LungMask:
    """The lung mask of a case of the list: its file, that of the CT, and where it lies, see `read_case`."""

    path: Path
    ct: Path | None = None
    mask_grid: MaskGrid | None = None

    def on(self, ct: sitk.Image) -> sitk.Image:
        """Its voxels on the grid of the CT in the scene. Raises InputError and RegionError as `lung_on_grid`."""
        image = read_image(self.path)
        if self.mask_grid != MaskGrid.SAME or self.ct is None or is_dicom(self.ct):
            return lung_on_grid(image, ct, self.path, mask_grid=self.mask_grid)
        grid = check_image(self.ct).grid
        if replacement(image, grid, self.mask_grid, where=self.path, ct_name=_("the CT")) is not None:
            image = with_grid(image, grid)
        return lung_on_grid(image, ct, self.path)


def keep_notes(node: Any, notes: Sequence[QualityNote]) -> None:
    """Keep remarks on a file with its node."""
    if node is not None and notes:
        node.SetAttribute(NOTES, json.dumps([astuple(note) for note in notes]))


def notes_of(node: Any) -> tuple[QualityNote, ...]:
    """The remarks that `keep_notes` kept."""
    return tuple(QualityNote(*fields) for fields in json.loads(node.GetAttribute(NOTES) or "[]"))


def _from_image(image: sitk.Image, mask: Path, name: str) -> Any:
    """A segmentation of an image in memory, by Slicer's reader of the file's format; it is stored in no file."""
    ending = ".seg.nrrd" if mask.name.lower().endswith(".seg.nrrd") else ".nrrd"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{file_stem(mask)}{ending}")
        write_image(image, path)
        node = _segmentation_from(path, name)
    storage = None if node is None else node.GetStorageNode()
    if storage is not None:
        slicer.mrmlScene.RemoveNode(storage)
    return node


def _volume_from(path: Path, name: str) -> Any:
    return read_volume(path, name, LUNG) or slicer.util.loadVolume(str(path), {"name": name, "show": False})


def _segmentation_from(path: Path, name: str) -> Any:
    return read_labelmap(path, name) or slicer.util.loadSegmentation(str(path), {"name": name})


def _right_handed(image: sitk.Image) -> sitk.Image:
    """An image with its slices turned where its axes are left-handed, as Slicer's reader of volumes turns them."""
    return image[:, :, ::-1] if np.linalg.det(direction_of(image)) < 0 else image


def _grid_of(volume: Any) -> sitk.Image:
    """An image of the size and geometry of a volume node."""
    data = volume.GetImageData()
    image = sitk.Image(data.GetDimensions(), sitk.sitkUInt8)
    set_geometry(image, volume, data.GetExtent()[::2])
    return image

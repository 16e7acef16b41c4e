"""A CT for another program, and the masks that this proposes: read, parted into lesions, the nearest to a point."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging import read_image
from DeepRadScoreLib.imaging.formats.files import write_image
from DeepRadScoreLib.imaging.grids.geometry import image_like, index_box, same_grid
from DeepRadScoreLib.imaging.grids.lps import box_slices
from DeepRadScoreLib.progress import Progress, Stage
from DeepRadScoreSlicer.scene.from_nodes import volume_image
from DeepRadScoreSlicer.translation import tr as _

MIN_VOXELS, MAX_LESIONS = 8, 20


def hand_over_steps(volume: Any, path: Path, name: str) -> Generator[Progress, None, sitk.Image]:
    """Write the CT of a volume node into a file for a program of that name; the CT.

    Raises
    ------
    InputError: the CT cannot be used.
    OSError: it cannot be written.
    """
    yield Progress(Stage.ANALYSING, _("reading the CT from the scene"))
    ct = volume_image(volume)
    yield Progress(Stage.ANALYSING, _("writing the CT for {name}").format(name=name))
    write_image(ct, path)
    return ct


def read_proposal(path: Path, ct: sitk.Image, name: str, value: int | None, mend: str) -> np.ndarray:
    """The voxels of a labelmap that have a value, or any but 0: bool, (z, y, x), on the grid of the CT.

    Parameters
    ----------
    name: of the program that wrote it, for errors.
    mend: what to do where there is no file.

    Raises
    ------
    InputError: there is no file, it cannot be read, or its grid is not the CT's.
    """
    if not path.is_file():
        raise InputError(_("{name} wrote no result").format(name=name), mend=mend)
    found = read_image(path)
    if not same_grid(found, ct):
        raise InputError(_("the result of {name} is not on the CT's grid").format(name=name), mend=_("draw the tumour"))
    labels = sitk.GetArrayViewFromImage(found)
    return labels != 0 if value is None else labels == value


def lesions_steps(inside: np.ndarray, ct: sitk.Image) -> Generator[Progress, None, list[sitk.Image]]:
    """The connected pieces of a mask as masks of 0 and 1 on the CT's grid, the largest first; no tiny ones.

    A step before each of them.
    """
    from scipy.ndimage import label

    filled = index_box(inside)
    if filled is None:
        return []
    box = box_slices(*filled)
    pieces, count = label(inside[box], structure=np.ones((3, 3, 3)))
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
    kept = [n for n in np.argsort(-sizes, kind="stable")[:MAX_LESIONS].tolist() if sizes[n] >= MIN_VOXELS]
    found = []
    for n in kept:
        yield Progress(Stage.ANALYSING, _("parting the lesions"), 99, 100)
        mask = np.zeros(inside.shape, np.uint8)
        mask[box] = pieces == n + 1
        found.append(image_like(mask, ct))
    return found


def nearest_to(ras: tuple[float, float, float] | None, masks: list[sitk.Image]) -> int:
    """Index of the mask nearest to a point (RAS mm); of the first where that is None."""
    if ras is None:
        return 0
    point = np.array((-ras[0], -ras[1], ras[2]))
    return int(np.argmin([_distance(mask, point) for mask in masks]))


def _distance(image: sitk.Image, point: np.ndarray) -> float:
    """Distance in mm of a point (LPS) to the nearest voxel of a mask."""
    mask = sitk.GetArrayViewFromImage(image)
    box = index_box(mask)
    assert box is not None
    index = np.argwhere(mask[tuple(slice(a, b + 1) for a, b in zip(*box, strict=True))]) + box[0]
    axes = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    return float(np.linalg.norm(index[:, ::-1] @ axes.T + image.GetOrigin() - point, axis=1).min())

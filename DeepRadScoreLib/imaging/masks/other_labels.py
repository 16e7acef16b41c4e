"""Which other labels of a mask are other tumours, which are cut out of the peritumoral shell, and which are not.

Where labels have names, the names decide; a label without one is a tumour where its shape and size can be those of one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.imaging.carriers import QualityNote
from DeepRadScoreLib.imaging.grids.geometry import image_like, index_box
from DeepRadScoreLib.imaging.grids.lps import box_slices
from DeepRadScoreLib.imaging.masks.segments import MaskContent, Segment
from DeepRadScoreLib.models import OtherLabels

DIRECTIONS = 500
MAX_SHARE_OF_DIRECTIONS = 0.5
"""No convex region is met in more than half of the directions from a point outside of it."""
MAX_SHARED = 0.75
"""Outlines that share more of the smaller one's voxels are of one tumour: nested ones, or those of two readers."""
MAX_UNNAMED_ML = 300.0
"""The lobes of a lung are larger."""
MAX_NAMED_ML = 1000.0
"""A name such as "Lungs-GTV" names a tumour, too."""
MAX_UNNAMED = 20
"""A mask with more labels without a name is one of anatomy."""
SHOWN = 4


class Reason(StrEnum):
    """Why another label is not cut out, in the words of the note."""

    SAME = "outlines the same tumour"
    AROUND = "surrounds the tumour"
    LARGE = "is too large for a tumour"
    ANATOMY = f"is one of over {MAX_UNNAMED} without a name"
    NAME = "is no tumour by its name"
    IGNORED = "is ignored as asked for"


@dataclass(frozen=True)
class OtherTumours:
    """The other labels of a mask that are other tumours, and those that are not with the reason.

    A label that is not at hand (see `MaskContent.aside`) or is not looked at stands as None.
    """

    tumours: tuple[Segment, ...]
    left: tuple[tuple[Reason, Segment | None], ...]

    @property
    def notes(self) -> tuple[QualityNote, ...]:
        """What was decided, in one note; none where the mask has no other label."""
        groups: dict[Reason, list[Segment | None]] = defaultdict(list)
        for reason, segment in self.left:
            groups[reason].append(segment)
        parts = [f"{_listed(found)} ({reason})" for reason, found in groups.items()]
        if not self.tumours and not parts:
            return ()
        cut = f"cut out of the peritumoral shell as other tumours: {_listed(self.tumours) if self.tumours else 'none'}"
        left = f"; not cut out: {', '.join(parts)}" if parts else ""
        return (QualityNote.info("other_labels", f"Other labels of the mask {cut}{left}."),)


def other_tumours(content: MaskContent, chosen: Segment, how: OtherLabels) -> OtherTumours:
    """The other labels of a mask that count as other tumours.

    `tumours`: all of them; `ignore`: none; `auto`: those whose names say tumour and those without a name, but for

    - one that lies behind the tumour in more than half of the directions from its centre (the lung around a nodule),
    - one that shares over three quarters of the voxels of the smaller with the tumour: an outline of the same tumour,
    - one of over 1 litre, or of over 0.3 litre without a name,
    - those without a name in a mask that has over 20 of them.

    Parameters
    ----------
    content: all layers lie on one grid.
    """
    others = [segment for segment in content.segments if segment != chosen]
    if how == OtherLabels.TUMOURS:
        return OtherTumours(tuple(others), ())
    if how == OtherLabels.IGNORE:
        return OtherTumours((), ((Reason.IGNORED, None),) * (len(others) + content.aside))
    candidates = [segment for segment in others if segment.counts_as_tumour]
    unlike = _unlike_tumours(content, chosen, candidates) if candidates else {}
    named = len(others) - len(candidates) + content.aside
    return OtherTumours(
        tuple(segment for segment in candidates if segment not in unlike),
        (*((reason, segment) for segment, reason in unlike.items()), *((Reason.NAME, None),) * named),
    )


def union(content: MaskContent, segments: Sequence[Segment]) -> sitk.Image:
    """uint8 image of 0 and 1 on the grid of the mask: the voxels of any of the segments, one at least."""
    values: dict[int, list[int]] = defaultdict(list)
    for segment in segments:
        values[segment.layer].append(segment.value)
    inside = np.zeros(content.layers[0].GetSize()[::-1], np.uint8)
    for layer, wanted in values.items():
        labels = sitk.GetArrayViewFromImage(content.layers[layer])
        box = index_box(labels)
        if box is not None:
            filled = box_slices(*box)
            inside[filled] |= np.isin(labels[filled], wanted)
    return image_like(inside, content.layers[0])


def _unlike_tumours(content: MaskContent, chosen: Segment, candidates: Sequence[Segment]) -> dict[Segment, Reason]:
    """The candidates that are no other tumours, by shape and size."""
    tumour = _Tumour.of(content, chosen)
    anatomy = sum(segment.unnamed for segment in content.segments) > MAX_UNNAMED
    found: dict[Segment, Reason] = {}
    for layer in sorted({segment.layer for segment in candidates}):
        labels, spacing = sitk.GetArrayViewFromImage(content.layers[layer]), content.layers[layer].GetSpacing()
        met = tumour.labels_met(labels, spacing)
        for segment in (one for one in candidates if one.layer == layer):
            if anatomy and not segment.named_tumour:
                found[segment] = Reason.ANATOMY
            elif np.mean((met == segment.value).any(axis=1)) > MAX_SHARE_OF_DIRECTIONS:
                found[segment] = Reason.AROUND
            elif (reason := _reason_by_size(segment, labels, tumour, spacing)) is not None:
                found[segment] = reason
    return found


def _reason_by_size(segment: Segment, labels: np.ndarray, tumour: _Tumour, spacing: Sequence[float]) -> Reason | None:
    size = int(np.count_nonzero(labels == segment.value))
    shared = int(np.count_nonzero(tumour.inside & (labels[tumour.box] == segment.value)))
    if shared > MAX_SHARED * min(size, tumour.size):
        return Reason.SAME
    volume_ml = size * float(np.prod(spacing)) / 1000
    return Reason.LARGE if volume_ml > (MAX_NAMED_ML if segment.named_tumour else MAX_UNNAMED_ML) else None


@dataclass(frozen=True)
class _Tumour:
    """The chosen tumour, bool (z, y, x) on the grid of the mask, and the slices of its box."""

    mask: np.ndarray
    box: tuple[slice, ...]

    @classmethod
    def of(cls, content: MaskContent, chosen: Segment) -> _Tumour:
        mask = sitk.GetArrayFromImage(content.binary(chosen)) != 0
        found = index_box(mask)
        assert found is not None, "segments of a mask have voxels"
        return cls(mask, box_slices(*found))

    @property
    def inside(self) -> np.ndarray:
        """The tumour within its box."""
        return self.mask[self.box]

    @property
    def size(self) -> int:
        """Number of voxels."""
        return int(self.inside.sum())

    def labels_met(self, labels: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
        """The labels behind the tumour on straight lines from its centre to the image's ends, (directions, steps).

        Parameters
        ----------
        labels: (z, y, x). spacing: mm along x, y, z; the smallest is the distance of the steps.
        """
        step = np.array(spacing)[::-1]
        centre = np.argwhere(self.inside).mean(axis=0) + [each.start for each in self.box]
        length = np.linalg.norm(np.array(labels.shape) * step)
        far = np.arange(1, int(length / step.min()) + 1) * step.min()
        index = np.rint(centre + _directions()[:, None] * far[:, None] / step).astype(np.int64)
        outside = ((index < 0) | (index >= labels.shape)).any(axis=2)
        index[outside] = 0
        z, y, x = np.moveaxis(index, 2, 0)
        tumour = self.mask[z, y, x] & ~outside
        behind = ~np.logical_or.accumulate(tumour[:, ::-1], axis=1)[:, ::-1]
        return np.where(behind & ~outside, labels[z, y, x], 0)


def _directions() -> np.ndarray:
    """Evenly spread unit vectors, (n, 3): a Fibonacci lattice (R. Swinbank and R. J. Purser, 2006)."""
    number = np.arange(DIRECTIONS) + 0.5
    height, turn = 1 - 2 * number / DIRECTIONS, np.pi * (1 + np.sqrt(5)) * number
    radius = np.sqrt(1 - height**2)
    return np.column_stack([height, radius * np.sin(turn), radius * np.cos(turn)])


def _listed(segments: Sequence[Segment | None]) -> str:
    """The first ones without a name by their labels; the others, whose names may be a person's, by their number."""
    words = [f"label {one.value}" for one in segments if one is not None and one.unnamed][:SHOWN]
    others = len(segments) - len(words)
    if others:
        words.append(f"{others} more" if words else "1 label" if others == 1 else f"{others} labels")
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"

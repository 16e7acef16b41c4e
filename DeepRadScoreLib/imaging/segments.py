"""The segments of a mask file, and the choice of the tumour: labels by value, Slicer's segments by name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.errors import InputError, RegionError, Where

TUMOUR_WORDS = ("tumour", "tumor", "gtv", "lesion", "nodule")
AROUND_WORDS = ("peritumour", "peritumor")
UNNAMED = re.compile(r"(?:segment|label)[_ ](-?\d+)", re.IGNORECASE)
"""Names of unnamed regions: by Slicer ("Segment_2", "Label_2") and here ("label 2")."""


@dataclass(frozen=True)
class Segment:
    """One segment or label: its name ("label 2" in a plain labelmap), id, image component and value in it."""

    name: str
    identity: str
    layer: int
    value: int

    @property
    def counts_as_tumour(self) -> bool:
        """Whether it is a label of a plain labelmap, or its name holds one of `TUMOUR_WORDS`.

        Segments with names such as "Segment_1", which Slicer gives to the labels of a plain labelmap, count as labels.
        """
        return self.unnamed or names_tumour(self.name)

    @property
    def unnamed(self) -> bool:
        """Whether it is a label, or a segment with a default name of Slicer."""
        return self.identity == "" or UNNAMED.fullmatch(self.name) is not None


def names_tumour(text: str, words: Sequence[str] = TUMOUR_WORDS) -> bool:
    """Whether a name says that it is a tumour; "peritumoral" does not."""
    plain = text.casefold()
    for around in AROUND_WORDS:
        plain = plain.replace(around, "")
    return any(word in plain for word in words)


@dataclass(frozen=True)
class MaskContent:
    """The layers of a mask (scalar integer images) and the segments in them that are not empty."""

    layers: tuple[sitk.Image, ...]
    segments: tuple[Segment, ...]
    empty: tuple[Segment, ...]
    where: Where

    def binary(self, segment: Segment) -> sitk.Image:
        """uint8 image of 0 and 1 on the grid of the mask."""
        return self.layers[segment.layer] == segment.value


def mask_content(mask: sitk.Image, *, where: Where) -> MaskContent:
    """The layers and segments of a mask image.

    A mask with metadata keys `Segment0_ID`, `Segment0_Name`, `Segment0_Layer`, `Segment0_LabelValue` ... is a Slicer
    segmentation (overlapping segments lie in several image components); any other one is a labelmap.

    Raises
    ------
    InputError: several components and no segments.
    RegionError: values that are not whole numbers, or nothing but background.
    """
    named = _named_segments(mask)
    if not named and mask.GetNumberOfComponentsPerPixel() > 1:
        raise InputError(
            f"the mask has {mask.GetNumberOfComponentsPerPixel()} components per voxel",
            where=where,
            mend="save it as a labelmap or as a Slicer segmentation (.seg.nrrd)",
        )
    layers = tuple(_whole_numbers(layer, where) for layer in _layers(mask))
    values = [_labels(layer) for layer in layers]
    if not named:
        named = [Segment(f"label {value}", "", 0, value) for value in values[0]]
    filled = tuple(s for s in named if s.layer < len(values) and s.value in values[s.layer])
    if not filled:
        raise RegionError("the mask is empty", where=where, mend="outline the tumour and save the mask again")
    return MaskContent(layers, filled, tuple(s for s in named if s not in filled), where)


def choose(content: MaskContent, *, segment: str | None, label: int | None) -> Segment:
    """The one segment with a name, id or number (see `by_name`), with a label value, or the only one there is.

    Raises
    ------
    RegionError: it is absent or empty, or there are several and none or more than one was chosen.
    """
    present = ", ".join(_described(s) for s in content.segments)
    wanted = "the tumour" if label is None else f"the label {label}"
    candidates = list(content.segments)
    if segment is not None:
        wanted, matches = f'the segment "{segment}"', by_name((*content.segments, *content.empty), segment)
        candidates = [s for s in matches if s in content.segments]
        if matches and not candidates:
            raise RegionError(f"{wanted} is empty", where=content.where, mend=f"choose one of: {present}")
    if label is not None:
        candidates = [s for s in candidates if s.value == label]
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise RegionError(f"{wanted} is not in the mask", where=content.where, mend=f"choose one of: {present}")
    if segment is None and label is None:
        raise RegionError(
            f"the mask holds {len(candidates)} regions and none was chosen",
            where=content.where,
            mend=f"choose a segment by name or a label by number: {present}",
        )
    raise RegionError(
        f"{wanted} stands {len(candidates)} times in the mask",
        where=content.where,
        mend="choose by segment id: " + ", ".join(s.identity or s.name for s in candidates),
    )


def by_name(segments: Sequence[Segment], name: str) -> list[Segment]:
    """The segments with that id, else with that name, else with that name regardless of case, else with that number.

    "2" matches every segment of label value 2; "Segment_2" and "label 2" only an unnamed one.
    """
    number, called = re.fullmatch(r"-?\d+", name.strip()), UNNAMED.fullmatch(name.strip())
    for matches in (
        [s for s in segments if s.identity == name and name],
        [s for s in segments if s.name == name],
        [s for s in segments if s.name.casefold() == name.strip().casefold()],
        [s for s in segments if number and s.value == int(number[0])],
        [s for s in segments if called and s.unnamed and s.value == int(called[1])],
    ):
        if matches:
            return matches
    return []


def _described(segment: Segment) -> str:
    return f'"{segment.name}"' if segment.identity else str(segment.value)


def _named_segments(mask: sitk.Image) -> list[Segment]:
    """Segments of a Slicer segmentation; older files name neither layer nor value: one component each, value 1."""
    found: list[Segment] = []
    while True:
        prefix = f"Segment{len(found)}_"
        fields = {
            key: mask.GetMetaData(prefix + key)
            for key in ("ID", "Name", "Layer", "LabelValue")
            if mask.HasMetaDataKey(prefix + key)
        }
        if not {"ID", "Name"} & fields.keys():
            return found
        identity = fields.get("ID") or f"Segment{len(found)}"
        layer = int(fields.get("Layer", len(found) if mask.GetNumberOfComponentsPerPixel() > 1 else 0))
        found.append(Segment(fields.get("Name") or identity, identity, layer, int(fields.get("LabelValue", 1))))


def _layers(mask: sitk.Image) -> list[sitk.Image]:
    count = mask.GetNumberOfComponentsPerPixel()
    if count == 1 and "vector" not in mask.GetPixelIDTypeAsString():
        return [mask]
    return [sitk.VectorIndexSelectionCast(mask, index) for index in range(count)]


def _whole_numbers(layer: sitk.Image, where: Where) -> sitk.Image:
    values = sitk.GetArrayViewFromImage(layer)
    if np.issubdtype(values.dtype, np.integer):
        return layer
    if np.iscomplexobj(values) or not (np.isfinite(values).all() and (values == np.rint(values)).all()):
        raise RegionError(
            "the mask has values that are not whole numbers",
            where=where,
            mend="save it as a labelmap (a probability map must be thresholded first)",
        )
    return sitk.Cast(layer, sitk.sitkInt32)


def _labels(layer: sitk.Image) -> list[int]:
    values = sitk.GetArrayViewFromImage(layer)
    return np.unique(values[values != 0]).tolist()

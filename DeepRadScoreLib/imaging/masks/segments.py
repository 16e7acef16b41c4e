"""The segments of a mask file, and the choice of the tumour: labels by value, Slicer's segments by name."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.errors import InputError, RegionError, Where
from DeepRadScoreLib.imaging.carriers import QualityNote
from DeepRadScoreLib.imaging.formats.slicer_segmentation import clipped, extent_of, segment_fields, whole_number
from DeepRadScoreLib.imaging.grids.geometry import image_like, index_box
from DeepRadScoreLib.imaging.grids.lps import box_slices

TUMOUR_WORDS = ("tumour", "tumor", "gtv", "lesion", "nodule")
AROUND_WORDS = ("peritumour", "peritumor")
SHELL_IDENTITY = "Surrounding shell"
"""Id of the shell in the SEG that this program writes: never the tumour unless it is asked for."""
UNNAMED = re.compile(r"(?:segment|label)[_ ](-?\d+)", re.IGNORECASE)
"""Names of unnamed regions: by Slicer ("Segment_2", "Label_2") and here ("label 2")."""

MAX_LABELS, MAX_NEGATIVE_LABELS = 1000, 20
"""More different values than in any atlas of a chest, or so many and negative ones among them: an image, no mask."""
SAMPLED_VOXELS = 200_000
MAX_OFF_WHOLE = 0.05
"""How far a label that went through floats may lie off the whole number that it was."""


NO_NAMES: Mapping[int, str] = MappingProxyType({})


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
        return self.unnamed or self.named_tumour

    @property
    def named_tumour(self) -> bool:
        """Whether its name says tumour."""
        return names_tumour(self.name)

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
    """The layers of a mask (scalar integer images) and the segments in them that are not empty.

    `aside`: number of further segments, which no layer holds since their names are those of no tumour. `notes`: remarks
    from reading it.
    """

    layers: tuple[sitk.Image, ...]
    segments: tuple[Segment, ...]
    empty: tuple[Segment, ...]
    where: Where
    notes: tuple[QualityNote, ...] = ()
    aside: int = field(default=0, kw_only=True)

    def binary(self, segment: Segment) -> sitk.Image:
        """uint8 image of 0 and 1 on the grid of the mask."""
        layer = self.layers[segment.layer]
        labels = sitk.GetArrayViewFromImage(layer)
        inside = np.zeros(labels.shape, np.uint8)
        box = index_box(labels)
        if box is not None:
            filled = box_slices(*box)
            inside[filled] = labels[filled] == segment.value
        return image_like(inside, layer)


def mask_content(mask: sitk.Image, *, where: Where, names: Mapping[int, str] = NO_NAMES) -> MaskContent:
    """The layers and segments of a mask image.

    A mask with metadata keys `Segment0_ID`, `Segment0_Name`, `Segment0_Layer`, `Segment0_LabelValue` ... is a Slicer
    segmentation (overlapping segments lie in several image components); any other one is a labelmap.

    Parameters
    ----------
    names: label value of a labelmap -> name, as far as they are known.

    Raises
    ------
    InputError: several components and no segments.
    RegionError: values that are not whole numbers, more than `MAX_LABELS` of them, or nothing but background.
    """
    named = _named_segments(mask, where)
    if not named and mask.GetNumberOfComponentsPerPixel() > 1:
        raise InputError(
            f"the mask has {mask.GetNumberOfComponentsPerPixel()} components per voxel",
            where=where,
            mend="save it as a labelmap or as a Slicer segmentation (.seg.nrrd)",
        )
    labels = whole_labels(mask, where=where)
    layers = _clipped_layers(labels.layers, named, mask, where)
    values = [_labels(layer, where) for layer in layers]
    if not named:
        named = [_label(value, names) for value in values[0]]
    filled = tuple(s for s in named if s.layer < len(values) and s.value in values[s.layer])
    if not filled:
        raise RegionError("the mask is empty", where=where, mend="outline the tumour and save the mask again")
    empty = tuple(s for s in named if s not in filled)
    notes = (*labels.notes, *_clip_notes(labels.layers, layers))
    return MaskContent(layers, filled, empty, where, notes=notes)


@dataclass(frozen=True)
class WholeLabels:
    """The components of a mask image in whole numbers, and the remark on labels that were rounded."""

    layers: tuple[sitk.Image, ...]
    notes: tuple[QualityNote, ...]


def whole_labels(mask: sitk.Image, *, where: Where) -> WholeLabels:
    """The components of a mask image in whole numbers; labels that went through floats become the nearest ones.

    Raises
    ------
    RegionError: values that are not whole numbers, or so many that it is no mask.
    """
    stored = _layers(mask)
    for layer in stored:
        _check_sample(layer, where)
    layers = tuple(_whole_numbers(layer, where) for layer in stored)
    rounded = (note for one, layer in zip(stored, layers, strict=True) for note in _rounded(one, layer))
    return WholeLabels(layers, tuple(dict.fromkeys(rounded)))


def _label(value: int, names: Mapping[int, str]) -> Segment:
    label = f"label {value}"
    return Segment(names[value], label, 0, value) if value in names else Segment(label, "", 0, value)


def choose(content: MaskContent, *, segment: str | None, label: int | None) -> Segment:
    """The one segment with a name, id or number (see `by_name`), with a label value, or the only one there is.

    Where nothing was chosen, a shell that this program drew does not count.

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
    if segment is None and label is None:
        candidates = [s for s in candidates if s.identity != SHELL_IDENTITY]
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
    """The segments with that id, else with that name, else with that name regardless of case, else of "_" and blanks
    too, which Slicer's colour tables exchange, else with that number.

    "2" matches every segment of label value 2; "Segment_2" and "label 2" only an unnamed one.
    """
    number, called = re.fullmatch(r"-?\d+", name.strip()), UNNAMED.fullmatch(name.strip())
    for matches in (
        [s for s in segments if s.identity == name and name],
        [s for s in segments if s.name == name],
        [s for s in segments if s.name.casefold() == name.strip().casefold()],
        [s for s in segments if _plain(s.name) == _plain(name)],
        [s for s in segments if number and s.value == int(number[0])],
        [s for s in segments if called and s.unnamed and s.value == int(called[1])],
    ):
        if matches:
            return matches
    return []


def _plain(name: str) -> str:
    return name.strip().casefold().replace("_", " ")


def _described(segment: Segment) -> str:
    return f'"{segment.name}"' if segment.identity else str(segment.value)


def _named_segments(mask: sitk.Image, where: Where) -> list[Segment]:
    """Segments of a Slicer segmentation; older files name neither layer nor value: one component each, value 1."""
    found: list[Segment] = []
    for number, fields in enumerate(segment_fields(mask)):
        identity = fields.get("ID") or f"Segment{number}"
        layer = number if mask.GetNumberOfComponentsPerPixel() > 1 or "LabelValue" not in fields else 0
        if "Layer" in fields:
            layer = whole_number(fields["Layer"], f"Segment{number}_Layer", where)
        value = whole_number(fields.get("LabelValue", "1"), f"Segment{number}_LabelValue", where)
        found.append(Segment(fields.get("Name") or identity, identity, layer, value))
    return found


def _clipped_layers(
    layers: tuple[sitk.Image, ...], segments: Sequence[Segment], mask: sitk.Image, where: Where
) -> tuple[sitk.Image, ...]:
    """The layers without what lies outside of the box around their segments' extents, as Slicer reads them."""
    extents: dict[int, list[np.ndarray]] = defaultdict(list)
    for number, (segment, fields) in enumerate(zip(segments, segment_fields(mask), strict=False)):
        whole = np.array([(0, 0, 0), np.subtract(mask.GetSize(), 1)])
        extent = extent_of(fields["Extent"], f"Segment{number}_Extent", where) if "Extent" in fields else whole
        extents[segment.layer].append(extent)
    return tuple(clipped(layer, _around(extents[n])) if n in extents else layer for n, layer in enumerate(layers))


def _around(extents: Sequence[np.ndarray]) -> np.ndarray:
    """The extent around those that are not empty."""
    filled = [extent for extent in extents if (extent[0] <= extent[1]).all()] or extents[:1]
    return np.array([np.min(filled, axis=0)[0], np.max(filled, axis=0)[1]])


def _clip_notes(stored: Sequence[sitk.Image], layers: Sequence[sitk.Image]) -> Iterator[QualityNote]:
    changed = [pair for pair in zip(stored, layers, strict=True) if pair[0] is not pair[1]]
    lost = sum(
        int(np.count_nonzero(sitk.GetArrayViewFromImage(before)) - np.count_nonzero(sitk.GetArrayViewFromImage(after)))
        for before, after in changed
    )
    if lost:
        yield QualityNote.warning(
            "mask_clipped",
            f"{lost} voxels of the mask lie outside of the extent that its header gives its segment and were left "
            "out, as 3D Slicer does; check the outline.",
        )


def _layers(mask: sitk.Image) -> list[sitk.Image]:
    count = mask.GetNumberOfComponentsPerPixel()
    if count == 1 and "vector" not in mask.GetPixelIDTypeAsString():
        return [mask]
    return [sitk.VectorIndexSelectionCast(mask, index) for index in range(count)]


def _check_sample(layer: sitk.Image, where: Where) -> None:
    """Refuse an image that is no mask by some of its voxels, before all of them are walked through."""
    values = sitk.GetArrayViewFromImage(layer)
    step = max(1, int(np.cbrt(values.size / SAMPLED_VOXELS)))
    some = values[::step, ::step, ::step]
    if not (np.issubdtype(some.dtype, np.integer) and some.min() >= 0 and some.max() < MAX_LABELS):
        _check_count(np.unique(some), where)


def _check_count(labels: np.ndarray, where: Where) -> None:
    """Refuse so many different values (sorted) that they are no labels."""
    if labels.size > MAX_LABELS or (labels.size > MAX_NEGATIVE_LABELS and labels[0] < 0):
        raise RegionError(
            f"this is no mask: it has {labels.size} different values and more, from {labels[0]:g} to {labels[-1]:g}",
            where=where,
            mend="give the labelmap that was drawn on the CT, not an image",
        )


def _whole_numbers(layer: sitk.Image, where: Where) -> sitk.Image:
    """The layer in whole numbers; labels that went through floats become the nearest ones, none is cut down."""
    values = sitk.GetArrayViewFromImage(layer)
    if np.issubdtype(values.dtype, np.integer):
        return layer
    if np.iscomplexobj(values) or not np.isfinite(values).all():
        raise _not_whole(where)
    whole = np.rint(values)
    if np.abs(values - whole).max() > MAX_OFF_WHOLE or np.abs(whole).max() > np.iinfo(np.int32).max:
        raise _not_whole(where)
    return image_like(whole.astype(np.int32), layer)


def _not_whole(where: Where) -> RegionError:
    return RegionError(
        "the mask has values that are not whole numbers",
        where=where,
        mend="save it as a labelmap (a probability map must be thresholded first)",
    )


def _rounded(stored: sitk.Image, layer: sitk.Image) -> Iterator[QualityNote]:
    """The remark on labels that were rounded."""
    if stored is layer:
        return
    values, whole = sitk.GetArrayViewFromImage(stored), sitk.GetArrayViewFromImage(layer)
    off = np.abs(values - whole)
    if off.any():
        first = np.unravel_index(int(off.argmax()), off.shape)
        yield QualityNote.info(
            "labels_rounded",
            f"The labels of the mask went through floats ({values[first]:.6g} for {whole[first]}) and were rounded to "
            "the nearest whole numbers.",
        )


def _labels(layer: sitk.Image, where: Where) -> list[int]:
    values = sitk.GetArrayViewFromImage(layer)
    box = index_box(values)
    if box is None:
        return []
    filled = values[box_slices(*box)]
    labels = np.unique(filled[filled != 0])
    _check_count(labels, where)
    return labels.tolist()

"""Stacks of slices of known geometry, or errors that name the slices (but not the folder)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging.dicom.slices import PHASE_KEYWORDS, Slice
from DeepRadScoreLib.numerals import counted

SAME_POSITION_MM = 0.01
MAX_LOCALIZERS = 3
"""Up to so many images of another orientation or size are localizers or screen captures, not a second stack."""
MAX_SILENT_UNEVENNESS = 0.01
MAX_UNEVENNESS = 0.1
"""How far a slice may lie off its position on the regular grid, as a share of the spacing: without a note; with one."""
MAX_TILT_DEGREES = 45.0
EXPORT_MEND = "export the whole series again"


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices in order of position along the normal.

    Attributes
    ----------
    spacing: mm between slices along the normal, from the first and the last position.
    shear: (2,) mm by which each slice lies further along its x and y than the one before (0, 0 without gantry tilt).
    unevenness: largest distance of a slice from its position on the regular grid, as a share of the spacing.
    """

    slices: tuple[Slice, ...]
    spacing: float
    shear: np.ndarray
    unevenness: float

    @property
    def tilt(self) -> float:
        """Angle between the normal and the line through the slices' first pixels, degrees."""
        return float(np.degrees(np.arctan2(np.linalg.norm(self.shear), self.spacing)))


def main_orientation(slices: Sequence[Slice]) -> tuple[list[Slice], list[Slice]]:
    """The slices of one orientation, size and pixel spacing, and the few that differ (localizers).

    Raises
    ------
    InputError: more than a few differ.
    """
    alike: list[list[Slice]] = []
    for one in slices:
        group = next((group for group in alike if _alike(group[0], one)), None)
        if group is None:
            alike.append(group := [])
        group.append(one)
    alike.sort(key=len, reverse=True)
    main, others = alike[0], alike[1:]
    if any(len(group) > MAX_LOCALIZERS or len(group) == len(main) for group in others):
        kinds = "; ".join(f"{len(g)} of {g[0].size[0]} x {g[0].size[1]} pixels {_instances(g)}" for g in alike)
        raise InputError(
            "the images of the series differ in (0020,0037) ImageOrientationPatient, (0028,0030) PixelSpacing or size: "
            + kinds,
            mend="export each stack as a series of its own",
        )
    return main, [one for group in others for one in group]


def _alike(first: Slice, second: Slice) -> bool:
    return (
        first.size == second.size
        and bool(np.abs(np.divide(first.spacing, second.spacing) - 1).max() < 1e-3)
        and bool(np.abs(first.orientation - second.orientation).max() < 1e-3)
    )


def positions(slices: Sequence[Slice]) -> np.ndarray:
    """(n,) positions in mm along the normal of the first slice."""
    return np.array([one.position for one in slices]) @ slices[0].normal


def in_order(slices: Sequence[Slice]) -> list[Slice]:
    """The slices in order of position along the normal of the first one."""
    return [slices[n] for n in np.argsort(positions(slices), kind="stable")]


def by_position(slices: Sequence[Slice]) -> list[list[Slice]]:
    """The slices in order, grouped by position."""
    groups: list[list[Slice]] = []
    normal = slices[0].normal
    for one in in_order(slices):
        if not groups or abs((one.position - groups[-1][0].position) @ normal) >= SAME_POSITION_MM:
            groups.append([])
        groups[-1].append(one)
    return groups


def without_copies(slices: Sequence[Slice], same: Callable[[Slice, Slice], bool]) -> list[Slice]:
    """One slice of each position where all slices are the same; all slices of the other positions."""
    distinct: list[Slice] = []
    for group in by_position(slices):
        distinct.extend(group[:1] if all(same(group[0], other) for other in group[1:]) else group)
    return distinct


def phases(slices: Sequence[Slice]) -> list[list[Slice]]:
    """The complete stacks of one series, distinguished by the first of `PHASE_KEYWORDS` that does so.

    Raises
    ------
    InputError: no keyword divides the slices into complete stacks; names instances that share a position.
    """
    for keyword in PHASE_KEYWORDS:
        stacks: dict[str, list[Slice]] = {}
        for one in slices:
            stacks.setdefault(one.value(keyword), []).append(one)
        if len(stacks) > 1 and "" not in stacks and all(map(_complete, stacks.values())):
            return [stacks[value] for value in sorted(stacks, key=_numeric_first)]
    doubled = [group for group in by_position(slices) if len(group) > 1]
    hold = "holds" if len(doubled) == 1 else "hold"
    raise InputError(
        f"{counted(len(doubled), 'position')} {hold} several slices with different pixels, and neither (0020,0012) "
        "AcquisitionNumber nor (0020,0100) TemporalPositionIdentifier nor (0008,0032) AcquisitionTime parts them into "
        f"complete stacks: {_listed([_instances(group) for group in doubled])}",
        mend="export one phase as a series of its own",
    )


def _complete(slices: Sequence[Slice]) -> bool:
    if len(slices) < 2 or len(by_position(slices)) < len(slices):
        return False
    try:
        regular_stack(slices)
    except InputError:
        return False
    return True


def _numeric_first(value: str) -> tuple[float, str]:
    try:
        return float(value), value
    except ValueError:
        return np.inf, value


def regular_stack(slices: Sequence[Slice]) -> Stack:
    """Order the slices and measure their spacing and shear.

    Raises
    ------
    InputError: fewer than two; slices missing, unevenly spaced or shifted sideways; names them.
    """
    if len(slices) < 2:
        raise InputError(
            f"the CT has {len(slices)} slice, too few for a volume",
            mend="give the folder with all slices of the series",
        )
    ordered = in_order(slices)
    along = positions(ordered)
    steps = np.diff(along)
    spacing = float(along[-1] - along[0]) / (len(ordered) - 1)
    off = np.abs(along - along[0] - spacing * np.arange(len(ordered)))
    unevenness = float(off.max()) / spacing if spacing > SAME_POSITION_MM else np.inf
    typical = float(np.median(steps))
    if unevenness > MAX_UNEVENNESS or (steps > 1.5 * typical).any():
        raise _uneven(ordered, along, steps, typical)
    stack = Stack(tuple(ordered), spacing, _shear(ordered), unevenness)
    if stack.tilt > MAX_TILT_DEGREES:
        raise InputError(
            f"the slices are stacked {stack.tilt:.0f} degrees off their normal, more than any gantry tilts, see "
            "(0020,0032) ImagePositionPatient",
            mend=EXPORT_MEND,
        )
    return stack


def _uneven(ordered: Sequence[Slice], along: np.ndarray, steps: np.ndarray, typical: float) -> InputError:
    gaps = [
        f"between {along[n]:.2f} and {along[n + 1]:.2f} mm (instances {ordered[n].name} and {ordered[n + 1].name})"
        for n in np.flatnonzero(np.abs(steps - typical) > MAX_UNEVENNESS * max(typical, SAME_POSITION_MM)).tolist()
    ]
    whole = steps / max(typical, SAME_POSITION_MM)
    missing = int(np.sum(np.rint(whole) - 1))
    if missing > 0 and np.allclose(whole, np.rint(whole), atol=MAX_UNEVENNESS):
        some = "slices are" if missing > 1 else "slice is"
        what = f"{missing} {some} missing from the stack of {typical:.4g} mm spacing: "
    else:
        what = f"the slices are unevenly spaced (0020,0032) ImagePositionPatient, mostly {typical:.4g} mm apart, but "
    return InputError(what + _listed(gaps), mend=EXPORT_MEND + ", or give an evenly spaced one")


def _shear(ordered: Sequence[Slice]) -> np.ndarray:
    shifts = np.array([ordered[0].orientation @ (one.position - ordered[0].position) for one in ordered])
    per_slice = shifts[-1] / (len(ordered) - 1)
    tolerance = 0.1 * min(ordered[0].spacing)
    off = np.linalg.norm(shifts - per_slice * np.arange(len(ordered))[:, None], axis=1)
    if off.max() > tolerance:
        shifted = [one.name for one, distance in zip(ordered, off, strict=True) if distance > tolerance]
        raise InputError(
            f"slices are shifted sideways by up to {off.max():.2f} mm against the line of the others, see (0020,0032) "
            f"ImagePositionPatient (instances {_listed(shifted)})",
            mend=EXPORT_MEND,
        )
    return np.zeros(2) if np.linalg.norm(shifts[-1]) <= tolerance else per_slice


def _instances(slices: Sequence[Slice]) -> str:
    return f"(instances {_listed([one.name for one in slices])})"


def _listed(items: Sequence[str], limit: int = 6) -> str:
    return ", ".join(items[:limit]) + (f" and {len(items) - limit} more" if len(items) > limit else "")

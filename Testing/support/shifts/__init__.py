"""Shifts: named changes of a case, each a function of a volume and a random generator, seeded by case and name."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from DeepRadScoreLib.imaging import Case
from support.shifts import acquisition, body, control, outline, place, values
from support.shifts.volume import NotApplicableError, Volume

Kind = Literal["place", "values", "acquisition", "outline", "tissue", "calibration", "orientation", "control"]

__all__ = ["SHIFTS", "Kind", "NotApplicableError", "Shift", "Volume"]


@dataclass(frozen=True)
class Shift:
    """A named change of a case.

    Attributes
    ----------
    kind: "place" and "values" must be refused or abstained from; "acquisition" may not pass in silence with another
        probability; "control" must pass; the others are reported.
    """

    name: str
    kind: Kind
    change: Callable[[Volume, np.random.Generator], Volume]

    def apply(self, volume: Volume, case_id: str) -> Case:
        """The shifted case, the same each time.

        Raises
        ------
        InputError: reading such files refuses them.
        NotApplicableError: the case does not hold what the shift needs.
        """
        rng = np.random.default_rng(zlib.crc32(f"{case_id} {self.name}".encode()))
        return self.change(volume, rng).case(case_id)


def _shifts(kind: Kind, changes: dict[str, Callable[[Volume, np.random.Generator], Volume]]) -> list[Shift]:
    return [Shift(name, kind, change) for name, change in changes.items()]


SHIFTS = {
    shift.name: shift
    for shift in (
        *_shifts(
            "acquisition",
            {
                "noise x2": partial(acquisition.more_noise, times=2),
                "noise x4": partial(acquisition.more_noise, times=4),
                "slices of 5 mm": partial(acquisition.thick, mm=5.0),
                "slices of 7.5 mm": partial(acquisition.thick, mm=7.5),
                "slices of 10 mm": partial(acquisition.thick, mm=10.0),
                "sharp kernel": partial(acquisition.sharpened, amount=1.0),
                "very sharp kernel": partial(acquisition.sharpened, amount=3.0),
                "smooth kernel": partial(acquisition.smoothed, mm=0.8),
                "blur of 1 mm": partial(acquisition.blurred, mm=1.0),
                "blur of 2 mm": partial(acquisition.blurred, mm=2.0),
                "pixels of 1.5 mm": partial(acquisition.coarse_pixels, mm=1.5),
                "contrast 60 HU": partial(acquisition.enhanced, hu=60),
                "contrast 90 HU": partial(acquisition.enhanced, hu=90),
                "contrast 120 HU": partial(acquisition.enhanced, hu=120),
                "metal streaks": acquisition.streaks,
                "metal marker": acquisition.marker,
                "breathing of 5 mm": partial(acquisition.breathing, mm=5.0),
            },
        ),
        *_shifts(
            "outline",
            {
                "moved half a diameter": partial(outline.moved, diameters=0.5),
                "eroded 1 mm": partial(outline.grown, mm=-1.0),
                "eroded 2 mm": partial(outline.grown, mm=-2.0),
                "eroded 4 mm": partial(outline.grown, mm=-4.0),
                "dilated 1 mm": partial(outline.grown, mm=1.0),
                "dilated 2 mm": partial(outline.grown, mm=2.0),
                "dilated 4 mm": partial(outline.grown, mm=4.0),
                "jittered 1 mm": partial(outline.jittered, mm=1.0),
                "boxed": outline.boxed,
                "half the diameter": partial(outline.scaled, factor=0.5),
                "tiny": outline.tiny,
                "huge": partial(outline.scaled, factor=2.0),
            },
        ),
        *_shifts(
            "calibration",
            {
                "plus 20 HU": partial(values.offset, hu=20),
                "minus 20 HU": partial(values.offset, hu=-20),
                "plus 100 HU": partial(values.offset, hu=100),
                "minus 100 HU": partial(values.offset, hu=-100),
                "slope 0.9": partial(values.slope, factor=0.9),
                "slope 1.1": partial(values.slope, factor=1.1),
            },
        ),
        *_shifts(
            "place",
            {
                "on the air": place.on_air,
                "on the table": place.on_table,
                "on a rib": place.on_bone,
                "a rib outlined": place.outlined_bone,
                "on the spine": place.on_spine,
                "beside the tumour": place.beside,
                "tumour painted out": place.painted_out,
            },
        ),
        *_shifts(
            "tissue",
            {
                "on muscle or heart": partial(place.on_tissue, low=20, high=80),
                "on liver": partial(place.on_tissue, low=90, high=140),
                "on fat": partial(place.on_tissue, low=-140, high=-60),
                "a vessel outlined": place.outlined_vessel,
            },
        ),
        *_shifts(
            "values",
            {
                "rescale not applied": partial(values.offset, hu=1024),
                "rescale applied twice": partial(values.offset, hu=-1024),
                "half a slope": partial(values.slope, factor=0.5),
                "twice the slope": partial(values.slope, factor=2.0),
                "signs inverted": partial(values.times, factor=-1),
                "black for white": values.negative,
                "8 bits": values.eight_bits,
                "8 bits less 1024": values.eight_bits_signed,
                "8 bits stretched": values.eight_bits_stretched,
                "soft window stretched": values.soft_window,
                "MR like": values.mr,
                "MR like normalised": values.mr_normalised,
                "thousandths": values.fractions,
            },
        ),
        *_shifts(
            "orientation",
            {
                "mask mirrored": place.mask_mirrored,
                "image upside down": place.image_upside_down,
                "image head to foot": place.image_head_to_foot,
            },
        ),
        *_shifts(
            "control",
            {
                "padding rim": control.padding_rim,
                "padding voxels": control.padding_voxels,
                "cropped to 40 mm": partial(control.cropped, mm=40.0),
                "mirror image": control.mirrored,
                "wider field": body.widened,
            },
        ),
    )
}

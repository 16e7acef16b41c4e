"""Small images and regions at the limits of feature extraction: every kind of image with every kind of region."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from DeepRadScoreLib.imaging.carriers import PreparedCase
from support.feature_cases import prepared_case
from support.imaging_phantoms import image_of

SPACINGS = ((1.0, 1.0, 1.0), (0.7, 1.3, 2.5), (0.9765625, 0.9765625, 3.0))
TYPES = (np.int16, np.float64, np.float32, np.int32)
FILTER_LENGTH = 6
Random = np.random.Generator
Size = tuple[int, int, int]


@dataclass(frozen=True)
class SyntheticCase:
    """An image (z, y, x) with two regions of bool; `spacing` in mm, x y z."""

    name: str
    image: np.ndarray
    masks: tuple[np.ndarray, np.ndarray]
    spacing: tuple[float, float, float]

    def prepared(self) -> PreparedCase:
        """The case as an engine takes it; the second mask is its shell."""
        image, *masks = (
            image_of(array, self.spacing) for array in (self.image, *(mask.astype(np.uint8) for mask in self.masks))
        )
        return prepared_case(self.name, image, *masks)


def _noise(rng: Random, size: Size) -> np.ndarray:
    return rng.normal(-400, 250, size)


def _smooth(rng: Random, size: Size) -> np.ndarray:
    z, y, x = np.indices(size)
    return 90 * np.sin(0.5 * z + rng.random()) + 70 * np.cos(0.4 * y) + 50 * np.sin(0.3 * x)


def _constant(rng: Random, size: Size) -> np.ndarray:
    return np.full(size, 40.0)


def _two_halves(rng: Random, size: Size) -> np.ndarray:
    return np.where(np.arange(size[2]) < size[2] // 2, -1000.0, 40.0) + np.zeros(size)


def _checkerboard(rng: Random, size: Size) -> np.ndarray:
    return np.where(np.indices(size).sum(axis=0) % 2 == 0, 100.0, -50.0)


def _noise_in_air(rng: Random, size: Size) -> np.ndarray:
    values = np.full(size, -1000.0)
    values[:, size[1] // 2 :] += rng.normal(0, 30, values[:, size[1] // 2 :].shape)
    return values


def _multiples_of_25(rng: Random, size: Size) -> np.ndarray:
    return 25.0 * rng.integers(-4, 5, size)


def _metal_pair(rng: Random, size: Size) -> np.ndarray:
    values = rng.normal(40, 10, size)
    values[size[0] // 2, size[1] // 2, size[2] // 2 :][:2] = 3000
    return values


def _negative(rng: Random, size: Size) -> np.ndarray:
    return rng.normal(-3000, 60, size)


def _far_from_zero(rng: Random, size: Size) -> np.ndarray:
    return rng.normal(30_000, 100, size)


def _steps(rng: Random, size: Size) -> np.ndarray:
    return 30.0 * np.indices(size).sum(axis=0)


def _few_values(rng: Random, size: Size) -> np.ndarray:
    return rng.choice([0.0, 24.0, 25.0, 26.0], size)


def _wide_span(rng: Random, size: Size) -> np.ndarray:
    values = rng.normal(0, 100, size)
    values[size[0] // 2, size[1] // 2, size[2] // 2 :][:2] = -17_000, 17_000
    return values


IMAGES: dict[str, Callable[[Random, Size], np.ndarray]] = {
    "noise": _noise,
    "smooth waves": _smooth,
    "constant": _constant,
    "two halves": _two_halves,
    "checkerboard": _checkerboard,
    "flat air and noise": _noise_in_air,
    "multiples of 25": _multiples_of_25,
    "metal pair": _metal_pair,
    "far below zero": _negative,
    "far above zero": _far_from_zero,
    "steps": _steps,
    "values at a bin's edge": _few_values,
}


def _ball(rng: Random, size: Size) -> np.ndarray:
    return _radius(size) <= 0.9


def _hollow(rng: Random, size: Size) -> np.ndarray:
    return (_radius(size) <= 1.0) & (_radius(size) > 0.5)


def _radius(size: Size) -> np.ndarray:
    """Distance from the middle of the image, 1 at the middle of each side."""
    middle = [(n - 1) / 2 for n in size]
    return np.sqrt(sum(((i - m) / max(m, 1)) ** 2 for i, m in zip(np.indices(size), middle, strict=True)))


def _one_slice(rng: Random, size: Size) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[size[0] // 2, 1:, :-1] = True
    return mask


def _one_plane_along_z(rng: Random, size: Size) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[:, :, size[2] // 3] = True
    return mask


def _thin_oblique_sheet(rng: Random, size: Size) -> np.ndarray:
    z, y, _ = np.indices(size)
    return (z + y) == (size[0] + size[1]) // 2


def _eight_voxels(rng: Random, size: Size) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[tuple(slice(n // 2 - 1, n // 2 + 1) for n in size)] = True
    return mask


def _two_pieces(rng: Random, size: Size) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[:2, :2, :3] = True
    mask[-2:, -3:, -2:] = True
    return mask


def _whole_image(rng: Random, size: Size) -> np.ndarray:
    return np.ones(size, bool)


def _with_holes(rng: Random, size: Size) -> np.ndarray:
    mask = np.ones(size, bool)
    mask[1::3, 1::3, 1::3] = False
    return mask


def _corner_of_the_image(rng: Random, size: Size) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[: size[0] // 2, size[1] // 2 :, : size[2] // 2] = True
    return mask


def _sparse(share: float) -> Callable[[Random, Size], np.ndarray]:
    def mask(rng: Random, size: Size) -> np.ndarray:
        while True:
            voxels = rng.random(size) < share
            if sum(np.ptp(index) > 0 for index in np.nonzero(voxels) if len(index)) >= 2:
                return voxels

    return mask


def _checkered(rng: Random, size: Size) -> np.ndarray:
    return np.indices(size).sum(axis=0) % 2 == 0


def _three_apart(rng: Random, size: Size) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[0, 0, 0] = mask[-1, -1, 0] = mask[0, -1, -1] = True
    return mask


MASKS: dict[str, Callable[[Random, Size], np.ndarray]] = {
    "ball": _ball,
    "hollow ball": _hollow,
    "one slice": _one_slice,
    "one plane along z": _one_plane_along_z,
    "thin oblique sheet": _thin_oblique_sheet,
    "8 voxels": _eight_voxels,
    "two pieces": _two_pieces,
    "whole image": _whole_image,
    "holes": _with_holes,
    "corner of the image": _corner_of_the_image,
    "1 % of the voxels": _sparse(0.01),
    "5 % of the voxels": _sparse(0.05),
    "half of the voxels": _sparse(0.5),
    "checkerboard": _checkered,
    "three voxels apart": _three_apart,
}


def synthetic_cases() -> Iterator[SyntheticCase]:
    """All pairs of `IMAGES` and `MASKS`, each with a random region beside it, then the cases of a single kind: seeded.

    Sizes are odd and even, pixel types and spacings take turns.
    """
    rng = np.random.default_rng(15)
    number = 0
    for image_name, make_image in IMAGES.items():
        for mask_name, make_mask in MASKS.items():
            size = tuple(int(n) for n in rng.integers(7, 11, 3))
            image, name = make_image(rng, size), f"{image_name}; {mask_name}"
            masks = make_mask(rng, size), _sparse(rng.choice([0.03, 0.2, 0.8]))(rng, size)
            yield _case(name, image, masks, number)
            number += 1
    for size in ((3, 4, 5), (2, 2, 2), (1, 6, 5), (5, 1, 4), (FILTER_LENGTH - 1, 2, 12)):
        masks = np.ones(size, bool), _sparse(0.7)(rng, size)
        yield _case(f"image of {size} voxels", _noise(rng, size), masks, number)
        number += 1
    for kind in (np.float64, np.float32, np.int32):
        size = (6, 7, 8)
        image, masks = _wide_span(rng, size), (_ball(rng, size), _whole_image(rng, size))
        yield SyntheticCase(f"{number}: span over 32,767, {kind.__name__}", image.astype(kind), masks, SPACINGS[0])
        number += 1


def _case(name: str, image: np.ndarray, masks: tuple[np.ndarray, np.ndarray], number: int) -> SyntheticCase:
    kind = TYPES[number % len(TYPES)]
    image = image.round() if np.issubdtype(kind, np.integer) else image
    return SyntheticCase(f"{number}: {name}, {kind.__name__}", image.astype(kind), masks, SPACINGS[number // 4 % 3])

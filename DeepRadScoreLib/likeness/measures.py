"""Measures of a prepared case that tell how its image and outline compare with those of the training cases."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np
import SimpleITK as sitk
from numpy.lib.stride_tricks import sliding_window_view

from DeepRadScoreLib.imaging.carriers import PreparedCase
from DeepRadScoreLib.imaging.grids.geometry import index_box
from DeepRadScoreLib.imaging.grids.lps import box_slices
from DeepRadScoreLib.imaging.masks.morphology import pieces

if TYPE_CHECKING:
    import pandas as pd

Part = Literal["tumour", "peritumoral", "patch"]
PARTS: tuple[Part, ...] = ("tumour", "peritumoral", "patch")
QUANTILES: Mapping[str, float] = MappingProxyType({"p05": 5, "p25": 25, "p50": 50, "p75": 75, "p95": 95})
AIR_HU, SOFT_HU, BONE_HU = -970.0, (-150.0, 200.0), 300.0
LUNG_RANGE_HU, SOFT_RANGE_HU, MUSCLE_RANGE_HU = (-1020.0, -500.0), (-200.0, 250.0), (-30.0, 200.0)
BLOCK = 8
MAX_STEPS = 30_000
"""About so many neighbours at most are compared along each axis, evenly spread over the image."""
QUIET_SHARE = 0.2
"""Share of the patch's blocks, those of the smallest residual, from which the noise is read."""
MAX_CONSTANT = 0.1
"""A block with a larger share of pixels that equal all their neighbours holds padding."""
RESIDUAL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]]) / 6.0
"""Difference of two Laplacians, of unit gain for white noise (Immerkaer, CVIU 64:300, 1996)."""

MEASURES: tuple[str, ...] = (
    "spacing_in_plane_mm",
    "spacing_between_slices_mm",
    "tumour_volume_ml",
    "tumour_pieces",
    *(f"{part}_hu_{name}" for part in PARTS for name in ("mean", "sd", *QUANTILES)),
    *(f"{part}_share_{tissue}" for part in PARTS for tissue in ("air", "soft", "bone")),
    "patch_lung_hu",
    "patch_soft_hu",
    "patch_muscle_hu",
    "noise_hu",
    "noise_total_hu",
    "noise_lag1",
    "noise_lag2",
    "edge_hu_per_mm",
    "roughness_hu",
    "roughness_along_z",
)


def case_measures(prepared: PreparedCase) -> dict[str, float]:
    """The measures of a case, in the order of `MEASURES`; none of them needs radiomics or a network.

    HU statistics of tumour and shell, and the tumour's volume, are those of the 1 mm image, HU statistics of the patch
    those of its native pixels; shares are of air (under -970 HU), soft tissue (-150 to 200 HU) and bone (over 300 HU).
    `patch_lung_hu`, `patch_soft_hu` and `patch_muscle_hu` are medians of the pixels of -1020 to -500, -200 to 250 and
    -30 to 200 HU, which hardly depend on how much of the patch is lung. Noise: see `patch_noise`.
    """
    image = sitk.GetArrayViewFromImage(prepared.image)
    tumour = sitk.GetArrayViewFromImage(prepared.tumour) != 0
    shell = sitk.GetArrayViewFromImage(prepared.peritumoral) != 0
    patch = prepared.patch.hu
    spacing = prepared.patch.image.GetSpacing()
    values: dict[Part, np.ndarray] = {"tumour": image[tumour], "peritumoral": image[shell], "patch": patch.ravel()}
    found = {
        "spacing_in_plane_mm": float(np.sqrt(spacing[0] * spacing[1])),
        "spacing_between_slices_mm": float(spacing[2]),
        "tumour_volume_ml": prepared.volume_ml("tumour"),
        "tumour_pieces": _pieces(tumour),
        **{name: value for part in PARTS for name, value in _statistics(part, values[part]).items()},
        "patch_lung_hu": _median_within(patch, LUNG_RANGE_HU),
        "patch_soft_hu": _median_within(patch, SOFT_RANGE_HU),
        "patch_muscle_hu": _median_within(patch, MUSCLE_RANGE_HU),
        **patch_noise(patch),
        "edge_hu_per_mm": _edge(patch, spacing[:2]),
        **_roughness(image),
    }
    return {name: found[name] for name in MEASURES}


def _pieces(tumour: np.ndarray) -> float:
    """Number of pieces of a mask (z, y, x); voxels that share a corner belong to one."""
    box = index_box(tumour)
    return 0.0 if box is None else float(pieces(tumour[box_slices(*box)], by_corners=True).max())


def _statistics(part: Part, values: np.ndarray) -> dict[str, float]:
    hu = np.asarray(values, dtype=float)
    quantiles = np.percentile(hu, list(QUANTILES.values()))
    return {
        f"{part}_hu_mean": float(hu.mean()),
        f"{part}_hu_sd": float(hu.std()),
        **{f"{part}_hu_{name}": float(value) for name, value in zip(QUANTILES, quantiles, strict=True)},
        f"{part}_share_air": float((hu < AIR_HU).mean()),
        f"{part}_share_soft": float(((hu > SOFT_HU[0]) & (hu < SOFT_HU[1])).mean()),
        f"{part}_share_bone": float((hu > BONE_HU).mean()),
    }


def _median_within(hu: np.ndarray, limits: tuple[float, float]) -> float:
    """Median of the pixels between two HU, the upper one if there is none."""
    within = hu[(hu > limits[0]) & (hu < limits[1])]
    return float(np.median(within)) if within.size else limits[1]


def patch_noise(hu: np.ndarray) -> dict[str, float]:
    """Noise of a patch (n, n) in HU, from the quietest fifth of its blocks of 8 x 8 pixels, so a little low.

    Returns
    -------
    noise_hu: standard deviation of the high-frequency residual; noise_total_hu: that of the pixels about a plane
    fitted to each block; noise_lag1, noise_lag2: correlation of the latter with its neighbour one and two pixels away,
    which grows with the smoothness of the reconstruction kernel. Blocks that hold padding are left out; all values are
    0 where none is left.
    """
    around = sliding_window_view(hu, (3, 3))
    residual = np.einsum("ijkl,kl->ij", around, RESIDUAL)
    neighbours = [around[:, :, row, column] for row, column in np.ndindex(3, 3)]
    constant = np.logical_and.reduce([each == neighbours[4] for each in neighbours])
    edge = (hu.shape[0] - 2) // BLOCK * BLOCK
    spread = np.sqrt((_blocks(residual[:edge, :edge]) ** 2).mean(axis=(1, 2)))
    live = (spread > 0) & (_blocks(constant[:edge, :edge]).mean(axis=(1, 2)) < MAX_CONSTANT)
    if not live.any():
        return dict.fromkeys(("noise_hu", "noise_total_hu", "noise_lag1", "noise_lag2"), 0.0)
    quiet = live & (spread <= np.quantile(spread[live], QUIET_SHARE))
    flat = _without_plane(_blocks(hu[1 : edge + 1, 1 : edge + 1])[quiet])
    variance = float((flat**2).mean())
    return {
        "noise_hu": float(np.sqrt((spread[quiet] ** 2).mean())),
        "noise_total_hu": float(np.sqrt(variance)),
        "noise_lag1": _lag(flat, 1) / variance if variance > 0 else 0.0,
        "noise_lag2": _lag(flat, 2) / variance if variance > 0 else 0.0,
    }


def _blocks(array: np.ndarray) -> np.ndarray:
    """(m, 8, 8) blocks of an array whose sides are multiples of 8."""
    rows, columns = (side // BLOCK for side in array.shape)
    return array.reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2).reshape(-1, BLOCK, BLOCK).astype(float)


def _without_plane(blocks: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[:BLOCK, :BLOCK]
    basis = np.linalg.qr(np.column_stack([np.ones(BLOCK**2), y.ravel(), x.ravel()]))[0]
    flat = blocks.reshape(len(blocks), -1)
    return (flat - flat @ basis @ basis.T).reshape(blocks.shape)


def _lag(blocks: np.ndarray, pixels: int) -> float:
    along_x = (blocks[:, :, pixels:] * blocks[:, :, :-pixels]).mean()
    along_y = (blocks[:, pixels:] * blocks[:, :-pixels]).mean()
    return float((along_x + along_y) / 2)


def _edge(hu: np.ndarray, spacing: tuple[float, float]) -> float:
    """99th percentile of the gradient's length in HU/mm, by central differences."""
    along_y, along_x = np.gradient(hu.astype(float), spacing[1], spacing[0])
    return float(np.percentile(np.hypot(along_y, along_x), 99))


def _roughness(image: np.ndarray) -> dict[str, float]:
    """Median step between neighbours of the 1 mm image (z, y, x) in plane, HU; and along z as a multiple of it."""
    stride = math.ceil(math.sqrt(image.size / MAX_STEPS))
    along_z = image[:, ::stride, ::stride]
    in_plane = image[:: math.ceil(image.size / MAX_STEPS)]
    steps = [_median_step(part, axis) for part, axis in ((along_z, 0), (in_plane, 1), (in_plane, 2))]
    mean = (steps[1] + steps[2]) / 2
    return {"roughness_hu": mean, "roughness_along_z": steps[0] / mean if mean > 0 else 0.0}


def _median_step(image: np.ndarray, axis: int) -> float:
    return float(np.median(np.abs(np.diff(image.astype(np.float32), axis=axis))))


@dataclass(frozen=True)
class VectorMeasure:
    """A measure in the vector whose distance is judged.

    Attributes
    ----------
    log: its logarithm is taken.
    min_sd: least standard deviation assumed: what can hardly be told apart, so that cases of one scanner and one
        protocol do not make every other one infinitely far.
    """

    name: str
    log: bool = False
    min_sd: float = 0.0


def _vector_measures() -> Iterator[VectorMeasure]:
    for name in MEASURES:
        if name.endswith(("_share_air", "_share_bone")) or name.startswith(("patch_hu_p", "patch_hu_mean")):
            continue
        if "_share_" in name:
            yield VectorMeasure(name, log=True, min_sd=0.05)
        elif name.endswith(("_mean", "_p05", "_p25", "_p50", "_p75", "_p95", "lung_hu", "soft_hu", "muscle_hu")):
            yield VectorMeasure(name, min_sd=5.0)
        elif name == "tumour_pieces":
            yield VectorMeasure(name, log=True, min_sd=0.5)
        elif "_lag" in name:
            yield VectorMeasure(name, min_sd=0.02)
        else:
            yield VectorMeasure(name, log=True, min_sd=0.05)


VECTOR: tuple[VectorMeasure, ...] = tuple(_vector_measures())
"""Left out: shares of air and bone, 0 in most tumours and told by quantiles, too; mean and quantiles of the patch,
which follow the share of lung in it."""
LOG_FLOOR = 1e-3
SHARE_FLOOR = 0.05


def to_vectors(measures: pd.DataFrame) -> np.ndarray:
    """Measures of n cases as vectors (n, `VECTOR`)."""
    return np.column_stack([_transformed(measure, measures[measure.name].to_numpy(float)) for measure in VECTOR])


def _transformed(measure: VectorMeasure, values: np.ndarray) -> np.ndarray:
    if not measure.log:
        return values
    return np.log(values + SHARE_FLOOR) if "_share_" in measure.name else np.log(np.maximum(values, LOG_FLOOR))

"""How well does one point outline a tumour? Beside ITK's ConfidenceConnected with the same points.

    python Testing/benchmarks/outline_benchmark.py [--cases 100] [--points 10] [--data FOLDER] [--seed 19]

Synthetic tumours with their known outline, one point in each: as made, where most have a dense rim of 3 mm around them
that is not of the tumour, and the same without it. Tumours of patients below FOLDER (the shared data), several points
in each. A point is the centre of a voxel of the tumour's mask, drawn at random; the radius is found by the method
itself, and what it refuses counts as Dice 0. ConfidenceConnected (multiplier 2.5, three iterations) sees only 80 mm
around the point, so that it cannot fill the body.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from measured_page import table
from scipy.ndimage import binary_erosion, distance_transform_edt
from scipy.special import ndtr

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging import outline_at, read_image
from DeepRadScoreLib.imaging.grids.geometry import index_box
from DeepRadScoreLib.synthetic.anatomy import SITES
from DeepRadScoreLib.synthetic.causes import draw_latents
from DeepRadScoreLib.synthetic.phantom import make_case

PATIENTS = {
    "lung1": ("pyradiomics/lung1_image.nrrd", "pyradiomics/lung1_label.nrrd"),
    "lung2": ("pyradiomics/lung2_image.nrrd", "pyradiomics/lung2_label.nrrd"),
    "pat_2": ("ct-radiomics-phantom/pat_2/pat_2_ct.nii.gz", "ct-radiomics-phantom/pat_2/pat_2_gtv.nii.gz"),
    "LUNG1-001": tuple(f"nsclc-radiomics-lung1/ct/LUNG1-001_{name}.nii.gz" for name in ("ct", "gtv1")),
    "LUNG1-002": tuple(f"nsclc-radiomics-lung1/ct/LUNG1-002_{name}_crop40.nii.gz" for name in ("ct", "gtv1")),
}
"""All are tumours of the lung; the CT of IBSI's phantom is that of LUNG1-002 and is left out."""
FAINT_RIM = 0.4
"""Dose of the rim under which it is fainter than half way between lung and tumour, and so can be told from that."""
NO_RIM = -9.0
ITK_MM = 80.0


@dataclass(frozen=True)
class Score:
    """Of one point: of our outline and of ITK's, Dice and the 95 % distance of the surfaces (mm); processor seconds."""

    dice: float
    distance_mm: float
    seconds: float
    itk_dice: float
    itk_distance_mm: float
    refused: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--points", type=int, default=10)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seed", type=int, default=19)
    given = parser.parse_args()
    rows = []

    def add(name: str, scores: Sequence[Score]) -> None:
        if scores:
            rows.append(row(name, scores))
            print(*rows[-1], sep="  ", flush=True)

    bare = [score for _, score in synthetic(given.cases, given.seed, rim=False)]
    add("synthetic, without a rim", bare)
    made = list(synthetic(given.cases, given.seed, rim=True))
    add("synthetic, as made", [score for _, score in made])
    add("- of these, rim none or faint", [score for dose, score in made if dose < FAINT_RIM])
    add("- of these, rim dense", [score for dose, score in made if dose >= FAINT_RIM])
    if given.data is not None:
        found = {name: patient(given.data, *files, given.points, given.seed) for name, files in PATIENTS.items()}
        add("patients", [score for scores in found.values() for score in scores])
        for name, scores in found.items():
            add(f"- {name}", scores)
    print(table(HEADINGS, rows))


HEADINGS = ("tumours", "points", "refused", "Dice", "95 % surface distance (mm)", "s", "Dice, ITK", "95 %, ITK (mm)")
"""Medians, of Dice with quartiles; what is refused has no distance; s is processor time."""


def row(name: str, scores: Sequence[Score]) -> tuple[str, ...]:
    """The medians of some scores, in words."""
    dice = np.array([one.dice for one in scores])
    low, high = np.quantile(dice, (0.25, 0.75))
    return (
        name,
        str(len(scores)),
        str(sum(one.refused for one in scores)),
        f"{np.median(dice):.2f} ({low:.2f}-{high:.2f})",
        f"{np.nanmedian([one.distance_mm for one in scores]):.1f}",
        f"{np.median([one.seconds for one in scores]):.2f}",
        f"{np.median([one.itk_dice for one in scores]):.2f}",
        f"{np.nanmedian([one.itk_distance_mm for one in scores]):.1f}",
    )


def synthetic(count: int, seed: int, *, rim: bool) -> Iterator[tuple[float, Score]]:
    """The dose of the rim and the score of one point, of synthetic tumours that depend on the seed alone."""
    rng = np.random.default_rng(seed)
    latents = draw_latents(count, seed)
    sites, seeds, points = rng.choice(list(SITES), count), rng.integers(2**31, size=count), rng.random(count)
    for number in range(count):
        drawn = latents.iloc[number].to_dict()
        if not rim:
            drawn["rim"] = NO_RIM
        ct, mask = make_case(drawn, sites[number], int(seeds[number]))
        inside = sitk.GetArrayFromImage(mask) != 0
        voxels = np.argwhere(inside)
        yield float(ndtr(drawn["rim"])), score(ct, inside, voxels[int(points[number] * len(voxels))])


def patient(data: Path, ct_name: str, mask_name: str, points: int, seed: int) -> list[Score]:
    """The scores of points in one tumour."""
    ct, inside = read_image(data / ct_name), sitk.GetArrayFromImage(read_image(data / mask_name)) != 0
    voxels = np.argwhere(inside)
    return [score(ct, inside, voxels[n]) for n in np.random.default_rng(seed).integers(len(voxels), size=points)]


def score(ct: sitk.Image, inside: np.ndarray, voxel: np.ndarray) -> Score:
    """Of the outlines from a voxel (z, y, x) in a tumour (z, y, x)."""
    index = [int(i) for i in voxel[::-1]]
    begin = time.process_time()
    try:
        found = sitk.GetArrayFromImage(outline_at(ct, ct.TransformIndexToPhysicalPoint(index)).mask) != 0
    except InputError:
        found = np.zeros_like(inside)
    seconds = time.process_time() - begin
    itk = confidence_connected(ct, index)
    spacing = ct.GetSpacing()[::-1]
    return Score(
        dice(found, inside),
        surface_distance(found, inside, spacing),
        seconds,
        dice(itk, inside),
        surface_distance(itk, inside, spacing),
        not found.any(),
    )


def confidence_connected(ct: sitk.Image, index: list[int]) -> np.ndarray:
    """ITK's region (z, y, x) around a voxel (x, y, z)."""
    reach = [int(np.ceil(ITK_MM / step)) for step in ct.GetSpacing()]
    low = [max(i - r, 0) for i, r in zip(index, reach, strict=True)]
    high = [min(i + r + 1, size) for i, r, size in zip(index, reach, ct.GetSize(), strict=True)]
    part = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    seed = [i - a for i, a in zip(index, low, strict=True)]
    region = sitk.ConfidenceConnected(ct[part], [seed], numberOfIterations=3, multiplier=2.5)
    found = np.zeros(ct.GetSize()[::-1], dtype=bool)
    found[part[::-1]] = sitk.GetArrayFromImage(region) != 0
    return found


def dice(first: np.ndarray, second: np.ndarray) -> float:
    """Of two masks."""
    return float(2 * (first & second).sum() / (first.sum() + second.sum()))


def surface_distance(first: np.ndarray, second: np.ndarray, spacing: Sequence[float]) -> float:
    """The 95th percentile of the distances (mm) of the surfaces from each other; nan where one is empty."""
    if not (first.any() and second.any()):
        return float("nan")
    low, high = index_box(first | second)
    box = tuple(slice(max(int(a) - 1, 0), int(b) + 2) for a, b in zip(low, high, strict=True))
    surfaces = [mask[box] & ~binary_erosion(mask[box]) for mask in (first, second)]
    away = [distance_transform_edt(~surface, sampling=spacing) for surface in surfaces]
    return float(np.percentile(np.concatenate([away[1][surfaces[0]], away[0][surfaces[1]]]), 95))


if __name__ == "__main__":
    main()

"""On which places of the deep patch a finding rests: its change with each place hidden in turn (method: occlusion)."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from itertools import count

import numpy as np
from scipy.ndimage import gaussian_filter

from DeepRadScoreLib.analyses.findings import MolecularProfile
from DeepRadScoreLib.bundles.bundle import Bundle
from DeepRadScoreLib.deepct.outputs import NetworkOutputs, join_cases, merge_outputs
from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.progress import Progress, Stage
from DeepRadScoreLib.radscore.rows import FeatureRows

SQUARE, STEP = 16, 8
"""Side of a hidden square, and the distance from one to the next, in pixels of the patch."""
BLUR_SD = 8.0
"""What is hidden is replaced by the patch smoothed with a Gaussian of this standard deviation, in pixels."""

AT_ONCE, BATCH = 8, 4
"""Patches in one step, and in one forward pass; on several cores several passes run at a time."""


def check_occlusion(bundle: Bundle | None) -> None:
    """Refuse maps that no model can give.

    Raises
    ------
    InputError: no model, or one without a network.
    """
    if bundle is None or not bundle.networks:
        what = "without a model" if bundle is None else "the bundle has no network, so that"
        raise InputError(
            f"{what} there is no finding that depends on the patch",
            where="--occlusion",
            mend="add --model" if bundle is None else "leave the option out",
        )


def occlusion_steps(bundle: Bundle, profile: MolecularProfile) -> Generator[Progress, None, MolecularProfile]:
    """Occlusion maps (Zeiler and Fergus, ECCV 2014) of the findings that have a probability, in short steps.

    A square of the patch is smoothed until its detail is gone, and the finding's log-odds are computed anew, with the
    RadScores as they are. The value is the profile with `occlusion`: in each pixel the mean, over the squares that hid
    it, of the log-odds before minus those after: positive where the place speaks for the positive class. `profile` is
    that of a case by `bundle`.
    """
    keys = tuple(key for key, finding in profile.findings.items() if finding.probability is not None)
    if not keys:
        return profile
    asked, hu = bundle.only(keys), profile.prepared.patch.hu
    smooth = gaussian_filter(hu, BLUR_SD)
    corners = _corners(hu.shape)
    patches = np.stack([hu, *(_hidden(hu, smooth, corner) for corner in corners)])
    outputs = yield from _output_steps(asked, patches)
    rows = FeatureRows(np.repeat(FeatureRows.of_case(profile.features).values, len(patches), axis=0))
    changes = {}
    for key, columns in asked.columns(rows, outputs).items():
        log_odds = asked.endpoints[key].log_odds(columns)
        changes[key] = _means(log_odds[0] - log_odds[1:], corners, hu.shape)
    return replace(profile, occlusion=changes)


def _output_steps(bundle: Bundle, patches: np.ndarray) -> Generator[Progress, None, list[NetworkOutputs]]:
    """Outputs of each fold's networks for patches (n, 160, 160), a few of them in each step."""
    from DeepRadScoreLib.deepct.network import deep_outputs

    starts = range(0, len(patches), AT_ONCE)
    total = len(starts) * sum(len(member) for member in bundle.networks)
    done = count()
    outputs = []
    for number, member in enumerate(bundle.networks, start=1):
        of_fold = []
        for network in member.values():
            each = []
            for start in starts:
                yield Progress(Stage.OCCLUSION, f"networks of fold {number}", next(done), total)
                each.append(deep_outputs(network, patches[start : start + AT_ONCE], batch=BATCH))
            of_fold.append(join_cases(each))
        outputs.append(merge_outputs(of_fold))
    return outputs


def _corners(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """First row and column of each square."""
    rows, columns = (range(0, size - SQUARE + 1, STEP) for size in shape)
    return [(row, column) for row in rows for column in columns]


def _square(corner: tuple[int, int]) -> tuple[slice, slice]:
    row, column = corner
    return slice(row, row + SQUARE), slice(column, column + SQUARE)


def _hidden(hu: np.ndarray, smooth: np.ndarray, corner: tuple[int, int]) -> np.ndarray:
    patch = hu.copy()
    patch[_square(corner)] = smooth[_square(corner)]
    return patch


def _means(values: np.ndarray, corners: list[tuple[int, int]], shape: tuple[int, ...]) -> np.ndarray:
    """In each pixel the mean of the values of the squares that hold it, float32."""
    total, squares = np.zeros(shape), np.zeros(shape)
    for value, corner in zip(values, corners, strict=True):
        total[_square(corner)] += value
        squares[_square(corner)] += 1
    return (total / squares).astype(np.float32)

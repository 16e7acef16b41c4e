"""The same image or the same features under two patient ids: in training and test set, the test is none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from DeepRadScoreLib.errors import CohortError
from DeepRadScoreLib.study.data import StudyData

MAX_DISTANCE = 0.01
"""Root mean square difference of two cases' z-scored features up to which they are the same.

Of the public tables of lung tumours (5, 60 to 421 patients) no two tumours are closer than 0.26; a mask wider by one
pixel moves a tumour by 0.39; another file format does not move it, numbers written with six digits move it by 0.007.
"""
MIN_COLUMNS = 10
"""Features are compared where so many columns have a value of its own in more than half of the cases."""
DIRECTIONS = 3


@dataclass(frozen=True)
class Duplicate:
    """Two cases of different patients with the same content.

    Attributes
    ----------
    rows: their positions. patients, cases: their identifiers.
    what: "CT", "deep patch" or "features".
    contradicting: the endpoints of which one is positive and the other negative.
    """

    rows: tuple[int, int]
    patients: tuple[str, str]
    cases: tuple[str, str]
    what: str
    contradicting: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What is the same, without a full stop."""
        (patient, other), (case, other_case) = self.patients, self.cases
        labels = f", though their labels of {', '.join(self.contradicting)} differ" if self.contradicting else ""
        return (
            f'the patients "{patient}" and "{other}" have the same {self.what} '
            f'(cases "{case}" and "{other_case}"){labels}'
        )


def find_duplicates(data: StudyData, fingerprints: Sequence[str] = ()) -> list[Duplicate]:
    """Each two patients that share a CT, a deep patch or the features of a case, once, in the order of the cases.

    Parameters
    ----------
    fingerprints: of the cases' CTs (see `image_fingerprint`), empty ones are not compared; none without images.
    """
    found: dict[tuple[str, str], tuple[tuple[int, int], str]] = {}
    patients = data.patients.astype(str).to_numpy()
    for what, pairs in (
        ("CT", _equal(fingerprints)),
        ("deep patch", _equal(_patch_contents(data.patches))),
        ("features", _near(data.features)),
    ):
        for a, b in pairs:
            if patients[a] != patients[b]:
                found.setdefault((min(patients[a], patients[b]), max(patients[a], patients[b])), ((a, b), what))
    return [_duplicate(data, patients, rows, what) for rows, what in sorted(found.values())]


def _duplicate(data: StudyData, patients: np.ndarray, rows: tuple[int, int], what: str) -> Duplicate:
    labels = data.labels.iloc[list(rows)]
    differ = labels.notna().all() & (labels.nunique() > 1)
    a, b = rows
    cases = data.case_ids.astype(str)
    contradicting = tuple(map(str, labels.columns[differ]))
    return Duplicate(rows, (patients[a], patients[b]), (cases[a], cases[b]), what, contradicting)


def _patch_contents(patches: np.ndarray | None) -> list[bytes]:
    """What distinguishes each patch; nothing for one of a single value."""
    return [] if patches is None else [patch.tobytes() if np.ptp(patch) > 0 else b"" for patch in patches]


def _equal(contents: Sequence[str | bytes]) -> Iterator[tuple[int, int]]:
    """Each position with the first one of the same content; empty content is like no other."""
    first: dict[str | bytes, int] = {}
    for position, content in enumerate(contents):
        if content and first.setdefault(content, position) != position:
            yield first[content], position


def _near(features: pd.DataFrame) -> list[tuple[int, int]]:
    """Pairs of rows whose z-scores are within `MAX_DISTANCE`."""
    usable = features.loc[:, features.notna().all() & (features.std(ddof=0) > 0)]
    if (usable.nunique() > len(usable) / 2).sum() < MIN_COLUMNS:
        return []
    values = usable.to_numpy()
    scores = (values - values.mean(axis=0)) / (values.std(axis=0) * np.sqrt(values.shape[1]))
    directions = np.linalg.qr(np.random.default_rng(0).normal(size=(values.shape[1], DIRECTIONS)))[0]
    pairs = cKDTree(scores @ directions).query_pairs(MAX_DISTANCE)
    return sorted((a, b) for a, b in pairs if np.linalg.norm(scores[a] - scores[b]) <= MAX_DISTANCE)


def refuse_duplicates(found: Sequence[Duplicate], subsets: pd.Series | None, where: Path) -> list[Duplicate]:
    """The duplicates that stand in the same subset, where they are counted twice but test nothing that was learned.

    Parameters
    ----------
    subsets: the training or test set, or the site that is left out, of each case, if the table gives them; None: drawn
        by seed, so that any two patients may be in training and test.

    Raises
    ------
    CohortError: two patients with the same content are, or may be, in training and test.
    """
    apart = [each for each in found if subsets is None or subsets.iloc[each.rows[0]] != subsets.iloc[each.rows[1]]]
    if apart:
        more = f", and {len(apart) - 1} more such pairs" if len(apart) > 1 else ""
        raise CohortError(
            f"{apart[0].sentence}{more}: one could be trained on and the other tested",
            where=where,
            mend="give both cases the same patient_id if they are of one patient, else correct their rows",
        )
    return list(found)

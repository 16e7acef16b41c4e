"""One case compared with the training cases of a bundle: its likeness, what is withheld, and the remark on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from DeepRadScoreLib.bundles.bundle import Bundle
from DeepRadScoreLib.deepct.outputs import NetworkOutputs
from DeepRadScoreLib.imaging import PreparedCase, QualityNote
from DeepRadScoreLib.likeness.carriers import BEYOND_ALL, Likeness
from DeepRadScoreLib.likeness.limits import Judged, TrainingLimits
from DeepRadScoreLib.likeness.measures import case_measures
from DeepRadScoreLib.likeness.reasons import likeness_of

SCAN_WORDS = {
    "kernel": "kernel",
    "manufacturer": "manufacturer",
    "contrast": "contrast agent",
    "tube_voltage_kv": "tube voltage in kV",
    "slice_thickness_mm": "slice thickness in mm",
}


@dataclass(frozen=True)
class Comparison:
    """Comparison of one case with the training cases.

    Attributes
    ----------
    likeness: None where the bundle does not know the limits of its training data.
    unlike: endpoints of which no finding may be given.
    notes: a warning where the case is far, none otherwise.
    """

    likeness: Likeness | None = None
    unlike: frozenset[str] = frozenset()
    notes: tuple[QualityNote, ...] = ()


def compare(
    bundle: Bundle,
    prepared: PreparedCase,
    features: pd.DataFrame,
    outputs: Sequence[NetworkOutputs],
    columns: Mapping[str, np.ndarray],
) -> Comparison:
    """Compare a case with the training cases of a bundle, by its image, its features (1 x 1702) and the networks.

    `columns`: those of its fused models, as `Bundle.columns` gives them.
    """
    if bundle.limits is None:
        return Comparison()
    measures = pd.DataFrame([case_measures(prepared)])
    case = bundle.evidence(features, outputs, columns, measures=measures, acquisitions=(prepared.acquisition,))
    judged = bundle.limits.judge(case)
    likeness = likeness_of(bundle.limits, case, judged)
    unlike = frozenset(key for key in bundle.endpoints if judged.unlike(key)[0])
    return Comparison(likeness, unlike, (*_notes(judged, likeness, unlike), *_scan_notes(bundle.limits, prepared)))


def _notes(judged: Judged, likeness: Likeness, unlike: frozenset[str]) -> tuple[QualityNote, ...]:
    if not judged.warned()[0]:
        return ()
    withheld = f" No finding is given of {', '.join(sorted(unlike))}." if unlike else ""
    if judged.beyond[0]:
        withheld = " It is beyond their limits: no finding is given."
    share = "any" if likeness.percentile >= BEYOND_ALL else f"{likeness.percentile:.1f} %"
    where = f"further from the training patients than {share} of them"
    if not judged.far[0]:
        where = "far outside the training patients in a score of the model"
    return (QualityNote.warning("far_from_training", f"The case lies {where}.{withheld}"),)


def _scan_notes(limits: TrainingLimits, prepared: PreparedCase) -> tuple[QualityNote, ...]:
    fields = () if limits.scans is None else limits.scans.unseen(prepared.acquisition)
    if not fields:
        return ()
    told = ", ".join(f"{SCAN_WORDS[name]} {getattr(prepared.acquisition, name)}" for name in fields)
    return (QualityNote.info("scan_unlike_training", f"No training case had such a scan: {told}."),)

"""A study small enough for tests: features with a planted signal, patches of noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from DeepRadScoreLib.cohort.table import Cohort
from DeepRadScoreLib.computing.extraction import CohortFeatures
from DeepRadScoreLib.endpoints import KEYS
from DeepRadScoreLib.imaging import QualityNote
from DeepRadScoreLib.imaging.acquisition import Acquisition
from DeepRadScoreLib.likeness.measures import MEASURES
from DeepRadScoreLib.models import DEFAULT_ENGINE
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS
from DeepRadScoreLib.study.plans import NetworkPlan, TrainingPlan

THICK = QualityNote.warning("thick_slices", "The CT has slices of 5.00 mm.")


def small_plan(**changes) -> TrainingPlan:
    network = NetworkPlan(
        form=changes.pop("form", "frozen"), backbone="resnet50", weights="none", pixels=32, epochs=1, device="cpu"
    )
    return TrainingPlan(network=network, folds=3, repeats=1, search="quick", **changes)


def small_study(n: int = 80, seed: int = 0, keys: tuple[str, ...] = ("EGFR", "KRAS")) -> tuple[Cohort, CohortFeatures]:
    """EGFR shows in one tumour feature, KRAS nowhere; every fifth patient is held out; ten patients have two cases.

    Cases 0, 4, 8, ... have thick slices.
    """
    rng = np.random.default_rng(seed)
    person = np.where(np.arange(n) < 20, np.arange(n) // 2, np.arange(n))
    patients = np.array([f"p{number:03d}" for number in person])
    split = np.where(person % 5 == 0, "test", "train")
    names = pd.Index([f"case-{number:03d}" for number in range(n)], name="case_id")
    labels = pd.DataFrame(np.nan, index=names, columns=list(KEYS))
    features = pd.DataFrame(rng.normal(size=(n, len(FEATURE_COLUMNS))), index=names, columns=FEATURE_COLUMNS)
    for key in keys:
        labels[key] = rng.integers(0, 2, n)[person].astype(float)
    if "EGFR" in keys:
        features["tumour_original_firstorder_Mean"] += 2.0 * labels["EGFR"]
        labels.loc["case-003", "EGFR"] = np.nan
    table = pd.DataFrame({"case_id": names, "patient_id": patients, "site": "a", "split": split}, index=names)
    cohort = Cohort(Path("small.csv"), table, labels, {"PDL1": 0, "TPS": 0, "CD8A": 0}, float("nan"))
    patches = rng.normal(-600, 200, (n, 160, 160)).astype(np.float32)
    measures = pd.DataFrame(rng.normal(1.0, 0.1, (n, len(MEASURES))), index=names, columns=list(MEASURES))
    unknown = [Acquisition()] * n
    quality = [(THICK,) if number % 4 == 0 else () for number in range(n)]
    prints = [""] * n
    synthetic = np.zeros(n, bool)
    return cohort, CohortFeatures(
        features, patches, None, quality, synthetic, measures, unknown, prints, DEFAULT_ENGINE, failed={}
    )

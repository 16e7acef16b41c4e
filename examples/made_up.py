"""Made-up CTs with tumours for the examples, written once below the current folder. Not for patients."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from DeepRadScoreLib import train
from DeepRadScoreLib.computing.workers import InProcess
from DeepRadScoreLib.synthetic.cohort import write_cohort

FOLDER = Path("made-up")
SMALL = {"network": "frozen", "backbone": "resnet50", "weights": "none", "pixels": 32, "folds": 2, "repeats": 1}
"""Settings that take seconds. For a study leave them out: the network is then trained, from ImageNet weights."""


def cohort() -> Path:
    """Table of 52 synthetic cases, 40 for training and 12 for testing, with two endpoints.

    The images are made in about ten seconds; those that are there are taken as they are.
    """
    everything = write_cohort(FOLDER, 40, 12, seed=1, workers=InProcess())
    table = everything.with_name("two_endpoints.csv")
    columns = ["case_id", "patient_id", "site", "ct", "mask", "split", "age", "PI", "EGFR"]
    pd.read_csv(everything)[columns].to_csv(table, index=False)
    return table


def model() -> Path:
    """A model of the cohort's two endpoints: `model.zip` where the second example has left it, else trained now."""
    path = Path("model.zip")
    if not path.exists():
        train(cohort(), out=path, **SMALL)
    return path

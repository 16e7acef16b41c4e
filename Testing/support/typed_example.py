"""A program of a user that uses every public name; `mypy --strict` reads it, nobody runs it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from DeepRadScoreLib import (
    Bundle,
    Case,
    Cohort,
    DeepRadScoreError,
    FusionModel,
    InputError,
    Outline,
    Profile,
    Progress,
    RadScore,
    StudyReport,
    TrainingResult,
    analyze,
    evaluate,
    extract,
    outline,
    read_bundle,
    read_case,
    read_cohort,
    train,
)


def show(event: Progress) -> None:
    print(event.text, event.fraction)


def one_case(folder: str) -> pd.DataFrame:
    case: Case = read_case(f"{folder}/ct.nrrd", Path(folder) / "mask.nrrd", case_id="one")
    bundle: Bundle = read_bundle(f"{folder}/model.zip")
    profile: Profile = analyze(case, bundle, preprocessing="canonical", progress=show)
    analyze(case, Path(folder) / "model.zip", progress=True).save(f"{folder}/results")
    bundle.save(f"{folder}/copy.zip")
    return profile.to_frame()


def from_a_point(folder: Path) -> float:
    made: Outline = outline(folder / "ct.nrrd", (10.0, -20.5, 30.0), radius_mm=25, out=f"{folder}/tumour.nrrd")
    return made.volume_ml


def many(folder: Path, features: pd.DataFrame, patches: np.ndarray) -> pd.DataFrame:
    try:
        cohort: Cohort = read_cohort(folder / "cohort.csv")
    except (InputError, DeepRadScoreError) as error:
        raise SystemExit(str(error)) from error
    print(len(cohort))
    return read_bundle(folder / "model.zip").predict_proba(features, patches)


def whole_study(folder: Path, table: pd.DataFrame) -> pd.DataFrame:
    features: pd.DataFrame = extract(folder / "cohort.csv", out=f"{folder}/features.csv", jobs=2, progress=True)
    trained: TrainingResult = train(table, network="frozen", weights="none", progress=show)
    trained.bundle.save(folder / "model.zip")
    report: StudyReport = evaluate(table, features=features, endpoints=["EGFR"], covariates="age,sex", split="site")
    report.save(folder / "study", progress=True)
    return report.to_frame()


def by_hand(features: pd.DataFrame, labels: np.ndarray, patients: np.ndarray) -> np.ndarray:
    scores = RadScore(rule="single").fit(features, labels, patients).transform(features)
    return FusionModel(folds=3).fit(scores, labels, patients).predict_proba(scores)

"""One outer fold of one protocol: fitted on its training set, judged and explained on its test set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from DeepRadScoreLib.cohort.covariates import clinical_columns
from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.fusion.model import FusionModel
from DeepRadScoreLib.models import Baseline, Model
from DeepRadScoreLib.progress import Stage
from DeepRadScoreLib.radscore.selection import Rule
from DeepRadScoreLib.study.data import StudyCases, StudyData
from DeepRadScoreLib.study.evaluation.explaining import cam_examples, explain_cases, explanation_task
from DeepRadScoreLib.study.plans import TrainingPlan
from DeepRadScoreLib.study.results.study import (
    PREDICTION_COLUMNS,
    SELECTED_COLUMNS,
    Explanation,
    Fit,
    FoldOutcome,
)
from DeepRadScoreLib.study.splits import OuterFold
from DeepRadScoreLib.study.training.fitted import FittedModels, Refused, predict_by_patient
from DeepRadScoreLib.study.training.fitting import fit_models, fit_possible_models, fit_simple

Judged = tuple[list[pd.DataFrame], list[Fit], dict[str, str]]
"""Tables of predictions, fits, and endpoint -> why it could not be fitted."""


@dataclass(frozen=True)
class FoldEvaluation:
    """The evaluation of one outer fold of one protocol, from its cases to its outcome."""

    cases: StudyCases
    shuffled_labels: StudyData
    fold: OuterFold
    rules: dict[str, Rule]
    plan: TrainingPlan
    run: Run

    def outcome(self) -> FoldOutcome:
        """Fit, judge, explain; then the baselines.

        Raises
        ------
        RefusedEndpoints: some endpoints cannot be fitted on the training set. A baseline that cannot be is in the
            outcome.
        """
        training, testing = self._split(self.cases.data)
        models = fit_models(training, self.rules, self.plan, self.run.within("models"))
        outputs = models.outputs(testing.patches)
        columns = models.columns(testing, outputs)
        predictions, fits = _predictions(models, columns, training, testing, {})
        explanations = self._explanations(models, testing, columns, outputs[0])
        cams = [
            cam_examples(models, stage, testing, columns[stage.key][Model.FUSED])
            for stage in models.stages
            if Model.FUSED in stage.columns
        ]
        refused: dict[tuple[str, str], str] = {}
        for name, (tables, more, reasons) in self._baselines(training, testing):
            predictions += tables
            fits += more
            refused |= {(key, name): reason for key, reason in reasons.items()}
        return FoldOutcome(
            self.fold.name,
            pd.concat(predictions, ignore_index=True) if predictions else pd.DataFrame(),
            tuple(fits),
            _selected_features(models),
            explanations,
            tuple(example for examples in cams for example in examples),
            refused,
        )

    def _split(self, data: StudyData) -> tuple[StudyData, StudyData]:
        """The training and the test cases, with the labels of the endpoints that are modelled."""
        data = replace(data, labels=data.labels[list(self.rules)])
        return data.subset(self.fold.train), data.subset(self.fold.test)

    def _explanations(
        self, models: FittedModels, testing: StudyData, columns: dict[str, dict[str, np.ndarray]], outputs: list
    ) -> tuple[Explanation, ...]:
        tasks = []
        for stage in models.stages:
            known = testing.labelled(stage.key).rows
            fusion = models.fusions[stage.key].get(Model.FUSED)
            if fusion is not None and known.any():
                values = columns[stage.key][Model.FUSED]
                tasks.append(explanation_task(stage, fusion, testing, values, outputs))
        return tuple(self.run.load_or_compute_each(explain_cases, tasks, Stage.EXPLAINING))

    def _baselines(self, training: StudyData, testing: StudyData) -> Iterable[tuple[str, Judged]]:
        data = self.cases.data
        if data.features.shape[1]:
            yield Baseline.SHUFFLED_LABELS, self._radiomics(self.shuffled_labels, Baseline.SHUFFLED_LABELS)
        if self.cases.shuffled is not None:
            voxels = replace(data, features=self.cases.shuffled, patches=None, repeats=None)
            yield Baseline.SHUFFLED_VOXELS, self._radiomics(voxels, Baseline.SHUFFLED_VOXELS)
        volume = data.volume
        if volume is not None:
            train, test = volume[self.fold.train], volume[self.fold.test]
            yield Baseline.VOLUME, self._simple(Baseline.VOLUME, train, test, training, testing)
        if self.cases.clinical is not None:
            clinical = self.cases.clinical
            train, test = clinical_columns(clinical.iloc[self.fold.train], clinical.iloc[self.fold.test])
            yield Baseline.CLINICAL, self._simple(Baseline.CLINICAL, train, test, training, testing)
        for name, table in self.cases.confounders.tables.items():
            train, test = clinical_columns(table.iloc[self.fold.train], table.iloc[self.fold.test])
            yield name, self._simple(name, train, test, training, testing)

    def _radiomics(self, data: StudyData, name: str) -> Judged:
        """The Radiomics-Score of a baseline's features or labels, under the baseline's name."""
        training, testing = self._split(data)
        models, refused = fit_possible_models(training, self.rules, self.plan, self.run.within(name))
        if models is None:
            return [], [], refused
        columns = models.columns(testing, ([], []))
        return *_predictions(models, columns, training, testing, {Model.RADIOMICS: name}), refused

    def _simple(
        self, name: str, train: np.ndarray, test: np.ndarray, training: StudyData, testing: StudyData
    ) -> Judged:
        """A logistic regression on the columns of a baseline (n, d), for the endpoints in whose cases they vary."""
        tables, fits, refused = [], [], {}
        for key, fusion in fit_simple(name, train, training, self.rules, self.plan, self.run).items():
            if isinstance(fusion, Refused):
                refused[key] = fusion.reason
                continue
            tables.append(_by_patient(key, name, fusion, test[None], testing))
            fits.append(_fit_of(key, name, fusion, training))
        return tables, fits, refused


def _predictions(
    models: FittedModels,
    columns: dict[str, dict[str, np.ndarray]],
    training: StudyData,
    testing: StudyData,
    names: dict[str, str],
) -> tuple[list[pd.DataFrame], list[Fit]]:
    """Test predictions and fits of every endpoint and model; `names` renames models."""
    tables, fits = [], []
    for stage in models.stages:
        for model, fusion in models.fusions[stage.key].items():
            name = names.get(model, model)
            tables.append(_by_patient(stage.key, name, fusion, columns[stage.key][model], testing))
            fits.append(_fit_of(stage.key, name, fusion, training))
    return tables, fits


def _by_patient(key: str, model: str, fusion: FusionModel, columns: np.ndarray, testing: StudyData) -> pd.DataFrame:
    """One row per patient, `PREDICTION_COLUMNS` without protocol and fold."""
    table = predict_by_patient(fusion, columns, testing, key)
    table = table.assign(endpoint=key, model=model, decision=(table["probability"] >= fusion.threshold_).astype(int))
    return table[[name for name in PREDICTION_COLUMNS if name in table]]


def _fit_of(key: str, model: str, fusion: FusionModel, training: StudyData) -> Fit:
    known = training.labelled(key)
    patients = pd.DataFrame({"label": known.labels, "probability": fusion.oof_score_}).groupby(known.patients)
    return Fit(
        key,
        model,
        fusion.classifier_,
        fusion.cv_auc_,
        float(fusion.threshold_),
        bool(fusion.no_signal_),
        patients["label"].max().to_numpy(),
        patients["probability"].mean().to_numpy(),
        int(fusion.n_features_in_),
    )


def _selected_features(models: FittedModels) -> pd.DataFrame:
    rows = []
    for stage in models.stages:
        for region, radscore in ({} if stage.regions is None else stage.regions.radscores).items():
            chosen = zip(radscore.selected_names, radscore.coef_, radscore.mean_, radscore.scale_, strict=True)
            for name, coefficient, mean, sd in chosen:
                feature = name.removeprefix(f"{region}_")
                rows.append((stage.key, region, feature, coefficient, mean, sd, radscore.rule_))
    return pd.DataFrame(rows, columns=list(SELECTED_COLUMNS))

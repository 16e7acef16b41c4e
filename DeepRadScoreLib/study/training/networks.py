"""Step 3 within a protocol: which networks are trained on which cases, and what they say of cases they never saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.deepct.outputs import N_DEEP, NetworkOutputs, merge_outputs
from DeepRadScoreLib.fusion.columns import DeepColumns, Scale
from DeepRadScoreLib.models import NetworkForm
from DeepRadScoreLib.progress import Report
from DeepRadScoreLib.study.plans import NetworkPlan
from DeepRadScoreLib.study.splits import Fold, holdout

if TYPE_CHECKING:
    from DeepRadScoreLib.deepct.network import DeepCT, NetworkSpec

VALIDATION_SHARE = 0.25
PATIENCE = 12
"""Epochs without a better validation AUC that end fine-tuning; random weights go through their whole cycle."""


@dataclass(frozen=True)
class Networks:
    """Trained networks with what a later stage needs of them.

    Attributes
    ----------
    members: one dictionary per fold: "shared" or an endpoint key -> network.
    columns: endpoint -> how its columns are read off the networks' outputs.
    out_of_fold: endpoint -> (n, d) columns of the training cases.
    weights: where the networks started from, for reports.
    """

    members: tuple[dict[str, DeepCT], ...]
    columns: dict[str, DeepColumns]
    out_of_fold: dict[str, np.ndarray]
    weights: str
    device: str

    def outputs(self, patches: np.ndarray) -> list[NetworkOutputs]:
        """Outputs of every fold's networks for patches (n, 160, 160) in HU."""
        return [member_outputs(member, patches, self.device) for member in self.members]


def member_outputs(member: dict[str, DeepCT], patches: np.ndarray, device: str) -> NetworkOutputs:
    """Outputs of one fold's networks for patches (n, 160, 160) in HU."""
    from DeepRadScoreLib.deepct.network import deep_outputs

    return merge_outputs([deep_outputs(network, patches, device=device) for network in member.values()])


def fit_fold_networks(
    patches: np.ndarray,
    labels: np.ndarray,
    patients: np.ndarray,
    keys: tuple[str, ...],
    folds: Sequence[Fold],
    plan: NetworkPlan,
    seed: int,
    run: Run,
) -> Networks:
    """One network (or one per endpoint) for each fold; each case's out-of-fold logit is z-scored by its own fold.

    `labels` is (n, endpoints) in the order of `keys`, NaN where a label is missing.
    """
    groups = [("shared", keys)] if plan.form == NetworkForm.SHARED else [(key, (key,)) for key in keys]
    members: list[dict[str, DeepCT]] = []
    scales: dict[str, list[Scale]] = {key: [] for key in keys}
    out_of_fold = {key: np.full((len(patches), 1), np.nan) for key in keys}
    described = ""
    for number, (train, left_out) in enumerate(folds):
        member = {}
        for name, endpoints in groups:
            columns = [keys.index(key) for key in endpoints]
            title = f"{name}, fold {number + 1} of {len(folds)}"
            member[name], described = _train(
                patches[train],
                labels[train][:, columns],
                patients[train],
                None,
                endpoints,
                plan,
                seed + number,
                run.folder / f"fold-{number + 1}-{name}.checkpoint",
                title,
                run.report,
            )
        outputs = member_outputs(member, patches, plan.device)
        for key in keys:
            scale = Scale.of(outputs.logit[key][train])
            scales[key].append(scale)
            out_of_fold[key][left_out, 0] = scale(outputs.logit[key][left_out])
        members.append(member)
    columns_of = {key: DeepColumns("logit", tuple(scales[key])) for key in keys}
    return Networks(tuple(members), columns_of, out_of_fold, described, plan.device)


def fit_joint_network(
    patches: np.ndarray,
    labels: np.ndarray,
    radscores: np.ndarray | None,
    patients: np.ndarray,
    keys: tuple[str, ...],
    plan: NetworkPlan,
    seed: int,
    run: Run,
) -> Networks:
    """The paper's network on all training cases, with the RadScores (n, endpoints, 2) in its head, or image only."""
    groups = [("shared", keys)] if plan.form == NetworkForm.SHARED else [(key, (key,)) for key in keys]
    title = "Deep-CT" if radscores is None else "Deep-RadScore network"
    member = {}
    described = ""
    for name, endpoints in groups:
        columns = [keys.index(key) for key in endpoints]
        member[name], described = _train(
            patches,
            labels[:, columns],
            patients,
            None if radscores is None else radscores[:, columns],
            endpoints,
            plan,
            seed,
            run.folder / f"{'image' if radscores is None else 'joint'}-{name}.checkpoint",
            f"{title} {name}",
            run.report,
        )
    outputs = member_outputs(member, patches, plan.device)
    own = {key: np.asarray(outputs.deep[key], dtype=float) for key in keys}
    return Networks((member,), {key: DeepColumns("units") for key in keys}, own, described, plan.device)


def fit_frozen_network(
    patches: np.ndarray, labels: np.ndarray, keys: tuple[str, ...], plan: NetworkPlan, seed: int
) -> Networks:
    """An untrained trunk: principal components of its pooled features, and a logistic read-out for Grad-CAM."""
    from DeepRadScoreLib.deepct.training import frozen_network

    network, described = frozen_network(
        patches, _spec(keys, plan, 0), weights=_weights(plan), sha256=plan.weights_sha256, seed=seed, device=plan.device
    )
    member = {"shared": network}
    pooled = np.asarray(member_outputs(member, patches, plan.device).pooled, dtype=float)
    pca = PCA(N_DEEP, svd_solver="full", random_state=seed).fit(pooled)
    columns, scores = {}, (pooled - pca.mean_) @ pca.components_.T
    for number, key in enumerate(keys):
        known = ~np.isnan(labels[:, number])
        columns[key] = DeepColumns(
            "pca",
            centre=pca.mean_,
            axes=pca.components_,
            readout=_readout(scores[known], labels[known, number], pca.components_),
        )
    return Networks((member,), columns, dict.fromkeys(keys, scores), described, plan.device)


def _readout(scores: np.ndarray, labels: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Weights over the pooled features (p,) of a logistic regression on their principal components."""
    sd = np.where(scores.std(axis=0) > 0, scores.std(axis=0), 1.0)
    logistic = LogisticRegression().fit(scores / sd, labels.astype(int))
    return (logistic.coef_[0] / sd) @ axes


def _train(
    patches: np.ndarray,
    labels: np.ndarray,
    patients: np.ndarray,
    radscores: np.ndarray | None,
    endpoints: tuple[str, ...],
    plan: NetworkPlan,
    seed: int,
    checkpoint: Path,
    title: str,
    report: Report,
) -> tuple[DeepCT, str]:
    from DeepRadScoreLib.deepct.training import TrainingSettings, train_network

    chosen = holdout(labels, patients, VALIDATION_SHARE, seed)
    settings = TrainingSettings(
        epochs=plan.epochs,
        patience=plan.epochs if plan.weights == "none" else PATIENCE,
        batch=plan.batch,
        weights=_weights(plan),
        weights_sha256=plan.weights_sha256,
    )
    trained = train_network(
        patches[~chosen],
        labels[~chosen],
        patches[chosen],
        labels[chosen],
        spec=_spec(endpoints, plan, 0 if radscores is None else 2),
        settings=settings,
        seed=seed,
        device=plan.device,
        radscores=None if radscores is None else radscores[~chosen],
        validation_radscores=None if radscores is None else radscores[chosen],
        checkpoint=checkpoint,
        title=title,
        report=report,
    )
    return trained.network, trained.weights


def _spec(endpoints: tuple[str, ...], plan: NetworkPlan, n_radscores: int) -> NetworkSpec:
    from DeepRadScoreLib.deepct.network import NetworkSpec

    return NetworkSpec(backbone=plan.backbone, endpoints=endpoints, n_radscores=n_radscores, pixels=plan.pixels)


def _weights(plan: NetworkPlan) -> str | Path:
    return plan.weights if plan.weights in ("none", "imagenet") else Path(plan.weights)

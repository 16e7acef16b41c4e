"""Deep-CT networks of a training set: one per fold, one for all cases, or an untrained one (method: Deep-CT)."""

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
from DeepRadScoreLib.fusion.columns import DeepColumns
from DeepRadScoreLib.models import NetworkForm
from DeepRadScoreLib.radscore.radscore import Scale
from DeepRadScoreLib.study.plans import NetworkPlan
from DeepRadScoreLib.study.splits import Fold, holdout

if TYPE_CHECKING:
    from DeepRadScoreLib.deepct.network import DeepCT, NetworkSpec

VALIDATION_SHARE = 0.25
PATIENCE = 12
"""Epochs without a better validation AUC that end fine-tuning; random weights go through their whole cycle."""


@dataclass(frozen=True)
class Networks:
    """Trained networks, and how classifiers get their columns from them.

    Attributes
    ----------
    members: one dictionary per fold: "shared" or an endpoint key -> network.
    columns: endpoint -> how its columns are read off the networks' outputs.
    training_columns: endpoint -> (n, d) columns of the training cases, out of fold where there are folds.
    weights: where the networks started from, for reports.
    training_pooled: for each network its pooled features (n, p) of all training cases; empty where each case was
        trained on and there is no fold.
    """

    members: tuple[dict[str, DeepCT], ...]
    columns: dict[str, DeepColumns]
    training_columns: dict[str, np.ndarray]
    weights: str
    device: str
    training_pooled: tuple[np.ndarray, ...] = ()

    def outputs(self, patches: np.ndarray) -> list[NetworkOutputs]:
        """Outputs of every fold's networks for patches (n, 160, 160) in HU."""
        return [_outputs_of(member, patches, self.device) for member in self.members]


def _outputs_of(member: dict[str, DeepCT], patches: np.ndarray, device: str) -> NetworkOutputs:
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
    """One network (or one per endpoint) for each fold; out-of-fold logits are z-scored by the fold's training cases.

    The frozen form has one network for all folds, since it is not trained.

    `labels` is (n, endpoints) in the order of `keys`, NaN where a label is missing.
    """
    if plan.form == NetworkForm.FROZEN:
        return fit_frozen_network(patches, labels, keys, plan, seed)
    members: list[dict[str, DeepCT]] = []
    scales: dict[str, list[Scale]] = {key: [] for key in keys}
    out_of_fold = {key: np.full((len(patches), 1), np.nan) for key in keys}
    pooled: list[np.ndarray] = []
    weights = ""
    for number, (train, left_out) in enumerate(folds):
        member, weights = _train_member(
            patches[train],
            labels[train],
            patients[train],
            None,
            keys,
            plan,
            seed + number,
            f"fold-{number + 1}",
            f"{{}}, fold {number + 1} of {len(folds)}",
            run,
        )
        outputs = _outputs_of(member, patches, plan.device)
        for key in keys:
            scale = Scale.of(outputs.logit[key][train])
            scales[key].append(scale)
            out_of_fold[key][left_out, 0] = scale(outputs.logit[key][left_out])
        members.append(member)
        pooled.append(outputs.pooled)
    columns = {key: DeepColumns("logit", tuple(scales[key])) for key in keys}
    return Networks(tuple(members), columns, out_of_fold, weights, plan.device, tuple(pooled))


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
    name, title = ("image", "Deep-CT {}") if radscores is None else ("joint", "Deep-RadScore network {}")
    member, weights = _train_member(patches, labels, patients, radscores, keys, plan, seed, name, title, run)
    outputs = _outputs_of(member, patches, plan.device)
    units = {key: np.asarray(outputs.deep[key], dtype=float) for key in keys}
    return Networks((member,), {key: DeepColumns("units") for key in keys}, units, weights, plan.device)


def fit_frozen_network(
    patches: np.ndarray, labels: np.ndarray, keys: tuple[str, ...], plan: NetworkPlan, seed: int
) -> Networks:
    """An untrained trunk with principal components of its pooled features, and a logistic read-out for Grad-CAM."""
    from DeepRadScoreLib.deepct.training import frozen_network

    network, weights = frozen_network(
        patches, _spec(keys, plan, 0), weights=_weights(plan), sha256=plan.weights_sha256, seed=seed, device=plan.device
    )
    member = {"shared": network}
    pooled = np.asarray(_outputs_of(member, patches, plan.device).pooled, dtype=float)
    pca = PCA(N_DEEP, svd_solver="full", random_state=seed).fit(pooled)
    axes = np.ascontiguousarray(pca.components_)  # the order in memory that a bundle is read back in: equal to the bit
    columns, scores = {}, (pooled - pca.mean_) @ axes.T
    for number, key in enumerate(keys):
        known = ~np.isnan(labels[:, number])
        columns[key] = DeepColumns(
            "pca",
            centre=pca.mean_,
            axes=axes,
            readout=_readout(scores[known], labels[known, number], axes),
        )
    return Networks((member,), columns, dict.fromkeys(keys, scores), weights, plan.device, (pooled,))


def _readout(scores: np.ndarray, labels: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Weights over the pooled features (p,) of a logistic regression on their principal components."""
    sd = np.where(scores.std(axis=0) > 0, scores.std(axis=0), 1.0)
    logistic = LogisticRegression().fit(scores / sd, labels.astype(int))
    return (logistic.coef_[0] / sd) @ axes


def _train_member(
    patches: np.ndarray,
    labels: np.ndarray,
    patients: np.ndarray,
    radscores: np.ndarray | None,
    keys: tuple[str, ...],
    plan: NetworkPlan,
    seed: int,
    name: str,
    title: str,
    run: Run,
) -> tuple[dict[str, DeepCT], str]:
    """The shared network, or one per endpoint, and where its weights started from.

    `name` begins the checkpoints' names; `{}` in `title` becomes the network's name.
    """
    from DeepRadScoreLib.deepct.training import TrainingSettings, train_network

    settings = TrainingSettings(
        epochs=plan.epochs,
        patience=plan.epochs if plan.weights == "none" else PATIENCE,
        batch=plan.batch,
        weights=_weights(plan),
        weights_sha256=plan.weights_sha256,
    )
    member, weights = {}, ""
    groups = {"shared": keys} if plan.form == NetworkForm.SHARED else {key: (key,) for key in keys}
    for network, endpoints in groups.items():
        columns = [keys.index(key) for key in endpoints]
        wanted, scores = labels[:, columns], None if radscores is None else radscores[:, columns]
        validation = holdout(wanted, patients, VALIDATION_SHARE, seed)
        trained = train_network(
            patches[~validation],
            wanted[~validation],
            patches[validation],
            wanted[validation],
            spec=_spec(endpoints, plan, 0 if scores is None else 2),
            settings=settings,
            seed=seed,
            device=plan.device,
            radscores=None if scores is None else scores[~validation],
            validation_radscores=None if scores is None else scores[validation],
            checkpoint=run.folder / f"{name}-{network}.checkpoint",
            title=title.format(network),
            report=run.report,
        )
        member[network], weights = trained.network, trained.weights
    return member, weights


def _spec(endpoints: tuple[str, ...], plan: NetworkPlan, n_radscores: int) -> NetworkSpec:
    from DeepRadScoreLib.deepct.network import NetworkSpec

    return NetworkSpec(backbone=plan.backbone, endpoints=endpoints, n_radscores=n_radscores, pixels=plan.pixels)


def _weights(plan: NetworkPlan) -> str | Path:
    return plan.weights if plan.weights in ("none", "imagenet") else Path(plan.weights)

"""Whether the parts of a bundle, each of which is valid, belong together."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from DeepRadScoreLib.archive import refused_field
from DeepRadScoreLib.bundles.manifest import LimitsCard, Manifest
from DeepRadScoreLib.bundles.stored_manifest import classifier_part, modelled
from DeepRadScoreLib.fusion.endpoint_model import EndpointModel
from DeepRadScoreLib.fusion.fitted_checks import Fitted, check_classes
from DeepRadScoreLib.likeness.limits import TrainingLimits
from DeepRadScoreLib.likeness.parts import Part
from DeepRadScoreLib.models import Model, Protocol

if TYPE_CHECKING:
    from DeepRadScoreLib.deepct.network import DeepCT

SCORES, LIMITS = "radscores.json", "limits.json"
ROUNDING = 1e-9


def check_scores(manifest: Manifest, scores: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse RadScores of other endpoints or folds than the manifest's. Raises BundleError."""
    keys = modelled(manifest)
    for key in sorted(set(scores) ^ set(keys)):
        raise refused_field(SCORES, key, "it is modelled in only one of manifest and RadScores")
    for key in keys:
        stored = scores[key]
        if stored.get("endpoint", key) != key:
            raise refused_field(SCORES, key, f"it is that of {stored['endpoint']}")
        _check_folds(manifest, key, stored)


def _check_folds(manifest: Manifest, key: str, stored: Mapping[str, Any]) -> None:
    networks, folds, kind = len(manifest.networks), len(stored["fold_regions"]), stored["deep"]["kind"]
    if kind == "logit" and len(stored["deep"]["scales"]) != networks:
        raise refused_field(SCORES, f"{key}.deep.scales", f"there are {networks} networks")
    if kind != "logit" and networks != 1:
        raise refused_field(SCORES, f"{key}.deep.kind", f"{kind} is of one network, there are {networks}")
    strict = manifest.protocol == Protocol.STRICT
    if strict != bool(folds) or (kind == "logit" and strict and folds != networks):
        raise refused_field(
            SCORES, f"{key}.fold_regions", f"{folds} folds do not fit {networks} networks of {manifest.protocol}"
        )


def check_model(manifest: Manifest, model: EndpointModel) -> None:
    """Refuse a fused model of other columns, classes or another classifier than its endpoint's. Raises BundleError."""
    card, fusion, part = manifest.endpoints[model.key], model.fusion, classifier_part(model.key)
    check_classes(Fitted(fusion))
    if fusion.n_features_in_ != len(model.names):
        raise refused_field(
            part, "n_features_in_", f"it is {fusion.n_features_in_}, the endpoint has {len(model.names)} columns"
        )
    named = card.classifier.get(Model.FUSED, fusion.classifier_)
    if named != fusion.classifier_:
        raise refused_field(part, "classifier_", f"it is {fusion.classifier_}, that of {model.key} is {named}")
    auc = float(np.mean(fusion.cv_auc_[fusion.classifier_]))
    if abs(card.cv_auc.get(Model.FUSED, auc) - auc) > ROUNDING:
        raise refused_field(
            part, "cv_auc_", f"the mean is {auc:.4f}, that of {model.key} is {card.cv_auc[Model.FUSED]:.4f}"
        )
    for name in sorted(set(card.shift) - set(model.names)):
        raise refused_field("manifest.json", f"endpoints.{model.key}.shift", f'"{name[:60]}" is none of its columns')


def check_limits(
    manifest: Manifest,
    limits: TrainingLimits | None,
    columns: Mapping[str, Collection[str]],
    networks: Sequence[Mapping[str, DeepCT]],
) -> None:
    """Refuse limits other than those that the manifest states, or of other columns or networks. Raises BundleError.

    Parameters
    ----------
    columns: endpoint -> names of the columns of its fused model.
    """
    if limits is None:
        return
    card = manifest.limits
    if card is None or card != LimitsCard.of(limits).model_copy(update=_rules(card)):
        raise refused_field("manifest.json", "limits", f"they are not those of {LIMITS}")
    for key, ranges in limits.columns.items():
        for name in (key,) if key not in columns else ranges.names:
            if name not in columns.get(key, ()):
                raise refused_field(LIMITS, f"columns.{key[:40]}", f'"{name[:60]}" is no column of a modelled endpoint')
    found = limits.parts.get(Part.NETWORK)
    if found is None:
        return
    if len(found.distances) != len(networks):
        raise refused_field(LIMITS, "parts.network", f"there are {len(networks)} networks, not {len(found.distances)}")
    for number, (distance, member) in enumerate(zip(found.distances, networks, strict=True)):
        pooled = next(iter(member.values())).pooled
        if len(distance.centre_) != pooled:
            raise refused_field("limits.safetensors", f"network/{number}/centre", f"the network has {pooled} features")


def _rules(card: LimitsCard) -> dict[str, float]:
    """Those fields of a card that `limits.json` does not decide: constants of the program that made it."""
    return {name: getattr(card, name) for name in ("false_alarms", "confidence", "no_finding_share", "fence")}

"""A made-up bundle with one endpoint for each classifier and networks of a few kilobytes; and edits of such a bundle.

Its numbers mean nothing; its parts have the names, shapes and ranges of a trained bundle.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from DeepRadScoreLib.bundles.bundle import MANIFEST, Bundle
from DeepRadScoreLib.bundles.manifest import CalibrationCard, EndpointCard, Manifest, ValidationCard
from DeepRadScoreLib.deepct import backbones, densenet
from DeepRadScoreLib.deepct.network import DeepCT, NetworkSpec
from DeepRadScoreLib.endpoints import KEYS
from DeepRadScoreLib.fusion.classifiers import CLASSIFIERS, candidate, raw_score
from DeepRadScoreLib.fusion.columns import DeepColumns
from DeepRadScoreLib.fusion.endpoint_model import EndpointModel
from DeepRadScoreLib.fusion.model import FusionModel
from DeepRadScoreLib.fusion.search import fitted
from DeepRadScoreLib.likeness.evidence import Evidence
from DeepRadScoreLib.likeness.limits import TrainingLimits
from DeepRadScoreLib.likeness.measures import MEASURES
from DeepRadScoreLib.models import Model
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS, FEATURE_NAMES, REGIONS
from DeepRadScoreLib.radscore.radscore import RegionScores, Scale

CASES = 24
FOLDS = 2
KEY_OF: dict[str, str] = dict(zip(CLASSIFIERS, KEYS[:-2], strict=False))
"""Classifier -> the endpoint that it is the model of; the others, ROS1 and PDL1 at least, are not modelled."""
NAMES = ("deep_ct", "radscore_tumour", "radscore_peritumoral")


@contextmanager
def small_densenet() -> Iterator[None]:
    """Within the block the backbone "densenet121" is a DenseNet of four layers."""
    sizes = {"LAYERS": (1, 1, 1, 1), "FIRST_CHANNELS": 8, "GROWTH": 4, "BOTTLENECK": 16}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in sizes.items():
            patch.setattr(densenet, name, value)
        pooled = densenet.DenseNet121().features.norm5.num_features
        small = replace(backbones.BACKBONES["densenet121"], pooled=pooled)
        patch.setitem(backbones.BACKBONES, "densenet121", small)
        yield


def small_bundle() -> Bundle:
    """The bundle; to be made, written and read within `small_densenet`."""
    rng = np.random.default_rng(0)
    keys = tuple(KEY_OF.values())
    members = tuple({"shared": _network(keys, fold)} for fold in range(FOLDS))
    models = {key: _endpoint(key, name, rng) for name, key in KEY_OF.items()}
    cards = {key: _card(model.fusion, rng) for key, model in models.items()}
    features = pd.DataFrame(rng.normal(size=(CASES, len(FEATURE_COLUMNS))), columns=FEATURE_COLUMNS)
    measures = pd.DataFrame(rng.normal(1.0, 0.1, (CASES, len(MEASURES))), columns=list(MEASURES))
    pooled = backbones.BACKBONES["densenet121"].pooled
    of_networks = tuple(rng.normal(size=(CASES, pooled)).astype(np.float32) for _ in members)
    columns = {key: pd.DataFrame(rng.normal(size=(CASES, 3)), columns=list(NAMES)) for key in keys}
    training = Evidence(features, measures, of_networks, columns)
    folds = [(np.arange(CASES // 2), np.arange(CASES // 2, CASES))] * FOLDS
    return Bundle(_manifest(cards), members, models).with_limits(TrainingLimits.fit(training, folds))


def _network(keys: tuple[str, ...], seed: int) -> DeepCT:
    import torch

    torch.manual_seed(seed)
    return DeepCT(NetworkSpec("densenet121", keys, pixels=32), backbones.Trunk("densenet121"), seed).eval()


def _endpoint(key: str, classifier: str, rng: np.random.Generator) -> EndpointModel:
    label = np.arange(40) % 2
    columns = rng.normal(size=(40, 3)) + label[:, None]
    deep = DeepColumns("logit", (Scale(0.0, 1.0),) * FOLDS)
    every = [_regions(rng) for _ in range(FOLDS + 1)]
    return EndpointModel(
        key, every[0], tuple(every[1:]), deep, _fusion(classifier, columns, label), np.round(columns[:20], 6)
    )


def _fusion(classifier: str, columns: np.ndarray, label: np.ndarray) -> FusionModel:
    """A fitted model without its search, which takes seconds."""
    pipeline, _ = candidate(classifier, 0, "quick")
    settings = {"RF": {"n_estimators": 3}, "MLP": {"max_iter": 5}, "SVM": {"kernel": "rbf"}}.get(classifier, {})
    model = FusionModel(search="quick", folds=2, repeats=1, classifiers=(classifier,))
    model.classes_, model.n_features_in_ = np.array([0, 1]), columns.shape[1]
    model.classifier_, model.best_params_ = classifier, {classifier: settings}
    model.cv_auc_ = {classifier: np.array([0.8, 0.9])}
    model.estimator_ = fitted(
        pipeline.set_params(**{f"estimator__{k}": v for k, v in settings.items()}), columns, label
    )
    model.prevalence_, model.slope_, model.intercept_, model.no_signal_ = 0.5, 1.5, -0.2, False
    model.oof_score_ = model.calibrated(raw_score(model.estimator_, columns))
    model.threshold_ = 0.45
    return model


def _regions(rng: np.random.Generator) -> RegionScores:
    regions = {}
    for region in REGIONS:
        chosen = np.sort(rng.choice(len(FEATURE_NAMES), 3, replace=False))
        features = [
            {"name": f"{region}_{FEATURE_NAMES[column]}", "column": int(column), "mean": 0.1, "sd": 1.1}
            for column in chosen
        ]
        for feature in features:
            feature["coefficient"] = float(rng.normal())
        score = {"features": features, "rule": "lasso", "lasso_empty": False, "funnel": {"all": 851, "lasso": 3}}
        regions[region] = {
            "radscore": score | {"n_columns": len(FEATURE_NAMES), "columns": None},
            "scale": {"mean": 0.0, "sd": 1.0},
        }
    return RegionScores.from_dict(regions)


def _card(fusion: FusionModel, rng: np.random.Generator) -> EndpointCard:
    label = np.arange(40) % 2
    probabilities = np.clip(0.5 + (label - 0.5) * 0.4 + rng.normal(0, 0.2, 40), 0.05, 0.95)
    name = fusion.classifier_
    return EndpointCard(
        modelled=True,
        n=40,
        positives=20,
        rule="lasso",
        classifier=dict.fromkeys(Model, name),
        cv_auc=dict.fromkeys(Model, float(np.mean(fusion.cv_auc_[name]))),
        validation=dict.fromkeys(Model, ValidationCard(auc=0.8, auc_ci=(0.6, 0.9), n=20, positives=9)),
        shift=dict.fromkeys(NAMES, (0.1, 1.0)),
        calibration=CalibrationCard.of(probabilities, label, np.arange(40)),
    )


def _manifest(cards: dict[str, EndpointCard]) -> Manifest:
    unmodelled = {key: EndpointCard(modelled=False, reason="too few", n=40, positives=1) for key in KEYS[len(KEY_OF) :]}
    return Manifest(
        name="made up",
        label="synthetic: not for patients",
        protocol="strict",
        network="shared",
        backbone="densenet121",
        weights="random",
        pixels=32,
        preprocessing="canonical",
        shell_mm=3.0,
        seed=0,
        synthetic=True,
        settings={"folds": FOLDS},
        trained_on={
            "cohort": "cohort.csv",
            "cohort_sha256": "0" * 64,
            "training_patients": 40,
            "held_out_patients": 20,
            "held_out_by": "random",
            "duplicates": 0,
            "lung_masks": 0,
            "cases": 60,
            "left_out": {},
            "left_out_by_quality": {},
            "quality": {"thick_slices": 3},
            "sites": {"a": 60},
            "pdl1_rules": {"PDL1": 0, "TPS": 0, "CD8A": 0},
            "cd8a_cut": None,
        },
        endpoints=cards | unmodelled,
        versions={"numpy": np.__version__},
    )


Files = dict[str, bytes]
Edit = Callable[[Files], None]


def files_of(path: Path) -> Files:
    """The parts of a bundle by name."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_files(files: Files, path: Path, *, hashes: bool = True, compression: int = zipfile.ZIP_STORED) -> Path:
    """Write parts as a bundle; with `hashes` the manifest gets those of the parts as they are now."""
    if hashes:
        files = rehashed(files)
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def rehashed(files: Files) -> Files:
    """The parts with a manifest that holds their hashes; a manifest that is no JSON object stays as it is."""
    try:
        manifest = json.loads(files[MANIFEST])
        hashes = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items()) if name != MANIFEST}
        if manifest["files"] == hashes:
            return files
        manifest["files"] = hashes
    except (KeyError, ValueError, TypeError, RecursionError):
        return files
    return {**files, MANIFEST: json.dumps(manifest, indent=1).encode()}


def in_json(name: str, *path: Any, value: Any = None, change: Callable[[Any], Any] | None = None) -> Edit:
    """An edit that sets (or by `change` computes anew) one value of a JSON part; the last of `path` may be new."""

    def edit(files: Files) -> None:
        whole = json.loads(files[name])
        inner = whole
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = value if change is None else change(inner[path[-1]])
        files[name] = json.dumps(whole, indent=1).encode()

    return edit


def without_json(name: str, *path: Any) -> Edit:
    """An edit that removes one value of a JSON part."""

    def edit(files: Files) -> None:
        whole = json.loads(files[name])
        inner = whole
        for step in path[:-1]:
            inner = inner[step]
        del inner[path[-1]]
        files[name] = json.dumps(whole, indent=1).encode()

    return edit


def in_text(name: str, old: str, new: str) -> Edit:
    """An edit that replaces the first occurrence of a text in a part."""

    def edit(files: Files) -> None:
        text = files[name].decode()
        assert old in text
        files[name] = text.replace(old, new, 1).encode()

    return edit


def in_arrays(name: str, change: Callable[[dict[str, np.ndarray]], None]) -> Edit:
    """An edit of the arrays of a safetensors part."""
    from safetensors.numpy import load, save

    def edit(files: Files) -> None:
        arrays = load(files[name])
        change(arrays)
        files[name] = save({key: np.array(array, order="C") for key, array in arrays.items()})

    return edit


def in_classifier(classifier: str, change: Callable[[Any], Any]) -> Edit:
    """An edit of the fitted model of the endpoint that has this classifier; `change` may return another one."""
    import skops.io

    name = f"classifiers/{KEY_OF[classifier]}.skops"

    def edit(files: Files) -> None:
        data = files[name]
        model = skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))
        changed = change(model)
        files[name] = skops.io.dumps(model if changed is None else changed)

    return edit


def in_skops(classifier: str, change: Callable[[Files, Any], None]) -> Edit:
    """An edit of the parts of a skops archive and of its parsed schema."""
    name = f"classifiers/{KEY_OF[classifier]}.skops"

    def edit(files: Files) -> None:
        with zipfile.ZipFile(io.BytesIO(files[name])) as archive:
            parts = {one: archive.read(one) for one in archive.namelist()}
        schema = json.loads(parts["schema.json"])
        change(parts, schema)
        parts["schema.json"] = json.dumps(schema).encode()
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for one, data in parts.items():
                archive.writestr(one, data)
        files[name] = stream.getvalue()

    return edit

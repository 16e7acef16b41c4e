"""Kinds of edit of a made-up bundle after which its hashes are made anew: each has to be refused in one sentence."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

from support.small_bundle import (
    KEY_OF,
    Edit,
    Files,
    in_arrays,
    in_classifier,
    in_json,
    in_skops,
    in_text,
    without_json,
)

MANIFEST, SCORES, LIMITS, ARRAYS = "manifest.json", "radscores.json", "limits.json", "limits.safetensors"
NETWORK = "networks/2/shared.safetensors"
EGFR, KRAS = "EGFR", "KRAS"
HUGE = 10**400
REGION = (EGFR, "regions", "tumour", "radscore")
FEATURE = (*REGION, "features", 0)


def moved(one: str, other: str) -> Edit:
    """Exchange two parts."""

    def edit(files: Files) -> None:
        files[one], files[other] = files[other], files[one]

    return edit


def swapped(name: str, *path: Any) -> Edit:
    """Exchange the values of EGFR and KRAS in a JSON part."""

    def change(values: dict[str, Any]) -> dict[str, Any]:
        return values | {EGFR: values[KRAS], KRAS: values[EGFR]}

    if path:
        return in_json(name, *path, change=change)

    def edit(files: Files) -> None:
        files[name] = json.dumps(change(json.loads(files[name]))).encode()

    return edit


def set_part(name: str, data: bytes | Callable[[bytes], bytes]) -> Edit:
    """Replace the bytes of a part."""

    def edit(files: Files) -> None:
        files[name] = data(files[name]) if callable(data) else data

    return edit


def without_part(name: str) -> Edit:
    """Remove a part."""
    return lambda files: files.pop(name) and None


def nested(depth: int) -> bytes:
    """A JSON document of many lists in each other."""
    return b"[" * depth + b"]" * depth


def put(name: str, key: str, change: Callable[[np.ndarray], np.ndarray]) -> Edit:
    """Replace one array of a safetensors part."""
    return in_arrays(name, lambda arrays: arrays.update({key: change(arrays[key])}))


def at(array: np.ndarray, value: float) -> np.ndarray:
    """A copy with another first value."""
    changed = array.copy()
    changed.flat[0] = value
    return changed


def attribute(classifier: str, *path: str, value: Any = None, change: Callable[[Any], Any] | None = None) -> Edit:
    """Set one attribute of a stored model, or of the "estimator" or "scaler" in it."""

    def edit(model: Any) -> None:
        for step in path[:-1]:
            model = model.estimator_.named_steps[step] if step in ("estimator", "scaler") else getattr(model, step)
        setattr(model, path[-1], value if change is None else change(getattr(model, path[-1])))

    return in_classifier(classifier, edit)


def deleted(classifier: str, *path: str) -> Edit:
    """Remove one attribute of a stored model."""

    def edit(model: Any) -> None:
        for step in path[:-1]:
            model = model.estimator_.named_steps[step]
        delattr(model, path[-1])

    return in_classifier(classifier, edit)


def in_tree(change: Callable[[dict[str, Any]], None]) -> Edit:
    """Edit the state of the first tree of the forest."""

    def edit(model: Any) -> None:
        tree = model.estimator_[-1].estimators_[0].tree_
        state = tree.__getstate__()
        state["nodes"], state["values"] = state["nodes"].copy(), state["values"].copy()
        change(state)
        made = type(tree)(*tree.__reduce__()[1])
        made.__setstate__(state)
        model.estimator_[-1].estimators_[0].tree_ = made

    return in_classifier("RF", edit)


def node(field: str, value: float, number: int = 0) -> Edit:
    """Set a field of one node of a tree."""
    return in_tree(lambda state: state["nodes"][field].__setitem__(number, value))


def in_tree_schema(change: Callable[[dict[str, Any], Files], None]) -> Edit:
    """Edit the stored form of the first tree of the forest."""
    return in_skops("RF", lambda parts, schema: change(found(schema, "Tree"), parts))


def found(value: Any, name: str) -> Any:
    """The first dictionary of a skops schema that names a class."""
    if isinstance(value, dict):
        if value.get("__class__") == name:
            return value
        value = list(value.values())
    if isinstance(value, list):
        return next((inner for inner in (found(one, name) for one in value) if inner is not None), None)
    return None


def huge_array(parts: Files, schema: Any) -> None:
    """An array whose header promises a terabyte."""
    name = found(schema, "ndarray")["file"]
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": (10**11,)})
    parts[name] = stream.getvalue()


def object_array(parts: Files, schema: Any) -> None:
    """An array of Python objects, which is a pickle."""
    name = found(schema, "ndarray")["file"]
    stream = io.BytesIO()
    np.save(stream, np.array([{}], dtype=object), allow_pickle=True)
    parts[name] = stream.getvalue()


def deep_schema(parts: Files, schema: Any) -> None:
    """A schema of lists in lists."""
    inner: Any = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "content": "1", "__id__": 1}
    for _ in range(200):
        inner = {
            "__class__": "list",
            "__module__": "builtins",
            "__loader__": "ListNode",
            "content": [inner],
            "__id__": 1,
        }
    schema["content"]["content"]["threshold_"] = inner


def inflated(parts: Files, schema: Any) -> None:
    """A part of 300 MB of zeros."""
    parts["zeros.npy"] = bytes(300_000_000)


def _other_svm(change: Callable[[Any], None]) -> Edit:
    return in_classifier("SVM", lambda model: change(model.estimator_[-1]))


def _estimator_of(classifier: str, other: str) -> Edit:
    def edit(model: Any) -> None:
        from DeepRadScoreLib.fusion.classifiers import candidate
        from DeepRadScoreLib.fusion.search import fitted

        rng = np.random.default_rng(0)
        label = np.arange(40) % 2
        model.estimator_ = fitted(candidate(other, 0)[0], rng.normal(size=(40, 3)) + label[:, None], label)

    return in_classifier(classifier, edit)


def _of_more_columns(model: Any) -> None:
    from DeepRadScoreLib.fusion.classifiers import candidate
    from DeepRadScoreLib.fusion.search import fitted

    rng = np.random.default_rng(0)
    model.n_features_in_ = 4
    model.estimator_ = fitted(candidate("LR", 0)[0], rng.normal(size=(40, 4)), np.arange(40) % 2)


def _long_header(data: bytes) -> bytes:
    return (2**62).to_bytes(8, "little") + data[8:]


CARD = ("endpoints", EGFR)

EDITS: dict[str, tuple[Edit, str]] = {
    # the manifest
    "no manifest": (without_part(MANIFEST), "whole bundle"),
    "a manifest that is no JSON": (set_part(MANIFEST, b"{"), "manifest.json"),
    "a manifest that is a list": (set_part(MANIFEST, b"[]"), "schema"),
    "a manifest of deep nesting": (set_part(MANIFEST, nested(100_000)), "manifest.json"),
    "a key that stands twice": (in_text(MANIFEST, '"seed": 0', '"seed": 1, "seed": 0'), '"seed"'),
    "NaN in the manifest": (in_json(MANIFEST, "shell_mm", value=float("nan")), "NaN"),
    "a manifest of a future schema": (in_json(MANIFEST, "schema", value="deepradscore.bundle/3"), "bundle/3"),
    "a schema that is a number": (in_json(MANIFEST, "schema", value=2), "schema"),
    "a schema that is a list": (in_json(MANIFEST, "schema", value=["deepradscore.bundle/2"]), "schema"),
    "no schema": (without_json(MANIFEST, "schema"), "schema"),
    "a field is missing": (without_json(MANIFEST, "backbone"), '"backbone"'),
    "a field that is not known": (in_json(MANIFEST, "author", value="x"), '"author"'),
    "a number as name": (in_json(MANIFEST, "name", value=3), '"name"'),
    "a name of two million characters": (in_json(MANIFEST, "name", value="x" * 2_000_000), '"name"'),
    "a name with an escape sequence": (in_json(MANIFEST, "name", value="\x1b[31mred"), "control"),
    "half a character in a name": (in_text(MANIFEST, '"made up"', '"\\ud800"'), "control"),
    "text as number of pixels": (in_json(MANIFEST, "pixels", value="32"), '"pixels"'),
    "a negative number of pixels": (in_json(MANIFEST, "pixels", value=-32), '"pixels"'),
    "more pixels than a patch has": (in_json(MANIFEST, "pixels", value=10**9), '"pixels"'),
    "a huge integer": (in_json(MANIFEST, "seed", value=HUGE), '"seed"'),
    "a shell of negative thickness": (in_json(MANIFEST, "shell_mm", value=-3.0), '"shell_mm"'),
    "a shell of a kilometre": (in_json(MANIFEST, "shell_mm", value=1e6), '"shell_mm"'),
    "text as truth": (in_json(MANIFEST, "synthetic", value="false"), '"synthetic"'),
    "synthetic without its label": (in_json(MANIFEST, "label", value=None), "label"),
    "an unknown protocol": (in_json(MANIFEST, "protocol", value="loose"), '"protocol"'),
    "an unknown network form": (in_json(MANIFEST, "network", value="deep"), '"network"'),
    "an unknown backbone": (in_json(MANIFEST, "backbone", value="alexnet"), "backbone"),
    "another backbone": (in_json(MANIFEST, "backbone", value="resnet50"), "backbone"),
    "an unknown engine": (in_json(MANIFEST, "engine", value="other"), '"engine"'),
    "training without sites": (without_json(MANIFEST, "trained_on", "sites"), "sites"),
    "text as number of patients": (
        in_json(MANIFEST, "trained_on", "training_patients", value="many"),
        "training_patients",
    ),
    "a negative number of patients": (in_json(MANIFEST, "trained_on", "sites", "a", value=-1), "sites.a"),
    "a digest of the cohort that is none": (
        in_json(MANIFEST, "trained_on", "cohort_sha256", value="0f"),
        "cohort_sha256",
    ),
    "a list where the training should be": (in_json(MANIFEST, "trained_on", value=[]), "trained_on"),
    "an endpoint of no name": (
        in_json(MANIFEST, "endpoints", "FOO", value={"modelled": False, "n": 1, "positives": 0}),
        "FOO",
    ),
    "exchanged cards": (swapped(MANIFEST, "endpoints"), "EGFR"),
    "a negative number of cases": (in_json(MANIFEST, *CARD, "n", value=-40), "EGFR.n"),
    "more positives than cases": (in_json(MANIFEST, *CARD, "positives", value=41), "EGFR"),
    "an AUC above 1": (in_json(MANIFEST, *CARD, "validation", "deep-radscore", "auc", value=1.2), "auc"),
    "an interval the wrong way round": (
        in_json(MANIFEST, *CARD, "validation", "deep-radscore", "auc_ci", value=[0.9, 0.6]),
        "auc_ci",
    ),
    "an interval of three ends": (
        in_json(MANIFEST, *CARD, "validation", "deep-radscore", "auc_ci", value=[0.6, 0.8, 0.9]),
        "auc_ci",
    ),
    "a validation of no model": (
        in_json(MANIFEST, *CARD, "validation", change=lambda values: {"oracle": values["deep-ct"]}),
        "oracle",
    ),
    "another AUC in training": (in_json(MANIFEST, *CARD, "cv_auc", "deep-radscore", value=0.99), "cv_auc"),
    "an unknown classifier": (in_json(MANIFEST, *CARD, "classifier", "deep-radscore", value="XGB"), "classifier"),
    "another classifier": (in_json(MANIFEST, *CARD, "classifier", "deep-radscore", value="SVM"), "classifier"),
    "an endpoint that is not modelled any more": (
        in_json(MANIFEST, *CARD, "modelled", value=False),
        "networks.0.shared.endpoints",
    ),
    "an endpoint that is modelled without a model": (
        in_json(MANIFEST, "endpoints", "ROS1", "modelled", value=True),
        "ROS1",
    ),
    "a level above 1": (in_json(MANIFEST, *CARD, "calibration", "level", value=1.5), "level"),
    "a label-set threshold above 1": (
        in_json(MANIFEST, *CARD, "calibration", "positive", value=7.0),
        "calibration.positive",
    ),
    "a negative variance": (in_json(MANIFEST, *CARD, "calibration", "error", value=[-1.0, 0.0, 1.0]), "error"),
    "a calibration of two numbers": (in_json(MANIFEST, *CARD, "calibration", "error", value=[1.0, 0.0]), "error"),
    "a shift of no column": (in_json(MANIFEST, *CARD, "shift", value={"deep_99": [0.0, 1.0]}), "shift"),
    "an unknown confounder": (in_json(MANIFEST, *CARD, "confounders", value={"moon": 0.9}), "confounders"),
    "a rule outside of 0 to 1": (in_json(MANIFEST, "rules", "auc_above", value=-1.0), "auc_above"),
    "a rule with a code of no name": (
        in_json(MANIFEST, "rules", "quality_failures", value=["full_moon"]),
        "quality_failures",
    ),
    "a rule with a negative number": (in_json(MANIFEST, "rules", "min_training_positives", value=-5), "min_training"),
    "a fold without its networks": (in_json(MANIFEST, "networks", change=lambda folds: folds[:1]), "networks/2"),
    "a fold more than there are networks": (
        in_json(MANIFEST, "networks", change=lambda folds: [*folds, folds[0]]),
        "networks/3",
    ),
    "no networks": (in_json(MANIFEST, "networks", value=[]), "networks"),
    "seven RadScores in a network": (in_json(MANIFEST, "networks", 0, "shared", "n_radscores", value=7), "n_radscores"),
    "a network of other pixels": (in_json(MANIFEST, "networks", 0, "shared", "pixels", value=64), "pixels"),
    "a network with a field that is not known": (in_json(MANIFEST, "networks", 0, "shared", "depth", value=3), "depth"),
    "a network of exchanged endpoints": (
        in_json(MANIFEST, "networks", 0, "shared", "endpoints", change=lambda keys: keys[::-1]),
        "endpoints",
    ),
    "a network without an endpoint": (
        in_json(MANIFEST, "networks", 1, "shared", "endpoints", change=lambda keys: keys[1:]),
        "endpoints",
    ),
    "a network whose name is a path": (
        in_json(MANIFEST, "networks", 0, change=lambda member: {"../shared": member["shared"]}),
        "networks",
    ),
    "limits that the manifest does not name": (in_json(MANIFEST, "limits", value=None), "limits"),
    "limits of other cases": (in_json(MANIFEST, "limits", "cases", value=1000), "limits"),
    "another limit for a warning": (in_json(MANIFEST, "limits", "warning_above", value=0.5), "limits"),
    "a part of the limits of no name": (in_json(MANIFEST, "limits", "parts", value=["smell"]), "limits"),
    # parts of the archive
    "a part too many": (set_part("notes.txt", b"x"), "notes.txt"),
    "a part outside of the bundle": (set_part("../outside.json", b"{}"), "outside"),
    "a part with an absolute path": (set_part("/etc/outside", b"{}"), "outside"),
    "no RadScores": (without_part(SCORES), SCORES),
    "no classifier": (without_part(f"classifiers/{EGFR}.skops"), EGFR),
    "no network": (without_part(NETWORK), NETWORK),
    "limits without arrays": (without_part(ARRAYS), ARRAYS),
    "no limits": (without_part(LIMITS), LIMITS),
    # RadScores and columns
    "RadScores that are no JSON": (set_part(SCORES, lambda data: data[:-10]), SCORES),
    "RadScores that are a list": (set_part(SCORES, b"[]"), SCORES),
    "RadScores of deep nesting": (set_part(SCORES, nested(100_000)), SCORES),
    "RadScores without an endpoint": (without_json(SCORES, EGFR), EGFR),
    "RadScores of an endpoint that is not modelled": (
        lambda files: in_json(SCORES, "ROS1", value=json.loads(files[SCORES])[EGFR])(files),
        "ROS1",
    ),
    "exchanged endpoints": (swapped(SCORES), EGFR),
    "RadScores of one fold too few": (in_json(SCORES, EGFR, "fold_regions", change=lambda folds: folds[:1]), "fold"),
    "RadScores of one fold too many": (
        in_json(SCORES, EGFR, "fold_regions", change=lambda folds: [*folds, folds[0]]),
        "fold",
    ),
    "no folds": (in_json(SCORES, EGFR, "fold_regions", value=[]), "fold"),
    "a coefficient NaN": (in_json(SCORES, *FEATURE, "coefficient", value=float("nan")), "NaN"),
    "an infinite coefficient": (in_json(SCORES, *FEATURE, "coefficient", value=float("inf")), "Infinity"),
    "a coefficient beyond all numbers": (
        in_text(SCORES, '"coefficient": ', '"coefficient": 1e999, "old": '),
        "coefficient",
    ),
    "a coefficient as text": (in_json(SCORES, *FEATURE, "coefficient", value="0.5"), "coefficient"),
    "a coefficient null": (in_json(SCORES, *FEATURE, "coefficient", value=None), "coefficient"),
    "a coefficient of 400 digits": (in_json(SCORES, *FEATURE, "coefficient", value=HUGE), "coefficient"),
    "no coefficient": (without_json(SCORES, *FEATURE, "coefficient"), "coefficient"),
    "a feature with a field that is not known": (in_json(SCORES, *FEATURE, "weight", value=1.0), "weight"),
    "a feature at another column": (
        in_json(SCORES, *FEATURE, "column", change=lambda column: (column + 1) % 851),
        "column",
    ),
    "a feature by the name of another": (
        in_json(SCORES, *FEATURE, "name", value="tumour_original_firstorder_Mean"),
        "tumour_original_firstorder_Mean",
    ),
    "a feature of no name": (
        in_json(SCORES, *FEATURE, "name", value="tumour_original_smell_Mean"),
        "tumour_original_smell_Mean",
    ),
    "a feature of the other region": (
        in_json(SCORES, *FEATURE, "name", change=lambda name: name.replace("tumour", "peritumoral", 1)),
        "peritumoral",
    ),
    "a negative column": (in_json(SCORES, *FEATURE, "column", value=-1), "column"),
    "a column beyond the last": (in_json(SCORES, *FEATURE, "column", value=851), "column"),
    "a column that is no whole number": (in_json(SCORES, *FEATURE, "column", value=1.5), "column"),
    "a feature twice": (
        in_json(SCORES, *REGION, "features", change=lambda features: [features[0], *features]),
        "features",
    ),
    "features in another order": (
        in_json(SCORES, *REGION, "features", change=lambda features: features[::-1]),
        "features",
    ),
    "no features": (in_json(SCORES, *REGION, "features", value=[]), "features"),
    "a standard deviation of 0": (in_json(SCORES, *FEATURE, "sd", value=0.0), "sd"),
    "a negative standard deviation": (in_json(SCORES, *FEATURE, "sd", value=-1.0), "sd"),
    "a mean as list": (in_json(SCORES, *FEATURE, "mean", value=[0.1]), "mean"),
    "other columns": (in_json(SCORES, *REGION, "n_columns", value=850), "n_columns"),
    "names of columns": (in_json(SCORES, *REGION, "columns", value=["a"]), "columns"),
    "a region is missing": (without_json(SCORES, EGFR, "regions", "peritumoral"), "peritumoral"),
    "an unknown rule": (in_json(SCORES, *REGION, "rule", value="none"), "rule"),
    "a negative count": (in_json(SCORES, *REGION, "funnel", "all", value=-1), "funnel"),
    "a scale of 0": (in_json(SCORES, EGFR, "regions", "tumour", "scale", "sd", value=0), "sd"),
    "an unknown kind of deep columns": (in_json(SCORES, EGFR, "deep", "kind", value="magic"), "kind"),
    "deep columns of another kind": (in_json(SCORES, EGFR, "deep", "kind", value="units"), "deep"),
    "principal components without axes": (in_json(SCORES, EGFR, "deep", "kind", value="pca"), "deep"),
    "a network without a scale": (in_json(SCORES, EGFR, "deep", "scales", change=lambda scales: scales[:1]), "scales"),
    "a background of ragged rows": (in_json(SCORES, EGFR, "background", 0, value=[0.0]), "background"),
    "a background of two columns": (
        in_json(SCORES, EGFR, "background", change=lambda rows: [row[:2] for row in rows]),
        "background",
    ),
    "an empty background": (in_json(SCORES, EGFR, "background", value=[]), "background"),
    "a background of text": (in_json(SCORES, EGFR, "background", 0, 0, value="0"), "background"),
    "text as way of averaging": (in_json(SCORES, EGFR, "averaged", value="no"), "averaged"),
    # limits
    "limits that are a number": (set_part(LIMITS, b"3"), LIMITS),
    "limits with a key twice": (in_text(LIMITS, '"cases": 24', '"cases": 24, "cases": 24'), "cases"),
    "limits of a negative number of cases": (in_json(LIMITS, "cases", value=-24), "cases"),
    "no finding before a warning": (in_json(LIMITS, "rules", "no_finding_above", value=-1.0), "no_finding_above"),
    "a share of false alarms of 2": (in_json(LIMITS, "rules", "false_alarms", value=2.0), "false_alarms"),
    "percentiles in another order": (
        in_json(LIMITS, "score_percentiles", change=lambda values: values[::-1]),
        "score_percentiles",
    ),
    "percentiles of other percents": (
        in_json(LIMITS, "score_percentiles", change=lambda values: values[:-1]),
        "score_percentiles",
    ),
    "quantiles of other percents": (in_json(LIMITS, "quantiles_percent", 0, value=1.0), "quantiles_percent"),
    "quantiles in another order": (
        in_json(LIMITS, "measures", "noise_hu", change=lambda values: values[::-1]),
        "noise_hu",
    ),
    "six quantiles": (in_json(LIMITS, "measures", "noise_hu", change=lambda values: values[:-1]), "noise_hu"),
    "a measure of no name": (
        in_json(LIMITS, "measures", change=lambda values: values | {"smell": values["noise_hu"]}),
        "smell",
    ),
    "a measure is missing": (without_json(LIMITS, "measures", "noise_hu"), "noise_hu"),
    "limits of columns of another endpoint": (
        in_json(LIMITS, "columns", change=lambda values: values | {"ROS1": values[EGFR]}),
        "ROS1",
    ),
    "limits of columns of no name": (
        in_json(LIMITS, "columns", EGFR, change=lambda values: values | {"deep_99": values["deep_ct"]}),
        "deep_99",
    ),
    "a tail without excess": (in_json(LIMITS, "parts", "image", "tail", "mean_excess", value=0.0), "mean_excess"),
    "a tail with a field that is not known": (in_json(LIMITS, "parts", "image", "tail", "end", value=0.0), "end"),
    "a part of no name": (in_json(LIMITS, "parts", change=lambda parts: parts | {"smell": parts["image"]}), "smell"),
    "no part": (in_json(LIMITS, "parts", value={}), "parts"),
    "distances of one network more": (
        in_json(LIMITS, "parts", "network", "middles", change=lambda values: [*values, 0.0]),
        "network",
    ),
    "a list where counts of scans should be": (in_json(LIMITS, "scans", value=[1]), "scans"),
    "limits of another feature count": (
        put(ARRAYS, "features/quantiles", lambda array: array[:, :-1]),
        "features/quantiles",
    ),
    "limits NaN": (put(ARRAYS, "features/quantiles", lambda array: at(array, np.nan)), "features/quantiles"),
    "limits in another order": (put(ARRAYS, "features/quantiles", lambda array: array[::-1]), "features/quantiles"),
    "limits as whole numbers": (
        put(ARRAYS, "features/quantiles", lambda array: array.astype(np.int32)),
        "features/quantiles",
    ),
    "axes of another shape": (put(ARRAYS, "image/0/axes", lambda array: array[:, :-1]), "image/0/axes"),
    "infinite axes": (put(ARRAYS, "features/0/axes", lambda array: at(array, np.inf)), "features/0/axes"),
    "a negative variance of an axis": (put(ARRAYS, "image/0/variances", lambda array: -array), "image/0/variances"),
    "a scale of nothing": (put(ARRAYS, "features/0/scale", lambda array: at(array, 0.0)), "features/0/scale"),
    "a rest of another shape": (put(ARRAYS, "image/0/rest", lambda array: np.repeat(array, 2)), "image/0/rest"),
    "distances of networks with other features": (
        in_arrays(ARRAYS, lambda arrays: arrays.update({"network/1/centre": arrays["network/1/centre"][:-1]})),
        "network/1",
    ),
    "an array is missing": (in_arrays(ARRAYS, lambda arrays: arrays.pop("image/0/mean") is None), "image/0/mean"),
    "an array too many": (in_arrays(ARRAYS, lambda arrays: arrays.update({"more": np.zeros(3)})), "more"),
    "arrays that are cut short": (set_part(ARRAYS, lambda data: data[:-100]), ARRAYS),
    # networks
    "a network that is cut short": (set_part(NETWORK, lambda data: data[:-100]), NETWORK),
    "an empty network": (set_part(NETWORK, b""), NETWORK),
    "a network whose header is longer than the file": (set_part(NETWORK, _long_header), NETWORK),
    "a network that is a pickle": (set_part(NETWORK, b"\x80\x04N."), NETWORK),
    "a weight NaN": (put(NETWORK, "heads.0.deep.weight", lambda array: at(array, np.nan)), "heads.0.deep.weight"),
    "an infinite weight": (put(NETWORK, "heads.0.last.bias", lambda array: at(array, np.inf)), "heads.0.last.bias"),
    "a negative variance of a layer": (
        put(NETWORK, "trunk.net.features.norm0.running_var", lambda array: -array),
        "running_var",
    ),
    "weights of another shape": (put(NETWORK, "heads.0.deep.weight", lambda array: array.T), "heads.0.deep.weight"),
    "weights of double precision": (
        put(NETWORK, "heads.0.deep.weight", lambda array: array.astype(float)),
        "heads.0.deep.weight",
    ),
    "whole numbers as weights": (
        put(NETWORK, "heads.0.last.bias", lambda array: array.astype(np.int32)),
        "heads.0.last.bias",
    ),
    "a layer is missing": (
        in_arrays(NETWORK, lambda arrays: arrays.pop("heads.0.deep.bias") is None),
        "heads.0.deep.bias",
    ),
    "a layer too many": (in_arrays(NETWORK, lambda arrays: arrays.update({"more": np.zeros(3)})), "more"),
    # classifiers
    "exchanged classifiers": (moved(f"classifiers/{EGFR}.skops", f"classifiers/{KRAS}.skops"), "EGFR"),
    "a classifier that is no archive": (set_part(f"classifiers/{EGFR}.skops", b"x" * 100), EGFR),
    "a classifier that is cut short": (set_part(f"classifiers/{EGFR}.skops", lambda data: data[:-100]), EGFR),
    "a model that is a dictionary": (in_classifier("LR", lambda model: {"a": 1}), KRAS),
    "a model that is only its classifier": (in_classifier("LR", lambda model: model.estimator_), KRAS),
    "a classifier of another type": (_estimator_of("RF", "LR"), "T4"),
    "a classifier of four columns": (in_classifier("LR", _of_more_columns), "n_features_in_"),
    "a number of columns as text": (attribute("LR", "n_features_in_", value="3"), "n_features_in_"),
    "classes 0 and 2": (attribute("LR", "classes_", value=np.array([0, 2])), "classes_"),
    "classes the wrong way round": (attribute("LR", "estimator", "classes_", value=np.array([1, 0])), "classes_"),
    "three classes": (attribute("NB", "estimator", "classes_", value=np.array([0, 1, 2])), "classes_"),
    "a decision threshold above 1": (attribute("LR", "threshold_", value=1.5), "threshold_"),
    "a decision threshold as text": (attribute("LR", "threshold_", value="0.5"), "threshold_"),
    "a negative prevalence": (attribute("LR", "prevalence_", value=-0.5), "prevalence_"),
    "a slope NaN": (attribute("LR", "slope_", value=float("nan")), "slope_"),
    "a falling slope with a signal": (attribute("LR", "slope_", value=-1.0), "no_signal_"),
    "a signal as text": (attribute("LR", "no_signal_", value="no"), "no_signal_"),
    "out-of-fold probabilities above 1": (
        attribute("LR", "oof_score_", change=lambda scores: scores + 1),
        "oof_score_",
    ),
    "no calibration": (deleted("LR", "intercept_"), "intercept_"),
    "another pipeline": (attribute("LR", "estimator_", "steps", change=lambda steps: steps[::-1]), "estimator_"),
    "a pipeline of three steps": (
        attribute("LR", "estimator_", "steps", change=lambda steps: [steps[0], *steps]),
        "estimator_",
    ),
    "an attribute in place of a method": (
        attribute("LR", "estimator", "decision_function", value=1),
        "decision_function",
    ),
    "a scaler without means": (deleted("LR", "scaler", "mean_"), "mean_"),
    "a scaler that divides by 0": (attribute("LR", "scaler", "scale_", change=lambda scale: scale * 0), "scale_"),
    "a scaler of NaN": (attribute("LR", "scaler", "mean_", change=lambda mean: mean * np.nan), "mean_"),
    "a scaler of two columns": (attribute("LR", "scaler", "mean_", change=lambda mean: mean[:2]), "mean_"),
    "infinite coefficients": (attribute("LR", "estimator", "coef_", change=lambda coef: coef * np.inf), "coef_"),
    "coefficients of another shape": (attribute("LR", "estimator", "coef_", change=lambda coef: coef[:, :2]), "coef_"),
    "coefficients as text": (attribute("LDA", "estimator", "coef_", change=lambda coef: coef.astype(str)), "coef_"),
    "two intercepts": (
        attribute("LDA", "estimator", "intercept_", change=lambda values: np.repeat(values, 2)),
        "intercept_",
    ),
    "variances of 0": (attribute("NB", "estimator", "var_", change=lambda values: values * 0), "var_"),
    "class shares above 1": (
        attribute("NB", "estimator", "class_prior_", change=lambda values: values * 3),
        "class_prior_",
    ),
    "means of one class": (attribute("NB", "estimator", "theta_", change=lambda values: values[:1]), "theta_"),
    "a perceptron of another width": (
        attribute("MLP", "estimator", "coefs_", change=lambda all_: [w.T for w in all_]),
        "coefs_",
    ),
    "a perceptron without a layer": (
        attribute("MLP", "estimator", "coefs_", change=lambda all_: all_[:-1]),
        "intercepts_",
    ),
    "a perceptron NaN": (
        attribute("MLP", "estimator", "intercepts_", change=lambda all_: [b * np.nan for b in all_]),
        "intercepts_",
    ),
    "a perceptron of another activation": (attribute("MLP", "estimator", "activation", value="magic"), "activation"),
    "a perceptron of ten thousand layers": (attribute("MLP", "estimator", "n_layers_", value=10_000), "n_layers_"),
    "neighbours NaN": (attribute("KNN", "estimator", "_fit_X", change=lambda rows: rows * np.nan), "_fit_X"),
    "neighbours of two columns": (
        attribute("KNN", "estimator", "_fit_X", change=lambda rows: rows[:, :2].copy()),
        "_fit_X",
    ),
    "labels of other neighbours": (attribute("KNN", "estimator", "_y", change=lambda labels: labels[:5]), "_y"),
    "neighbours of a third class": (attribute("KNN", "estimator", "_y", change=lambda labels: labels + 5), "_y"),
    "more neighbours than cases": (attribute("KNN", "estimator", "n_neighbors", value=1000), "n_neighbors"),
    "no neighbours": (attribute("KNN", "estimator", "n_neighbors", value=0), "n_neighbors"),
    "an unknown distance": (attribute("KNN", "estimator", "effective_metric_", value="magic"), "effective_metric_"),
    "support vectors of two columns": (
        attribute("SVM", "estimator", "support_vectors_", change=lambda rows: rows[:, :2].copy()),
        "support_vectors_",
    ),
    "fewer support vectors": (
        attribute("SVM", "estimator", "support_vectors_", change=lambda rows: rows[:3].copy()),
        "support_",
    ),
    "more support vectors than there are": (
        attribute("SVM", "estimator", "_n_support", change=lambda counts: counts * 1000),
        "_n_support",
    ),
    "weights of fewer support vectors": (
        attribute("SVM", "estimator", "_dual_coef_", change=lambda weights: weights[:, :2].copy()),
        "_dual_coef_",
    ),
    "a kernel of no name": (attribute("SVM", "estimator", "kernel", value="magic"), "kernel"),
    "a kernel that asks for other columns": (attribute("SVM", "estimator", "kernel", value="precomputed"), "kernel"),
    "a kernel width NaN": (attribute("SVM", "estimator", "_gamma", value=float("nan")), "_gamma"),
    "a forest without trees": (attribute("RF", "estimator", "estimators_", value=[]), "estimators_"),
    "a forest of other classifiers": (
        in_classifier("RF", lambda model: model.estimator_[-1].estimators_.append(model.estimator_[0])),
        "estimators_",
    ),
    "a child outside of the tree": (node("left_child", 10_000), "left_child"),
    "a negative child": (node("right_child", -7), "right_child"),
    "a tree that goes round": (node("right_child", 0), "right_child"),
    "a feature outside of the columns": (node("feature", 99), "feature"),
    "a threshold NaN": (node("threshold", np.nan), "threshold"),
    "a vote above 1": (in_tree(lambda state: state["values"].__imul__(7.0)), "value"),
    "fewer nodes than there are": (
        in_tree_schema(lambda tree, parts: tree["content"]["content"]["node_count"].update(content="2")),
        "node_count",
    ),
    "a tree of other columns": (
        in_tree_schema(lambda tree, parts: tree["__reduce__"]["args"]["content"][0].update(content="99")),
        "tree_",
    ),
    "a tree of many outputs": (
        in_tree_schema(lambda tree, parts: tree["__reduce__"]["args"]["content"][2].update(content="1000000")),
        "Tree",
    ),
    "a tree without nodes": (
        in_tree_schema(lambda tree, parts: tree["content"]["content"].pop("nodes") and None),
        "T4",
    ),
    "a tree of nothing": (in_tree_schema(lambda tree, parts: tree.pop("__reduce__") and None), "T4"),
    "a foreign type": (
        in_skops("LR", lambda parts, schema: found(schema, "Pipeline").update(__class__="system", __module__="os")),
        "os.system",
    ),
    "a type of no name": (
        in_skops("LR", lambda parts, schema: found(schema, "Pipeline").pop("__class__") and None),
        KRAS,
    ),
    "a node of no loader": (
        in_skops("LR", lambda parts, schema: found(schema, "Pipeline").update(__loader__="Magic")),
        KRAS,
    ),
    "a schema of the future": (in_skops("LR", lambda parts, schema: schema.update(protocol=99)), KRAS),
    "a schema of deep nesting": (in_skops("LR", deep_schema), KRAS),
    "a skops schema that is a list": (
        set_part(f"classifiers/{KRAS}.skops", lambda data: _with_schema(data, b"[]")),
        KRAS,
    ),
    "an array of a terabyte": (in_skops("LR", huge_array), KRAS),
    "an array of objects": (in_skops("LR", object_array), KRAS),
    "an array that is no array": (
        in_skops("LR", lambda parts, schema: parts.update({found(schema, "ndarray")["file"]: b"x" * 80})),
        KRAS,
    ),
    "an array is missing in the archive": (
        in_skops("LR", lambda parts, schema: parts.pop(found(schema, "ndarray")["file"]) and None),
        KRAS,
    ),
    "an array that grows a thousandfold": (in_skops("LR", inflated), KRAS),
}


def _with_schema(data: bytes, schema: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in (parts | {"schema.json": schema}).items():
            archive.writestr(name, content)
    return stream.getvalue()


__all__ = ["EDITS", "KEY_OF"]

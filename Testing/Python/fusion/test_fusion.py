"""The fused model: its classifiers, out-of-fold calibration, storage without code."""

from __future__ import annotations

import io
import json
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import skops.io
from scipy.special import expit
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.utils.estimator_checks import check_estimator

from DeepRadScoreLib.errors import BundleError, TooFewPositivesError
from DeepRadScoreLib.fusion.classifiers import CLASSIFIERS, GRIDS, candidate
from DeepRadScoreLib.fusion.model import FusionModel, grouped_folds, platt
from DeepRadScoreLib.fusion.storage import types_in
from DeepRadScoreLib.statistics.auc import auc_interval


def logistic_data(n=150, d=3, slope=1.5, seed=0):
    """Columns (n, d) of which the first raises the log-odds by `slope`, labels and the true probability."""
    rng = np.random.default_rng(seed)
    columns = rng.normal(size=(n, d)) * np.array([1.0, 5.0, 0.2, *[1.0] * d])[:d] + 3.0
    probability = 1 / (1 + np.exp(-slope * (columns[:, 0] - 3.0)))
    return columns, (rng.random(n) < probability).astype(int), probability


def quick(*classifiers, **settings):
    return FusionModel(**{"search": "quick", "repeats": 2, "classifiers": classifiers or CLASSIFIERS, **settings})


@pytest.fixture(scope="module")
def fitted():
    """One fitted model per classifier on the same 150 cases of three columns; the SVM once rbf and once linear."""
    columns, y, _ = logistic_data()
    models = {name: quick(name).fit(columns, y) for name in CLASSIFIERS}
    for kernel in ("rbf", "linear"):
        models[f"SVM {kernel}"] = clone(models["SVM"]).fit(columns, y)
        models[f"SVM {kernel}"].estimator_.set_params(estimator__kernel=kernel).fit(columns, y)
    return models


def test_grids_are_those_of_the_method():
    svm = GRIDS["coarse"]["SVM"]
    assert svm[0]["C"] == [0.25, 4, 64, 1024]
    assert svm[0]["gamma"] == [2**-9, 2**-5, 0.5, 8]
    assert max(svm[1]["C"]) <= 16
    assert GRIDS["coarse"]["KNN"] == [{"n_neighbors": [7, 9]}]
    assert (min(GRIDS["coarse"]["RF"][0]["n_estimators"]), max(GRIDS["coarse"]["RF"][0]["n_estimators"])) == (20, 200)
    mlp = candidate("MLP", 3)[0].named_steps["estimator"].get_params()
    assert (mlp["hidden_layer_sizes"], mlp["activation"], mlp["solver"]) == ((5, 2), "tanh", "sgd")
    assert (mlp["alpha"], mlp["learning_rate_init"], mlp["max_iter"]) == (1e-5, 1e-3, 200)
    assert candidate("LR", 0)[0].named_steps["estimator"].C == 10
    with pytest.raises(ValueError, match="none of the classifiers"):
        candidate("XGB", 0)


def test_all_are_compared_and_the_best_is_taken():
    columns, y, _ = logistic_data()
    model = quick().fit(columns, y)
    assert tuple(model.cv_auc_) == CLASSIFIERS
    assert {aucs.shape for aucs in model.cv_auc_.values()} == {(10,)}
    means = [aucs.mean() for aucs in model.cv_auc_.values()]
    assert model.classifier_ == CLASSIFIERS[int(np.argmax(means))]
    assert set(model.best_params_["SVM"]) >= {"C", "kernel"}
    unseen, labels, _ = logistic_data(400, seed=9)
    assert roc_auc_score(labels, model.decision_function(unseen)) > 0.75


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_scores_are_scikit_learns_and_probabilities_rise_with_them(fitted, name):
    columns, _, _ = logistic_data()
    model = fitted[name]
    pipeline = model.estimator_
    decides = hasattr(pipeline, "decision_function")
    expected = pipeline.decision_function(columns) if decides else pipeline.predict_proba(columns)[:, 1]
    np.testing.assert_array_equal(model.decision_function(columns), expected)
    probability = model.predict_proba(columns)
    np.testing.assert_allclose(probability.sum(axis=1), 1.0)
    order = np.argsort(expected)
    assert (np.diff(probability[order, 1]) >= 0).all()
    np.testing.assert_array_equal(model.predict(columns), probability[:, 1] >= model.threshold_)


def test_out_of_fold_scores_come_from_models_that_never_saw_the_case():
    """1-nearest-neighbour-like memory: with each patient doubled, only grouped folds keep the twin out."""
    rng = np.random.default_rng(0)
    columns = np.repeat(rng.normal(size=(60, 3)), 9, axis=0)
    y = np.repeat(np.arange(60) % 2, 9)
    patients = np.repeat(np.arange(60), 9)
    torn = quick("KNN", repeats=1).fit(columns, y)
    whole = quick("KNN", repeats=1).fit(columns, y, groups=patients)
    assert torn.cv_auc_["KNN"].mean() > 0.99
    assert whole.cv_auc_["KNN"].mean() < 0.8


def test_groups_never_straddle_folds_and_both_classes_are_everywhere():
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(40), rng.integers(1, 5, 40))
    y = (rng.random(40) < 0.15).astype(int)[groups]
    folds = grouped_folds(y, groups, 5, (0, 1))
    assert len(folds) == min(5, len(np.unique(groups[y == 1])))
    np.testing.assert_array_equal(np.sort(np.concatenate([test for _, test in folds])), np.arange(len(y)))
    for train, test in folds:
        assert not set(groups[train]) & set(groups[test])
        assert set(y[train]) == set(y[test]) == {0, 1}


def test_fewer_positives_make_fewer_folds():
    columns, _, _ = logistic_data(40)
    y = np.zeros(40, dtype=int)
    y[:3] = 1
    assert quick("LR").fit(columns, y).cv_auc_["LR"].shape == (3 * 2,)
    y[1:3] = 0
    with pytest.raises(TooFewPositivesError, match="rarer class has 1 patient"):
        quick("LR").fit(columns, y)
    with pytest.raises(TooFewPositivesError):
        quick("LR").fit(columns, np.r_[np.ones(3, int), np.zeros(37, int)], groups=np.r_[0, 0, 0, np.arange(1, 38)])


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_one_positive_in_each_training_part_is_enough(name):
    """With a constant column, one that is there twice, and fewer positives than columns."""
    columns, _, _ = logistic_data(40, 12)
    columns[:, 1], columns[:, 2] = columns[:, 0], 3.0
    model = quick(name, repeats=1).fit(columns, (np.arange(40) < 2).astype(int))
    assert model.cv_auc_[name].shape == (2,)
    assert np.isfinite(model.decision_function(columns)).all()


def test_shuffled_labels_give_an_auc_of_one_half():
    """Nested: everything is fitted in the outer training part, the outer folds' mean AUC is within its interval."""
    rng = np.random.default_rng(4)
    columns, y = rng.normal(size=(200, 3)), rng.permutation(np.repeat([0, 1], 100))
    outer, covered = [], []
    for train, test in StratifiedKFold(5, shuffle=True, random_state=0).split(columns, y):
        model = quick(repeats=1).fit(columns[train], y[train])
        estimate = auc_interval(y[test], model.decision_function(columns[test]))
        outer.append(estimate.auc)
        covered.append(estimate.low <= 0.5 <= estimate.high)
    assert abs(np.mean(outer) - 0.5) < 3 * np.sqrt((200 + 1) / (12 * 100 * 100))
    assert sum(covered) >= 3


def test_no_signal_is_said_and_gives_the_prevalence():
    """Noise: out-of-fold scores fall with the label about as often as they rise, and are then of no use."""
    rng = np.random.default_rng(0)
    models = []
    for _ in range(8):
        columns, y = rng.normal(size=(60, 3)), rng.permutation(np.repeat([0, 1], [40, 20]))
        models.append(quick("LDA", repeats=1).fit(columns, y))
    silent = [model for model in models if model.no_signal_]
    assert 0 < len(silent) < len(models)
    for model in silent:
        assert model.slope_ <= 0
        np.testing.assert_array_equal(model.predict_proba(columns)[:, 1], np.full(60, 1 / 3))
        assert (model.threshold_, model.predict(columns).any()) == (0.5, False)
        assert FusionModel.from_bytes(model.to_bytes()).no_signal_
    with pytest.raises(ValueError, match="every column is constant"):
        quick().fit(np.ones((60, 2)), y)


def test_platt_is_scikit_learns():
    """CalibratedClassifierCV("sigmoid") over a frozen score uses Platt's targets too."""
    rng = np.random.default_rng(1)
    score = rng.normal(size=80) * 4 + 10
    y = (score + 4 * rng.normal(size=80) > 11).astype(int)
    linear = LogisticRegression().fit(score[:, None], y)
    theirs = CalibratedClassifierCV(FrozenEstimator(linear), method="sigmoid", ensemble=False).fit(score[:, None], y)
    decisions = linear.decision_function(score[:, None])
    slope, intercept = platt(y, decisions)
    ours = expit(slope * decisions + intercept)
    np.testing.assert_allclose(ours, theirs.predict_proba(score[:, None])[:, 1], atol=1e-6)
    assert platt(y, np.stack([score, score])) == pytest.approx(platt(y, score), rel=1e-6)
    assert np.isfinite(platt(np.array([0, 0, 1, 1]), np.array([0.0, 1.0, 2.0, 3.0]))).all()


@pytest.mark.parametrize("name", ["SVM", "RF", "NB", "LDA"])
def test_probabilities_are_calibrated_on_unseen_cases(name):
    columns, y, _ = logistic_data(400, seed=3)
    unseen, labels, truth = logistic_data(4000, seed=4)
    probability = quick(name).fit(columns, y).predict_proba(unseen)[:, 1]
    logits = np.log(probability / (1 - probability))
    refit = LogisticRegression(C=np.inf).fit(logits[:, None], labels)
    print(name, "calibration slope", refit.coef_[0, 0], "intercept", refit.intercept_[0])
    assert 0.75 < refit.coef_[0, 0] < 1.35
    assert abs(probability.mean() - truth.mean()) < 0.06


def test_threshold_is_youdens_of_the_out_of_fold_probabilities():
    columns, y, _ = logistic_data()
    model = quick("LR", repeats=1).fit(columns, y)
    score, cut = model.oof_score_, model.threshold_
    height = lambda c: np.mean(score[y == 1] >= c) - np.mean(score[y == 0] >= c)  # noqa: E731
    assert height(cut) == pytest.approx(max(height(c) for c in score))
    assert score.shape == y.shape


def test_the_same_seed_gives_the_same_bytes_with_any_number_of_processes():
    columns, y, _ = logistic_data(80)
    one = quick("RF", "MLP", "LR", repeats=1).fit(columns, y)
    two = quick("RF", "MLP", "LR", repeats=1, n_jobs=2).fit(columns, y).set_params(n_jobs=1)
    assert one.to_bytes() == two.to_bytes()
    other = quick("RF", "MLP", "LR", repeats=1, seed=1).fit(columns, y)
    assert not np.array_equal(one.cv_auc_["LR"], other.cv_auc_["LR"])


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_stored_model_gives_the_same_bits(fitted, name, tmp_path):
    columns = np.random.default_rng(5).normal(size=(50, 3)) * 3 + 3
    data = fitted[name].to_bytes()
    assert FusionModel.from_bytes(data).to_bytes() == data
    (tmp_path / "model").write_bytes(data)
    np.save(tmp_path / "columns.npy", columns)
    if name in ("SVM", "RF"):
        script = (
            "import sys, numpy as np; from pathlib import Path; from DeepRadScoreLib.fusion.model import FusionModel;"
            "place = Path(sys.argv[1]); model = FusionModel.from_bytes((place / 'model').read_bytes());"
            "np.save(place / 'p.npy', model.predict_proba(np.load(place / 'columns.npy')))"
        )
        subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)
        read = np.load(tmp_path / "p.npy")
    else:
        read = FusionModel.from_bytes(data).predict_proba(columns)
    assert read.tobytes() == fitted[name].predict_proba(columns).tobytes()


def test_a_foreign_type_is_refused_by_name(fitted):
    columns, y, _ = logistic_data()
    model = FusionModel.from_bytes(fitted["LR"].to_bytes())
    model.estimator_ = GradientBoostingClassifier(n_estimators=2).fit(columns, y)
    with pytest.raises(BundleError, match=r'untrusted type ".*(_gb|_loss|loss)'):
        FusionModel.from_bytes(skops.io.dumps(model))
    with pytest.raises(BundleError, match="untrusted type"):
        model.to_bytes()
    with pytest.raises(BundleError, match=r'untrusted type "sklearn\.svm\._classes\.SVR"'):
        FusionModel.from_bytes(renamed(fitted["SVM"].to_bytes(), "SVC", "SVR"))
    with pytest.raises(BundleError, match=r'untrusted type "os\.system"'):
        FusionModel.from_bytes(renamed(fitted["LR"].to_bytes(), "LogisticRegression", "system", module="os"))


def renamed(data, old, new, module=None):
    """The archive with one type's name changed, as an attacker would."""

    def change(node):
        if isinstance(node, dict):
            if node.get("__class__") == old:
                node["__class__"], node["__module__"] = new, module or node["__module__"]
            for value in node.values():
                change(value)
        elif isinstance(node, list):
            for value in node:
                change(value)

    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(stream, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "schema.json":
                schema = json.loads(content)
                change(schema)
                content = json.dumps(schema).encode()
            target.writestr(name, content)
    return stream.getvalue()


def test_damaged_and_foreign_bytes_are_refused(fitted):
    data = fitted["LR"].to_bytes()
    for bad in (b"", b"text", data[: len(data) // 2], pickle.dumps(1)):
        with pytest.raises(BundleError, match="not a whole skops archive"):
            FusionModel.from_bytes(bad)
    with pytest.raises(BundleError, match="not a fused model"):
        FusionModel.from_bytes(skops.io.dumps(candidate("LR", 0)[0]))
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(stream, "w") as target:
        target.writestr("schema.json", source.read("schema.json"))
    with pytest.raises(BundleError, match="cannot be read"):
        FusionModel.from_bytes(stream.getvalue())


def test_nothing_in_the_archive_is_a_pickle(fitted):
    for model in fitted.values():
        data = model.to_bytes()
        assert not any("function" in name or "reduce" in name for name in types_in(data))
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                if name.endswith(".npy"):
                    np.load(io.BytesIO(archive.read(name)), allow_pickle=False)


@pytest.mark.parametrize("name", ["LR", "SVM"])
def test_the_scikit_learn_contract_holds(name):
    check_estimator(
        quick(name, folds=3, repeats=1),
        expected_failed_checks={
            "check_classifiers_train": "it wants a cut at score 0; ours is Youden's on the calibrated probability",
        },
        on_skip=None,
    )


def test_labels_may_have_any_two_names_and_no_third():
    columns, y, _ = logistic_data()
    model = quick("LR").fit(columns, np.array(["wild type", "zz mutant"])[y])
    assert set(model.predict(columns)) == {"wild type", "zz mutant"}
    with pytest.raises(ValueError, match="binary"):
        quick("LR").fit(columns, np.arange(len(y)) % 3)
    with pytest.raises(ValueError, match="class"):
        quick("LR").fit(columns, np.zeros(len(y)))


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_probability_of_a_mean_score_lies_among_those_of_the_members(fitted, name):
    """That of the mean of their columns does not, where the score is not linear (the SVM here is)."""
    rng = np.random.default_rng(2)
    members = rng.normal(3, 1.5, size=(3, 200, 3))
    scores = fitted[name].member_scores(members)
    each, together = fitted[name].calibrated(scores), fitted[name].calibrated(scores.mean(axis=0))
    assert (together >= each.min(axis=0) - 1e-12).all() and (together <= each.max(axis=0) + 1e-12).all()
    of_mean = fitted[name].predict_proba(members.mean(axis=0))[:, 1]
    outside = (of_mean < each.min(axis=0) - 0.01) | (of_mean > each.max(axis=0) + 0.01)
    assert outside.any() != hasattr(fitted[name].estimator_[-1], "coef_")


def test_nothing_heavy_is_imported_with_the_model():
    script = "import sys, DeepRadScoreLib.fusion.model, DeepRadScoreLib.fusion.explain; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    assert not {"shap", "torch", "torchvision", "radiomics", "slicer"} & set(loaded)

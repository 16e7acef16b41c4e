"""Checks of a fitted model that was read from a bundle, before it scores anything.

skops refuses foreign types; what the objects hold it takes as it is. scikit-learn trusts its own arrays: a child
outside of a tree ends the process.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import LabelBinarizer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.tree._tree import Tree

from DeepRadScoreLib.archive import MEND
from DeepRadScoreLib.errors import BundleError

MISSING = object()
MAX_COLUMNS = 1000
ROUNDING = 1e-6
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Fitted:
    """Attributes of a fitted object; each method gives one that is as it should be, or raises BundleError.

    `prefix` stands before the attribute's name in errors.
    """

    of: Any
    prefix: str = ""

    @classmethod
    def typed(cls, of: Any, kind: type, prefix: str) -> Fitted:
        """Attributes of an object of exactly this type, none of which hides one of its class."""
        if type(of) is not kind:
            raise refused(prefix.rstrip("."), f'it is of the type "{type(of).__name__}", not "{kind.__name__}"')
        for name in vars(of):
            if hasattr(kind, name):
                raise refused(prefix + name, f"it hides what {kind.__name__} does by that name")
        return cls(of, prefix)

    def value(self, name: str) -> Any:
        """Any attribute that is there."""
        found = vars(self.of).get(name, MISSING)
        if found is MISSING:
            raise refused(self.prefix + name, "it is missing")
        return found

    def one_of(self, name: str, choices: Collection[object]) -> Any:
        """One of some plain values, of the same type."""
        found = self.value(name)
        if not any(type(found) is type(choice) and found == choice for choice in choices):
            raise refused(self.prefix + name, f"it is not {' or '.join(map(str, choices))}")
        return found

    def number(self, name: str, low: float = -np.inf, high: float = np.inf) -> float:
        """A finite number within two bounds."""
        found = self.value(name)
        if isinstance(found, bool | np.bool_) or not isinstance(found, int | float | np.integer | np.floating):
            raise refused(self.prefix + name, "it is not a number")
        if not (np.isfinite(found) and low <= found <= high):
            raise refused(self.prefix + name, f"it is not a finite number from {low:g} to {high:g}")
        return float(found)

    def integer(self, name: str, low: int, high: int) -> int:
        """A whole number within two bounds."""
        found = self.value(name)
        if isinstance(found, bool) or not isinstance(found, int | np.integer) or not low <= found <= high:
            raise refused(self.prefix + name, f"it is not a whole number from {low} to {high}")
        return int(found)

    def array(
        self, name: str, shape: Shape, kind: type = np.float64, low: float = -np.inf, high: float = np.inf
    ) -> np.ndarray:
        """A finite array of one type and shape (-1: any length above 0) within two bounds."""
        return checked_array(self.value(name), self.prefix + name, shape, kind, low, high)


def checked_array(
    found: Any, field: str, shape: Shape, kind: type = np.float64, low: float = -np.inf, high: float = np.inf
) -> np.ndarray:
    """See `Fitted.array`."""
    if type(found) is not np.ndarray or not np.issubdtype(found.dtype, kind):
        raise refused(field, f"it is not an array of the type {kind.__name__}")
    fits = found.ndim == len(shape) and all(
        here == wanted or (wanted < 0 < here) for here, wanted in zip(found.shape, shape, strict=True)
    )
    if not fits:
        wanted = " x ".join("n" if length < 0 else str(length) for length in shape)
        raise refused(field, f"it has the shape {' x '.join(map(str, found.shape)) or 'of a number'}, not {wanted}")
    if found.size and not (low <= found.min() and found.max() <= high and np.isfinite(found).all()):
        raise refused(field, f"it holds other than finite numbers from {low:g} to {high:g}")
    return found


def refused(field: str, what: str) -> BundleError:
    """The error about a field of a fitted model."""
    return BundleError(what, where=field, mend=MEND)


def check_fitted(model: Any) -> None:
    """Refuse a fused model whose state is not that of a fitted one.

    Raises
    ------
    BundleError: names the attribute.
    """
    fitted = Fitted.typed(model, type(model), "")
    columns = fitted.integer("n_features_in_", 1, MAX_COLUMNS)
    for name, low, high in (("prevalence_", 0.0, 1.0), ("threshold_", 0.0, 1.0), ("intercept_", -np.inf, np.inf)):
        fitted.number(name, low, high)
    slope = fitted.number("slope_")
    fitted.one_of("no_signal_", [slope <= 0])
    fitted.array("oof_score_", (-1,), low=0.0, high=1.0)
    name = fitted.one_of("classifier_", list(CHECKS))
    aucs = fitted.value("cv_auc_")
    if type(aucs) is not dict or name not in aucs:
        raise refused("cv_auc_", f"it has no values of {name}")
    checked_array(aucs[name], f"cv_auc_.{name}", (-1,), low=0.0, high=1.0)
    scaler, estimator = _steps(fitted.value("estimator_"))
    _check_scaler(scaler, columns)
    kind, check = CHECKS[name]
    inner = Fitted.typed(estimator, kind, "estimator_.")
    inner.integer("n_features_in_", columns, columns)
    check_classes(inner)
    check(inner, columns)


def check_classes(fitted: Fitted) -> None:
    """Refuse classes other than 0 and 1."""
    if not np.array_equal(fitted.array("classes_", (2,), np.number), [0, 1]):
        raise refused(f"{fitted.prefix}classes_", "they are not 0 and 1")


def _steps(pipeline: Any) -> tuple[Any, Any]:
    fitted = Fitted.typed(pipeline, Pipeline, "estimator_.")
    fitted.one_of("memory", [None])
    steps = fitted.value("steps")
    named = type(steps) is list and all(type(step) is tuple and len(step) == 2 for step in steps)
    if not named or [name for name, _ in steps] != ["scaler", "estimator"]:
        raise refused("estimator_.steps", "it is not a scaler and an estimator")
    return steps[0][1], steps[1][1]


def _check_scaler(scaler: Any, columns: int) -> None:
    fitted = Fitted.typed(scaler, StandardScaler, "scaler.")
    fitted.integer("n_features_in_", columns, columns)
    for name in ("with_mean", "with_std"):
        fitted.one_of(name, [True])
    fitted.array("mean_", (columns,))
    fitted.array("scale_", (columns,), low=np.finfo(float).tiny)


def _check_linear(fitted: Fitted, columns: int) -> None:
    fitted.array("coef_", (1, columns))
    fitted.array("intercept_", (1,))


def _check_bayes(fitted: Fitted, columns: int) -> None:
    fitted.array("theta_", (2, columns))
    fitted.array("var_", (2, columns), low=np.finfo(float).tiny)
    if abs(fitted.array("class_prior_", (2,), low=0.0, high=1.0).sum() - 1.0) > ROUNDING:
        raise refused("estimator_.class_prior_", "they do not add up to 1")


def _check_neighbours(fitted: Fitted, columns: int) -> None:
    cases = len(fitted.array("_fit_X", (-1, columns)))
    fitted.array("_y", (cases,), np.integer, 0, 1)
    fitted.integer("n_samples_fit_", cases, cases)
    fitted.integer("n_neighbors", 1, cases)
    for name, only in (("weights", "uniform"), ("effective_metric_", "euclidean"), ("_fit_method", "brute")):
        fitted.one_of(name, [only])
    fitted.one_of("outputs_2d_", [False])
    fitted.one_of("effective_metric_params_", [{}])


def _check_svm(fitted: Fitted, columns: int) -> None:
    fitted.one_of("kernel", ["rbf", "linear"])
    fitted.one_of("_sparse", [False])
    fitted.one_of("break_ties", [False])
    fitted.one_of("decision_function_shape", ["ovr"])
    fitted.number("_gamma", 0.0)
    vectors = len(fitted.array("support_vectors_", (-1, columns)))
    fitted.array("support_", (vectors,), np.int32, 0)
    for name in ("dual_coef_", "_dual_coef_"):
        fitted.array(name, (1, vectors))
    for name in ("intercept_", "_intercept_"):
        fitted.array(name, (1,))
    if fitted.array("_n_support", (2,), np.int32, 0, vectors).sum() != vectors:
        raise refused("estimator_._n_support", f"they do not add up to {vectors} support vectors")
    for name in ("_probA", "_probB"):
        fitted.array(name, (0,))


def _check_perceptron(fitted: Fitted, columns: int) -> None:
    fitted.one_of("activation", ["tanh"])
    fitted.one_of("out_activation_", ["logistic"])
    fitted.integer("n_outputs_", 1, 1)
    weights, intercepts = fitted.value("coefs_"), fitted.value("intercepts_")
    for name, layers in (("coefs_", weights), ("intercepts_", intercepts)):
        if type(layers) is not list or not layers or len(layers) != len(weights):
            raise refused(f"estimator_.{name}", "it is not a list of layers")
    fitted.integer("n_layers_", len(weights) + 1, len(weights) + 1)
    width = columns
    for number, (layer, intercept) in enumerate(zip(weights, intercepts, strict=True)):
        last = 1 if number == len(weights) - 1 else -1
        width = checked_array(layer, f"estimator_.coefs_.{number}", (width, last)).shape[1]
        checked_array(intercept, f"estimator_.intercepts_.{number}", (width,))
    labels = Fitted.typed(fitted.value("_label_binarizer"), LabelBinarizer, "estimator_._label_binarizer.")
    check_classes(labels)


def _check_forest(fitted: Fitted, columns: int) -> None:
    fitted.integer("n_outputs_", 1, 1)
    fitted.integer("n_classes_", 2, 2)
    fitted.one_of("n_jobs", [None])
    trees = fitted.value("estimators_")
    if type(trees) is not list or not trees:
        raise refused("estimator_.estimators_", "it is not a list of trees")
    for number, tree in enumerate(trees):
        prefix = f"estimator_.estimators_.{number}."
        each = Fitted.typed(tree, DecisionTreeClassifier, prefix)
        each.integer("n_features_in_", columns, columns)
        each.integer("n_outputs_", 1, 1)
        each.integer("n_classes_", 2, 2)
        check_classes(each)
        _check_tree(each.value("tree_"), columns, f"{prefix}tree_")


def _check_tree(tree: Any, columns: int, field: str) -> None:
    if type(tree) is not Tree:
        raise refused(field, "it is not a tree")
    if (tree.n_features, tree.n_outputs, tree.max_n_classes) != (columns, 1, 2):
        raise refused(field, f"it is not of {columns} columns and two classes")
    if tree.node_count != tree.capacity or tree.node_count < 1:
        raise refused(f"{field}.node_count", "it is not the number of nodes")
    left, right = tree.children_left, tree.children_right
    inner = (left != -1) | (right != -1)
    number = np.arange(len(left))
    for name, child in (("left_child", left), ("right_child", right)):
        if not ((child > number) & (child < len(left)))[inner].all():
            raise refused(f"{field}.{name}", "a child is not a later node of the tree")
    feature = tree.feature[inner]
    if not ((feature >= 0) & (feature < columns)).all():
        raise refused(f"{field}.feature", f"a feature is not one of the {columns} columns")
    if not np.isfinite(tree.threshold).all():
        raise refused(f"{field}.threshold", "a threshold is not finite")
    if not ((tree.value >= 0) & (tree.value <= 1 + ROUNDING)).all():
        raise refused(f"{field}.value", "a share of a class is not from 0 to 1")


CHECKS: dict[str, tuple[type, Callable[[Fitted, int], None]]] = {
    "SVM": (SVC, _check_svm),
    "KNN": (KNeighborsClassifier, _check_neighbours),
    "RF": (RandomForestClassifier, _check_forest),
    "NB": (GaussianNB, _check_bayes),
    "LR": (LogisticRegression, _check_linear),
    "MLP": (MLPClassifier, _check_perceptron),
    "LDA": (LinearDiscriminantAnalysis, _check_linear),
}
"""Classifier -> its type, and the check of its own state."""

"""liblinear called without scikit-learn's checks gives the bits of `LogisticRegression`."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from DeepRadScoreLib.radscore import lasso as module
from DeepRadScoreLib.radscore.lasso import FREE_INTERCEPT, MAX_ITERATIONS, PENALTY_BY_L1_RATIO, lasso

L1 = {"l1_ratio": 1.0} if PENALTY_BY_L1_RATIO else {"penalty": "l1"}


@pytest.mark.parametrize("solver", ["its own", "by the estimator"])
@pytest.mark.parametrize(("n", "p", "inverse_penalty"), [(40, 3, 0.1), (90, 25, 1.0), (300, 60, 0.03), (60, 200, 5.0)])
def test_coefficients_and_intercept_are_logistic_regressions(n, p, inverse_penalty, solver, monkeypatch, capfd):
    if solver == "by the estimator":
        monkeypatch.setattr(module, "train_wrap", None)
    rng = np.random.default_rng([n, p])
    positive = rng.random(n) < 0.4
    Z = rng.normal(size=(n, p)) + 0.8 * positive[:, None] * (np.arange(p) < 3)
    coefficients, intercept = lasso(Z, positive, inverse_penalty, seed=5)
    model = LogisticRegression(
        C=inverse_penalty,
        solver="liblinear",
        intercept_scaling=FREE_INTERCEPT,
        max_iter=MAX_ITERATIONS,
        random_state=5,
        **L1,
    ).fit(Z, positive)
    np.testing.assert_array_equal(coefficients, model.coef_)
    np.testing.assert_array_equal(intercept, model.intercept_)
    np.testing.assert_array_equal((Z @ coefficients.T + intercept)[:, 0], model.decision_function(Z))
    assert capfd.readouterr().out == ""


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="class"):
        lasso(np.ones((4, 1)), np.ones(4, dtype=bool), 1.0, seed=0)

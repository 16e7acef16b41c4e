"""The interval of a patient's own probability: closed forms, statsmodels' robust covariance, a known distribution."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.integrate import quad
from scipy.special import expit, logit

from DeepRadScoreLib.statistics.probability_interval import (
    CalibrationError,
    entropy_distribution,
    entropy_rate,
    probability_interval,
)

SURE = CalibrationError(0.0, 0.0, 0.0)


@pytest.mark.parametrize("mean", [1e-4, 0.01, 0.2, 0.4999, 0.5, 0.503, 0.9, 0.9999])
def test_the_density_of_a_rate_has_the_mean(mean):
    rate = float(entropy_rate(np.array(mean)))
    upper = max(rate, 0.0)
    mass, moment = (
        quad(lambda x, k=k: x**k * np.exp(rate * x - upper), 0, 1, points=[0.001, 0.999], epsabs=0, epsrel=1e-12)[0]
        for k in (0, 1)
    )
    assert moment / mass == pytest.approx(mean, rel=1e-8)


@pytest.mark.parametrize("rate", [-40.0, -0.5, 1e-12, 3.0, 800.0])
def test_the_distribution_is_the_integral_of_the_density(rate):
    mass, below = (quad(lambda x: np.exp(rate * (x - (rate > 0))), 0, end, limit=200)[0] for end in (1, 0.3))
    assert entropy_distribution(0.3, np.array(rate)) == pytest.approx(below / mass, rel=1e-6, abs=1e-12)


def test_a_sure_half_leaves_the_uniform_distribution_and_a_small_share_an_exponential_one():
    assert probability_interval(np.zeros(3), SURE, 0.9) == (0.05, 0.95)
    low, high = probability_interval(np.full(3, logit(0.02)), SURE, 0.9)
    assert low == 0.0
    assert high == pytest.approx(np.ceil(-np.log(0.05) * 0.02 * 100) / 100)


def test_it_is_symmetric_and_grows_with_what_is_not_known():
    folds = np.array([0.2, 0.8, 1.4])
    low, high = probability_interval(folds, SURE, 0.9)
    assert probability_interval(-folds, SURE, 0.9) == pytest.approx((1 - high, 1 - low))
    wider = probability_interval(folds, CalibrationError(0.5, 0.0, 0.1), 0.9)
    assert wider[0] <= low and wider[1] >= high and wider != (low, high)
    assert probability_interval(folds, SURE, 0.9, shift=1.0) == probability_interval(folds + 1.0, SURE, 0.9)


def test_it_holds_probabilities_drawn_from_the_distribution():
    """Own probabilities of maximum entropy about a mean that is not known exactly: 90 %, and a little for rounding."""
    rng = np.random.default_rng(0)
    held = []
    for _ in range(400):
        centre = rng.normal(0, 1.5)
        folds = centre + np.array([-0.4, 0.0, 0.4])
        rate = float(entropy_rate(np.array(expit(centre + rng.normal(0, 0.4)))))
        u = rng.random()
        own = u if abs(rate) < 1e-6 else np.log1p(u * np.expm1(rate)) / rate
        low, high = probability_interval(folds, SURE, 0.9)
        held.append(low <= own <= high)
    assert 0.87 < np.mean(held) < 0.96


def test_the_covariance_is_that_of_statsmodels_with_patients_as_clusters():
    rng = np.random.default_rng(2)
    patients = np.repeat(np.arange(60), 2)
    z = rng.normal(0, 1.5, 120)
    labels = (rng.random(120) < expit(z)).astype(int)
    fit = sm.GLM(labels, sm.add_constant(z), family=sm.families.Binomial()).fit(
        cov_type="cluster", cov_kwds={"groups": patients, "use_correction": False}
    )
    found = CalibrationError.of(fit.fittedvalues, labels, patients)
    line = fit.params
    jacobian = np.array([[1.0, line[0]], [0.0, line[1]]])
    in_own_log_odds = np.linalg.inv(jacobian) @ fit.cov_params() @ np.linalg.inv(jacobian).T
    expected = [in_own_log_odds[0, 0], in_own_log_odds[0, 1], in_own_log_odds[1, 1]]
    np.testing.assert_allclose([found.intercept, found.covariance, found.slope], expected, rtol=1e-5)
    assert found.variance(0.7) == pytest.approx(expected[0] + 1.4 * expected[1] + 0.49 * expected[2], rel=1e-5)

"""Another share of positives: the shift of Bayes' rule, and one sentence for what is no share."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.prevalence import checked_prevalence, parse_prevalence, prevalence_shift


def test_the_shift_is_that_of_bayes_rule():
    """Two normal classes whose likelihoods stay: the posterior at both shares, from densities alone."""
    score = np.linspace(-3, 3, 13)
    ratio = np.exp(-((score - 1) ** 2) / 2) / np.exp(-((score + 1) ** 2) / 2)
    old, new = (share * ratio / (share * ratio + 1 - share) for share in (0.5, 0.15))
    np.testing.assert_allclose(expit(logit(old) + prevalence_shift(0.15, 0.5)), new, rtol=1e-12)
    assert prevalence_shift(None, 0.3) == prevalence_shift(0.3, 0.3) == 0.0


def test_options_are_read_as_key_and_share():
    assert parse_prevalence(["EGFR=0.15", "KRAS=.4"]) == {"EGFR": 0.15, "KRAS": 0.4}
    assert parse_prevalence([]) == {}


@pytest.mark.parametrize("option", ["EGFR", "EGFR=", "EGFR=15%", "=", "EGFR 0.15"])
def test_an_option_that_is_none_is_named(option):
    with pytest.raises(InputError, match="is no key and share"):
        parse_prevalence([option])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"EGFR": 1.5}, "1.5 of EGFR does not lie between"),
        ({"EGFR": 0.0}, "0 of EGFR does not lie between"),
        ({"EGFR": 1.0}, "1 of EGFR does not lie between"),
        ({"EGFR": float("nan")}, "nan of EGFR"),
        ({"ROS1": 0.1}, 'gives no finding "ROS1".*name one of EGFR, KRAS'),
        ({"egfr": 0.1}, 'gives no finding "egfr"'),
    ],
)
def test_a_share_that_cannot_be_used_is_refused(given, said):
    with pytest.raises(InputError, match=said):
        checked_prevalence(given, ("EGFR", "KRAS"))


def test_without_a_model_there_is_nothing_to_shift():
    with pytest.raises(InputError, match="give a model"):
        checked_prevalence({"EGFR": 0.1}, ())


def test_a_key_given_twice_is_refused():
    with pytest.raises(InputError, match="EGFR is given twice"):
        parse_prevalence(["EGFR=0.1", "EGFR=0.2"])

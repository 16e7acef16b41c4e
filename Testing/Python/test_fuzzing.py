"""Every parser gives a value or one sentence of its own, whatever it reads: a short form of `make soak`."""

from __future__ import annotations

import pytest

pytest.importorskip("hypothesis")

import hypothesis

from fuzzing.contract import check
from fuzzing.targets import TARGETS

EXAMPLES = {"bundle": 5, "bundle-parts": 6, "bundle-classifiers": 6}
"""Inputs of the targets that are slow; of the others there are 25."""


@pytest.mark.parametrize("name", TARGETS)
def test_any_input_gives_a_value_or_one_sentence(name, tmp_path):
    target = TARGETS[name]
    for data in target.seeds()[:3]:
        check(target, data, tmp_path)
    settings = hypothesis.settings(
        max_examples=EXAMPLES.get(name, 25),
        derandomize=True,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )

    def one(data: bytes) -> None:
        check(target, data, tmp_path)

    settings(hypothesis.given(target.inputs())(one))()


@pytest.mark.parametrize("name", TARGETS)
def test_the_seeds_are_read(name, tmp_path):
    """Otherwise only the first lines of a parser would be under test."""
    target = TARGETS[name]
    assert any(check(target, data, tmp_path) for data in target.seeds()[:3])

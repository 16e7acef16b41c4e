"""When a finding is withheld: by rules that are numbers and codes."""

from __future__ import annotations

import pytest

from DeepRadScoreLib.abstention import AbstentionRules
from DeepRadScoreLib.models import Flag


@pytest.mark.parametrize(
    ("rarer", "auc_ci", "codes", "flags"),
    [
        (30, (0.6, 0.9), (), ()),
        (30, (0.5, 0.9), (), (Flag.NOT_BETTER_THAN_CHANCE,)),
        (30, (0.5001, 0.9), (), ()),
        (30, None, (), ()),
        (9, (0.6, 0.9), (), (Flag.NOT_MODELLED,)),
        (10, (0.6, 0.9), ("thick_slices",), ()),
        (30, (0.6, 0.9), ("thick_slices", "mask_on_bone"), (Flag.QUALITY_FAILURE,)),
        (30, (0.4, 0.6), ("upside_down",), (Flag.NOT_BETTER_THAN_CHANCE, Flag.QUALITY_FAILURE)),
    ],
)
def test_a_finding_is_withheld_where_a_rule_is_broken(rarer, auc_ci, codes, flags):
    assert AbstentionRules().broken_by(rarer, auc_ci, codes) == flags


def test_the_numbers_of_a_bundle_decide():
    stricter = AbstentionRules(min_training_positives=40, auc_above=0.7, quality_failures=("thick_slices",))
    assert stricter.broken_by(30, (0.6, 0.9), ("mask_on_bone",)) == (Flag.NOT_MODELLED, Flag.NOT_BETTER_THAN_CHANCE)
    said = " ".join(stricter.sentences().values())
    assert "40" in said and "0.7" in said and "thick_slices" in said

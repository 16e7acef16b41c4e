"""The range of findings over other masks, against the analyses of these masks one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from DeepRadScoreLib.analyses.sensitivity import MAX_VARIANTS
from DeepRadScoreLib.api import analyze
from DeepRadScoreLib.bundles.manifest import ValidationCard
from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging import case_from_images
from DeepRadScoreLib.imaging.masks.mask_variants import mask_variants
from DeepRadScoreLib.models import Model
from DeepRadScoreLib.progress import Stage
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS
from DeepRadScoreLib.study.training.train import train_bundle
from support.imaging_phantoms import tumour_case
from support.small_study import small_plan, small_study


@pytest.fixture(scope="module")
def case():
    return case_from_images(*tumour_case(size=(26, 26, 22), radius=5.0), case_id="ball")


@pytest.fixture(scope="module")
def singly(case):
    """The profiles, without findings, of the outlined mask and of three others."""
    return [analyze(each) for each in (case, *mask_variants(case, 3, 7))]


@pytest.fixture(scope="module")
def bundle(singly, tmp_path_factory):
    """Trained on cases that scatter about these masks' features and patches; without limits of its training data."""
    cohort, computed = small_study(keys=("EGFR",))
    seen = pd.DataFrame([each.features for each in singly])[list(FEATURE_COLUMNS)]
    features = computed.features * (seen.std() + 1e-9) + seen.mean()
    scaled = replace(computed, features=features, patches=computed.patches + singly[0].prepared.patch.hu)
    run = Run(tmp_path_factory.mktemp("work"))
    trained = train_bundle(cohort, scaled, small_plan(), run).bundle.with_limits(None)
    good = ValidationCard(auc=0.8, auc_ci=(0.7, 0.9), n=14, positives=7)
    trained.manifest.endpoints["EGFR"].validation[Model.FUSED] = good
    return trained


def test_ranges_are_those_of_the_single_analyses(case, singly, bundle):
    events = []
    profile = analyze(case, bundle, mask_variants=3, seed=7, progress=events.append)
    patches = np.stack([each.prepared.patch.hu for each in singly])
    given = bundle.predict_proba(pd.DataFrame([each.features for each in singly]), patches)["EGFR"].to_numpy()
    found = profile.findings["EGFR"]
    assert len(set(given.round(3))) > 2
    assert found.variants.n == 3
    assert found.probability == pytest.approx(given[0])
    np.testing.assert_allclose([found.variants.low, found.variants.high], [given.min(), given.max()])
    assert {event.stage for event in events} == {Stage.ANALYSING, Stage.MASK_VARIANTS}
    asked = profile.provenance.settings
    assert (asked["mask_variants"], asked["mask_variants_seed"]) == (3, 7)
    assert "mask_variants" not in singly[0].provenance.settings
    percents = [event.done for event in events if event.stage == Stage.MASK_VARIANTS]
    assert percents == sorted(percents)


def test_a_mask_that_vanishes_does_not_count(bundle):
    tiny = case_from_images(*tumour_case(size=(26, 26, 22), radius=1.5), case_id="tiny")
    found = analyze(tiny, bundle, mask_variants=2).findings["EGFR"]
    assert found.variants.n == 1


@pytest.mark.parametrize("n", [1, -3, MAX_VARIANTS + 1])
def test_a_number_that_cannot_be_is_refused(case, bundle, n):
    with pytest.raises(InputError, match=r"--mask-variants: .* masks cannot be made; give 2 to 50"):
        analyze(case, bundle, mask_variants=n)


def test_without_a_model_there_is_nothing_to_repeat(case):
    with pytest.raises(InputError, match="--mask-variants: without a model"):
        analyze(case, mask_variants=5)

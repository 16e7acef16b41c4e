"""The protocols: nothing leaks in `strict`, patients stay together, the same seed gives the same bundle."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.errors import CohortError
from DeepRadScoreLib.study.data import StudyData
from DeepRadScoreLib.study.training.fitting import paper_stages, strict_stages
from DeepRadScoreLib.study.training.train import train_bundle
from support.small_study import small_plan, small_study


def run(tmp_path, plan, n=80, seed=0):
    cohort, computed = small_study(n, seed)
    return train_bundle(cohort, computed, plan, Run(tmp_path))


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    return run(tmp_path_factory.mktemp("work"), small_plan())


def test_the_planted_endpoint_is_found_and_the_empty_ones_are_not_modelled(frozen):
    cards = frozen.bundle.manifest.endpoints
    assert cards["EGFR"].modelled
    assert not cards["TP53"].modelled
    assert "at least 10 are needed" in cards["TP53"].reason
    assert cards["EGFR"].n == 56
    found = cards["EGFR"].validation["radiomics-score"]
    rows = frozen.held_out.query("endpoint == 'EGFR' and model == 'radiomics-score'")
    assert found.n == len(rows) == 14
    assert rows["case_id"].str.contains(" + ", regex=False).sum() == 2
    assert found.auc == pytest.approx(roc_auc_score(rows["label"], rows["score"]), abs=1e-12)
    assert found.auc > 0.75


def test_held_out_patients_touch_nothing_that_is_learned(frozen, tmp_path):
    cohort, computed = small_study()
    test = (cohort.table["split"] == "test").to_numpy()
    changed = computed.features.copy()
    changed.loc[test] += 5.0
    patches = computed.patches.copy()
    patches[test] = 0.0
    other = dataclasses.replace(computed, features=changed, patches=patches)
    again = train_bundle(cohort, other, small_plan(), Run(tmp_path)).bundle
    for key, model in frozen.bundle.endpoints.items():
        assert model.fusion.to_bytes() == again.endpoints[key].fusion.to_bytes()
        assert model.regions.radscores["tumour"].to_dict() == again.endpoints[key].regions.radscores["tumour"].to_dict()


def test_shuffled_labels_give_chance_in_strict_and_not_in_sample(tmp_path):
    """On labels that mean nothing the out-of-fold RadScores are at chance; the paper protocol's own scores are not."""
    strict, own = [], []
    for seed in range(6):
        cohort, computed = small_study(90, seed, keys=("KRAS",))
        data = StudyData.of(cohort, computed)
        plan = small_plan(seed=seed)
        columns = strict_stages(data, {"KRAS": "lasso"}, plan, Run(tmp_path)).stages[0].columns["radiomics-score"]
        labels = data.labelled("KRAS").labels
        strict += [roc_auc_score(labels, columns[:, i]) for i in range(2)]
        scores = paper_only_radscores(data, plan)
        own += [roc_auc_score(labels, scores[:, i]) for i in range(2)]
    error = np.std(strict, ddof=1) / np.sqrt(len(strict))
    assert abs(np.mean(strict) - 0.5) < 3 * error + 0.01
    assert np.mean(own) > 0.7


def paper_only_radscores(data: StudyData, plan) -> np.ndarray:
    from DeepRadScoreLib.radscore.radscore import RegionScores

    labels = data.labels["KRAS"].to_numpy().astype(int)
    return RegionScores.fit(data.features, labels, data.patients.to_numpy(), rule="lasso", seed=plan.seed).columns(
        data.features
    )


def test_the_same_seed_gives_the_same_scores(frozen, tmp_path):
    again = run(tmp_path, small_plan())
    np.testing.assert_array_equal(frozen.held_out["score"], again.held_out["score"])
    assert frozen.bundle.manifest.model_dump() == again.bundle.manifest.model_dump()


@pytest.mark.parametrize(("form", "protocol"), [("shared", "strict"), ("per-endpoint", "strict"), ("shared", "paper")])
def test_every_form_of_network_goes_through_both_protocols(form, protocol, tmp_path):
    result = run(tmp_path, small_plan(form=form, protocol=protocol), n=70)
    model = result.bundle.endpoints["EGFR"]
    strict = protocol == "strict"
    assert model.names[-2:] == ("radscore_tumour", "radscore_peritumoral")
    assert len(model.names) == (3 if strict else 12)
    assert len(result.bundle.networks) == (3 if strict else 1)
    assert set(result.bundle.networks[0]) == ({"shared"} if form == "shared" else {"EGFR", "KRAS"})
    spec = next(iter(result.bundle.networks[0].values())).spec
    assert spec.n_radscores == (0 if strict else 2)
    assert len(model.fold_regions) == (3 if strict else 0)
    assert np.isfinite(result.held_out["score"]).all()


def test_paper_trains_the_classifiers_on_the_patients_own_scores(tmp_path):
    cohort, computed = small_study(70)
    data = StudyData.of(cohort, computed)
    plan = small_plan(form="shared", protocol="paper")
    stages = paper_stages(data, {"EGFR": "lasso"}, plan, Run(tmp_path)).stages
    own = stages[0].regions.columns(data.features)[data.labelled("EGFR").rows]
    np.testing.assert_array_equal(stages[0].columns["radiomics-score"], own)


def test_a_cohort_without_enough_labels_is_refused(tmp_path):
    cohort, computed = small_study(20, keys=("EGFR",))
    with pytest.raises(CohortError, match="no endpoint has 10 patients"):
        train_bundle(cohort, computed, small_plan(), Run(tmp_path))

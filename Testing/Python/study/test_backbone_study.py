"""The multi-network study: the same splits for all, nothing chosen on test, scikit-learn's figures, resumption."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, precision_score, recall_score, roc_auc_score
from statsmodels.stats.proportion import proportion_confint

from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.deepct import training
from DeepRadScoreLib.errors import CohortError, InputError, TooFewPositivesError
from DeepRadScoreLib.progress import Progress, Stage, ignore
from DeepRadScoreLib.statistics.auc import youden_threshold
from DeepRadScoreLib.study.data import StudyData
from DeepRadScoreLib.study.evaluation import backbones as study
from DeepRadScoreLib.study.evaluation.backbones import BACKBONE_COLUMNS, METRICS, SUBSETS, compare_backbones
from DeepRadScoreLib.study.splits import stratified_folds
from support.small_study import small_plan, small_study

TWO = ("resnet50", "densenet121")


def bright(n: int = 64, contrast: float = 500.0) -> StudyData:
    """Patches of noise; the positive cases have a bright spot of 48 pixels in the middle."""
    data = StudyData.of(*small_study(n))
    patches = data.patches.copy()
    patches[(data.labels["EGFR"] == 1).to_numpy(), 56:104, 56:104] += contrast
    return dataclasses.replace(data, patches=patches)


def folds_of(data: StudyData, number: int):
    return stratified_folds(data.labels["EGFR"].to_numpy(), data.patients.to_numpy(), number, 0)


def two_folds(data: StudyData):
    return folds_of(data, 2)


def compare(data, work, folds=None, plan=None, backbones=TWO, report=ignore) -> pd.DataFrame:
    plan = plan or small_plan(form="shared")
    return compare_backbones(data, "EGFR", folds or two_folds(data), plan, backbones, Run(work, report=report))


@pytest.fixture(scope="module")
def spied(tmp_path_factory):
    """Two folds of two networks, what each was trained on, and what each says of every labelled case."""
    trained, judged = [], []
    with pytest.MonkeyPatch.context() as patch:
        original, scores = training.train_network, study._scores
        patch.setattr(training, "train_network", lambda *a, **k: trained.append((a, k)) or original(*a, **k))
        patch.setattr(study, "_scores", lambda *a: judged.append(scores(*a)) or judged[-1])
        data = bright()
        work = tmp_path_factory.mktemp("work")
        return data, compare(data, work), trained, judged, work


def test_one_row_for_each_backbone_part_and_fold(spied):
    _, table, *_ = spied
    assert tuple(table.columns) == BACKBONE_COLUMNS
    keys = [(b, f, p) for b in TWO for p in SUBSETS for f in ("all", "1", "2")]
    assert list(table[["backbone", "fold", "part"]].itertuples(index=False, name=None)) == keys
    assert set(table["weights"]) == {"random"}
    bounded = table.dropna(subset=["sensitivity", "ppv", "npv"])
    for name in ("auc", *METRICS):
        assert (bounded[f"{name}_low"] <= bounded[name] + 1e-12).all()
        assert (bounded[name] <= bounded[f"{name}_high"] + 1e-12).all()


def test_all_backbones_see_the_same_cases_and_the_parts_are_apart(spied):
    data, table, trained, *_ = spied
    known = data.labels["EGFR"].notna().to_numpy()
    assert not known.all()
    of_case = {values.tobytes(): number for number, values in enumerate(data.patches)}
    for place, (_, test) in enumerate(two_folds(data)):
        seen = []
        for args, settings in (trained[place], trained[place + 2]):
            rows = [np.array([of_case[hu.tobytes()] for hu in args[i]]) for i in (0, 2)]
            for part, labels in zip(rows, (args[1], args[3]), strict=True):
                np.testing.assert_array_equal(labels[:, 0], data.labels["EGFR"].to_numpy()[part])
            seen.append((*(part.tolist() for part in rows), settings["seed"]))
        assert seen[0] == seen[1]
        fitted, chosen = rows
        people = [set(data.patients.iloc[part]) for part in (fitted, chosen, test)]
        assert not (people[0] & people[1] or people[0] & people[2] or people[1] & people[2])
        assert sorted([*fitted, *chosen, *test[known[test]]]) == np.flatnonzero(known).tolist()
        assert 0.15 < len(chosen) / (len(chosen) + len(fitted)) < 0.35
        counts = table[(table["backbone"] == TWO[0]) & (table["fold"] == str(place + 1))].set_index("part")["n"]
        assert counts.tolist() == [data.patients.iloc[rows].nunique() for rows in (fitted, chosen, test[known[test]])]
    assert [settings["spec"].backbone for _, settings in trained] == [name for name in TWO for _ in range(2)]
    assert all(settings["spec"].endpoints == ("EGFR",) for _, settings in trained)
    assert all(settings["spec"].n_radscores == 0 for _, settings in trained)


def test_figures_are_those_of_scikit_learn_at_the_validation_part_s_threshold(spied):
    data, table, trained, judged, _ = spied
    known = data.labels["EGFR"].notna().to_numpy()
    y = data.labels["EGFR"].to_numpy()[known].astype(int)
    of_case = {values.tobytes(): number for number, values in enumerate(data.patches[known])}
    of_patient = data.patients[known].to_numpy()
    tests = []
    for place, (_, test) in enumerate(two_folds(data)):
        fitted, chosen = (np.array([of_case[hu.tobytes()] for hu in trained[place][0][i]]) for i in (0, 2))
        score = judged[place].score
        scores = pd.DataFrame({"y": y, "score": score})
        validation = scores.iloc[chosen].groupby(of_patient[chosen])
        cut = youden_threshold(validation["y"].max().to_numpy(), validation["score"].mean().to_numpy())
        left = np.flatnonzero(np.isin(np.flatnonzero(known), test))
        for part, rows in zip(SUBSETS, (fitted, chosen, left), strict=True):
            row = table.query(f"backbone == '{TWO[0]}' and fold == '{place + 1}' and part == '{part}'").iloc[0]
            patients = scores.iloc[rows].groupby(of_patient[rows])
            true, mean = patients["y"].max().to_numpy(), patients["score"].mean().to_numpy()
            decision = mean >= cut
            assert row["threshold"] == cut
            assert row["positives"] == true.sum()
            assert row["auc"] == pytest.approx(roc_auc_score(true, mean), abs=1e-12)
            assert row["accuracy"] == accuracy_score(true, decision)
            assert row["sensitivity"] == recall_score(true, decision)
            assert row["specificity"] == recall_score(1 - true, ~decision)
            if decision.any():
                assert row["ppv"] == precision_score(true, decision)
        tests.append((true, mean, decision))
    pooled = table.query(f"backbone == '{TWO[0]}' and fold == 'all' and part == 'test'").iloc[0]
    correct = sum(int((labels == decision).sum()) for labels, _, decision in tests)
    assert pooled["auc"] == pytest.approx(np.mean([roc_auc_score(*fold[:2]) for fold in tests]), abs=1e-12)
    people = len(set(of_patient))
    assert pooled["n"] == people < known.sum()
    assert pooled["accuracy"] == correct / people
    assert (pooled["accuracy_low"], pooled["accuracy_high"]) == pytest.approx(
        proportion_confint(correct, people, method="wilson"), abs=1e-12
    )


def test_parts_that_share_patients_are_averaged_not_pooled(tmp_path):
    data = bright()
    table = compare(data, tmp_path, folds=folds_of(data, 3), backbones=TWO[:1], plan=small_plan())
    labelled = data.patients[data.labels["EGFR"].notna().to_numpy()]
    assert table.query("fold == 'all' and part == 'test'")["n"].item() == labelled.nunique()
    for part in ("training", "validation"):
        rows = table.query(f"backbone == '{TWO[0]}' and part == '{part}'")
        pooled, single = rows.iloc[0], rows.iloc[1:]
        assert pooled["auc_method"] == "mean of the folds' intervals"
        assert pooled["n"] == round(single["n"].mean())
        for name in ("auc", "auc_low", "auc_high", "accuracy", "accuracy_low", "accuracy_high"):
            assert pooled[name] == pytest.approx(single[name].mean(), abs=1e-12)


def test_one_fold_has_the_row_of_all_folds_alone_and_frozen_is_fitted_on_training_alone(tmp_path, monkeypatch):
    data = bright()
    fitted = []
    original = study.fit_frozen_network
    monkeypatch.setattr(study, "fit_frozen_network", lambda *a: fitted.append(len(a[0])) or original(*a))
    table = compare(data, tmp_path, folds=two_folds(data)[:1], backbones=("resnet50",), plan=small_plan())
    assert table["fold"].tolist() == ["all"] * 3
    assert fitted[0] > table["n"][0]
    assert table["threshold"].nunique() == 1
    assert not table["auc_method"].str.contains("fold").any()


@pytest.mark.parametrize(("form", "epochs"), [("shared", 4), ("frozen", 1)])
def test_a_bright_spot_is_found_on_test(form, epochs, tmp_path):
    data = bright(contrast=900.0)
    plan = small_plan(form=form)
    plan = dataclasses.replace(plan, network=dataclasses.replace(plan.network, epochs=epochs))
    table = compare(data, tmp_path, folds=folds_of(data, 4)[:1], backbones=("resnet50",), plan=plan)
    assert table.set_index("part").loc["test", "auc"] > 0.8


def test_test_cases_touch_neither_network_nor_threshold(spied, tmp_path):
    data, table, *_ = spied
    folds = two_folds(data)[:1]
    patches = data.patches.copy()
    patches[folds[0][1]] = 0.0
    other = dataclasses.replace(data, patches=patches)
    trained = table.query(f"backbone == '{TWO[0]}' and fold == '1'").assign(fold="all").reset_index(drop=True)
    frozen = compare(data, tmp_path, folds=folds, backbones=TWO[:1], plan=small_plan())
    for before, form in ((trained, "shared"), (frozen, "frozen")):
        after = compare(other, tmp_path, folds=folds, backbones=TWO[:1], plan=small_plan(form=form))
        seen = before["part"] != "test"
        pd.testing.assert_frame_equal(before[seen], after[seen], check_exact=True)
        assert not before[~seen].equals(after[~seen])


def test_a_killed_run_goes_on_with_what_is_missing_and_ends_alike(spied, tmp_path, monkeypatch):
    data, table, *_ = spied
    epochs = []
    original = training._one_epoch
    monkeypatch.setattr(
        training, "_one_epoch", lambda run, *a, **k: epochs.append(run.network.spec.backbone) or original(run, *a, **k)
    )

    def killed(event: Progress) -> None:
        assert event.total == 2
        if event.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare(data, tmp_path, folds=two_folds(data)[:1], report=killed)
    assert epochs == ["resnet50", "densenet121"]
    assert [path.name for path in tmp_path.rglob("*.result")] == ["resnet50-1.result"]
    lines = []
    again = compare(data, tmp_path, folds=two_folds(data)[:1], report=lines.append)
    assert len(epochs) == 2
    unbroken = table[table["fold"] == "1"].assign(fold="all").reset_index(drop=True)
    pd.testing.assert_frame_equal(again, unbroken, check_exact=True)
    assert [event.done for event in lines] == sorted(event.done for event in lines)
    assert (lines[-1].done, lines[-1].total) == (2, 2)
    assert {event.stage for event in lines} == {Stage.BACKBONES}
    assert not list(tmp_path.rglob("*.checkpoint"))
    turned = compare(data, tmp_path, folds=two_folds(data)[:1], backbones=TWO[::-1])
    assert turned["backbone"].unique().tolist() == [*TWO[::-1]]
    assert len(epochs) == 2


def test_finished_networks_of_other_data_or_settings_are_not_taken_up(tmp_path):
    data = bright()
    other = dataclasses.replace(data, patches=data.patches[::-1])
    for number, (cases, seed) in enumerate([(data, 0), (data, 0), (other, 0), (data, 1)]):
        compare(cases, tmp_path, folds=two_folds(data)[:1], backbones=("resnet50",), plan=small_plan(seed=seed))
        assert len(list(tmp_path.rglob("*.result"))) == max(number, 1)


def test_what_cannot_be_compared_is_refused_before_anything_is_trained(tmp_path, monkeypatch):
    data = bright()
    monkeypatch.setattr(study, "_scores", None)
    with pytest.raises(CohortError, match="no images"):
        compare(dataclasses.replace(data, patches=None), tmp_path, folds=two_folds(data))
    with pytest.raises(InputError, match="inception_v3 cannot take 32 pixels"):
        compare(data, tmp_path, backbones=("resnet50", "inception_v3"))
    plan = small_plan()
    weights = dataclasses.replace(plan, network=dataclasses.replace(plan.network, weights="r50.pth"))
    with pytest.raises(InputError, match=r"r50\.pth: one weight file fits one backbone only"):
        compare(data, tmp_path, plan=weights)
    few = data.subset(np.arange(24))
    with pytest.raises(TooFewPositivesError, match="EGFR, fold 1 of 2"):
        compare(few, tmp_path)

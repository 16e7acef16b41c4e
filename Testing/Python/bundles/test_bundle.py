"""A bundle read back gives the same probabilities to the last bit; a changed byte is refused by name."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from DeepRadScoreLib.analyses.analysis import _card, _finding, _findings
from DeepRadScoreLib.analyses.comparison import Comparison
from DeepRadScoreLib.bundles.bundle import MANIFEST, bundle_steps, read_bundle, read_manifest
from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.deepct.network import deep_outputs
from DeepRadScoreLib.deepct.outputs import merge_outputs
from DeepRadScoreLib.endpoints import BY_KEY
from DeepRadScoreLib.errors import BundleError, OutputError
from DeepRadScoreLib.fusion.endpoint_model import EndpointModel
from DeepRadScoreLib.progress import run_to_end
from DeepRadScoreLib.report.wording import flag_sentence
from DeepRadScoreLib.study.training.train import train_bundle
from support.small_study import small_plan, small_study


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    cohort, computed = small_study(70)
    plan = small_plan(form="shared")
    bundle = train_bundle(cohort, computed, plan, Run(folder / "work")).bundle
    bundle.save(folder / "model.zip")
    return bundle, folder / "model.zip", computed


def log_odds_of(bundle, computed):
    outputs = [
        merge_outputs([deep_outputs(network, computed.patches[:6]) for network in member.values()])
        for member in bundle.networks
    ]
    features = computed.features.iloc[:6]
    return {
        key: (model.log_odds(model.columns(features, outputs)), model.fold_log_odds(features, outputs))
        for key, model in bundle.endpoints.items()
    }


def with_changed_byte(path, folder, part):
    changed = folder / "changed.zip"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(changed, "w") as target:
        for name in source.namelist():
            data = bytearray(source.read(name))
            if name == part:
                data[len(data) // 2] ^= 1
            target.writestr(name, bytes(data))
    return changed


def test_read_back_it_gives_the_same_bits(written):
    bundle, path, computed = written
    before, after = log_odds_of(bundle, computed), log_odds_of(read_bundle(path), computed)
    assert set(before) == {"EGFR", "KRAS"}
    for key in before:
        np.testing.assert_array_equal(before[key][0], after[key][0])
        np.testing.assert_array_equal(before[key][1], after[key][1])


@pytest.mark.parametrize(
    ("form", "protocol"), [("frozen", "strict"), ("frozen", "paper"), ("shared", "paper"), ("per-endpoint", "paper")]
)
def test_bundles_of_other_forms_and_protocols_are_read(tmp_path, form, protocol):
    cohort, computed = small_study(50, keys=("EGFR",))
    bundle = train_bundle(cohort, computed, small_plan(form=form, protocol=protocol), Run(tmp_path / "work")).bundle
    bundle.save(tmp_path / "model.zip")
    read, features, patches = read_bundle(tmp_path / "model.zip"), computed.features[:2], computed.patches[:2]
    pd.testing.assert_frame_equal(
        read.predict_proba(features, patches), bundle.predict_proba(features, patches), check_exact=True
    )


def test_one_of_schema_1_keeps_the_score_of_its_refitted_radscores(written):
    """Its models do not say that scores are averaged over the folds."""
    bundle, _, computed = written
    model, features = bundle.endpoints["EGFR"], computed.features.iloc[:6]
    outputs = [
        merge_outputs([deep_outputs(network, computed.patches[:6]) for network in member.values()])
        for member in bundle.networks
    ]
    stored = {name: value for name, value in model.to_dict().items() if name != "averaged"}
    older = EndpointModel.from_dict("EGFR", stored, model.fusion)
    columns = np.hstack([model.deep.columns(outputs, "EGFR"), model.regions.columns(features)])
    np.testing.assert_array_equal(
        expit(older.log_odds(older.columns(features, outputs))), model.fusion.predict_proba(columns)[:, 1]
    )
    np.testing.assert_array_equal(older.fold_log_odds(features, outputs), model.fold_log_odds(features, outputs))


def test_the_probability_is_that_of_the_mean_score_of_the_fold_models(written):
    bundle, _, computed = written
    for log_odds, folds in log_odds_of(bundle, computed).values():
        np.testing.assert_allclose(log_odds, folds.mean(axis=0), atol=1e-12)


def test_it_is_read_in_steps_and_can_be_left_after_each(written):
    labels = list(bundle_steps(written[1]))
    assert len(labels) == len(set(labels))
    parts = [f"reading and checking the model, part {number} of 9" for number in range(1, 10)]
    assert labels == [
        *parts,
        "loading the network library",
        "loading the library of backbones",
        "reading network 1 of 3 (shared)",
        "reading network 2 of 3 (shared)",
        "reading network 3 of 3 (shared)",
        "reading the RadScores",
        "loading the library of stored classifiers",
        "reading the model of EGFR",
        "reading the model of KRAS",
    ]
    for count in range(1, len(labels)):
        steps = bundle_steps(written[1])
        assert [next(steps) for _ in range(count)] == labels[:count]
        steps.close()


def test_nothing_is_made_of_a_changed_bundle(written, tmp_path):
    """Also where the changed part would be needed last."""
    changed = with_changed_byte(written[1], tmp_path, "classifiers/KRAS.skops")
    seen = []
    steps = bundle_steps(changed)
    with pytest.raises(BundleError, match=re.escape("classifiers/KRAS.skops")):
        while True:
            seen.append(next(steps))
    assert all(label.startswith("reading and checking") for label in seen)


@pytest.mark.parametrize(
    ("below", "above", "outside"),
    [
        (0.1, 0.1, False),
        (0.0, 0.1, False),
        (0.1, 0.0, False),
        (-0.009, 0.1, False),
        (0.1, -0.009, False),
        (-0.011, 0.1, True),
        (0.1, -0.011, True),
    ],
)
def test_a_probability_outside_its_fold_models_says_so(written, monkeypatch, below, above, outside):
    """Fold models whose least probability lies `below` that of the refitted model, and whose greatest `above` it; a
    distance that whole percents do not show is none."""
    bundle, _, computed = written
    model, card = bundle.endpoints["EGFR"], bundle.manifest.endpoints["EGFR"]
    outputs = [merge_outputs([deep_outputs(one, computed.patches[:1]) for one in bundle.networks[0].values()])] * 3
    features = computed.features.iloc[:1]
    probability = float(expit(model.log_odds(model.columns(features, outputs))[0]))
    folds = np.array([[probability - below], [probability + above], [probability + (above - below) / 2]])
    monkeypatch.setattr(EndpointModel, "fold_log_odds", lambda *_: logit(folds))
    finding = _finding(model, card, features, outputs, model.columns(features, outputs))
    assert finding.probability == probability
    assert finding.spread == pytest.approx((folds.min(), folds.max()))
    assert ("outside_spread" in finding.flags) == outside
    assert "outside" in flag_sentence("outside_spread")


@pytest.fixture(scope="module")
def case_finding(written):
    """A function: EGFR's finding in a case, with the arguments of `_finding`."""
    bundle, _, computed = written
    outputs = [
        merge_outputs([deep_outputs(one, computed.patches[:9]) for one in member.values()])
        for member in bundle.networks
    ]

    def find(row=0, **more):
        of_row = [
            replace(each, logit={key: values[row : row + 1] for key, values in each.logit.items()}) for each in outputs
        ]
        features = computed.features.iloc[row : row + 1]
        card = bundle.manifest.endpoints["EGFR"]
        model = bundle.endpoints["EGFR"]
        return _finding(model, card, features, of_row, model.columns(features, of_row), **more)

    return find


def test_a_finding_has_the_label_set_and_the_interval_of_its_card(written, case_finding):
    card = written[0].manifest.endpoints["EGFR"]
    calibration = card.calibration
    assert calibration.positives + calibration.negatives == card.n
    for row in range(9):
        found = case_finding(row)
        words = [BY_KEY["EGFR"].positive] * (1.0 - found.probability <= calibration.positive)
        words += [BY_KEY["EGFR"].negative] * (found.probability <= calibration.negative)
        assert (list(found.label_set.labels), found.label_set.level) == (words, 0.9)
        assert found.interval_method == "maximum-entropy"
        assert 0 <= found.interval[0] <= found.probability <= found.interval[1] <= 1


def test_no_row_of_a_patient_stands_in_the_calibration(written):
    calibration = written[0].manifest.model_dump()["endpoints"]["EGFR"]["calibration"]
    assert set(calibration) == {"level", "positive", "negative", "positives", "negatives", "error"}
    assert len(calibration["error"]) == 3


def test_another_prevalence_moves_the_probabilities_and_neither_decision_nor_label_set(written, case_finding):
    of_training = written[0].endpoints["EGFR"].fusion.prevalence_
    shift = logit(0.1) - logit(of_training)
    for row in range(9):
        plain, moved = case_finding(row), case_finding(row, prevalence=0.1)
        for name in ("probability", "threshold"):
            assert logit(getattr(moved, name)) == pytest.approx(logit(getattr(plain, name)) + shift)
        assert logit(moved.spread) == pytest.approx(logit(plain.spread) + shift)
        assert (moved.decision, moved.label_set, moved.flags) == (plain.decision, plain.label_set, plain.flags)
        assert moved.interval[1] <= plain.interval[1]
    assert case_finding(0, prevalence=of_training) == case_finding(0)


def test_a_withheld_finding_has_no_number_that_could_be_read_as_one(case_finding):
    found = case_finding(0, withheld=("not_better_than_chance",))
    assert found.flags[0] == "not_better_than_chance"
    assert found.probability is found.decision is found.spread is found.interval is found.label_set is None
    assert not found.shap and found.radscore_tumour is not None and found.validation is not None


def test_rules_of_the_bundle_withhold_findings_of_a_case_and_of_tables(written):
    bundle, _, computed = written
    low = (
        bundle.manifest.endpoints["EGFR"]
        .validation["deep-radscore"]
        .model_copy(update={"auc": 0.6, "auc_ci": (0.45, 0.8), "flag": None})
    )
    cards = dict(bundle.manifest.endpoints)
    cards["EGFR"] = cards["EGFR"].model_copy(update={"validation": {"deep-radscore": low}})
    doubtful = replace(bundle, manifest=bundle.manifest.model_copy(update={"endpoints": cards}))
    features = computed.features.iloc[:1]
    outputs = [merge_outputs([deep_outputs(one, computed.patches[:1]) for one in bundle.networks[0].values()])] * 3
    columns = doubtful.columns(features, outputs)
    found = run_to_end(_findings(doubtful, features, outputs, columns, Comparison(), ("mask_on_bone",)))
    assert set(found["EGFR"].flags) >= {"not_better_than_chance", "quality_failure"}
    assert found["EGFR"].probability is None
    assert doubtful.predict_proba(computed.features[:2], computed.patches[:2])["EGFR"].isna().all()


def test_one_of_before_an_endpoint_was_added_does_not_model_it(written):
    bundle, _, computed = written
    cards = {key: card for key, card in bundle.manifest.endpoints.items() if key != "ROS1"}
    older = replace(bundle, manifest=bundle.manifest.model_copy(update={"endpoints": cards}), endpoints={})
    findings = run_to_end(_findings(older, computed.features.iloc[:1], [], {}, Comparison()))
    assert findings["ROS1"].flags == ("not_modelled",)
    assert [row["endpoint"] for row in older.manifest.endpoint_rows()] == [BY_KEY[key].name for key in cards]


def test_a_profile_says_of_its_model_the_same_text_whatever_holds_the_names(written):
    """The UIDs of DICOM objects are made of this text: it must not change with the types of the library."""
    bundle = read_bundle(written[1])
    assert repr(_card(bundle)).startswith(
        f"ModelCard(name='Deep-RadScore', sha256='{bundle.sha256}', protocol='strict', network='shared', "
    )
    assert "preprocessing='canonical', synthetic=" in repr(_card(bundle))


def test_written_twice_it_is_the_same_file(written, tmp_path):
    bundle, path, _ = written
    bundle.save(tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == path.read_bytes()


def test_no_pickle_stands_in_it(written):
    with zipfile.ZipFile(written[1]) as archive:
        assert {name.rsplit(".", 1)[1] for name in archive.namelist()} == {"json", "safetensors", "skops"}


@pytest.mark.parametrize("part", ["radscores.json", "networks/1/shared.safetensors", "classifiers/EGFR.skops"])
def test_a_changed_byte_is_refused_by_name(written, tmp_path, part):
    with pytest.raises(BundleError, match=re.escape(part)):
        read_manifest(with_changed_byte(written[1], tmp_path, part))


def test_a_byte_changed_on_disk_and_a_cut_file_are_refused(written, tmp_path):
    data = bytearray(written[1].read_bytes())
    data[len(data) // 2] ^= 1
    flipped, cut = tmp_path / "flipped.zip", tmp_path / "cut.zip"
    flipped.write_bytes(data)
    cut.write_bytes(data[: len(data) // 2])
    for path in (flipped, cut):
        with pytest.raises(BundleError, match="copy the bundle again"):
            read_manifest(path)


def with_schema(written: Path, schema: str, path: Path) -> Path:
    """A copy of a bundle whose manifest names another schema and has none of the fields of schema 2."""
    with zipfile.ZipFile(written) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name == MANIFEST:
                manifest = json.loads(data) | {"schema": schema}
                del manifest["engine"]
                data = json.dumps(manifest).encode()
            target.writestr(name, data)
    return path


def test_another_schema_version_is_refused(written, tmp_path):
    other = with_schema(written[1], "deepradscore.bundle/99", tmp_path / "other.zip")
    with pytest.raises(BundleError, match=r'schema "deepradscore\.bundle/99"'):
        read_bundle(other)


def test_schema_1_is_read_and_written_as_2(written, tmp_path):
    older = read_bundle(with_schema(written[1], "deepradscore.bundle/1", tmp_path / "older.zip"))
    assert (older.manifest.schema_, older.manifest.engine) == ("deepradscore.bundle/1", "pyradiomics")
    older.save(tmp_path / "newer.zip")
    assert read_manifest(tmp_path / "newer.zip").schema_ == "deepradscore.bundle/2"


def test_a_place_that_cannot_be_written_leaves_nothing(written, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        written[0].save(tmp_path / "file" / "model.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


STOPPED = """
    import os, sys, zipfile
    from pathlib import Path
    from DeepRadScoreLib.bundles.bundle import Bundle
    from DeepRadScoreLib.bundles.manifest import Manifest
    from DeepRadScoreLib.writing import clean_up

    names = {"name": "m", "label": None, "protocol": "strict", "network": "shared", "backbone": "b", "weights": "none"}
    more = {"pixels": 32, "preprocessing": "canonical", "shell_mm": 3, "seed": 0, "synthetic": False}
    empty = {name: {} for name in ("settings", "endpoints", "versions")}
    counts = {name: 0 for name in ("training_patients", "held_out_patients", "cases")}
    more["trained_on"] = counts | {"cohort": "c.csv", "left_out": {}, "sites": {}}
    folder = Path(sys.argv[1])
    bundle = Bundle(Manifest(**names, **more, **empty), (), {})
    bundle.save(folder / "model.zip")
    (folder / "model.zip").rename(folder / "whole.zip")

    def stopped(*_):
        assert len(list(folder.iterdir())) == 2
        clean_up(0.1)
        os._exit(7)

    zipfile.ZipFile.writestr = stopped
    bundle.save(folder / "model.zip")
"""


def test_stopped_while_it_is_written_it_leaves_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(STOPPED), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 7, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["whole.zip"]
    read_manifest(tmp_path / "whole.zip")


def test_it_counts_the_quality_of_its_cases_and_an_older_one_does_not(written):
    manifest = written[0].manifest
    assert manifest.trained_on["quality"] == {"thick_slices": 18}
    assert manifest.facts()["quality"] == "thick_slices 18 of 70 cases"
    assert "left out" not in manifest.facts()
    left_out = manifest.trained_on | {"left_out_by_quality": {"off_axial": 2, "flat_tumour": 1}}
    facts = manifest.model_copy(update={"trained_on": left_out}).facts()
    assert facts["left out"] == "2 by quality off_axial, 1 by quality flat_tumour"
    older = {key: value for key, value in manifest.trained_on.items() if "quality" not in key}
    assert "quality" not in manifest.model_copy(update={"trained_on": older}).facts()


def test_its_manifest_holds_no_path_of_the_machine(written):
    with zipfile.ZipFile(written[1]) as archive:
        text = archive.read(MANIFEST).decode()
    assert str(written[1].parent) not in text
    assert "/home" not in text


def test_its_limits_come_back_and_are_stated(written):
    bundle, path, computed = written
    read, patches = read_bundle(path), computed.patches[:6]
    outputs = bundle.outputs(patches)
    assert bundle.limits is not None and read.limits is not None
    features = computed.features.iloc[:6]
    columns = bundle.columns(features, outputs)
    case = bundle.evidence(features, outputs, columns, measures=computed.measures.iloc[:6])
    np.testing.assert_allclose(read.limits.judge(case).scores, bundle.limits.judge(case).scores, atol=1e-4)
    card = read.manifest.limits
    assert (card.cases, card.parts, card.missing) == (56, ["image", "features", "network"], ["acquisition"])
    facts = read_manifest(path).facts()
    assert "56 training cases" in facts["limits"] and "kernel" in facts["not limited"]


def test_cases_beyond_its_limits_get_no_probability(written):
    bundle, _, computed = written
    features, patches = computed.features.iloc[:3].copy(), computed.patches[:3]
    assert bundle.predict_proba(features, patches)["EGFR"].notna().all()
    features.loc["case-000"] *= 1000
    assert bundle.predict_proba(features, patches)["EGFR"].isna().tolist() == [True, False, False]


def test_one_without_limits_is_read_and_says_so(written, tmp_path):
    bundle = written[0]
    bundle.with_limits(None).save(tmp_path / "older.zip")
    older = read_bundle(tmp_path / "older.zip")
    assert older.limits is None and not _card(older).limits and _card(bundle).limits
    assert "nothing can be said" in read_manifest(tmp_path / "older.zip").facts()["limits"]

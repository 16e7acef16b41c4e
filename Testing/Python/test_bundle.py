"""A bundle read back gives the same probabilities to the last bit; a changed byte is refused by name."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from DeepRadScoreLib.analysis import _card, _explained_findings, _finding
from DeepRadScoreLib.bundle import MANIFEST, EndpointModel, bundle_steps, read_bundle, read_manifest
from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.deepct.network import deep_outputs
from DeepRadScoreLib.deepct.outputs import merge_outputs
from DeepRadScoreLib.endpoints import BY_KEY
from DeepRadScoreLib.errors import BundleError, OutputError
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


def probabilities(bundle, computed):
    outputs = [
        merge_outputs([deep_outputs(network, computed.patches[:6]) for network in member.values()])
        for member in bundle.networks
    ]
    features = computed.features.iloc[:6]
    return {
        key: (model.probability(model.columns(features, outputs)), model.fold_probabilities(features, outputs))
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
    before, after = probabilities(bundle, computed), probabilities(read_bundle(path), computed)
    assert set(before) == {"EGFR", "KRAS"}
    for key in before:
        np.testing.assert_array_equal(before[key][0], after[key][0])
        np.testing.assert_array_equal(before[key][1], after[key][1])


def test_it_is_read_in_steps_and_can_be_left_after_each(written):
    labels = list(bundle_steps(written[1]))
    assert len(labels) == len(set(labels))
    parts = [f"reading and checking the model, part {number} of 7" for number in range(1, 8)]
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
    probability = float(model.probability(model.columns(features, outputs))[0])
    folds = np.array([[probability - below], [probability + above], [probability + (above - below) / 2]])
    monkeypatch.setattr(EndpointModel, "fold_probabilities", lambda *_: folds)
    finding = run_to_end(_finding(model, card, features, outputs))
    assert finding.probability == probability
    assert finding.spread == (folds.min(), folds.max())
    assert ("outside_spread" in finding.flags) == outside
    assert "outside" in flag_sentence("outside_spread")


def test_one_of_before_an_endpoint_was_added_does_not_model_it(written):
    bundle, _, computed = written
    cards = {key: card for key, card in bundle.manifest.endpoints.items() if key != "ROS1"}
    older = replace(bundle, manifest=bundle.manifest.model_copy(update={"endpoints": cards}), endpoints={})
    findings = run_to_end(_explained_findings(older, computed.features.iloc[0].to_dict(), []))
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


def test_another_schema_version_is_refused(written, tmp_path):
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(written[1]) as source, zipfile.ZipFile(other, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name == MANIFEST:
                data = json.dumps({**json.loads(data), "schema": "deepradscore.bundle/99"}).encode()
            target.writestr(name, data)
    with pytest.raises(BundleError, match=r'schema "deepradscore\.bundle/99"'):
        read_bundle(other)


def test_a_place_that_cannot_be_written_leaves_nothing(written, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        written[0].save(tmp_path / "file" / "model.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


STOPPED = """
    import os, sys, zipfile
    from pathlib import Path
    from DeepRadScoreLib.bundle import Bundle
    from DeepRadScoreLib.manifest import Manifest
    from DeepRadScoreLib.writing import clean_up

    names = {"name": "m", "label": None, "protocol": "strict", "network": "shared", "backbone": "b", "weights": "none"}
    more = {"pixels": 32, "preprocessing": "canonical", "shell_mm": 3, "seed": 0, "synthetic": True}
    empty = {name: {} for name in ("settings", "trained_on", "endpoints", "versions")}
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


def test_its_manifest_holds_no_path_of_the_machine(written):
    with zipfile.ZipFile(written[1]) as archive:
        text = archive.read(MANIFEST).decode()
    assert str(written[1].parent) not in text
    assert "/home" not in text

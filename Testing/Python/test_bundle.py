"""A bundle read back gives the same probabilities to the last bit; a changed byte is refused by name."""

from __future__ import annotations

import json
import re
import zipfile

import numpy as np
import pytest
from small_study import small_plan, small_study

from DeepRadScoreLib.bundle import MANIFEST, read_bundle, read_manifest, write_bundle
from DeepRadScoreLib.deepct.network import deep_outputs
from DeepRadScoreLib.errors import BundleError, OutputError
from DeepRadScoreLib.fusion.columns import merge_outputs
from DeepRadScoreLib.study.training import train_bundle
from DeepRadScoreLib.study.workers import InProcess


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    cohort, computed = small_study(70)
    plan = small_plan(form="shared")
    bundle = train_bundle(
        cohort, computed, plan, work=folder / "work", workers=InProcess(), progress=lambda *_: None
    ).bundle
    write_bundle(bundle, folder / "model.zip")
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


def test_read_back_it_gives_the_same_bits(written):
    bundle, path, computed = written
    before, after = probabilities(bundle, computed), probabilities(read_bundle(path), computed)
    assert set(before) == {"EGFR", "KRAS"}
    for key in before:
        np.testing.assert_array_equal(before[key][0], after[key][0])
        np.testing.assert_array_equal(before[key][1], after[key][1])


def test_written_twice_it_is_the_same_file(written, tmp_path):
    bundle, path, _ = written
    write_bundle(bundle, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == path.read_bytes()


def test_no_pickle_stands_in_it(written):
    with zipfile.ZipFile(written[1]) as archive:
        assert {name.rsplit(".", 1)[1] for name in archive.namelist()} == {"json", "safetensors", "skops"}


@pytest.mark.parametrize("part", ["radscores.json", "networks/1/shared.safetensors", "classifiers/EGFR.skops"])
def test_a_changed_byte_is_refused_by_name(written, tmp_path, part):
    changed = tmp_path / "changed.zip"
    with zipfile.ZipFile(written[1]) as source, zipfile.ZipFile(changed, "w") as target:
        for name in source.namelist():
            data = bytearray(source.read(name))
            if name == part:
                data[len(data) // 2] ^= 1
            target.writestr(name, bytes(data))
    with pytest.raises(BundleError, match=re.escape(part)):
        read_manifest(changed)


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
        write_bundle(written[0], tmp_path / "file" / "model.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_its_manifest_holds_no_path_of_the_machine(written):
    with zipfile.ZipFile(written[1]) as archive:
        text = archive.read(MANIFEST).decode()
    assert str(written[1].parent) not in text
    assert "/home" not in text

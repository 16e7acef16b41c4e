"""A bundle whose hashes fit but whose content does not is refused in one sentence that names the file and the field."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load, save

from DeepRadScoreLib.bundles.bundle import MANIFEST, read_bundle, read_manifest
from DeepRadScoreLib.cli.case_commands import print_manifest
from DeepRadScoreLib.display.progress_bar import show_progress
from DeepRadScoreLib.errors import BundleError
from DeepRadScoreLib.progress import Progress, Stage
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS
from support.bundle_edits import EDITS
from support.small_bundle import files_of, small_bundle, small_densenet, write_files


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle") / "model.zip"
    with small_densenet():
        small_bundle().save(path)
        yield path


@pytest.fixture(scope="module")
def parts(written):
    return files_of(written)


def refused(path: Path, fragment: str) -> None:
    """The sentence is one line, begins with the path, says what to do, and is short whatever the bundle holds."""
    with pytest.raises(BundleError) as caught:
        read_bundle(path)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}") and fragment in sentence, sentence
    assert re.search(r"; (use|copy|train) [^;]*\.$", sentence), sentence
    assert "\n" not in sentence and len(sentence) < len(str(path)) + 500
    assert sentence.isprintable()


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_bundle_is_refused_in_one_sentence(written, parts, tmp_path, name):
    edit, fragment = EDITS[name]
    files = dict(parts)
    edit(files)
    assert files != parts
    refused(write_files(files, tmp_path / "edited.zip"), fragment)


def test_the_same_parts_written_again_are_read(written, parts, tmp_path):
    """Also packed, and in another order: it is the content that is refused, not that it was written by others."""
    again = write_files(dict(reversed(parts.items())), tmp_path / "again.zip", compression=zipfile.ZIP_DEFLATED)
    rng = np.random.default_rng(0)
    features = pd.DataFrame(rng.normal(size=(2, len(FEATURE_COLUMNS))), columns=FEATURE_COLUMNS)
    patches = rng.normal(-600, 200, (2, 160, 160)).astype(np.float32)
    first, second = (read_bundle(path).predict_proba(features, patches) for path in (written, again))
    pd.testing.assert_frame_equal(first, second, check_exact=True)
    assert first["EGFR"].notna().all()


def test_fields_that_older_bundles_lack_may_be_missing(parts, tmp_path):
    manifest, scores = json.loads(parts["manifest.json"]), json.loads(parts["radscores.json"])
    manifest["schema"] = "deepradscore.bundle/1"
    for name in ("engine", "rules", "limits"):
        del manifest[name]
    for name in ("quality", "left_out_by_quality", "duplicates"):
        del manifest["trained_on"][name]
    for card in manifest["endpoints"].values():
        for name in ("calibration", "confounders"):
            del card[name]
    for stored in scores.values():
        del stored["averaged"], stored["endpoint"]
    files = {name: data for name, data in parts.items() if not name.startswith("limits")}
    files |= {"manifest.json": json.dumps(manifest).encode(), "radscores.json": json.dumps(scores).encode()}
    bundle = read_bundle(write_files(files, tmp_path / "older.zip"))
    assert not bundle.endpoints["EGFR"].averaged and bundle.limits is None
    assert bundle.manifest.facts() and bundle.manifest.endpoint_rows()


def test_quantiles_that_were_written_feature_by_feature_are_read(written, parts, tmp_path):
    """As safetensors 0.8 wrote an array that is not C-contiguous."""
    arrays = load(parts["limits.safetensors"])
    quantiles = arrays["features/quantiles"]
    arrays["features/quantiles"] = np.ascontiguousarray(quantiles.T).reshape(quantiles.shape)
    files = parts | {"limits.safetensors": save(arrays)}
    read = read_bundle(write_files(files, tmp_path / "older.zip"))
    np.testing.assert_array_equal(read.limits.features.quantiles, read_bundle(written).limits.features.quantiles)
    np.testing.assert_array_equal(read.limits.features.quantiles, quantiles)


def zip_of(members: dict[str, bytes], path: Path, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archives_that_are_no_bundle_are_refused_by_their_names_and_sizes(parts, tmp_path):
    outside = zip_of(parts | {"../../outside": b""}, tmp_path / "outside.zip")
    refused(outside, "outside")
    back = zip_of(parts | {"networks\\..\\..\\outside": b""}, tmp_path / "back.zip")
    refused(back, "outside")
    refused(zip_of(parts | {"x" * 5000: b""}, tmp_path / "long.zip"), "no plain name")
    refused(zip_of(parts | {"\x1b[31m": b""}, tmp_path / "escape.zip"), "no plain name")
    refused(zip_of({f"{number}": b"" for number in range(5000)}, tmp_path / "many.zip"), "5000 parts")
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        for name, data in [*parts.items(), (MANIFEST, b"{}")]:
            archive.writestr(name, data)
    refused(tmp_path / "twice.zip", "twice")
    refused(zip_of(parts, tmp_path / "bzip2.zip", zipfile.ZIP_BZIP2), "unusual way")
    assert not (tmp_path.parent.parent / "outside").exists()


def test_sizes_that_lie_are_refused(parts, tmp_path):
    """The directory of the archive says 100 bytes; unpacked they are a million."""
    path = zip_of({MANIFEST: bytes(1_000_000)}, tmp_path / "lying.zip", zipfile.ZIP_DEFLATED)
    data = path.read_bytes()
    assert data.count((1_000_000).to_bytes(4, "little")) == 2
    path.write_bytes(data.replace((1_000_000).to_bytes(4, "little"), (100).to_bytes(4, "little")))
    refused(path, "whole bundle")


BOMB = """
    import resource, sys
    from DeepRadScoreLib.bundles.bundle import read_bundle
    from DeepRadScoreLib.errors import BundleError

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        read_bundle(sys.argv[1])
    except BundleError as error:
        print(error)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_two_gigabytes_of_zeros_are_refused_without_unpacking_them(tmp_path):
    path = tmp_path / "bomb.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(MANIFEST, "w", force_zip64=True) as stream,
    ):
        for _ in range(2048):
            stream.write(bytes(2**20))
    assert path.stat().st_size < 3_000_000
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(BOMB), str(path)], capture_output=True, text=True, check=True
    )
    sentence, growth_kb = done.stdout.splitlines()
    assert f"would become {2**31}" in sentence
    assert int(growth_kb) < 100_000


MARKUP = "[red]a[/red] :smile: <b>x</b>"


def test_names_from_a_bundle_are_printed_as_they_are(parts, tmp_path, capsys):
    """Neither as markup of the terminal, nor as emoji; a foot note of an endpoint, too, stands in a table's cell."""
    manifest = json.loads(parts[MANIFEST])
    manifest["name"] = MARKUP
    manifest["endpoints"]["ROS1"]["reason"] = "[/]"
    path = write_files(parts | {MANIFEST: json.dumps(manifest).encode()}, tmp_path / "named.zip")
    print_manifest(read_manifest(path))
    printed = capsys.readouterr().out
    assert MARKUP in printed and "[/]" in printed


def test_nothing_is_cut_off_in_a_narrow_terminal(parts, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    manifest = json.loads(parts[MANIFEST])
    for key in ("ROS1", "PDL1"):
        manifest["endpoints"][key]["reason"] = "too few patients, given once"
    print_manifest(read_manifest(write_files(parts | {MANIFEST: json.dumps(manifest).encode()}, tmp_path / "a.zip")))
    printed = capsys.readouterr().out
    assert "…" not in printed
    assert " ".join(printed.split()).count("ROS1 mutation, PD-1/PD-L1 expression: too few patients, given once") == 1


def test_a_line_of_progress_is_printed_as_it_is(capsys):
    with show_progress() as report:
        report(Progress(Stage.ANALYSING, MARKUP))
    assert MARKUP in capsys.readouterr().err

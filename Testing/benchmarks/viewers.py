"""The table of who opens what: all objects of two real CTs in other people's programs, voxels and numbers compared.

    python Testing/benchmarks/viewers.py --dcmqi FOLDER_OF_ITS_PROGRAMS --out docs/who-opens-what.md

"equal" means that every voxel, its position and every number that the program gives back are ours.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from io import BytesIO
from pathlib import Path

import highdicom as hd
import numpy as np
import SimpleITK as sitk
from pydicom import dcmread

from DeepRadScoreLib.endpoints import KEYS
from DeepRadScoreLib.imaging import Case, read_case
from DeepRadScoreLib.report.dicom.writing import to_dicom, write_dicom
from support import archive, dicom_results

CASES = ("ibsi/ct_phantom/dicom", "ct-radiomics-phantom/pat_2/dicom")
MAPS = [f"gradcam_{key}.dcm" for key in KEYS]
FILES = ("tumour.dcm", "regions.dcm", *MAPS, "profile.dcm")
KINDS = {"SEG": FILES[:2], "ten maps": MAPS, "SR": FILES[-1:]}
BY_EYE = """\
## In a browser
OHIF 3.12.10 in Chromium 156 on Orthanc 1.10.1 with DICOMweb 1.7, on 2026-11-30: each object opened by a double click on
its entry, read back from the viewer's own memory by `Testing/benchmarks/ohif.py`, and its picture looked at. It is not
part of the table's program.

| | IBSI CT phantom (204 x 201 pixels) | CT radiomics phantom, patient 2 (141 x 138) |
|---|---|---|
| tumour and shell on the CT's slices | equal: each voxel, place, name (28 slices) | equal (9 slices) |
| ten maps | equal (10 of 10), x 100 as OHIF shows all maps | EGFR tried: not opened, see below |
| SR | equal: 14 of 14 drawn numbers, to two decimals as OHIF shows them | equal (14 of 14) |
| tumour and shell on the 1 mm lattice | not opened, see below | not tried |

- A map opens only where rows x columns is a multiple of 4: OHIF makes a Float32Array from byte n x rows x columns
  (`insertPixelDataPlanar` of `ParametricMap.js`, @cornerstonejs/adapters 4.15.29), which must be a multiple of 4. Any
  other stays at "Loading Parametric Map...".
- It takes the n-th frame of a map for the n-th slice of the CT, whatever its position says (`generateToolState` there
  returns the frames as they are stored): a map in another order, or with fewer frames, is shown on wrong slices. Ours
  have a frame for each slice, in order.
- `regions.dcm`, whose frames lie on no slice of the CT and refer to its series only, stays at "Loading SEG..."; it is
  for programs that read its own grid.
- Each drawing has five lines of text at most. A number whose first child is not a drawing is left out
  ("Graphic CODE not currently supported"): so are threshold, range, RadScores and validated AUC. Findings without a
  probability are a point without a number.
- Until the question whether to continue tracking measurements is answered with "Yes", all twelve drawings are shown;
  after it only the groups that are a region themselves are left: findings without a probability, as "NaN".
"""


def main() -> None:
    """Open everything and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dcmqi", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    tools: dict[str, Callable[[Path, Case], dict[str, str]]] = {
        f"highdicom {version('highdicom')}": in_highdicom,
        f"dcmqi {dcmqi_version(options.dcmqi)}": lambda folder, case: in_dcmqi(folder, options.dcmqi),
        "Orthanc (stored, found by QIDO-RS, read by WADO-RS)": in_orthanc,
    }
    dicom_results.MAPS = KEYS
    rows = []
    for name in CASES:
        case = read_case(Path(os.environ["DEEPRADSCORE_TEST_DATA"]) / "data" / name)
        with tempfile.TemporaryDirectory() as scratch:
            files = to_dicom(dicom_results.profile_of(case), case)
            write_dicom(files, Path(scratch))
            sizes = f"{sum(map(len, files.values())) / 1e6:.1f} MB in all"
            for tool, opened in tools.items():
                found = opened(Path(scratch), case)
                cells = [_cell([found[file] for file in kind]) for kind in KINDS.values()]
                rows.append(f"| {name.split('/')[0]}, {sizes} | {tool} | {' | '.join(cells)} |")
                print(rows[-1], flush=True)
    head = f"| case | program | {' | '.join(KINDS)} |\n|---|---|{'---|' * len(KINDS)}"
    text = (
        "# Who opens what\n\nMade by `make viewers`. *equal*: voxels, positions and numbers are read back as they "
        f"were written.\n\n{head}\n" + "\n".join(rows) + f"\n\nPython {platform.python_version()}.\n\n{BY_EYE}"
    )
    options.out.write_text(text, encoding="utf-8")


def _cell(found: list[str]) -> str:
    kinds = sorted(set(found))
    return f"{kinds[0]} ({len(found)} of {len(found)})" if len(kinds) == 1 else "; ".join(kinds)


def _frames(path: Path) -> dict[tuple[int, tuple[float, ...]], np.ndarray]:
    """(segment, position) -> pixels that are not all 0, by pydicom."""
    ds = dcmread(path)
    pixels = ds.pixel_array.reshape(-1, ds.Rows, ds.Columns)
    found = {}
    for plane, frame in zip(pixels, ds.PerFrameFunctionalGroupsSequence, strict=True):
        part = frame.get("SegmentIdentificationSequence")
        place = tuple(np.round(np.float64(frame.PlanePositionSequence[0].ImagePositionPatient), 3).tolist())
        if plane.any():
            found[(part[0].ReferencedSegmentNumber if part else 0, place)] = plane
    return found


def _same(first: dict[object, np.ndarray], second: dict[object, np.ndarray]) -> str:
    same = first.keys() == second.keys() and all(np.array_equal(first[key], second[key]) for key in first)
    return "equal" if same else "other voxels"


def _planes(image: sitk.Image, part: int) -> dict[tuple[int, tuple[float, ...]], np.ndarray]:
    found = {}
    for k, plane in enumerate(sitk.GetArrayFromImage(image)):
        if plane.any():
            place = image.TransformIndexToPhysicalPoint((0, 0, k))
            found[(part, tuple(np.round(place, 3).tolist()))] = (plane > 0).astype(np.uint8) if part else plane
    return found


def in_highdicom(folder: Path, case: Case) -> dict[str, str]:
    """Read every object with highdicom."""
    found = {}
    for name in FILES[:2]:
        volume = hd.seg.segread(folder / name).get_volume()
        written = sum(int(plane.sum()) for plane in _frames(folder / name).values())
        found[name] = "equal" if int(volume.array.sum()) == written else "other voxels"
    for name in MAPS:
        volume = hd.pm.ParametricMap.from_dataset(dcmread(folder / name)).get_volume()
        written = dcmread(folder / name).pixel_array
        same = any(np.array_equal(volume.array[::step], written) for step in (1, -1))
        found[name] = "equal" if same else "other voxels"
    report = hd.sr.srread(folder / "profile.dcm").content
    groups = [*report.get_volumetric_roi_measurement_groups(), *report.get_image_measurement_groups()]
    found["profile.dcm"] = "equal" if len(groups) == 4 + len(KEYS) - 1 else "other groups"
    return found


def dcmqi_version(folder: Path) -> str:
    """The tag that its programs print."""
    done = subprocess.run([folder / "segimage2itkimage"], capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).partition("tag: v")[2].split()[0]


def in_dcmqi(folder: Path, programs: Path) -> dict[str, str]:
    """Convert SEG and maps to NRRD and the SR to JSON with dcmqi, and compare."""
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in FILES[:-1]:
            out = Path(scratch) / name
            out.mkdir()
            program = "paramap2itkimage" if name in MAPS else "segimage2itkimage"
            call = [programs / program, "--inputDICOM", folder / name, "--outputDirectory", out, "-t", "nrrd"]
            if subprocess.run(call, capture_output=True, check=False).returncode:
                found[name] = "not opened"
                continue
            planes = {}
            for path in out.glob("*.nrrd"):
                planes |= _planes(sitk.ReadImage(path), int(path.stem) if path.stem.isdigit() else 0)
            found[name] = _same(planes, _frames(folder / name))
        out = Path(scratch) / "sr.json"
        call = [programs / "tid1500reader", "--inputDICOM", folder / "profile.dcm", "--outputMetadata", out]
        subprocess.run(call, capture_output=True, check=False)
        found["profile.dcm"] = _numbers(folder / "profile.dcm", json.loads(out.read_text()))
    return found


def _numbers(path: Path, read: dict[str, list[dict[str, object]]]) -> str:
    def told(ds: object) -> list[float]:
        values = []
        for item in ds.get("ContentSequence", ()):  # type: ignore[attr-defined]
            if item.ValueType == "NUM":
                values.append(float(item.MeasuredValueSequence[0].NumericValue))
            values += told(item)
        return values

    back = [float(one["value"]) for group in read["Measurements"] for one in group.get("measurementItems", [])]
    return "equal" if np.allclose(sorted(back), sorted(told(dcmread(path)))) else "other numbers"


def in_orthanc(folder: Path, case: Case) -> dict[str, str]:
    """Store every object in an empty archive, and retrieve it."""
    if archive.MISSING:
        return dict.fromkeys(FILES, archive.MISSING)
    found = {}
    with tempfile.TemporaryDirectory() as scratch, archive.running(Path(scratch)) as held:
        for name in FILES:
            held.store((folder / name).read_bytes())
        series = {one["0020000E"]["Value"][0] for one in held.find("/series")}
        for name in FILES:
            ds = dcmread(folder / name)
            data = held.retrieve(ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID)
            same = dcmread(BytesIO(data)).to_json() == ds.to_json() and ds.SeriesInstanceUID in series
            found[name] = "equal" if same else "other elements"
    return found


if __name__ == "__main__":
    main()

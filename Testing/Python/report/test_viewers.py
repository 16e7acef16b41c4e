"""Other people's programs open a case's objects: voxels, places, names and numbers are read back as written."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydicom import dcmread

from DeepRadScoreLib.endpoints import KEYS
from DeepRadScoreLib.imaging import read_case
from DeepRadScoreLib.report.dicom import PageForm
from DeepRadScoreLib.report.dicom.writing import to_dicom, to_dicom_pages, write_dicom
from support import dicom_results
from support.viewers import in_cornerstone, in_dcmqi, in_dcmtk, in_highdicom, standard
from support.viewers.reading import Plane, Read, verdict, voxels_of, written

MAPS = (*(f"gradcam_{key}.dcm" for key in KEYS), "occlusion_EGFR.dcm")
OBJECTS = ("tumour.dcm", "regions.dcm", *MAPS, "profile.dcm")
EXPECTED = {
    in_highdicom: {},
    in_dcmqi: {},
    in_dcmtk: dict.fromkeys(MAPS, "equal; not drawn"),
    in_cornerstone: {"profile.dcm": "equal; 1 as annotations"},
}
OWN_GRID = "regions.dcm"
"""Nothing made with cornerstone opens it: docs/who-opens-what.md."""


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    """The folder of the objects, and that of the CT."""
    folder = tmp_path_factory.mktemp("viewers")
    case = read_case(dicom_results.study(folder / "study"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dicom_results, "MAPS", KEYS)
        profile = dicom_results.profile_of(case)
    profile = replace(profile, occlusion={"EGFR": 3 * profile.gradcam["EGFR"] - 1})
    files = to_dicom(profile, case)
    for form in PageForm:
        files |= to_dicom_pages(profile, case, form)
    write_dicom(files, folder / "dicom")
    return folder / "dicom", folder / "study" / "ct"


@pytest.mark.parametrize("program", EXPECTED, ids=lambda one: one.__name__.rpartition(".")[2])
def test_each_object_is_read_back(program, objects):
    if program.MISSING:
        pytest.skip(program.MISSING)
    folder, ct = objects
    files = [folder / name for name in OBJECTS if program is not in_cornerstone or name != OWN_GRID]
    found = program.read(files, ct)
    told = {path.name: verdict(written(path), found[path.name]) for path in files}
    assert told == {path.name: EXPECTED[program].get(path.name, "equal") for path in files}


@pytest.mark.skipif(standard.MISSING != "", reason=standard.MISSING)
def test_nothing_is_against_the_tables_of_the_standard(objects, tmp_path):
    folder, _ = objects
    files = sorted(folder.glob("*.dcm"))
    broken = tmp_path / "broken.dcm"
    ds = dcmread(folder / "gradcam_EGFR.dcm")
    del ds.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence[0].RescaleType
    ds.save_as(broken)
    found = standard.complaints([*files, broken])
    (told,) = found.pop("broken.dcm")
    assert told == "Identity Pixel Value Transformation: (5200,9229) / (0028,9145) / (0028,1054) TagMissing"
    assert found == {path.name: [] for path in files}
    assert {"page.dcm", "page_1.dcm", *OBJECTS} <= set(found)


@pytest.mark.parametrize(
    "change",
    [
        {"position": (0, 0, 3.02)},
        {"orientation": (0, 1, 0, 1, 0, 0)},
        {"spacing": (0.5, 0.71)},
        {"segment": 2},
        {"values": np.eye(3, k=1)},
        {"values": np.zeros((3, 3))},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_difference_is_told(change):
    plane = {"values": np.eye(3), "position": (0, 0, 3), "orientation": (1, 0, 0, 0, 1, 0), "spacing": (0.5, 0.7)}
    ours = Read(voxels_of([Plane(**plane, segment=1)]), {1: "Tumour"})
    assert verdict(ours, ours) == "equal"
    assert verdict(ours, Read(voxels_of([Plane(**{**plane, "segment": 1, **change})]), {1: "Tumour"})) != "equal"


def test_other_names_numbers_and_values_are_told():
    assert verdict(Read(names={1: "Tumour"}), Read(names={1: "Shell"})) == "names {1: 'Shell'}"
    assert verdict(Read(numbers=(1.0, 2.0)), Read(numbers=(2.0, 1.1))) == "other numbers"
    heat = [Plane(np.array([[value]]), (0, 0, 0), (1, 0, 0, 0, 1, 0), (1, 1)) for value in (0.5, 0.6)]
    assert verdict(*(Read(voxels_of([one])) for one in heat)) == "other values"

"""The series of given files without their pixels: what is made of it is what reading the case makes."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
import SimpleITK as sitk

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging import Case, read_case
from DeepRadScoreLib.imaging.dicom.source_files import source_steps
from DeepRadScoreLib.progress import run_to_end
from DeepRadScoreLib.report.dicom.writing import to_dicom
from support import dicom_phantoms as made
from support.dicom_results import HU, OBLIQUE, TUMOUR, TURNED, profile_of, study


def files_of(folder: Path) -> list[Path]:
    found = sorted(folder.iterdir())
    random.Random(3).shuffle(found)
    return found


@pytest.mark.parametrize("orientation", [None, TURNED, OBLIQUE], ids=["axial", "turned", "oblique"])
def test_objects_are_the_same_bytes_as_of_the_case_that_was_read(tmp_path, orientation):
    root = study(tmp_path, **({} if orientation is None else {"orientation": orientation}))
    case = read_case(root)
    steps = source_steps(files_of(root / "ct"))
    assert next(steps).startswith("reading the headers")
    source, grid = run_to_end(steps)
    profile = profile_of(case)
    assert grid.GetSize() == case.ct.GetSize() and not sitk.GetArrayViewFromImage(grid).any()
    assert to_dicom(profile, replace(case, ct=grid, source=source)) == to_dicom(profile, case)


def test_the_frames_of_one_file_are_its_slices(tmp_path):
    made.save([made.enhanced_ct(HU)], tmp_path / "ct")
    mask = sitk.GetImageFromArray(TUMOUR)
    mask.SetSpacing(made.SPACING)
    mask.SetOrigin(made.ORIGIN)
    sitk.WriteImage(mask, str(tmp_path / "m.nii.gz"))
    case = read_case(tmp_path / "ct", tmp_path / "m.nii.gz")
    source, grid = run_to_end(source_steps(files_of(tmp_path / "ct")))
    again = Case(case.case_id, grid, case.tumour, source=source)
    assert to_dicom(profile_of(case), again) == to_dicom(profile_of(case), case)


def test_what_is_not_one_upright_stack_is_refused_in_a_sentence(tmp_path):
    tilted = files_of(study(tmp_path / "tilted", shear=(0.0, 0.5)) / "ct")
    with pytest.raises(InputError, match="tilted gantry: the volume in the scene is not on its slices"):
        run_to_end(source_steps(tilted))
    files = sorted((study(tmp_path / "gap") / "ct").iterdir())
    with pytest.raises(InputError, match=r"missing|uneven"):
        run_to_end(source_steps([*files[:4], *files[6:]]))
    files[0].write_text("no image")
    with pytest.raises(InputError, match="this is no DICOM file"):
        run_to_end(source_steps(files))

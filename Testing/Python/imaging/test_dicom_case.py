"""A whole case from DICOM: CT and mask found, paired and read by the same function as NRRD and NIfTI."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom import Dataset

from DeepRadScoreLib.errors import DeepRadScoreError, InputError, MissingPackageError, RegionError
from DeepRadScoreLib.imaging import Case, prepare, read_case
from support import dicom_phantoms as made
from support.dicom_mask_makers import rtstruct_file, seg_file

HU = made.chest()
TUMOUR = np.zeros(HU.shape, np.uint8)
TUMOUR[4:8, 16:24, 20:28] = 1
STUDY = {
    "PatientSex": "F",
    "StudyTime": "120000",
    "StudyID": "1",
    "Manufacturer": "Maker",
    "PositionReferenceIndicator": "",
}


def voxels(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)


def codes(case: Case) -> set[str]:
    return {note.code for note in case.notes}


def ct_series(hu: np.ndarray = HU, **tags: object) -> list[Dataset]:
    return made.ct_series(hu, **STUDY, **tags)


def marked_words(text: str) -> list[str]:
    return [value for value in ("MARKED", "Marked", "19010203", "19020304") if value in text]


@pytest.fixture
def study(tmp_path: Path) -> tuple[Path, list[Dataset]]:
    """A folder with one CT (in `ct`), and a SEG of its tumour (in `other`)."""
    series = ct_series()
    made.save(series, tmp_path / "study" / "ct", suffix="", seed=4)
    (tmp_path / "study" / "other").mkdir()
    seg_file(tmp_path / "study" / "other" / "seg.dcm", series, TUMOUR)
    return tmp_path / "study", series


@pytest.mark.parametrize(
    ("folder", "ct", "mask", "count"),
    [
        ("ibsi/ct_phantom", "nifti/image/phantom.nii.gz", "nifti/mask/mask.nii.gz", 125256),
        ("ct-radiomics-phantom/pat_2", "pat_2_ct.nii.gz", "pat_2_gtv.nii.gz", None),
    ],
)
def test_dicom_and_nifti_of_a_patient_are_prepared_alike(
    shared: Path, folder: str, ct: str, mask: str, count: int | None
) -> None:
    root = shared / "data" / folder
    dicom, nifti = read_case(root / "dicom"), read_case(root / ct, root / mask)
    np.testing.assert_array_equal(voxels(dicom.tumour), voxels(nifti.tumour))
    assert count in (None, int(voxels(dicom.tumour).sum()))
    first, second = prepare(dicom), prepare(nifti)
    for name in ("image", "tumour", "peritumoral"):
        one, other = getattr(first, name), getattr(second, name)
        np.testing.assert_array_equal(voxels(one), voxels(other))
        assert one.GetPixelID() == other.GetPixelID()
        for get in ("GetOrigin", "GetSpacing", "GetDirection"):
            assert getattr(one, get)() == getattr(other, get)()
    np.testing.assert_array_equal(first.patch.hu, second.patch.hu)


def test_mask_as_file_as_folder_and_found(study: tuple[Path, list[Dataset]]) -> None:
    root, _ = study
    for ct, mask in (
        (root, None),
        (root / "ct", root / "other" / "seg.dcm"),
        (root / "ct", root / "other"),
        (root, root),
    ):
        case = read_case(ct, mask)
        np.testing.assert_array_equal(voxels(case.tumour), TUMOUR)
        np.testing.assert_array_equal(voxels(case.ct), HU)
        assert case.notes == () and case.case_id.startswith("case-") and len(case.case_id) == 17
    assert prepare(read_case(root, case_id="A")).case_id == "A"


def test_nrrd_mask_on_a_dicom_ct(study: tuple[Path, list[Dataset]], tmp_path: Path) -> None:
    root, _ = study
    mask = sitk.GetImageFromArray(TUMOUR * 3)
    mask.CopyInformation(read_case(root).ct)
    sitk.WriteImage(mask, str(tmp_path / "m.nrrd"))
    case = read_case(root / "ct", tmp_path / "m.nrrd", label=3)
    np.testing.assert_array_equal(voxels(case.tumour), TUMOUR)
    shutil.copy(tmp_path / "m.nrrd", root / "ct")
    np.testing.assert_array_equal(voxels(read_case(root, lung_mask=tmp_path / "m.nrrd").lung), TUMOUR)


def test_the_series_that_the_mask_refers_to(study: tuple[Path, list[Dataset]]) -> None:
    root, series = study
    same = {key: series[0].get(key) for key in ("FrameOfReferenceUID", "StudyInstanceUID")}
    other = ct_series(HU[::-1], **same)
    made.save(other, root / "thin")
    np.testing.assert_array_equal(voxels(read_case(root).ct), HU)
    chosen = read_case(root, series=other[0].SeriesInstanceUID)
    np.testing.assert_array_equal(voxels(chosen.ct), HU[::-1])
    assert codes(chosen) == {"mask_of_another_series"}
    shutil.rmtree(root / "ct")
    assert codes(read_case(root)) == {"mask_of_another_series"}


def test_the_phase_that_the_mask_refers_to(study: tuple[Path, list[Dataset]]) -> None:
    root, series = study
    keys = ("SeriesInstanceUID", "FrameOfReferenceUID", "StudyInstanceUID")
    later = ct_series(HU[::-1], AcquisitionNumber=2, **{key: series[0].get(key) for key in keys})
    made.save(later, root / "later")
    case = read_case(root)
    np.testing.assert_array_equal(voxels(case.ct), HU)
    assert codes(case) == {"one_of_several_phases"}


def test_one_of_several_masks(study: tuple[Path, list[Dataset]]) -> None:
    root, series = study
    rtstruct_file(root / "other" / "rs.dcm", series, [("GTV", ())])
    with pytest.raises(InputError, match=r"2 DICOM SEG or RTSTRUCT files.*other/rs\.dcm, other/seg\.dcm"):
        read_case(root)
    np.testing.assert_array_equal(voxels(read_case(root, root / "other" / "seg.dcm").tumour), TUMOUR)
    other = ct_series(HU[::-1])
    made.save(other, root / "second")
    seg_file(root / "second.seg", other, np.roll(TUMOUR, 1, 1))
    (root / "other" / "rs.dcm").unlink()
    case = read_case(root, series=other[0].SeriesInstanceUID)
    np.testing.assert_array_equal(voxels(case.tumour), np.roll(TUMOUR, 1, 1))


def test_segments_by_name_and_number(study: tuple[Path, list[Dataset]]) -> None:
    root, series = study
    both = np.stack([TUMOUR, np.roll(TUMOUR, 9, 2)], -1)
    seg_file(root / "other" / "seg.dcm", series, both, labels=("GTV-1", "GTV-2"))
    with pytest.raises(RegionError, match='"GTV-1", "GTV-2"'):
        read_case(root)
    for chosen in ({"segment": "gtv-2"}, {"label": 2}):
        case = read_case(root, **chosen)
        np.testing.assert_array_equal(voxels(case.tumour), both[..., 1])
        assert case.other_tumours is not None
        np.testing.assert_array_equal(voxels(case.other_tumours), both[..., 0])


def other_patient(root: Path, series: list[Dataset], scratch: Path) -> dict[str, object]:
    other = ct_series(PatientID="MARKEDID2", FrameOfReferenceUID=series[0].FrameOfReferenceUID)
    return {"mask": seg_file(scratch / "s.dcm", other, TUMOUR)}


def other_frame(root: Path, series: list[Dataset], scratch: Path) -> dict[str, object]:
    return {"mask": seg_file(scratch / "s.dcm", ct_series(), TUMOUR)}


def no_mask(root: Path, series: list[Dataset], scratch: Path) -> dict[str, object]:
    return {"ct": root / "ct"}


def ct_as_mask(root: Path, series: list[Dataset], scratch: Path) -> dict[str, object]:
    return {"mask": next((root / "ct").iterdir())}


def missing_mask(root: Path, series: list[Dataset], scratch: Path) -> dict[str, object]:
    return {"mask": root / "none.dcm"}


def empty_folder(root: Path, series: list[Dataset], scratch: Path) -> dict[str, object]:
    (scratch / "e").mkdir()
    return {"mask": scratch / "e"}


def nrrd_ct(root: Path, series: list[Dataset], scratch: Path) -> dict[str, object]:
    sitk.WriteImage(read_case(root).ct, str(scratch / "ct.nrrd"))
    return {"ct": scratch / "ct.nrrd", "mask": root / "other" / "seg.dcm"}


def nrrd_series(root: Path, series: list[Dataset], scratch: Path) -> dict[str, object]:
    return {**nrrd_ct(root, series, scratch), "series": "1.2.3"}


def nrrd_alone(root: Path, series: list[Dataset], scratch: Path) -> dict[str, object]:
    return {"ct": nrrd_ct(root, series, scratch)["ct"]}


def no_air(root: Path, series: list[Dataset], scratch: Path) -> dict[str, object]:
    keys = ("SeriesInstanceUID", "FrameOfReferenceUID", "StudyInstanceUID")
    window = ct_series(np.maximum(HU, 0), **{key: series[0].get(key) for key in keys})
    made.save(window, root / "ct", suffix="", seed=4)
    return {}


def two_cts_unreferenced(root: Path, series: list[Dataset], scratch: Path) -> dict[str, object]:
    keys = ("FrameOfReferenceUID", "StudyInstanceUID")
    for name in ("a", "b"):
        made.save(ct_series(**{key: series[0].get(key) for key in keys}), root / name)
    shutil.rmtree(root / "ct")
    return {}


def a_zip(root: Path, series: list[Dataset], scratch: Path) -> dict[str, object]:
    return {"ct": Path(shutil.make_archive(str(scratch / "all"), "zip", root))}


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (other_patient, r"another patient: \(0010,0020\) PatientID"),
        (other_frame, r"another frame of reference: \(0020,0052\) FrameOfReferenceUID"),
        (no_mask, "no DICOM SEG or RTSTRUCT in the folder"),
        (ct_as_mask, r"neither a DICOM SEG nor an RTSTRUCT, see \(0008,0016\) SOPClassUID"),
        (missing_mask, "does not exist"),
        (empty_folder, "no DICOM SEG or RTSTRUCT in the folder"),
        (nrrd_ct, "placed only on a CT in DICOM"),
        (nrrd_series, "a series can be chosen only in DICOM"),
        (nrrd_alone, "no mask was given"),
        (no_air, "not in HU"),
        (two_cts_unreferenced, "2 CT series and none was chosen"),
        (a_zip, "zip archive"),
    ],
)
def test_refused_with_a_sentence_and_no_patient(study, tmp_path: Path, make, sentence: str, capfd, caplog) -> None:
    root, series = study
    given = {"ct": root, "mask": None, **make(root, series, tmp_path)}
    with pytest.raises(DeepRadScoreError, match=sentence) as refused:
        read_case(**given)
    assert marked_words(str(refused.value) + "".join(capfd.readouterr()) + caplog.text) == []


def test_no_patient_in_what_a_case_holds(study: tuple[Path, list[Dataset]]) -> None:
    root, _ = study
    root = root.rename(root.parent / "MARKEDNAME")
    prepared = prepare(read_case(root))
    assert marked_words(prepared.case_id + "".join(note.message for note in prepared.quality)) == []
    assert not any(marked_words(key) for key in prepared.image.GetMetaDataKeys())


def test_enhanced_ct_alone_with_its_mask(tmp_path: Path) -> None:
    (path,) = made.save([made.enhanced_ct(HU)], tmp_path / "ct")
    mask = sitk.GetImageFromArray(TUMOUR)
    mask.SetSpacing(made.SPACING)
    mask.SetOrigin(made.ORIGIN)
    sitk.WriteImage(mask, str(tmp_path / "m.nii.gz"))
    case = read_case(path, tmp_path / "m.nii.gz")
    np.testing.assert_array_equal(voxels(case.tumour), TUMOUR)
    assert case.notes == ()


def test_an_old_pydicom_is_one_sentence_and_closes_only_dicom(
    study: tuple[Path, list[Dataset]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = study
    case = read_case(folder)
    ct, mask = folder / "ct.nrrd", folder / "mask.nrrd"
    sitk.WriteImage(case.ct, str(ct))
    sitk.WriteImage(case.tumour, str(mask))
    monkeypatch.setattr(pydicom, "__version__", "2.4.4")
    for name in [name for name in sys.modules if name.startswith("DeepRadScoreLib.imaging.dicom")]:
        monkeypatch.delitem(sys.modules, name)
    for _ in range(2):
        with pytest.raises(MissingPackageError, match=r"^pydicom: pydicom 2\.4\.4 is too old .*; in 3D Slicer .*\.$"):
            read_case(folder)
    np.testing.assert_array_equal(voxels(read_case(ct, mask).tumour), voxels(case.tumour))

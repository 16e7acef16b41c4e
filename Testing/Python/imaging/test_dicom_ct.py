"""CT from DICOM: against SimpleITK's own reader, against what was written, and damaged on purpose."""

from __future__ import annotations

import gc
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import gdcm
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.fileset import FileSet
from pydicom.uid import ImplicitVRLittleEndian, MRImageStorage, RLELossless, SecondaryCaptureImageStorage, generate_uid

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging.dicom.ct import CtSeries, read_ct
from DeepRadScoreLib.imaging.dicom.pixels import read_pixels
from DeepRadScoreLib.imaging.dicom.series import find_series
from support import dicom_phantoms as made

HU = made.chest()
SYNTAXES = {
    "rle": gdcm.TransferSyntax.RLELossless,
    "jpeg-lossless": gdcm.TransferSyntax.JPEGLosslessProcess14,
    "jpeg-lossless-sv1": gdcm.TransferSyntax.JPEGLosslessProcess14_1,
    "jpeg-ls": gdcm.TransferSyntax.JPEGLSLossless,
    "jpeg-2000": gdcm.TransferSyntax.JPEG2000Lossless,
    "deflated": gdcm.TransferSyntax.DeflatedExplicitVRLittleEndian,
    "big-endian": gdcm.TransferSyntax.ExplicitVRBigEndian,
    "implicit": gdcm.TransferSyntax.ImplicitVRLittleEndian,
}


def voxels(ct: CtSeries) -> np.ndarray:
    return sitk.GetArrayFromImage(ct.image)


def codes(ct: CtSeries) -> set[str]:
    return {note.code for note in ct.notes}


def by_simpleitk(folder: Path, uid: str = "") -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder), uid))
    return reader.Execute()


def assert_same(ct: CtSeries, other: sitk.Image, tolerance: float = 1e-9) -> None:
    np.testing.assert_array_equal(voxels(ct), sitk.GetArrayViewFromImage(other))
    for get in ("GetSpacing", "GetOrigin", "GetDirection"):
        np.testing.assert_allclose(getattr(ct.image, get)(), getattr(other, get)(), rtol=0, atol=tolerance)


def rotation(*degrees: float) -> np.ndarray:
    a, b = np.radians(degrees)
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    return about_x @ np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])


@pytest.mark.parametrize(
    ("dicom", "nifti"),
    [
        ("ibsi/ct_phantom/dicom/image", "ibsi/ct_phantom/nifti/image/phantom.nii.gz"),
        ("ct-radiomics-phantom/pat_2/dicom", "ct-radiomics-phantom/pat_2/pat_2_ct.nii.gz"),
    ],
)
def test_shared_series_as_simpleitk_and_as_nifti(shared: Path, dicom: str, nifti: str) -> None:
    ct = read_ct((shared / "data" / dicom).parent if dicom.endswith("image") else shared / "data" / dicom)
    assert ct.notes == () and ct.image.GetPixelID() == sitk.sitkInt16
    assert_same(ct, by_simpleitk(shared / "data" / dicom, ct.series_uid))
    assert_same(ct, sitk.ReadImage(str(shared / "data" / nifti)), 1e-5)


def test_order_names_and_folders_do_not_matter(tmp_path: Path) -> None:
    series = made.ct_series(HU)
    made.save(series, tmp_path / "plain")
    paths = made.save(series, tmp_path / "odd", suffix="", seed=3)
    for n, path in enumerate(paths):
        (tmp_path / "odd" / f"d{n % 3}" / "x").mkdir(parents=True, exist_ok=True)
        path.rename(tmp_path / "odd" / f"d{n % 3}" / "x" / path.name)
    (tmp_path / "odd" / "notes.txt").write_text("nothing")
    plain, odd = read_ct(tmp_path / "plain"), read_ct(tmp_path / "odd")
    np.testing.assert_array_equal(voxels(plain), HU)
    assert_same(odd, plain.image)
    assert_same(plain, by_simpleitk(tmp_path / "plain"))
    assert odd.sop_uids == plain.sop_uids == tuple(ds.SOPInstanceUID for ds in series)
    assert odd.notes == () and find_series(tmp_path / "odd").not_dicom == 1
    assert [dcmread(member.path).SOPInstanceUID for member in odd.members] == list(odd.sop_uids)
    first = series[0]
    assert (odd.study_uid, odd.frame_of_reference_uid) == (first.StudyInstanceUID, first.FrameOfReferenceUID)
    assert odd.patient_key == "MARKEDID" and "MARKED" not in repr(odd)


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("signed", [False, True])
def test_transfer_syntaxes(tmp_path: Path, syntax: str, signed: bool) -> None:
    for path in made.save(made.ct_series(HU, signed=signed, intercept=0 if signed else -1024), tmp_path):
        made.compress(path, SYNTAXES[syntax])
    ct = read_ct(tmp_path)
    np.testing.assert_array_equal(voxels(ct), HU)
    assert ct.notes == ()


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("implicit", [False, True])
def test_bits_that_are_not_stored_do_not_count(tmp_path: Path, signed: bool, implicit: bool) -> None:
    datasets = made.ct_series(HU, signed=signed, intercept=0 if signed else -1024, BitsStored=13, HighBit=12)
    for ds in datasets:
        plain = np.frombuffer(ds.PixelData, "<u2")
        ds.PixelData = (plain ^ np.uint16(0b101 << 13)).tobytes()
    for path in made.save(datasets, tmp_path):
        if implicit:
            made.compress(path, SYNTAXES["implicit"])
        read = dcmread(path)
        (one,) = (one for one in find_series(path)[read.SeriesInstanceUID].images)
        np.testing.assert_array_equal(read_pixels(one)[0], read.pixel_array)
    np.testing.assert_array_equal(voxels(read_ct(tmp_path)), HU)


def test_signed_oblique_in_reverse_against_simpleitk(tmp_path: Path) -> None:
    turned = rotation(20, -15)
    series = made.ct_series(HU, orientation=turned.T[:2], signed=True, intercept=0, origin=(3, 2, 1))
    made.save(series[::-1], tmp_path)
    ct = read_ct(tmp_path)
    assert_same(ct, by_simpleitk(tmp_path), 1e-5)
    np.testing.assert_allclose(np.reshape(ct.image.GetDirection(), (3, 3)), turned, atol=1e-6)
    np.testing.assert_array_equal(voxels(ct), HU)


def test_rescale_of_each_slice(tmp_path: Path) -> None:
    slopes, intercepts = np.where(np.arange(len(HU)) % 2, 2.0, 1.0), -1024.0 - np.arange(len(HU))
    series = made.ct_series(HU, slope=slopes, intercept=intercepts)
    made.save(series, tmp_path / "whole")
    ct = read_ct(tmp_path / "whole")
    stored = np.stack([ds.pixel_array for ds in series]).astype(int)
    np.testing.assert_array_equal(voxels(ct), stored * slopes[:, None, None] + intercepts[:, None, None])
    assert ct.image.GetPixelID() == sitk.sitkInt16
    made.save(made.ct_series(HU, slope=0.37, intercept=-1024.5), tmp_path / "fractions")
    fractions = read_ct(tmp_path / "fractions")
    assert fractions.image.GetPixelID() == sitk.sitkFloat64
    assert_same(fractions, by_simpleitk(tmp_path / "fractions"))


def test_values_beyond_16_bits_are_kept(tmp_path: Path) -> None:
    made.save(made.ct_series(np.where(HU > 0, 40000, HU)), tmp_path)
    assert voxels(read_ct(tmp_path)).max() == 40000


@pytest.mark.parametrize("order", [None, [7, 3, 0, 11, 2, 9, 1, 10, 5, 4, 8, 6]])
def test_enhanced_multi_frame(tmp_path: Path, order: list[int] | None) -> None:
    image = made.enhanced_ct(HU, order=order, slopes=np.where(np.arange(len(HU)) == 4, 2.0, 1.0))
    image.RescaleSlope, image.ImagePositionPatient = 5, [1, 2, 3]  # the functional groups override these
    (path,) = made.save([image], tmp_path)
    ct = read_ct(path)
    expected = HU.astype(int)
    expected[4] = np.rint((HU[4] + 1024) / 2) * 2 - 1024
    np.testing.assert_array_equal(voxels(ct), expected)
    np.testing.assert_allclose(ct.image.GetSpacing(), made.SPACING)
    np.testing.assert_allclose(ct.image.GetOrigin(), made.ORIGIN)
    assert ct.sop_uids == (image.SOPInstanceUID,) * len(HU)
    image.compress(RLELossless)
    made.save([image], tmp_path)
    np.testing.assert_array_equal(voxels(read_ct(tmp_path)), expected)


def test_multi_frame_geometry_as_highdicom(tmp_path: Path) -> None:
    highdicom = pytest.importorskip("highdicom")
    made.save([made.enhanced_ct(HU, order=range(len(HU))[::-1])], tmp_path)
    ct = read_ct(tmp_path)
    volume = highdicom.imread(tmp_path / "0000.dcm").get_volume(apply_real_world_transform=False)
    corner = volume.map_indices_to_reference(np.array([[0, 0, 0], [11, 39, 47]]))
    ours = [ct.image.TransformIndexToPhysicalPoint(p) for p in ((0, 0, 0), (47, 39, 11))]
    same_order = np.allclose(corner, ours)
    np.testing.assert_array_equal(volume.array[:: 1 if same_order else -1], HU)
    if not same_order:
        corner = volume.map_indices_to_reference(np.array([[11, 0, 0], [0, 39, 47]]))
    np.testing.assert_allclose(corner, ours, atol=1e-6)


def test_series_by_uid_by_reference_or_asked_for(tmp_path: Path) -> None:
    first, second = made.ct_series(HU), made.ct_series(HU[:6] + 5, SliceThickness=5)
    scout = made.ct_series(HU[:1], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    made.save([*first, *second, *scout], tmp_path, seed=1)
    one, two = first[0].SeriesInstanceUID, second[0].SeriesInstanceUID
    with pytest.raises(InputError, match="2 CT series") as refused:
        read_ct(tmp_path)
    text = str(refused.value)
    assert f"--series UID: {one} (12 slices of 2.5 mm); {two} (6 slices of 5.0 mm)" in text and "MARKED" not in text
    assert voxels(read_ct(tmp_path, series=two)).shape[0] == 6
    assert voxels(read_ct(tmp_path, referenced=one)).shape[0] == 12
    assert voxels(read_ct(tmp_path, series=two, referenced=one)).shape[0] == 6
    with pytest.raises(InputError, match=r"refers to the series 1\.2\.3, which is not there"):
        read_ct(tmp_path, referenced="1.2.3")
    with pytest.raises(InputError, match=r"no series 1\.2\.3"):
        read_ct(tmp_path, series="1.2.3")
    with pytest.raises(InputError, match=r"no CT images, only localizers.*\(0008,0008\)"):
        read_ct(tmp_path, series=scout[0].SeriesInstanceUID)


def test_copies_are_dropped(tmp_path: Path) -> None:
    series = made.ct_series(HU)
    made.save(series, tmp_path / "a")
    made.save(series[3:5], tmp_path / "b")
    again = made.ct_series(HU)[7]
    again.SeriesInstanceUID, again.FrameOfReferenceUID = series[0].SeriesInstanceUID, series[0].FrameOfReferenceUID
    made.save([again], tmp_path / "c")
    ct = read_ct(tmp_path)
    np.testing.assert_array_equal(voxels(ct), HU)
    assert codes(ct) == {"doubled_slices_dropped"} and "3 slices" in ct.notes[0].message


def two_phases(keyword: str, values: tuple[object, object] = (1, 2)) -> tuple[list[Dataset], np.ndarray]:
    first = made.ct_series(HU, **{keyword: values[0]})
    uids = {key: first[0].get(key) for key in ("SeriesInstanceUID", "FrameOfReferenceUID", "StudyInstanceUID")}
    return first + made.ct_series(HU[::-1], **{keyword: values[1]}, **uids), HU[::-1]


@pytest.mark.parametrize(
    ("keyword", "values"),
    [
        ("AcquisitionNumber", (9, 10)),
        ("TemporalPositionIdentifier", (1, 2)),
        ("AcquisitionTime", ("101010", "101130.5")),
        ("ConvolutionKernel", ("B30f", "B70f")),
    ],
)
def test_phases_in_one_series(tmp_path: Path, keyword: str, values: tuple[object, object]) -> None:
    both, later = two_phases(keyword, values)
    made.save(both, tmp_path, seed=5)
    uid = both[0].SeriesInstanceUID
    with pytest.raises(InputError, match=f"2 phases; choose one with --series: {uid}/1 \\(12 slices from -100.0 to"):
        read_ct(tmp_path)
    np.testing.assert_array_equal(voxels(read_ct(tmp_path, series=f"{uid}/1")), HU)
    chosen = read_ct(tmp_path, series=f"{uid}/2")
    np.testing.assert_array_equal(voxels(chosen), later)
    assert codes(chosen) == {"one_of_several_phases"}
    chosen = read_ct(tmp_path, referenced=uid, referenced_sops=[both[15].SOPInstanceUID])
    np.testing.assert_array_equal(voxels(chosen), later)
    for wrong in ("3", "0", "x"):
        with pytest.raises(InputError, match="phase"):
            read_ct(tmp_path, series=f"{uid}/{wrong}")


def test_localizer_in_the_series_is_left_out(tmp_path: Path) -> None:
    series = made.ct_series(HU)
    scouts = made.ct_series(HU[:2], orientation=((1, 0, 0), (0, 0, -1)))
    marked = made.ct_series(HU[:1], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    capture = made.ct_series(HU[:1], SOPClassUID=SecondaryCaptureImageStorage)
    for other in (*scouts, *marked, *capture):
        other.SeriesInstanceUID, other.FrameOfReferenceUID = series[0].SeriesInstanceUID, series[0].FrameOfReferenceUID
    made.save([*scouts, *series, *marked, *capture], tmp_path, seed=2)
    ct = read_ct(tmp_path)
    np.testing.assert_array_equal(voxels(ct), HU)
    assert codes(ct) == {"localizer_left_out"} and "4 images" in ct.notes[0].message


@pytest.mark.parametrize("shear", [(0.0, 0.9), (0.25, -0.5)])
def test_gantry_tilt_moves_slices_within_their_planes(tmp_path: Path, shear: tuple[float, float]) -> None:
    """A field linear in patient position, which cubic B-splines reproduce: after the mend every voxel has the value
    of its position."""
    turned = rotation(-18, 0)
    slope = np.array([4.0, -7.0, 3.0])
    axes = np.stack([*turned.T[:2], np.cross(*turned.T[:2])])
    k, j, i = np.indices(HU.shape)
    steps = np.stack([i * made.SPACING[0] + k * shear[0], j * made.SPACING[1] + k * shear[1], k * made.SPACING[2]], -1)
    field = (np.array(made.ORIGIN) + steps @ axes) @ slope
    made.save(made.ct_series(field, orientation=turned.T[:2], shear=shear, slope=0.05, intercept=-2000), tmp_path)
    ct = read_ct(tmp_path)
    assert codes(ct) == {"gantry_tilt_resampled"}
    angle = np.degrees(np.arctan(np.hypot(*shear) / made.SPACING[2]))
    assert f"tilted by {angle:.1f} degrees" in ct.notes[0].message
    direction = np.reshape(ct.image.GetDirection(), (3, 3))
    np.testing.assert_allclose(direction.T @ direction, np.eye(3), atol=1e-9)
    values = voxels(ct)
    k, j, i = np.indices(values.shape)
    grid = np.stack([i, j, k], -1) * ct.image.GetSpacing()
    expected = (np.array(ct.image.GetOrigin()) + grid @ direction.T) @ slope
    filled = values != -1000
    assert filled.sum() >= HU.size * 0.9
    inner = filled & np.roll(filled, 3, 1) & np.roll(filled, -3, 1) & np.roll(filled, 3, 2) & np.roll(filled, -3, 2)
    assert np.abs(values - expected)[inner].max() < 1.0 and np.median(np.abs(values - expected)[inner]) < 0.02
    assert len(ct.sop_uids) == len(HU)


def test_rounded_positions(tmp_path: Path) -> None:
    fine = made.ct_series(HU, spacing=(0.7, 0.8, 1.25))
    for ds in fine:
        ds.ImagePositionPatient[2] = np.round(float(ds.ImagePositionPatient[2]), 2)
    made.save(fine, tmp_path / "fine")
    assert read_ct(tmp_path / "fine").notes == ()
    for ds in fine:
        ds.ImagePositionPatient[2] = np.floor(float(ds.ImagePositionPatient[2]) * 10 + 0.5) / 10
    made.save(fine, tmp_path / "coarse")
    coarse = read_ct(tmp_path / "coarse")
    assert codes(coarse) == {"uneven_spacing"} and "0.05 mm" in coarse.notes[0].message


def test_spacing_is_not_the_thickness(tmp_path: Path) -> None:
    made.save(made.ct_series(HU, SliceThickness=1, SpacingBetweenSlices=9), tmp_path)
    assert read_ct(tmp_path).image.GetSpacing()[2] == pytest.approx(2.5)


def test_odd_files_among_good_ones(tmp_path: Path) -> None:
    made.save(made.ct_series(HU), tmp_path)
    (tmp_path / "empty.dcm").touch()
    Image.new("L", (8, 8)).save(tmp_path / "photo.jpg")
    (tmp_path / "photo.jpg").rename(tmp_path / "photo.dcm")
    (tmp_path / "cut.dcm").write_bytes((tmp_path / "0000.dcm").read_bytes()[:400])
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.writestr("a", "b")
    ct = read_ct(tmp_path)
    np.testing.assert_array_equal(voxels(ct), HU)
    assert codes(ct) == {"empty_files", "misnamed_files", "damaged_files", "zip_files"}


def test_dicomdir(tmp_path: Path) -> None:
    files = FileSet()
    for ds in made.ct_series(HU, StudyID="1", StudyTime="101010"):
        files.add(ds)
    files.write(tmp_path)
    for given in (tmp_path, tmp_path / "DICOMDIR"):
        ct = read_ct(given)
        np.testing.assert_array_equal(voxels(ct), HU)
        assert ct.notes == ()


def test_files_without_preamble(tmp_path: Path) -> None:
    made.save(made.ct_series(HU), tmp_path)
    for path in tmp_path.iterdir():
        ds = dcmread(path)
        bare = Dataset({element.tag: element for element in ds})
        bare.save_as(path, implicit_vr=True, little_endian=True, enforce_file_format=False)
        assert ImplicitVRLittleEndian and path.read_bytes()[:2] == b"\x08\x00"
    np.testing.assert_array_equal(voxels(read_ct(tmp_path)), HU)


@pytest.mark.parametrize(("signed", "intercept", "value"), [(True, 0, -2000), (True, -1024, -32768), (False, -1024, 0)])
def test_padding(tmp_path: Path, signed: bool, intercept: int, value: int) -> None:
    series = made.ct_series(HU, signed=signed, intercept=intercept)
    for ds in series:
        stored = ds.pixel_array.copy()
        stored[:4] = value
        ds.PixelData = stored.tobytes()
        ds.add_new("PixelPaddingValue", "SS" if signed else "US", value)
    made.save(series, tmp_path)
    ct = read_ct(tmp_path)
    assert codes(ct) == {"scan_padding"} and ct.notes[0].message.startswith("10.0%")
    padding = value + intercept
    assert (voxels(ct)[:, :4] == (padding if padding >= -32768 else -1024)).all()
    np.testing.assert_array_equal(voxels(ct)[:, 4:], HU[:, 4:])


def test_garbage_is_collected_again_after_a_ct_and_after_a_refused_one(tmp_path: Path) -> None:
    made.save(made.ct_series(HU), tmp_path)
    read_ct(tmp_path)
    with pytest.raises(InputError):
        read_ct(tmp_path, series="1.2")
    assert gc.isenabled()


def test_lossy_and_other_units_are_said(tmp_path: Path) -> None:
    made.save(made.ct_series(HU, LossyImageCompression="01", RescaleType="US"), tmp_path)
    assert codes(read_ct(tmp_path)) == {"lossy_compression", "rescale_unit"}


def without(keyword: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        series = made.ct_series(HU)
        delattr(series[4], keyword)
        made.save(series, folder)

    return change


def with_values(first: int = 4, last: int = 5, **tags: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        series = made.ct_series(HU)
        for ds in series[first:last]:
            for keyword, value in tags.items():
                setattr(ds, keyword, value)
        made.save(series, folder)

    return change


def slices(*numbers: int) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        series = made.ct_series(HU)
        made.save([series[n] for n in numbers], folder)

    return change


def damaged_bytes(cut: int, syntax: str | None = None) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = made.save(made.ct_series(HU), folder)[4]
        if syntax:
            made.compress(path, SYNTAXES[syntax])
        path.write_bytes(path.read_bytes()[:-cut])

    return change


def zipped(folder: Path) -> None:
    made.save(made.ct_series(HU), folder / "in")
    shutil.make_archive(str(folder / "all"), "zip", folder / "in")
    shutil.rmtree(folder / "in")


def mixed_phases(folder: Path) -> None:
    series, _ = two_phases("SeriesNumber")
    made.save(series, folder)


def incomplete_phase(folder: Path) -> None:
    series, _ = two_phases("AcquisitionNumber")
    made.save(series[:17] + series[18:], folder)


def two_stacks(folder: Path) -> None:
    series, other = made.ct_series(HU), made.ct_series(HU, orientation=((1, 0, 0), (0, 0, -1)))
    for ds in other:
        ds.SeriesInstanceUID, ds.FrameOfReferenceUID = series[0].SeriesInstanceUID, series[0].FrameOfReferenceUID
    made.save(series + other, folder)


def sideways(folder: Path) -> None:
    series = made.ct_series(HU)
    series[4].ImagePositionPatient[0] += 3
    made.save(series, folder)


def two_thicknesses(folder: Path) -> None:
    series = made.ct_series(HU)
    for n, ds in enumerate(series[8:]):
        ds.ImagePositionPatient[2] = -80 + 4 * n
    made.save(series, folder)


def colour(folder: Path) -> None:
    series = made.ct_series(HU)
    for ds in series:
        ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
        ds.BitsAllocated = ds.BitsStored = 8
        ds.HighBit, ds.PixelData = 7, bytes(HU[0].size * 3)
    made.save(series, folder)


def frames_missing(folder: Path) -> None:
    image = made.enhanced_ct(HU)
    del image.PerFrameFunctionalGroupsSequence[3]
    made.save([image], folder)


REFUSED = {
    "empty folder": (lambda folder: None, r"no DICOM CT in it.*\(files: none\)"),
    "only empty files": (lambda folder: (folder / "a.dcm").touch(), r"1 empty \(0 bytes\)"),
    "only text": (lambda folder: (folder / "a.dcm").write_text("x" * 300) and None, "1 not DICOM"),
    "zip in folder": (zipped, "1 zip archive, to be unpacked first"),
    "MR": (with_values(0, 12, Modality="MR", SOPClassUID=MRImageStorage), r"\(0008,0060\) Modality \(files: 12 MR\)"),
    "one slice": (slices(3), "1 slice, too few"),
    "gap of one": (
        slices(0, 1, 2, 4, 5, 6, 7),
        r"1 slice is missing .*between -95.00 and -90.00 mm \(instances 3 and",
    ),
    "gaps": (slices(0, 1, 2, 4, 5, 6, 7, 8, 11), r"3 slices are missing .*instances 9 and 12"),
    "uneven": (two_thicknesses, r"unevenly spaced \(0020,0032\).*instances 9 and 10"),
    "sideways": (sideways, r"shifted sideways by up to 3.00 mm.*\(0020,0032\).*instances 5"),
    "two stacks": (two_stacks, r"differ in \(0020,0037\).*12 of 48 x 40 pixels \(instances 1, 2"),
    "mixed phases": (mixed_phases, r"12 positions hold several slices.*\(0020,0012\).*instances 1, 1"),
    "incomplete phase": (incomplete_phase, r"11 positions hold several slices"),
    "frame of reference": (
        with_values(FrameOfReferenceUID="1.2.3"),
        r"\(0020,0052\) FrameOfReferenceUID \(inst.* 5",
    ),
    "no slope": (without("RescaleSlope"), r"0004.dcm: \(0028,1053\) RescaleSlope is missing \(instance 5\)"),
    "no intercept": (without("RescaleIntercept"), r"\(0028,1052\) RescaleIntercept is missing \(instance 5\)"),
    "slope 0": (with_values(RescaleSlope=0), r"\(0028,1053\) RescaleSlope is 0 \(instance 5\)"),
    "no position": (without("ImagePositionPatient"), r"\(0020,0032\) ImagePositionPatient is missing"),
    "half a position": (with_values(ImagePositionPatient=[1, 2]), r"\(0020,0032\).* does not hold 3 numbers"),
    "no orientation": (without("ImageOrientationPatient"), r"\(0020,0037\) ImageOrientationPatient is missing"),
    "bad orientation": (with_values(ImageOrientationPatient=[1, 0, 0, 1, 0, 0]), r"\(0020,0037\).*right angles"),
    "no spacing": (without("PixelSpacing"), r"\(0028,0030\) PixelSpacing is missing"),
    "spacing 0": (with_values(PixelSpacing=[0, 0.7]), r"\(0028,0030\) PixelSpacing is not positive"),
    "no rows": (without("Rows"), r"\(0028,0010\) Rows is missing"),
    "no pixels": (without("PixelData"), r"0004.dcm: \(7FE0,0010\) PixelData is missing"),
    "no bits": (without("BitsAllocated"), r"0004.dcm: \(7FE0,0010\).*instance 5"),
    "cut short": (damaged_bytes(100), r"0004.dcm: \(7FE0,0010\) PixelData is missing, cut short.*instance 5"),
    "colour": (colour, r"0000.dcm: \(7FE0,0010\) PixelData does not hold one whole number"),
    "frames missing": (frames_missing, r"\(5200,9230\).* describes 11 frames, \(0028,0008\) NumberOfFrames says 12"),
    "other size inside": (with_values(Rows=20, Columns=96), r"1 slice is missing"),
    "cut short deflated": (damaged_bytes(400, "deflated"), "1 slice is missing .*unreadable files: 0004.dcm"),
    **{
        f"cut short {syntax}": (damaged_bytes(400, syntax), r"0004.dcm: \(7FE0,0010\) PixelData .*cut short")
        for syntax in ("rle", "jpeg-lossless", "jpeg-ls", "jpeg-2000")
    },
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_with_a_sentence(tmp_path: Path, kind: str, capfd: pytest.CaptureFixture, caplog) -> None:
    change, sentence = REFUSED[kind]
    change(tmp_path)
    with pytest.raises(InputError, match=sentence) as refused:
        read_ct(tmp_path)
    messages = str(refused.value) + "".join(capfd.readouterr()) + caplog.text
    assert not any(value in messages for value in made.MARKED.values()) and "MARKED" not in messages
    assert refused.value.mend and str(tmp_path) in str(refused.value.path)


@pytest.mark.parametrize(
    ("name", "sentence"), [("missing", "does not exist"), ("all.zip", "zip archive.*unpack"), ("a.dcm", "1 not DICOM")]
)
def test_what_is_no_folder(tmp_path: Path, name: str, sentence: str) -> None:
    zipped(tmp_path)
    Image.new("L", (64, 64)).save(tmp_path / "a.dcm", format="jpeg")
    with pytest.raises(InputError, match=sentence):
        read_ct(tmp_path / name)


def test_notes_hold_no_patient(tmp_path: Path) -> None:
    series = made.ct_series(HU, shear=(0, 0.3), LossyImageCompression="01")
    series[2].ImagePositionPatient[2] += 0.1
    made.save(series, tmp_path / "MARKED_folder")
    (tmp_path / "MARKED_folder" / "MARKED.dcm").touch()
    ct = read_ct(tmp_path / "MARKED_folder")
    assert len(ct.notes) == 4 and "MARKED" not in "".join(note.message for note in ct.notes)


def test_enhanced_phases_are_told_apart(tmp_path: Path) -> None:
    first, second = made.enhanced_ct(HU), made.enhanced_ct(HU[::-1])
    for frame in second.PerFrameFunctionalGroupsSequence:
        frame.FrameContentSequence[0].FrameAcquisitionNumber = 2
    second.SeriesInstanceUID, second.FrameOfReferenceUID = first.SeriesInstanceUID, first.FrameOfReferenceUID
    second.SOPInstanceUID = second.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    made.save([first, second], tmp_path)
    np.testing.assert_array_equal(voxels(read_ct(tmp_path, series=f"{first.SeriesInstanceUID}/2")), HU[::-1])


def test_warnings_that_quote_values_are_kept_back(tmp_path: Path, recwarn, caplog, capfd) -> None:
    series = made.ct_series(HU)
    for ds in series:
        ds.StudyInstanceUID = "MARKEDSTUDYUID"
    made.save(series, tmp_path)
    recwarn.clear()
    caplog.clear()
    assert read_ct(tmp_path).study_uid == "MARKEDSTUDYUID"
    messages = [str(one.message) for one in recwarn] + [caplog.text, *capfd.readouterr()]
    assert "MARKED" not in "".join(messages)

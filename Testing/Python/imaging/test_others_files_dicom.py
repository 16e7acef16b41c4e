"""DICOM as others write it: each file gives the right value, or is refused by its reason; none is wrong in silence."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.sr.codedict import codes as codes_of
from pydicom.uid import HTJ2K, JPEGExtended12Bit, generate_uid

from DeepRadScoreLib.errors import InputError, RegionError
from DeepRadScoreLib.imaging import read_case
from DeepRadScoreLib.imaging.dicom import itk_decoder
from DeepRadScoreLib.imaging.dicom.ct import CtSeries, read_ct
from DeepRadScoreLib.imaging.dicom.series import find_series
from DeepRadScoreLib.imaging.dicom.structures.rtstruct import read_rtstruct
from DeepRadScoreLib.imaging.dicom.structures.seg import read_seg
from DeepRadScoreLib.imaging.formats.files import write_image
from DeepRadScoreLib.imaging.grids.geometry import image_like
from DeepRadScoreLib.report.dicom.origin import origin_of
from support import dicom_phantoms as made
from support import dicom_syntaxes as syntaxes
from support.dicom_mask_makers import SHAPE, box, contour, ct_files, rtstruct_file, seg_file

HU = made.chest(slices=3)
PADDED = HU.copy()
PADDED[:, :4] = -2000


def voxels(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)


def codes(notes: object) -> set[str]:
    return {note.code for note in notes.notes}


STORED = {
    "unsigned, 16 bits": ({"intercept": -1024}, HU),
    "unsigned, 12 bits": ({"intercept": -1024, "BitsStored": 12, "HighBit": 11}, HU),
    "signed, 16 bits": ({"signed": True, "intercept": 0}, PADDED),
    "signed, 12 bits": ({"signed": True, "intercept": 0, "BitsStored": 12, "HighBit": 11}, PADDED),
    "shown inverted": ({"intercept": -1024, "PhotometricInterpretation": "MONOCHROME1"}, HU),
}


LOSSLESS = [
    *((stored, name, encode) for name, encode in syntaxes.LOSSLESS.items() for stored in STORED),
    *(("signed, 12 bits", name, encode) for name, encode in syntaxes.PREDICTORS.items()),
]


@pytest.mark.parametrize(("stored", "encode"), [pytest.param(s, e, id=f"{name}, {s}") for s, name, e in LOSSLESS])
def test_ct_in_each_lossless_syntax(tmp_path: Path, stored: str, encode: syntaxes.Encoder) -> None:
    options, hu = STORED[stored]
    for path in made.save(made.ct_series(hu, **options), tmp_path):
        encode(path)
    ct = read_ct(tmp_path)
    np.testing.assert_array_equal(voxels(ct.image), hu)
    assert ct.notes == ()


def test_bits_are_those_of_the_padding_where_fewer_are_stated(tmp_path: Path) -> None:
    """-3024 needs 13 bits: of 12 alone, it would be 1072."""
    options, hu = STORED["signed, 12 bits"]
    hu = np.where(hu == -2000, -3024, hu)
    series = made.ct_series(hu, **options)
    for ds in series:
        ds.add_new("PixelPaddingValue", "SS", -3024)
    for name in ("plain", "RLE", "deflated frames", "JPEG-LS, 16 bits", "HTJ2K lossless"):
        for path in made.save(series, tmp_path / name):
            syntaxes.LOSSLESS.get(name, lambda _: None)(path)
        np.testing.assert_array_equal(voxels(read_ct(tmp_path / name).image), hu)


def cut_series(signed: bool, padding: int, hu: np.ndarray) -> list[Dataset]:
    """12 bits stored of 16 in which a padding value, as in the header, was cut to 12 bits."""
    series = made.ct_series(hu, BitsStored=12, HighBit=11, RescaleIntercept=0 if signed else -1024)
    for ds, plane in zip(series, hu, strict=True):
        stored = plane.astype(int) + (0 if signed else 1024)
        left = stored & 0xFFF
        if signed:
            left = np.where(left >= 2048, left - 4096, left)
        ds.PixelRepresentation = int(signed)
        ds.PixelData = left.astype("<i2" if signed else "<u2").tobytes()
        ds.add_new("PixelPaddingValue", "SS" if padding < 0 else "US", padding)
    return series


@pytest.mark.parametrize("name", ["plain", "RLE", "JPEG-LS", "HTJ2K lossless"])
@pytest.mark.parametrize(
    ("signed", "stored", "padding"), [(True, -3024, -3024), (False, -2000, 63536), (False, -2000, -2000)]
)
def test_padding_that_was_cut_to_the_bits_stored(
    tmp_path: Path, name: str, signed: bool, stored: int, padding: int
) -> None:
    """-3024 in 12 bits signed reads as 1072 HU, as 63536 in unsigned ones: air in the corners, bone within."""
    outside = np.zeros(HU.shape, bool)
    outside[:, :6, :9] = outside[:, -5:, -5:] = True
    bone = np.zeros(HU.shape, bool)
    bone[:, 20:23, 20:22] = True
    hu = np.where(outside, stored - (0 if signed else 1024), np.where(bone, 1072, HU))
    for path in made.save(cut_series(signed, padding, hu), tmp_path):
        syntaxes.LOSSLESS.get(name, lambda _: None)(path)
    ct = read_ct(tmp_path)
    np.testing.assert_array_equal(voxels(ct.image), np.where(outside, -1024, hu))
    assert codes(ct) == {"scan_padding"}
    assert (
        "set to -1024 HU; (0028,0120) PixelPaddingValue had been cut to (0028,0101) BitsStored" in ct.notes[0].message
    )


@pytest.mark.parametrize("said", ["00", "01"])
def test_padding_that_was_cut_and_compressed_with_loss_is_refused(tmp_path: Path, said: str) -> None:
    codecs = pytest.importorskip("imagecodecs")
    hu = HU.copy()
    hu[:, :8, :8] = -3024
    series = cut_series(False, 63536, hu)
    for ds in series:
        ds.LossyImageCompression = said
    for path, ds in zip(made.save(series, tmp_path), series, strict=True):
        stream = codecs.htj2k_encode(ds.pixel_array, level=0.001, reversible=False)
        assert codecs.htj2k_decode(stream)[0, 0] != 2096
        syntaxes.write_frames(path, HTJ2K, [stream])
    with pytest.raises(InputError, match=r"does not fit into .* reads as 1\d\d\d HU, and was mixed .* without loss"):
        read_ct(tmp_path)


def test_jpeg_of_12_bits_as_dcmtk_decodes_it(tmp_path: Path) -> None:
    encode, decode = syntaxes.by_dcmtk("dcmcjpeg", "+ee", "+bt"), syntaxes.by_dcmtk("dcmdjpeg")
    for path in made.save(made.ct_series(HU, BitsStored=12, HighBit=11), tmp_path / "jpeg"):
        encode(path)
    ct = read_ct(tmp_path / "jpeg")
    assert codes(ct) == {"lossy_compression"} and 0 < np.abs(voxels(ct.image) - HU).max() < 25
    for path in sorted((tmp_path / "jpeg").iterdir()):
        decode(path)
    assert np.abs(voxels(read_ct(tmp_path / "jpeg").image) - voxels(ct.image)).max() <= 1


def test_irreversible_htj2k_as_openjph_decodes_it(tmp_path: Path) -> None:
    codecs = pytest.importorskip("imagecodecs")
    series = made.ct_series(HU)
    streams = [codecs.htj2k_encode(ds.pixel_array, level=0.001, reversible=False) for ds in series]
    for path, stream in zip(made.save(series, tmp_path), streams, strict=True):
        syntaxes.write_frames(path, HTJ2K, [stream])
    expected = np.stack([codecs.htj2k_decode(stream) for stream in streams]).astype(int) - 1024
    assert np.abs(expected - HU).max() > 1
    assert np.abs(voxels(read_ct(tmp_path).image) - expected).max() <= 1


WITHOUT_DECODER = {
    "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
    "1.2.840.10008.1.2.4.111": "JPEG XL JPEG Recompression",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
    "1.2.840.10008.1.2.4.94": "JPIP Referenced",
    "1.2.840.10008.1.2.4.102": "MPEG-4 AVC/H.264 High Profile / Level 4.1",
    "1.2.3.4.5": "1.2.3.4.5",
}


@pytest.mark.parametrize("syntax", WITHOUT_DECODER)
def test_syntax_without_a_decoder_is_named_and_no_more_said(tmp_path: Path, syntax: str) -> None:
    series = ct_files(tmp_path / "ct")
    seg = seg_file(tmp_path / "seg.dcm", series, np.ones(SHAPE, np.uint8))
    ct = read_ct(tmp_path / "ct")
    for path in (seg, *(tmp_path / "ct").iterdir()):
        frames = syntaxes.planes(dcmread(path))
        syntaxes.write_frames(path, syntax, [syntaxes.jpeg_xl(frame.astype(np.uint16), Dataset()) for frame in frames])
    for read in (lambda: read_ct(tmp_path / "ct"), lambda: read_seg(seg, ct)):
        with pytest.raises(InputError) as refused:
            read()
        assert f"stored as {WITHOUT_DECODER[syntax]}, see (0002,0010) TransferSyntaxUID" in refused.value.what
        assert "damaged" not in str(refused.value) and "missing" not in str(refused.value)


def test_htj2k_needs_a_simpleitk_that_decodes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path, *_) = made.save(made.ct_series(HU), tmp_path)
    syntaxes.LOSSLESS["HTJ2K lossless"](path)
    monkeypatch.setattr(itk_decoder.sitk.Version, "MinorVersion", lambda: 4)
    available = itk_decoder.is_available(HTJ2K), itk_decoder.is_available(JPEGExtended12Bit)
    assert available == (False, True)
    monkeypatch.setattr("DeepRadScoreLib.imaging.dicom.transfer_syntaxes._has_decoder", itk_decoder.is_available)
    with pytest.raises(InputError, match=r"stored as High-Throughput JPEG 2000 .* install SimpleITK>=2\.5\."):
        read_ct(tmp_path)


def test_enhanced_ct_with_an_intercept_for_each_frame_and_frames_out_of_order(tmp_path: Path) -> None:
    order = [2, 0, 1]
    image = made.enhanced_ct(HU, order=order)
    stored = syntaxes.planes(image).copy()
    for n, frame in enumerate(image.PerFrameFunctionalGroupsSequence):
        frame.PixelValueTransformationSequence[0].RescaleIntercept = -1024 - 100 * n
        stored[n] += np.uint16(100 * n)
    image.PixelData = stored.tobytes()
    image.RescaleIntercept, image.RescaleSlope = 0, 1
    for name in ("deflated frames", "JPEG-LS, 16 bits", "HTJ2K lossless"):
        (path,) = made.save([image], tmp_path)
        syntaxes.LOSSLESS[name](path)
        np.testing.assert_array_equal(voxels(read_ct(path).image), HU)


SEGMENTATIONS: dict[str, syntaxes.Encoder] = {
    "big endian": syntaxes.by_gdcm("ExplicitVRBigEndian"),
}


KINDS = [("BINARY", (4, 20, 24)), ("BINARY", (4, 21, 25)), ("FRACTIONAL", (4, 21, 25)), ("LABELMAP", (4, 21, 25))]


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: f"{kind[0]}, {kind[1][1]} rows")
def segmentation(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple:
    """A CT, a SEG of it with frames left out, and the voxels of that."""
    kind, shape = request.param
    folder = tmp_path_factory.mktemp("seg")
    series = ct_files(folder / "ct", shape=shape)
    mask = (np.random.default_rng(2).random(shape) > 0.6).astype(np.uint8)
    mask[1] = 0
    path = seg_file(folder / "seg.dcm", series, mask.astype(float) if kind == "FRACTIONAL" else mask, kind=kind)
    return read_ct(folder / "ct"), path, mask


@pytest.mark.parametrize("syntax", syntaxes.SEGMENTATIONS)
def test_seg_in_each_syntax(tmp_path: Path, segmentation: tuple, syntax: str) -> None:
    ct, path, mask = segmentation
    path = Path(shutil.copy(path, tmp_path))
    syntaxes.SEGMENTATIONS[syntax](path)
    np.testing.assert_array_equal(voxels(read_seg(path, ct).layers[0]), mask)


@pytest.mark.parametrize("syntax", ["deflated frames", "encapsulated uncompressed", "RLE", "RLE of packed bits"])
def test_seg_cut_short_is_said_to_be_so(tmp_path: Path, segmentation: tuple, syntax: str) -> None:
    ct, path, _ = segmentation
    path = Path(shutil.copy(path, tmp_path))
    syntaxes.SEGMENTATIONS[syntax](path)
    ds = dcmread(path)
    frames = [frame[: len(frame) // 4 * 2] for frame in generate_frames(ds.PixelData, number_of_frames=3)]
    syntaxes.write_frames(path, ds.file_meta.TransferSyntaxUID, frames)
    with pytest.raises(InputError, match=r"damaged, cut short.*\(7FE0,0010\) PixelData"):
        read_seg(path, ct)


SHARED = {"ibsi/ct_phantom/dicom": 60, "ct-radiomics-phantom/pat_2/dicom": 41}
COMPRESSED = (
    *("RLE", "JPEG lossless, process 14", "JPEG lossless, SV1", "JPEG-LS", "JPEG 2000", "HTJ2K lossless"),
    *("deflated", "deflated frames"),
)


@pytest.mark.parametrize("folder", SHARED)
def test_shared_series_in_each_lossless_syntax(shared: Path, tmp_path: Path, folder: str) -> None:
    plain = read_ct(shared / "data" / folder)
    assert len(plain.members) == SHARED[folder]
    for name in COMPRESSED:
        for member in plain.members:
            syntaxes.LOSSLESS[name](Path(shutil.copy(member.path, tmp_path)))
        ct = read_ct(tmp_path)
        assert sitk.Hash(ct.image) == sitk.Hash(plain.image), name
        assert codes(ct) <= {"rescale_unit"}  # GDCM writes a RescaleType of its own
        assert ct.image.IsSameImageGeometryAs(plain.image) and ct.image.GetPixelID() == plain.image.GetPixelID()


def ring(z: int, kind: str = "CLOSED_PLANAR", x: float = 1.5) -> Dataset:
    """A contour around 5 x 5 voxels of a slice."""
    return contour(box((x, x + 5), (1.5, 6.5), z), kind)


def empty(kind: str = "CLOSED_PLANAR", points: int | None = 0) -> Dataset:
    item = Dataset()
    item.ContourGeometricType, item.ContourData = kind, None
    if points is not None:
        item.NumberOfContourPoints = points
    return item


POINT = contour(box((2, 2), (2, 2), 5)[:1], "POINT")
OUTLINES = {
    "a point": ([ring(2), ring(3), POINT], [2, 3], {"contours_left_out"}, "1 POINT"),
    "an open contour": ([ring(2), ring(3), ring(4, "OPEN_PLANAR")], [2, 3], {"contours_left_out"}, "1 OPEN_PLANAR"),
    "an open contour on a slice of its own": (
        [ring(1), ring(2), ring(3, "OPEN_NONPLANAR"), ring(4)],
        [1, 2, 4],
        {"contours_left_out", "contours_with_gaps"},
        "1 OPEN_NONPLANAR",
    ),
    "empty ones": ([empty(), ring(2), empty("POINT"), empty(points=None)], [2], {"contours_left_out"}, "3 empty"),
    "interpolated ones": (
        [ring(2), ring(3, "INTERPOLATED_PLANAR"), ring(4)],
        [2, 3, 4],
        {"contours_interpolated"},
        "1 contours of the type INTERPOLATED_PLANAR",
    ),
}
NOT_DRAWN = {
    "points alone": ([POINT, POINT], "no contour .* is closed: .*ContourGeometricType is POINT"),
    "empty ones alone": ([empty(), empty()], "has no contours"),
    "empty where there should be points": ([ring(2), empty(points=4)], "contour 2 .* 0 numbers"),
    "of no kind": ([ring(2), ring(3, "")], "contour 2 .* not closed: .* absent or unknown"),
}


@pytest.fixture(scope="module")
def ct(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Dataset], CtSeries]:
    folder = tmp_path_factory.mktemp("ct")
    return ct_files(folder), read_ct(folder)


@pytest.mark.parametrize("kind", OUTLINES)
def test_contours_that_enclose_nothing_beside_closed_ones(tmp_path: Path, ct: tuple, kind: str) -> None:
    contours, slices, expected, words = OUTLINES[kind]
    content = read_rtstruct(rtstruct_file(tmp_path / "r.dcm", ct[0], [("GTV", contours)]), ct[1], roi=None)
    drawn = voxels(content.layers[0])
    assert np.flatnonzero(drawn.any(axis=(1, 2))).tolist() == slices and (drawn.sum(axis=(1, 2))[slices] == 25).all()
    assert codes(content) == expected and words in content.notes[0].message


@pytest.mark.parametrize("kind", NOT_DRAWN)
def test_contours_of_which_none_can_be_drawn(tmp_path: Path, ct: tuple, kind: str) -> None:
    contours, sentence = NOT_DRAWN[kind]
    path = rtstruct_file(tmp_path / "r.dcm", ct[0], [("GTV", contours)])
    with pytest.raises(InputError, match=sentence):
        read_rtstruct(path, ct[1], roi=None)


LEFT, RIGHT, TUMOUR = ((1.5, 6.5), (11.5, 18.5), (3.5, 5.5))


def organ(x: tuple[float, float]) -> list[Dataset]:
    return [contour(box(x, (1.5, 12.5), z)) for z in range(1, 7)]


def filled(*ranges: tuple[float, float]) -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    for low, high in ranges:
        mask[1:7, 2:13, int(low + 0.5) : int(high + 0.5)] = 1
    return mask


STRUCTURES = {
    "left and right": ({"Lung_L": LEFT, "Lung_R": RIGHT, "GTV": TUMOUR}, (LEFT, RIGHT), '"Lung_L", "Lung_R"'),
    "lungs without the tumour": ({"Lungs-GTV": RIGHT, "lung nodule": TUMOUR}, (RIGHT,), '"Lungs-GTV"'),
    "beside vessels": ({"lung_vessels": TUMOUR, "Lung": LEFT}, (LEFT,), '"Lung"'),
    "the only one": ({"pulmo": LEFT}, (LEFT,), '"pulmo"'),
    "a tumour alone": ({"Tumour": LEFT}, (), "none of its 1 structures is a lung"),
    "no lung": ({"GTV": TUMOUR, "lung nodule": LEFT}, (), "none of its 2 structures is a lung"),
}


@pytest.mark.parametrize("kind", ["RTSTRUCT", "SEG"])
@pytest.mark.parametrize("structures", STRUCTURES)
def test_lung_mask_from_dicom(tmp_path: Path, ct: tuple, kind: str, structures: str) -> None:
    series, volume = ct
    named, expected, words = STRUCTURES[structures]
    if kind == "SEG":
        pixels = np.stack([filled(place) for place in named.values()], axis=-1)
        lungs = seg_file(
            tmp_path / "lung.dcm", series, pixels, labels=list(named), types=[codes_of.SCT.Organ] * len(named)
        )
    else:
        lungs = rtstruct_file(tmp_path / "lung.dcm", series, [(name, organ(x)) for name, x in named.items()])
    tumour = rtstruct_file(tmp_path / "tumour.dcm", series, [("GTV", organ(TUMOUR))])
    folder = volume.members[0].path.parent
    if not expected:
        with pytest.raises(RegionError, match=words):
            read_case(folder, tumour, lung_mask=lungs)
        return
    case = read_case(folder, tumour, lung_mask=lungs)
    np.testing.assert_array_equal(voxels(case.lung), filled(*expected))
    (note,) = (note for note in case.notes if note.code == "lung_structures")
    assert words in note.message
    nrrd = tmp_path / "lung.nrrd"
    write_image(image_like(filled(*expected), volume.image), nrrd)
    assert sitk.Hash(read_case(folder, tumour, lung_mask=nrrd).lung) == sitk.Hash(case.lung)


def test_lung_mask_in_dicom_needs_a_ct_in_dicom(tmp_path: Path, ct: tuple) -> None:
    series, volume = ct
    lungs = rtstruct_file(tmp_path / "lung.dcm", series, [("Lung", organ(LEFT))])
    write_image(volume.image, tmp_path / "ct.nrrd")
    write_image(image_like(filled(TUMOUR), volume.image), tmp_path / "mask.nrrd")
    with pytest.raises(InputError, match=r"lung\.dcm: .* only on a CT in DICOM"):
        read_case(tmp_path / "ct.nrrd", tmp_path / "mask.nrrd", lung_mask=lungs)
    with pytest.raises(InputError, match="no mask: neither a DICOM SEG nor an RTSTRUCT"):
        read_case(volume.members[0].path.parent, tmp_path / "mask.nrrd", lung_mask=volume.members[0].path)


UIDS = ("SeriesInstanceUID", "StudyInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")
REMOVED = {"all": UIDS, **{one: (one,) for one in UIDS}}


def without_uids(series: list[Dataset], keywords: tuple[str, ...], *, absent: bool) -> list[Dataset]:
    for ds in series:
        for keyword in keywords:
            if absent:
                delattr(ds, keyword)
            else:
                setattr(ds, keyword, "")
    return series


@pytest.mark.parametrize("removed", REMOVED)
@pytest.mark.parametrize("absent", [True, False], ids=["absent", "empty"])
def test_ct_without_uids(tmp_path: Path, removed: str, absent: bool) -> None:
    series = without_uids(made.ct_series(HU), REMOVED[removed], absent=absent)
    made.save(series, tmp_path, seed=1)
    ct = read_ct(tmp_path)
    np.testing.assert_array_equal(voxels(ct.image), HU)
    assert codes(ct) == {"uids_missing"} and all(keyword in ct.notes[0].message for keyword in REMOVED[removed])
    assert ("grouped by folder" in ct.notes[0].message) == ("SeriesInstanceUID" in REMOVED[removed])
    assert len(set(ct.sop_uids)) == len(HU) and ct.study_uid


def test_a_frame_of_reference_that_some_files_lack(tmp_path: Path) -> None:
    series = made.ct_series(HU)
    expected = series[0].FrameOfReferenceUID
    without_uids(series[1:], ("FrameOfReferenceUID",), absent=True)
    made.save(series, tmp_path)
    ct = read_ct(tmp_path)
    assert (ct.frame_of_reference_uid, codes(ct)) == (expected, {"uids_missing"})


def test_anonymised_scans_are_told_apart(tmp_path: Path) -> None:
    """Two scans of one geometry in two folders, a third of another size beside one of them; files may be renamed."""
    third = made.chest(slices=4, rows=44)
    for name, hu, seed in (("a", HU, 1), ("b", HU[::-1] + 1, 2), ("b", third, 3)):
        series = without_uids(made.ct_series(hu, PatientID=""), UIDS, absent=True)
        made.save(series, tmp_path / name, suffix=f".{seed}", seed=seed)
    with pytest.raises(InputError, match="3 CT series and none was chosen"):
        read_ct(tmp_path)
    index = find_series(tmp_path)
    found = {uid: voxels(read_ct(index, series=uid).image) for uid in index}
    for hu in (HU, HU[::-1] + 1, third):
        assert sum(np.array_equal(hu, one) for one in found.values()) == 1
    assert len({read_ct(index, series=uid).study_uid for uid in index}) == 3
    for n, path in enumerate(sorted((tmp_path / "a").iterdir(), reverse=True)):
        path.rename(tmp_path / "a" / f"renamed {n}")
    assert set(find_series(tmp_path)) == set(index)


@pytest.mark.parametrize("kind", ["SEG", "RTSTRUCT"])
def test_anonymised_case(tmp_path: Path, kind: str) -> None:
    """The mask, too, lacks its UIDs, and names images that the CT no longer has by those names."""
    cases = []
    for number in (0, 1):
        folder = tmp_path / str(number)
        series = ct_files(folder / "ct")
        if kind == "SEG":
            mask = seg_file(folder / "mask.dcm", series, filled(TUMOUR))
        else:
            mask = rtstruct_file(folder / "mask.dcm", series, [("GTV", organ(TUMOUR))])
        for path in (mask, *(folder / "ct").iterdir()):
            ds = dcmread(path)
            (ds,) = without_uids([ds], tuple(one for one in UIDS if one in ds), absent=False)
            ds.PatientID = ""
            if number and "PixelData" in ds and ds.Modality == "CT":
                ds.PixelData = (ds.pixel_array + 1).astype(np.int16).tobytes()
            ds.save_as(path, enforce_file_format=False)
        case = read_case(folder / "ct", mask)
        np.testing.assert_array_equal(voxels(case.tumour), filled(TUMOUR))
        assert {"uids_missing", "mask_untied"} <= {note.code for note in case.notes}
        with pytest.raises(InputError, match="cannot refer to an image without"):
            origin_of(case.source, [b""], label=None, pseudonyms=None)
        cases.append(case.case_id)
    assert len(set(cases)) == 2


def test_mask_that_names_other_images_is_refused_without_a_frame_of_reference(tmp_path: Path) -> None:
    made.save(without_uids(made.ct_series(HU, PatientID=""), ("FrameOfReferenceUID",), absent=True), tmp_path / "ct")
    other = rtstruct_file(tmp_path / "mask.dcm", ct_files(tmp_path / "other"), [("GTV", [ring(2)])])
    ds = dcmread(other)
    images = [Dataset() for _ in range(2)]
    for image in images:
        image.ReferencedSOPInstanceUID = generate_uid()
    ds.ROIContourSequence[0].ContourSequence[0].ContourImageSequence = images
    ds.save_as(other)
    with pytest.raises(RegionError, match=r"nothing ties .* to the CT"):
        read_rtstruct(other, read_ct(tmp_path / "ct"), roi=None)


MAPS = {
    "perfusion": {"ImageType": ["DERIVED", "SECONDARY", "AXIAL", "PERFUSION", "CBF"]},
    "perfusion, by its unit": {"ImageType": ["DERIVED", "SECONDARY"], "RescaleType": "ml/100ml/min"},
    "time to peak": {"ImageType": ["DERIVED", "SECONDARY", "OTHER", "CT_TTP"]},
    "iodine": {"ImageType": ["DERIVED", "PRIMARY", "AXIAL", "MAT_SPECIFIC"], "RescaleType": "MGML"},
    "electron density": {"RescaleType": "ED"},
    "effective atomic number": {"RescaleType": "Z_EFF"},
}
NO_MAPS = {
    "averaged": {"ImageType": ["DERIVED", "SECONDARY", "AXIAL", "AVERAGE"]},
    "monoenergetic": {"ImageType": ["DERIVED", "PRIMARY", "AXIAL", "VMI"]},
    "virtual non-contrast": {"ImageType": ["DERIVED", "PRIMARY", "AXIAL", "MAT_REMOVED"], "RescaleType": "HU_MOD"},
    "source of a perfusion": {"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL", "PERFUSION"]},
}


@pytest.mark.parametrize("kind", MAPS)
def test_a_map_is_no_ct(tmp_path: Path, kind: str) -> None:
    made.save(made.ct_series(HU, **MAPS[kind]), tmp_path / "map")
    with pytest.raises(InputError, match=r"parametric maps .*\(0008,0008\) ImageType and \(0028,1054\) RescaleType"):
        read_ct(tmp_path)
    made.save(made.ct_series(HU + 1), tmp_path / "ct")
    np.testing.assert_array_equal(voxels(read_ct(tmp_path).image), HU + 1)


def test_an_enhanced_map_is_no_ct(tmp_path: Path) -> None:
    image = made.enhanced_ct(HU)
    for frame in image.PerFrameFunctionalGroupsSequence:
        frame.PixelValueTransformationSequence[0].RescaleType = "MGML"
    made.save([image], tmp_path)
    with pytest.raises(InputError, match="parametric maps"):
        read_ct(tmp_path)


@pytest.mark.parametrize("kind", NO_MAPS)
def test_derived_images_in_hu_stay_cts(tmp_path: Path, kind: str) -> None:
    made.save(made.ct_series(HU, **NO_MAPS[kind]), tmp_path)
    ct = read_ct(tmp_path)
    np.testing.assert_array_equal(voxels(ct.image), HU)
    assert ct.notes == ()

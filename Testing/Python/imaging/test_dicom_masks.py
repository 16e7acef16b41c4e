"""SEG and RTSTRUCT: the right voxels, or one sentence that says what is wrong and names nobody."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("highdicom")

from pydicom import dcmread
from pydicom.sr.codedict import codes

from DeepRadScoreLib.errors import InputError, RegionError
from DeepRadScoreLib.imaging.dicom.ct import CtSeries, read_ct
from DeepRadScoreLib.imaging.dicom.structures.masks import mask_kind, mask_references
from DeepRadScoreLib.imaging.dicom.structures.polygons import assign_contours, even_odd, exclusive_or
from DeepRadScoreLib.imaging.dicom.structures.rtstruct import read_rtstruct
from DeepRadScoreLib.imaging.dicom.structures.seg import read_seg
from DeepRadScoreLib.imaging.grids.geometry import same_grid
from DeepRadScoreLib.imaging.grids.nearest import labels_on_grid
from DeepRadScoreLib.imaging.masks.segments import MaskContent, choose
from support.dicom_mask_makers import (
    ORIGIN,
    SECRETS,
    SHAPE,
    SPACING,
    box,
    changed,
    contour,
    ct_files,
    rtstruct_file,
    seg_file,
)

TILTED = np.linalg.qr(np.array([[1.0, 0.15, 0.1], [-0.1, 1.0, 0.3], [0.05, -0.25, 1.0]]))[0] * [-1, -1, 1]


def some_mask(shape: tuple[int, ...] = SHAPE, planes: tuple[int, ...] = (1, 2, 5)) -> np.ndarray:
    mask = np.zeros(shape, dtype=np.uint8)
    mask[list(planes)] = np.random.default_rng(3).random((len(planes), *shape[1:])) < 0.3
    return mask


def voxels(content: MaskContent, segment: str | None = None, label: int | None = None) -> np.ndarray:
    return sitk.GetArrayFromImage(content.binary(choose(content, segment=segment, label=label)))


def codes_of(content: MaskContent) -> list[str]:
    return [note.code for note in content.notes]  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> tuple[list, CtSeries]:
    folder = tmp_path_factory.mktemp("ct")
    return ct_files(folder), read_ct(folder)


# ------------------------------------------------------------------------------------------------------------- SEG


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP", "FRACTIONAL"])
def test_seg_written_and_read_gives_the_same_mask(series, tmp_path, kind, sparse):
    sources, ct = series
    mask = some_mask()
    pixels = mask.astype(np.float32) if kind == "FRACTIONAL" else mask
    content = read_seg(seg_file(tmp_path / "s.dcm", sources, pixels, kind=kind, sparse=sparse), ct)
    assert same_grid(content.layers[0], ct.image)
    np.testing.assert_array_equal(voxels(content), mask)
    assert codes_of(content) == (["mask_thresholded"] if kind == "FRACTIONAL" else [])


def test_seg_frames_are_placed_by_position_not_by_order(series, tmp_path):
    sources, ct = series
    mask = some_mask(planes=(0, 3, 7))
    path = seg_file(tmp_path / "s.dcm", sources, mask)
    stored = dcmread(path)
    frames = list(stored.PerFrameFunctionalGroupsSequence)
    bits = np.unpackbits(np.frombuffer(stored.PixelData, np.uint8), bitorder="little")[: 3 * mask[0].size]
    stored.PerFrameFunctionalGroupsSequence = [frames[n] for n in (2, 0, 1)]
    stored.PixelData = np.packbits(bits.reshape(3, -1)[[2, 0, 1]], bitorder="little").tobytes()
    stored.save_as(path)
    np.testing.assert_array_equal(voxels(read_seg(path, ct)), mask)


def test_seg_of_sources_in_reversed_order(tmp_path):
    sources = ct_files(tmp_path / "ct", reverse=True)
    mask = some_mask()
    path = seg_file(tmp_path / "s.dcm", sources[::-1], mask[::-1])
    np.testing.assert_array_equal(voxels(read_seg(path, read_ct(tmp_path / "ct"))), mask)


def test_seg_of_an_oblique_ct(tmp_path):
    sources = ct_files(tmp_path / "ct", direction=TILTED)
    mask = some_mask()
    content = read_seg(seg_file(tmp_path / "s.dcm", sources, mask), read_ct(tmp_path / "ct"))
    np.testing.assert_array_equal(voxels(content), mask)


def test_overlapping_segments_keep_all_their_voxels(series, tmp_path):
    sources, ct = series
    pixels = np.stack([some_mask(), some_mask(planes=(2, 3)), np.zeros(SHAPE, np.uint8)], axis=-1)
    types = [codes.SCT.Neoplasm, codes.SCT.Lung, codes.SCT.Heart]
    path = seg_file(tmp_path / "s.dcm", sources, pixels, labels=("A", "B", "C"), types=types)
    content = read_seg(path, ct)
    assert len(content.layers) == 2
    for segment, label, index in (("A", None, 0), ("b", None, 1), (None, 2, 1), ("Neoplasm", None, 0), ("Lung", 2, 1)):
        np.testing.assert_array_equal(voxels(content, segment, label), pixels[..., index])
    assert [s.counts_as_tumour for s in content.segments] == [True, False]
    with pytest.raises(RegionError, match="is empty"):
        choose(content, segment="C", label=None)
    with pytest.raises(RegionError, match=r'none was chosen.*"A", "B"'):
        choose(content, segment=None, label=None)


def test_two_segments_with_one_label_are_told_apart_by_number(series, tmp_path):
    sources, ct = series
    pixels = np.stack([some_mask(planes=(1,)), some_mask(planes=(4,))], axis=-1)
    content = read_seg(seg_file(tmp_path / "s.dcm", sources, pixels, labels=("GTV", "GTV")), ct)
    with pytest.raises(RegionError, match=r"stands 2 times.*segment 1, segment 2"):
        choose(content, segment="GTV", label=None)
    np.testing.assert_array_equal(voxels(content, "segment 2"), pixels[..., 1])
    np.testing.assert_array_equal(voxels(content, "GTV", 1), pixels[..., 0])


@pytest.mark.parametrize("top", [100, 255])
def test_fractional_takes_at_least_half(series, tmp_path, top):
    sources, ct = series
    pixels = np.zeros(SHAPE, np.float32)
    pixels[2, 3, 4:8] = [0.2, 0.495, 0.5, 1.0]
    path = seg_file(tmp_path / "s.dcm", sources, pixels, kind="FRACTIONAL", max_fractional_value=top)
    stored = np.round(pixels * top)
    np.testing.assert_array_equal(voxels(read_seg(path, ct)), stored / top >= 0.5)


def test_seg_on_another_grid_of_the_same_frame_of_reference(series, tmp_path):
    _, ct = series
    sources = ct_files(
        tmp_path / "other", shape=(6, 30, 18), direction=TILTED, frame_of_reference=ct.frame_of_reference_uid
    )
    mask = some_mask((6, 30, 18), planes=(1, 2, 4))
    content = read_seg(seg_file(tmp_path / "s.dcm", sources, mask), ct)
    grid = read_ct(tmp_path / "other").image
    np.testing.assert_array_equal(
        sitk.GetArrayFromImage(labels_on_grid(content.binary(content.segments[0]), grid)), mask
    )
    assert codes_of(content) == ["mask_of_another_series"]


def test_seg_that_reaches_beyond_the_ct_or_lies_between_its_slices_keeps_its_own_grid(tmp_path):
    sources = ct_files(tmp_path / "ct")
    mask = some_mask(planes=(0, 2, 5))
    path = seg_file(tmp_path / "s.dcm", sources, mask)
    for file in (tmp_path / "ct").glob("00[01].dcm"):
        file.unlink()
    ct = read_ct(tmp_path / "ct")
    content = read_seg(path, ct)
    assert voxels(content).sum() == mask.sum()
    assert not same_grid(content.layers[0], ct.image)

    def shift(ds):
        for frame in ds.PerFrameFunctionalGroupsSequence:
            plane = frame.PlanePositionSequence[0]
            plane.ImagePositionPatient = [*plane.ImagePositionPatient[:2], plane.ImagePositionPatient[2] + 6]

    moved = read_seg(changed(path, shift), ct)
    assert voxels(moved).sum() == mask.sum()
    planes = np.flatnonzero(voxels(moved).any(axis=(1, 2))).tolist()
    heights = sorted(moved.layers[0].TransformIndexToPhysicalPoint([0, 0, z])[2] for z in planes)
    np.testing.assert_allclose(heights, ORIGIN[2] + 6 + np.array([0, 2, 5]) * SPACING[2])


def test_seg_without_spacing_between_slices_says_that_it_was_inferred(series, tmp_path):
    _, ct = series
    sources = ct_files(tmp_path / "other", direction=TILTED, frame_of_reference=ct.frame_of_reference_uid)
    path = seg_file(tmp_path / "s.dcm", sources, some_mask())

    def lose(ds):
        measures = ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        if "SpacingBetweenSlices" in measures:
            del measures.SpacingBetweenSlices

    assert "spacing_inferred" in codes_of(read_seg(changed(path, lose), ct))


def test_seg_on_a_tilted_gantry_follows_each_slice(tmp_path):
    sources = ct_files(tmp_path / "ct", shear_mm=0.5)
    ct = read_ct(tmp_path / "ct")
    mask = np.zeros(SHAPE, np.uint8)
    mask[:, 6:12, 7:15] = 1
    content = read_seg(seg_file(tmp_path / "s.dcm", sources, mask), ct)
    assert codes_of(content) == ["mask_shifted"]
    read = voxels(content)
    for z in range(SHAPE[0]):
        assert read[z].sum() == mask[z].sum()
        rows = np.flatnonzero(read[z].any(axis=1))
        y = ct.image.TransformIndexToPhysicalPoint([0, int(rows[0]), z])[1]
        assert abs(y - (ORIGIN[1] + 0.5 * z + 6 * SPACING[1])) <= SPACING[1] / 2 + 1e-6


# -------------------------------------------------------------------------------------------------------- RTSTRUCT


@pytest.mark.parametrize(
    ("folder", "contours", "mask", "count"),
    [
        (
            "ibsi/ct_phantom/dicom/image",
            "ibsi/ct_phantom/dicom/mask/DCM_RS_00060.dcm",
            "ibsi/ct_phantom/nifti/mask/mask.nii.gz",
            125256,
        ),
        (
            "ct-radiomics-phantom/pat_2/dicom",
            "ct-radiomics-phantom/pat_2/dicom/DCM_RS_00041.dcm",
            "ct-radiomics-phantom/pat_2/pat_2_gtv.nii.gz",
            2256,
        ),
    ],
)
def test_published_masks_are_reproduced_exactly(shared, tmp_path, folder, contours, mask, count):
    ct = read_ct(shared / "data" / folder)
    content = read_rtstruct(shared / "data" / contours, ct, roi="gtv")
    published = labels_on_grid(sitk.Cast(sitk.ReadImage(shared / "data" / mask) != 0, sitk.sitkUInt8), ct.image)
    read = voxels(content, "gtv")
    assert read.sum() == count
    np.testing.assert_array_equal(read, sitk.GetArrayFromImage(published))
    assert codes_of(content) == []
    files = [dcmread(member.path, stop_before_pixels=True) for member in ct.members]
    again = read_seg(seg_file(tmp_path / "s.dcm", files, read), ct)
    np.testing.assert_array_equal(voxels(again), read)


def test_even_odd_agrees_with_matplotlib():
    from matplotlib.path import Path as Outline

    rng = np.random.default_rng(1)
    rows, columns = np.mgrid[:40, :50]
    centres = np.column_stack([columns.ravel(), rows.ravel()])
    for _ in range(30):
        angles = np.sort(rng.uniform(0, 2 * np.pi, 25))
        star = [25, 20] + rng.uniform(3, 30, (25, 1)) * np.column_stack([np.cos(angles), np.sin(angles)])
        inside = Outline(np.vstack([star, star[:1]])).contains_points(centres).reshape(40, 50)
        np.testing.assert_array_equal(even_odd(star, (40, 50)), inside)


def test_every_centre_belongs_to_one_of_two_polygons_with_a_common_edge():
    corners = np.array([[2.0, 3], [12, 3], [12, 9], [2, 9]])
    whole = even_odd(corners, (14, 16))
    for cut in ([0, 1, 2], [0, 1, 3]):
        other = [n for n in range(4) if n not in cut]
        halves = [corners[cut], corners[[*other, *(n for n in cut if abs(n - other[0]) % 2)]]]
        np.testing.assert_array_equal(even_odd(halves[0], (14, 16)) ^ even_odd(halves[1], (14, 16)), whole)
        assert not (even_odd(halves[0], (14, 16)) & even_odd(halves[1], (14, 16))).any()
    assert whole.sum() == 60
    np.testing.assert_array_equal(even_odd(corners[::-1], (14, 16)), whole)
    np.testing.assert_array_equal(even_odd(corners + 1e-9, (14, 16)), whole)


def test_holes_keyholes_and_several_contours_on_a_slice(series, tmp_path):
    sources, ct = series
    outer, hole = box((2.5, 12.5), (3.5, 13.5), 4), box((5.5, 8.5), (6.5, 9.5), 4)
    second = box((15.5, 19.5), (2.5, 5.5), 4)
    keyhole = np.vstack([outer, outer[:1], hole[::-1], hole[-1:]])
    expected = np.zeros(SHAPE, bool)
    expected[4, 4:14, 3:13] = True
    expected[4, 7:10, 6:9] = False
    expected[4, 3:6, 16:20] = True
    for contours in ([outer, hole, second], [keyhole, second]):
        path = rtstruct_file(tmp_path / "r.dcm", sources, [("GTV", [contour(c) for c in contours])])
        content = read_rtstruct(path, ct, roi="GTV")
        np.testing.assert_array_equal(voxels(content, "GTV"), expected)
        assert codes_of(content) == []


def test_contours_of_an_oblique_ct(tmp_path):
    sources = ct_files(tmp_path / "ct", direction=TILTED)
    points = np.array(ORIGIN) + (box((2.5, 12.5), (3.5, 13.5), 4) - ORIGIN) @ TILTED.T
    path = rtstruct_file(tmp_path / "r.dcm", sources, [("GTV", [contour(points)])])
    read = voxels(read_rtstruct(path, read_ct(tmp_path / "ct"), roi=None))
    assert read.sum() == 100
    assert read[4, 4:14, 3:13].all()


def test_names_exact_then_any_case_then_number_then_expression(series, tmp_path):
    sources, ct = series
    names = ("GTV", "gtv-1", "GTV-10", "Lung_L", "gtv", "GTV old")
    rois = [(name, [contour(box((1.5, 4.5), (1.5, 4.5 + n), n))]) for n, name in enumerate(names)]
    path = rtstruct_file(tmp_path / "r.dcm", sources, [*rois[:5], (names[5], [])])
    for asked, n in (
        ("GTV", 0),
        ("GTV-1", 1),
        ("ROI 3", 2),
        ("lung", 3),
        (r"^gtv-1\d", 2),
        ("gtv", 4),
        (r"T[Vv]( old)$|lung", 3),
    ):
        content = read_rtstruct(path, ct, roi=asked)
        assert voxels(content, asked)[n].sum() == 3 * (3 + n)
        assert {s.name for s in content.segments} >= {"GTV", "gtv-1", "GTV-10"}
    assert voxels(read_rtstruct(path, ct, roi=None), label=4)[3].sum() == 18
    with pytest.raises(RegionError, match=r'"tv-" names 2 ROIs.*"gtv-1" \(ROI 2\), "GTV-10" \(ROI 3\)'):
        read_rtstruct(path, ct, roi="tv-")
    with pytest.raises(RegionError, match=r'no ROI is called "CTV" \(\(3006,0026\) ROIName\).*"Lung_L"'):
        read_rtstruct(path, ct, roi="CTV")


@pytest.mark.parametrize(
    ("levels", "expected", "notes"),
    [
        ((2, 3, 4), {2: 0, 3: 1, 4: 2}, []),
        ((2.05, 3.04, 3.95), {2: 0, 3: 1, 4: 2}, []),
        ((2.4, 3.4, 4.4), {2: 0, 3: 1, 4: 2}, ["contours_between_slices"]),
        ((2.5, 3.5, 4.5), {2: 0, 3: 1, 4: 2}, ["contours_between_slices"]),
        ((2, 2.5, 3, 3.5, 4), {2: 0, 3: 2, 4: 4}, ["contours_between_slices"]),
        ((1.95, 4.05), {1: 0, 2: 0, 3: 1, 4: 1}, ["contours_far_apart"]),
        ((2, 4, 6), {1: 0, 2: 0, 3: 1, 4: 1, 5: 2, 6: 2}, ["contours_far_apart"]),
        ((2, 3, 5), {2: 0, 3: 1, 5: 2}, ["contours_with_gaps"]),
        ((-3, -2, 0, 1), {0: 2, 1: 3}, ["contours_outside_ct"]),
    ],
)
def test_contours_between_slices_serve_the_nearest_one(series, tmp_path, levels, expected, notes):
    sources, ct = series
    assignment = assign_contours(np.array(levels, dtype=float), SHAPE[0])
    assert assignment.of_slice == {z: [n] for z, n in expected.items()}
    contours = [contour(box((1.5, 3.5 + n), (1.5, 3.5), z)) for n, z in enumerate(levels)]
    content = read_rtstruct(rtstruct_file(tmp_path / "r.dcm", sources, [("GTV", contours)]), ct, roi=None)
    assert {z: (plane.sum() // 2) - 2 for z, plane in enumerate(voxels(content)) if plane.any()} == expected
    assert codes_of(content) == notes


def test_a_contour_stored_twice_is_not_cancelled_and_crossing_ones_are_told(series, tmp_path):
    sources, ct = series
    one, crossing = box((1.5, 6.5), (1.5, 6.5), 2), box((4.5, 9.5), (1.5, 6.5), 2)
    path = rtstruct_file(tmp_path / "r.dcm", sources, [("GTV", [contour(one), contour(one)])])
    content = read_rtstruct(path, ct, roi=None)
    assert voxels(content).sum() == 25
    assert codes_of(content) == ["contours_doubled"]
    path = rtstruct_file(tmp_path / "r.dcm", sources, [("GTV", [contour(one), contour(crossing)])])
    assert codes_of(read_rtstruct(path, ct, roi=None)) == ["contours_crossing"]
    assert exclusive_or([one[:, :2], one[:, :2]], (4, 4))[1] is False


def test_an_unusable_neighbour_is_left_out_and_told(series, tmp_path):
    sources, ct = series
    square = box((1.5, 6.5), (1.5, 6.5), 2)
    path = rtstruct_file(
        tmp_path / "r.dcm", sources, [("GTV", [contour(square)]), ("nodule", [contour(square, "OPEN_PLANAR")])]
    )
    content = read_rtstruct(path, ct, roi="GTV")
    assert voxels(content, "GTV").sum() == 25
    assert codes_of(content) == ["roi_not_used"]
    assert "OPEN_PLANAR" in content.notes[0].message


def test_kinds_and_references(series, tmp_path):
    sources, ct = series
    seg = seg_file(tmp_path / "s", sources, some_mask())
    rt = rtstruct_file(tmp_path / "r", sources, [("GTV", [contour(box((1.5, 6.5), (1.5, 6.5), 2))])])
    (tmp_path / "text.dcm").write_text("no DICOM")
    assert [mask_kind(p) for p in (seg, rt, ct.members[0].path, tmp_path / "text.dcm")] == [
        "DICOM SEG",
        "RTSTRUCT",
        None,
        None,
    ]
    for path in (seg, rt):
        found = mask_references(path)
        assert found.series == {ct.series_uid}
        assert found.images <= set(ct.sop_uids)


# ------------------------------------------------------------------------------------------------------- bad input


def in_seg(change: Callable) -> Callable:
    return lambda folder, sources: changed(seg_file(folder / "bad.dcm", sources, some_mask()), change)


def in_rtstruct(change: Callable, kind: str = "CLOSED_PLANAR", points: np.ndarray | None = None) -> Callable:
    square = box((1.5, 6.5), (1.5, 6.5), 2) if points is None else points

    def make(folder, sources):
        path = rtstruct_file(folder / "bad.dcm", sources, [("GTV-1", [contour(square, kind)])])
        return changed(path, change)

    return make


def first_contour(ds):
    return ds.ROIContourSequence[0].ContourSequence[0]


def cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def words_for_numbers(path: Path) -> Path:
    data = path.read_bytes()
    number = first_contour(dcmread(path)).ContourData[0].original_string.encode() + b"\\"
    assert number in data
    path.write_bytes(data.replace(number, b"x" * (len(number) - 1) + b"\\"))
    return path


def set_to(keyword: str, value: object) -> Callable:
    return lambda ds: setattr(ds, keyword, value)


def without(keyword: str) -> Callable:
    return lambda ds: delattr(ds, keyword)


def file_of(content: bytes) -> Callable:
    def make(folder, _):
        (folder / "bad.dcm").write_bytes(content)
        return folder / "bad.dcm"

    return make


def other_ct(folder, _):
    ct_files(folder / "o")
    return (folder / "o" / "000.dcm").rename(folder / "bad.dcm")


def nothing(_) -> None:
    return None


def sagittal() -> np.ndarray:
    y, z = np.array([5, 9, 9, 5]), np.array([1, 1, 4, 4])
    return np.array(ORIGIN) + np.column_stack([np.full(4, 6), y, z]) * SPACING


def twice(ds):
    ds.SegmentSequence = [ds.SegmentSequence[0], ds.SegmentSequence[0]]


def nan_position(ds):
    ds.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0].ImagePositionPatient = ["NaN", "0", "0"]


def two_frames_at_one_place(ds):
    frames = ds.PerFrameFunctionalGroupsSequence
    frames[1].PlanePositionSequence = frames[0].PlanePositionSequence


def uneven_frames(ds):
    for n, frame in enumerate(ds.PerFrameFunctionalGroupsSequence):
        frame.PlanePositionSequence[0].ImagePositionPatient = [0, 0, [0, 1.1, 3.9][n]]


def slightly_sheared_between_slices(ds):
    for n, frame in enumerate(ds.PerFrameFunctionalGroupsSequence):
        frame.PlanePositionSequence[0].ImagePositionPatient = [0.1 * n, 0, 1.1 + 2.5 * n]


def foreign_segment(ds):
    frame = ds.SharedFunctionalGroupsSequence[0]
    frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber = 7


def no_reference(ds):
    del ds.FrameOfReferenceUID
    if "ReferencedSeriesSequence" in ds:
        del ds.ReferencedSeriesSequence
    for frame in ds.PerFrameFunctionalGroupsSequence:
        if "DerivationImageSequence" in frame:
            del frame.DerivationImageSequence


SEG_BAD = {
    "seg of another patient": (in_seg(set_to("PatientID", "OTHER-0815")), "(0010,0020) PatientID"),
    "seg in another frame of reference": (in_seg(set_to("FrameOfReferenceUID", "1.2.3")), "(0020,0052)"),
    "seg tied to nothing": (in_seg(no_reference), "(0020,0052)"),
    "seg without segments": (in_seg(without("SegmentSequence")), "(0062,0002) SegmentSequence"),
    "seg with two segments of one number": (in_seg(twice), "(0062,0004) SegmentNumber"),
    "seg with pixel data cut": (lambda f, s: cut(seg_file(f / "bad.dcm", s, some_mask()), 0.99), "PixelData"),
    "seg cut in the header": (lambda f, s: cut(seg_file(f / "bad.dcm", s, some_mask()), 0.7), "damaged"),
    "seg cut at the start": (lambda f, s: cut(seg_file(f / "bad.dcm", s, some_mask()), 0.02), ""),
    "seg without pixel data": (in_seg(without("PixelData")), "PixelData"),
    "seg with fewer frames": (in_seg(set_to("NumberOfFrames", 2)), "(0028,0008) NumberOfFrames"),
    "seg without frames": (in_seg(without("PerFrameFunctionalGroupsSequence")), "PerFrameFunctionalGroupsSequence"),
    "seg with NaN position": (in_seg(nan_position), "(0020,0032) ImagePositionPatient"),
    "seg with two frames at one place": (in_seg(two_frames_at_one_place), "frames 1 and 2"),
    "seg with uneven frames": (in_seg(uneven_frames), "(0020,0032) ImagePositionPatient"),
    "seg slightly sheared": (in_seg(slightly_sheared_between_slices), "(0020,0032) ImagePositionPatient"),
    "seg with a foreign segment": (in_seg(foreign_segment), "(0062,000B) ReferencedSegmentNumber"),
    "seg of unknown type": (in_seg(set_to("SegmentationType", "ODD")), "(0062,0001) SegmentationType"),
    "empty seg": (lambda f, s: seg_file(f / "bad.dcm", s, np.zeros(SHAPE, np.uint8), sparse=False), "is empty"),
    "rtstruct as seg": (in_rtstruct(nothing), "of a RTSTRUCT"),
    "ct as seg": (other_ct, "(0008,0016) SOPClassUID"),
    "jpeg": (file_of(b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(300)), "not a DICOM file"),
    "0 bytes": (file_of(b""), "0 bytes"),
    "absent": (lambda f, _: f / "bad.dcm", "does not exist"),
}
RTSTRUCT_BAD = {
    "of another patient": (in_rtstruct(set_to("PatientID", "OTHER-0815")), "(0010,0020) PatientID"),
    "in another frame of reference": (
        in_rtstruct(lambda ds: setattr(ds.StructureSetROISequence[0], "ReferencedFrameOfReferenceUID", "1.2.3")),
        "(3006,0024) ReferencedFrameOfReferenceUID",
    ),
    "no ROI sequence": (in_rtstruct(without("StructureSetROISequence")), "(3006,0020) StructureSetROISequence"),
    "no contour sequence": (in_rtstruct(without("ROIContourSequence")), "(3006,0040) ContourSequence"),
    "no contours": (
        in_rtstruct(lambda ds: delattr(ds.ROIContourSequence[0], "ContourSequence")),
        "(3006,0040) ContourSequence",
    ),
    "open": (in_rtstruct(nothing, "OPEN_PLANAR"), "OPEN_PLANAR"),
    "point": (in_rtstruct(nothing, "POINT"), "POINT"),
    "kind absent": (in_rtstruct(lambda ds: delattr(first_contour(ds), "ContourGeometricType")), "(3006,0042)"),
    "wrong number of points": (
        in_rtstruct(lambda ds: setattr(first_contour(ds), "NumberOfContourPoints", 9)),
        "(3006,0046) NumberOfContourPoints",
    ),
    "not three for each": (
        in_rtstruct(lambda ds: setattr(first_contour(ds), "ContourData", ["1", "2", "3", "4"])),
        "has 4 numbers in (3006,0050) ContourData",
    ),
    "NaN": (
        in_rtstruct(lambda ds: setattr(first_contour(ds), "ContourData", [*["1"] * 11, "NaN"])),
        "(3006,0050) ContourData",
    ),
    "words": (lambda f, s: words_for_numbers(in_rtstruct(nothing)(f, s)), "(3006,0050) ContourData"),
    "no numbers": (in_rtstruct(lambda ds: delattr(first_contour(ds), "ContourData")), "(3006,0050) ContourData"),
    "sagittal": (in_rtstruct(nothing, points=sagittal()), "not parallel"),
    "outside in the plane": (in_rtstruct(nothing, points=box((90, 99), (1, 9), 3)), "outside the CT"),
    "outside along the slices": (in_rtstruct(nothing, points=box((1, 9), (1, 9), 30)), "outside the CT"),
    "between the voxel centres": (in_rtstruct(nothing, points=box((1.2, 1.4), (1.2, 1.4), 3)), "no voxel centre"),
    "two ROIs of one number": (
        in_rtstruct(lambda ds: ds.StructureSetROISequence.append(ds.StructureSetROISequence[0])),
        "(3006,0022) ROINumber",
    ),
    "cut": (lambda f, s: cut(in_rtstruct(nothing)(f, s), 0.97), "damaged"),
    "seg as rtstruct": (in_seg(nothing), "of a DICOM SEG"),
    "ct as rtstruct": (other_ct, "(0008,0016) SOPClassUID"),
    "0 bytes": (file_of(b""), "0 bytes"),
    "zip": (file_of(b"PK\x03\x04" + bytes(300)), "not a DICOM file"),
}


def refused(read: Callable, make: Callable, series, folder: Path, recwarn, capfd, caplog) -> str:
    sources, ct = series
    path = make(folder, sources)
    recwarn.clear()
    capfd.readouterr()
    caplog.clear()
    with pytest.raises(InputError) as caught:
        read(path, ct)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.count(". ") == 0
    messages = [message, caplog.text, *capfd.readouterr(), *(str(w.message) for w in recwarn)]
    for secret in (*(word for value in SECRETS.values() for word in value.split("^")), "OTHER-0815"):
        assert not any(secret.casefold() in text.replace(str(folder), "").casefold() for text in messages), secret
    return message


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("what", SEG_BAD)
def test_bad_seg_is_refused_in_one_sentence(series, tmp_path, recwarn, capfd, caplog, what):
    make, expected = SEG_BAD[what]
    assert expected in refused(read_seg, make, series, tmp_path, recwarn, capfd, caplog)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("roi", ["GTV-1", None])
@pytest.mark.parametrize("what", RTSTRUCT_BAD)
def test_bad_rtstruct_is_refused_in_one_sentence(series, tmp_path, recwarn, capfd, caplog, what, roi):
    make, expected = RTSTRUCT_BAD[what]

    def read(path, ct):
        return read_rtstruct(path, ct, roi=roi)

    assert expected in refused(read, make, series, tmp_path, recwarn, capfd, caplog)


def test_names_that_hold_a_person_are_not_shown(series, tmp_path):
    sources, ct = series
    square = [contour(box((1.5, 6.5), (1.5, 6.5), 2))]
    path = rtstruct_file(tmp_path / "r.dcm", sources, [("GTV zwetschgenbaum", square), ("SECRET-4711", square)])
    with pytest.raises(RegionError) as caught:
        read_rtstruct(path, ct, roi="Heart")
    assert 'choose one of: "ROI 1", "ROI 2"' in str(caught.value)
    content = read_rtstruct(path, ct, roi="GTV")
    assert voxels(content, "GTV").sum() == 25
    assert content.segments[0].name == "ROI 1"
    assert content.segments[0].counts_as_tumour
    seg = read_seg(seg_file(tmp_path / "s.dcm", sources, some_mask(), labels=("GTV_Xylander",)), ct)
    assert seg.segments[0].name == "segment 1"


@pytest.mark.parametrize("kind", ["seg", "rtstruct"])
def test_values_that_pydicom_warns_about_are_not_repeated(series, tmp_path, capfd, caplog, kind):
    sources, ct = series
    if kind == "seg":
        path = seg_file(tmp_path / "s.dcm", sources, some_mask())
    else:
        path = rtstruct_file(tmp_path / "r.dcm", sources, [("GTV", [contour(box((1.5, 6.5), (1.5, 6.5), 2))])])
    data = path.read_bytes()
    study = ct.study_uid.encode()
    assert study in data
    path.write_bytes(data.replace(study, b"Marked" + study[6:]))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        content = read_seg(path, ct) if kind == "seg" else read_rtstruct(path, ct, roi=None)
    assert voxels(content).any()
    assert "Marked" not in "".join([caplog.text, *capfd.readouterr(), *(str(w.message) for w in caught)])


def test_a_mask_of_another_series_is_taken_and_told(series, tmp_path):
    _, ct = series
    other = ct_files(tmp_path / "o", frame_of_reference=ct.frame_of_reference_uid)
    mask = some_mask()
    content = read_seg(seg_file(tmp_path / "s.dcm", other, mask), ct)
    np.testing.assert_array_equal(voxels(content), mask)
    assert codes_of(content) == ["mask_of_another_series"]
    path = rtstruct_file(tmp_path / "r.dcm", other, [("GTV", [contour(box((1.5, 6.5), (1.5, 6.5), 2))])])
    assert codes_of(read_rtstruct(path, ct, roi=None)) == ["mask_of_another_series"]


def test_a_mask_without_frame_of_reference_counts_when_it_names_the_ct_images(series, tmp_path):
    sources, ct = series
    path = changed(seg_file(tmp_path / "s.dcm", sources, some_mask()), without("FrameOfReferenceUID"))
    np.testing.assert_array_equal(voxels(read_seg(path, ct)), some_mask())

"""A profile as DICOM: read back by pydicom, highdicom, this library and, where it is installed, dciodvfy."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
import SimpleITK as sitk
from pydicom import Dataset, dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian

from DeepRadScoreLib.analyses import analysis
from DeepRadScoreLib.analyses.findings import Finding, MolecularProfile
from DeepRadScoreLib.cli import case_commands
from DeepRadScoreLib.endpoints import BY_KEY, KEYS
from DeepRadScoreLib.errors import InputError, OutputError
from DeepRadScoreLib.imaging import Case, PreparedCase, read_case
from DeepRadScoreLib.imaging.dicom.ct import read_ct
from DeepRadScoreLib.imaging.dicom.pairing import SourceSeries
from DeepRadScoreLib.imaging.dicom.structures.seg import read_seg
from DeepRadScoreLib.imaging.masks.segments import choose
from DeepRadScoreLib.imaging.origin import SYNTHETIC_LABEL
from DeepRadScoreLib.models import Engine
from DeepRadScoreLib.pseudonyms import Pseudonyms, pseudonym_key
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS
from DeepRadScoreLib.report.dicom.writing import to_dicom, write_dicom
from support import dicom_phantoms as made
from support.dicom_mask_makers import seg_file
from support.dicom_results import (
    HU,
    MAPS,
    OBLIQUE,
    STUDY,
    TUMOUR,
    TURNED,
    complaints,
    expanded,
    opened,
    profile_of,
    study,
    voxels,
)
from support.planted_identity import PLANTED, plant
from support.viewers.reading import frame_planes, voxels_of

EVIDENCE = ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence")
NAMES = {"regions.dcm", "tumour.dcm", "profile.dcm", "gradcam_LVI.dcm", "gradcam_EGFR.dcm"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def case(root: Path) -> Case:
    return read_case(root)


@pytest.fixture(scope="module")
def source(case: Case) -> SourceSeries:
    assert case.source is not None
    return case.source


@pytest.fixture(scope="module")
def profile(case: Case) -> MolecularProfile:
    return profile_of(case)


@pytest.fixture(scope="module")
def files(profile: MolecularProfile, case: Case) -> dict[str, bytes]:
    return to_dicom(profile, case)


# ------------------------------------------------------------------------------------------------------------- SEG


def placed(points: np.ndarray, grid: sitk.Image) -> np.ndarray:
    """The voxels of `grid` at these points (mm, LPS), each of which must be the centre of one, as a mask (z, y, x)."""
    axes = np.reshape(grid.GetDirection(), (3, 3)) * grid.GetSpacing()
    exact = (points - grid.GetOrigin()) @ np.linalg.inv(axes).T
    np.testing.assert_allclose(exact, np.rint(exact), atol=1e-3)
    mask = np.zeros(grid.GetSize()[::-1], np.uint8)
    np.add.at(mask, tuple(np.rint(exact).astype(int).T[::-1]), 1)
    return mask


def centres(mask: sitk.Image) -> np.ndarray:
    """The points of a mask, (n, 3), mm, LPS."""
    axes = np.reshape(mask.GetDirection(), (3, 3)) * mask.GetSpacing()
    return np.argwhere(voxels(mask))[:, ::-1] @ axes.T + mask.GetOrigin()


@pytest.mark.parametrize(
    ("options", "preprocessing"),
    [
        ({"spacing": (0.7, 0.8, 5.0)}, "canonical"),
        ({"orientation": TURNED}, "canonical"),
        ({"orientation": TURNED}, "pyradiomics"),
        ({"orientation": OBLIQUE}, "canonical"),
        ({"shear": (0.0, 0.5)}, "canonical"),
    ],
    ids=["thick", "turned", "turned, pyradiomics", "oblique", "gantry tilt"],
)
def test_masks_written_and_read_again_are_the_same_bit_for_bit(tmp_path, options, preprocessing):
    root = study(tmp_path, **options)
    case, ct = read_case(root), read_ct(root)
    profile = profile_of(case, preprocessing=preprocessing)
    written = {path.name: path for path in write_dicom(to_dicom(profile, case), tmp_path / "o")}
    again = read_case(root / "ct", written["tumour.dcm"])
    np.testing.assert_array_equal(voxels(again.tumour), voxels(case.tumour))
    content = read_seg(written["regions.dcm"], ct)
    for label, expected in ((1, profile.prepared.tumour), (2, profile.prepared.peritumoral)):
        found = content.binary(choose(content, segment=None, label=label))
        np.testing.assert_array_equal(placed(centres(found), expected), voxels(expected))
    assert [note.code for note in content.notes] == []


def test_the_regions_seen_by_highdicom(files, profile):
    seg = hd.seg.segread(BytesIO(files["regions.dcm"]))
    assert [seg.get_segment_description(n).segment_label for n in (1, 2)] == ["Tumour", "Shell 3 mm"]
    volume = seg.get_volume()
    np.testing.assert_allclose(sorted(volume.spacing), [1.0, 1.0, 1.0])
    for number, mask in ((1, profile.prepared.tumour), (2, profile.prepared.peritumoral)):
        points = volume.map_indices_to_reference(np.argwhere(volume.array[..., number - 1]))
        np.testing.assert_array_equal(placed(points, mask), voxels(mask))


def test_frames_on_the_ct_refer_to_their_slices(files, source):
    tumour = opened(files)["tumour.dcm"]
    at = {tuple(map(float, one.ImagePositionPatient)): one.SOPInstanceUID for one in source.headers}
    assert len(frames_of(tumour, 1)) == np.count_nonzero(TUMOUR.any(axis=(1, 2)))
    for frame in tumour.PerFrameFunctionalGroupsSequence:
        place = tuple(map(float, frame.PlanePositionSequence[0].ImagePositionPatient))
        origin = frame.DerivationImageSequence[0].SourceImageSequence[0]
        assert origin.ReferencedSOPInstanceUID == at[place]


def test_the_shell_is_not_taken_for_another_tumour(root, files, tmp_path):
    (tmp_path / "r.dcm").write_bytes(files["regions.dcm"])
    again = read_case(root / "ct", tmp_path / "r.dcm", segment="Tumour")
    assert again.other_tumours is None


def test_shared_phantom(shared):
    root = shared / "data" / "ibsi" / "ct_phantom" / "dicom"
    case = read_case(root)
    objects = opened(to_dicom(profile_of(case), case))
    assert int(frames_of(objects["tumour.dcm"], 1).sum()) == 125256
    assert objects["regions.dcm"].ContentDate == "20160804"
    places = np.round(voxels_of(frame_planes(objects["tumour.dcm"]))[:, 1:4], 2)
    assert len(np.unique(places, axis=0)) == len(places), "a voxel is of both segments"


# -------------------------------------------------------------------------------------------- parametric map, SR


@pytest.mark.parametrize("orientation", [made.AXIAL, TURNED, OBLIQUE], ids=["axial", "turned", "oblique"])
def test_heat_maps_lie_on_the_slices_where_itk_finds_them(tmp_path, orientation):
    case = read_case(study(tmp_path, orientation=orientation))
    profile = profile_of(case)
    objects = opened(to_dicom(profile, case))
    for key in MAPS:
        ds = objects[f"gradcam_{key}.dcm"]
        expected = sitk.Resample(profile.heat_map(key), case.ct, sitk.Transform(), sitk.sitkNearestNeighbor)
        np.testing.assert_array_equal(ds.pixel_array, voxels(expected))
        assert voxels(expected).any()
        for plane, frame in zip(case.source.headers, ds.PerFrameFunctionalGroupsSequence, strict=True):
            place = frame.PlanePositionSequence[0].ImagePositionPatient
            np.testing.assert_allclose(np.float64(place), np.float64(plane.ImagePositionPatient), atol=1e-6)
            image = frame.DerivationImageSequence[0].SourceImageSequence[0]
            assert image.ReferencedSOPInstanceUID == plane.SOPInstanceUID


def test_heat_maps(files):
    for ds in (opened(files)[f"gradcam_{key}.dcm"] for key in MAPS):
        assert ds.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian
        shared = ds.SharedFunctionalGroupsSequence[0]
        measures = shared.PixelMeasuresSequence[0]
        assert [*measures.PixelSpacing, measures.SpacingBetweenSlices] == [made.SPACING[n] for n in (1, 0, 2)]
        assert shared.PlaneOrientationSequence[0].ImageOrientationPatient == [1, 0, 0, 0, 1, 0]
        assert shared.FrameAnatomySequence[0].AnatomicRegionSequence[0].CodeMeaning == "Lung"
        identity = shared.PixelValueTransformationSequence[0]
        assert [str(identity.RescaleIntercept), str(identity.RescaleSlope)] == ["0", "1"]
        mapping = shared.RealWorldValueMappingSequence[0]
        assert mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0].CodeValue == "130403"
        assert ds.pixel_array.shape == HU.shape


@pytest.mark.parametrize("name", sorted(NAMES - {"profile.dcm"}))
def test_what_the_iods_ask_for(files, name):
    """The creator's name may be empty but not absent; slices have a distance (dcmqi reads no map without anatomy)."""
    ds = opened(files)[name]
    assert "ContentCreatorName" in ds and not ds.ContentCreatorName
    measures = ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert measures.SpacingBetweenSlices == (1 if name == "regions.dcm" else made.SPACING[2])


def test_slices_have_their_distance_where_the_mask_leaves_some_out(tmp_path):
    mask = np.zeros_like(TUMOUR)
    mask[[3, 7], 14:26, 18:30] = 1
    series = made.ct_series(HU, **{**STUDY, "spacing": (0.7, 0.8, 5.0)})
    made.save(series, tmp_path / "ct", seed=5)
    seg_file(tmp_path / "seg.dcm", series, mask)
    case = read_case(tmp_path)
    for name, ds in opened(to_dicom(profile_of(case), case)).items():
        if name != "profile.dcm":
            measures = ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
            assert measures.SpacingBetweenSlices == (1 if name == "regions.dcm" else 5)


def test_heat_maps_as_highdicom_places_them(files, profile):
    for key in MAPS:
        volume = hd.pm.ParametricMap.from_dataset(opened(files)[f"gradcam_{key}.dcm"]).get_volume()
        heat = profile.heat_map(key)
        points = volume.map_indices_to_reference(np.argwhere(volume.array))
        exact = np.rint([heat.TransformPhysicalPointToContinuousIndex(point) for point in points.tolist()]).astype(int)
        np.testing.assert_allclose(volume.array[volume.array != 0], profile.gradcam[key][exact[:, 1], exact[:, 0]])


def test_occlusion_maps_are_series_of_their_own_on_the_same_pixels(files, profile, case):
    change = {key: 3 * heat - 1 for key, heat in profile.gradcam.items()}
    made_of = opened(to_dicom(replace(profile, occlusion=change), case))
    assert set(made_of) == NAMES | {f"occlusion_{key}.dcm" for key in MAPS}
    assert len({ds.SeriesInstanceUID for ds in made_of.values()}) == len({ds.SeriesNumber for ds in made_of.values()})
    for key in MAPS:
        ds, heat = made_of[f"occlusion_{key}.dcm"], opened(files)[f"gradcam_{key}.dcm"].pixel_array
        np.testing.assert_allclose(ds.pixel_array[heat != 0], 3 * heat[heat != 0] - 1, rtol=1e-6)
        assert not ds.pixel_array[heat == 0].any()
        shared, largest = ds.SharedFunctionalGroupsSequence[0], np.abs(change[key]).max()
        window = shared.FrameVOILUTSequence[0]
        assert (window.WindowCenter, window.VOILUTFunction) == (0, "LINEAR_EXACT")
        assert float(window.WindowWidth) == pytest.approx(2 * largest)
        mapping = shared.RealWorldValueMappingSequence[0]
        assert mapping.DoubleFloatRealWorldValueLastValueMapped == pytest.approx(largest)
        assert "Fall of the log-odds" in mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0].CodeMeaning
    texts = [e.value for e in made_of["profile.dcm"].iterall() if e.keyword == "TextValue"]
    assert any("Occlusion maps stand in" in text for text in texts)
    without = opened(to_dicom(replace(profile, occlusion=change, gradcam={}), case))
    assert [name for name in without if "_" in name] == [f"occlusion_{key}.dcm" for key in MAPS]


def items(container: Dataset) -> Iterator[Dataset]:
    for item in container.get("ContentSequence", ()):
        yield item
        yield from items(item)


def shown(item: Dataset) -> tuple[str, object]:
    name = item.ConceptNameCodeSequence[0].CodeMeaning
    if item.ValueType == "NUM":
        return name, float(item.MeasuredValueSequence[0].NumericValue)
    return name, item.ConceptCodeSequence[0].CodeMeaning if item.ValueType == "CODE" else item.get("TextValue")


def test_report_holds_volumes_and_findings(files, profile):
    report = hd.sr.srread(BytesIO(files["profile.dcm"]))
    assert isinstance(report.content, hd.sr.MeasurementReport)
    assert (report.VerificationFlag, report.CompletionFlag, report.PreliminaryFlag) == (
        *("UNVERIFIED", "COMPLETE", "PRELIMINARY"),
    )
    regions = opened(files)["regions.dcm"]
    groups = report.content.get_volumetric_roi_measurement_groups()
    for number, (group, region) in enumerate(zip(groups, ("tumour", "peritumoral"), strict=True), start=1):
        segment = group.referenced_segment
        assert segment.referenced_sop_instance_uid == regions.SOPInstanceUID
        assert segment.referenced_segment_numbers == [number]
        volume = group.get_measurements(hd.sr.CodedConcept("118565006", "SCT", "Volume"))[0]
        assert volume.value == pytest.approx(profile.prepared.volume_ml(region), abs=1e-9)
        assert volume.value == pytest.approx(np.count_nonzero(frames_of(regions, number)) / 1000, abs=1e-9)
    given = report.content.get_image_measurement_groups()[2:]
    refused = report.content.get_planar_roi_measurement_groups()
    assert [len(given), len(refused)] == [len(KEYS) - 1, 1]
    for group in (*given, *refused):
        key = group.tracking_identifier.split()[-1]
        told, finding = [shown(item) for item in items(group[0])], profile.findings[key]
        numbers, words = {n: v for n, v in told if isinstance(v, float)}, dict(told)
        concept = f"{BY_KEY[key].name}, predicted from CT"
        assert words["Finding"] == concept
        if finding.probability is None:
            assert numbers == {} and words[concept] == "Not Evaluated"
            assert words["Comment"].startswith("The model does not cover this endpoint")
            continue
        assert numbers["Probability"] == pytest.approx(finding.probability, abs=1e-12)
        assert numbers["Validated AUC of the model on held-out patients"] == 0.75
        assert words[concept].lower() == finding.decision.lower()


def frames_of(seg: Dataset, number: int) -> np.ndarray:
    of = [
        frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber == number
        for frame in seg.PerFrameFunctionalGroupsSequence
    ]
    return seg.pixel_array[of]


def test_a_synthetic_model_is_labelled_in_every_group(profile, case):
    synthetic = replace(profile, model=replace(profile.model, synthetic=True))
    objects = opened(to_dicom(synthetic, case))
    groups = [item for item in items(objects["profile.dcm"]) if shown(item)[0] == "Measurement Group"]
    assert len(groups) == 4 + len(KEYS)
    assert all(("Measurement Method", SYNTHETIC_LABEL) in map(shown, group.ContentSequence) for group in groups)
    for ds in objects.values():
        assert ds.SeriesDescription.startswith(SYNTHETIC_LABEL)
    assert all(SYNTHETIC_LABEL in one.SegmentLabel for one in objects["regions.dcm"].SegmentSequence)
    assert SYNTHETIC_LABEL not in str(opened(to_dicom(profile, case))["profile.dcm"])


def test_the_texts_of_axes_and_shell_stand_in_different_slices(files):
    drawn = {}
    for item in items(opened(files)["profile.dcm"]):
        first = item.ContentSequence[0] if item.ValueType == "NUM" and "ContentSequence" in item else None
        if first is not None and first.ValueType == "SCOORD":
            image = first.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
            drawn[item.ConceptNameCodeSequence[0].CodeMeaning] = image
    assert drawn["Long axis"] == drawn["Short axis"] != drawn["Thickness of the shell"]


def test_without_a_model_every_finding_says_so(profile, case):
    bare = replace(profile, model=None, gradcam={}, findings={key: Finding(key, flags=("no_model",)) for key in KEYS})
    objects = opened(to_dicom(bare, case))
    assert set(objects) == {"regions.dcm", "tumour.dcm", "profile.dcm"}
    told = [shown(item) for item in items(objects["profile.dcm"])]
    assert told.count(("Comment", "No trained model was given.")) == len(KEYS)


# --------------------------------------------------------------------------------------- what all objects share


def test_all_file_with_the_study_and_refer_to_the_series(files, source):
    objects, first = opened(files), source.first
    assert set(objects) == NAMES
    known = {one.SOPInstanceUID for one in (*source.headers, *objects.values())}
    for ds in objects.values():
        for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate"):
            assert ds.get(keyword) == first.get(keyword)
        assert ds.AccessionNumber == first.AccessionNumber and "InstitutionName" not in ds
        referred = {e.value for e in ds.iterall() if e.keyword == "ReferencedSOPInstanceUID"}
        assert referred & {one.SOPInstanceUID for one in source.headers} and referred <= known
        if "FrameOfReferenceUID" in ds:
            assert ds.FrameOfReferenceUID == first.FrameOfReferenceUID
            assert ds.ReferencedSeriesSequence[0].SeriesInstanceUID == first.SeriesInstanceUID
    assert len({ds.SeriesInstanceUID for ds in objects.values()} | {first.SeriesInstanceUID}) == len(NAMES) + 1
    assert len({ds.SeriesNumber for ds in objects.values()}) == len(NAMES)
    assert len({ds.SOPInstanceUID for ds in objects.values()}) == len(NAMES)
    report = objects.pop("profile.dcm")
    evidence = [item for keyword in EVIDENCE for item in report.get(keyword, ())]
    listed = {e.value for item in evidence for e in item.iterall() if e.keyword == "ReferencedSOPInstanceUID"}
    assert listed == {one.SOPInstanceUID for one in (*source.headers, *objects.values())}


def test_equal_input_gives_equal_bytes_and_no_clock_is_read(root, files, case):
    again = to_dicom(profile_of(case), case)
    assert again == files
    for ds in opened(files).values():
        assert (ds.ContentDate, ds.ContentTime) == ("19020304", "121530.5")
        dates = {e.value for e in ds.iterall() if e.VR in ("DA", "DT") and e.value}
        assert dates <= {"19020304", "19010203"}


def test_the_files_of_ct_and_mask_are_read_once(root, files, tmp_path):
    """All that the objects repeat of the source was noted when the case was read."""
    copy = shutil.copytree(root, tmp_path / "copy")
    case = read_case(copy)
    shutil.rmtree(copy)
    assert to_dicom(profile_of(case), case) == files


def test_a_case_that_was_not_read_from_dicom_is_refused(profile, case):
    with pytest.raises(InputError, match="only for a CT that is read from DICOM"):
        to_dicom(profile, replace(case, source=None))


@pytest.mark.parametrize("change", ["finding", "mask", "patient", "map"])
def test_other_content_gets_other_uids(files, profile, case, change):
    if change == "finding":
        other = replace(profile.findings["LVI"], probability=0.26)
        profile = replace(profile, findings={**profile.findings, "LVI": other})
    elif change == "map":
        profile = replace(profile, gradcam={**profile.gradcam, "LVI": profile.gradcam["LVI"] / 2})
    elif change == "patient":
        first = dcmread(case.source.files[0], stop_before_pixels=True)
        first.PatientName = "Other^Name"
        case = replace(case, source=replace(case.source, first=first))
    else:
        case = replace(case, tumour=sitk.BinaryDilate(case.tumour))
    old, new = opened(files), opened(to_dicom(profile, case))
    for name, ds in new.items():
        assert ds.SOPInstanceUID != old[name].SOPInstanceUID
        assert ds.SeriesInstanceUID != old[name].SeriesInstanceUID


def bare(ds: Dataset) -> None:
    for keyword in (*made.MARKED, *STUDY, "SliceThickness"):
        if keyword in ds:
            del ds[keyword]


def odd(ds: Dataset) -> None:
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.PatientName, ds.PatientComments = "Müßig^Jörg", "Größe"
    for keyword, value in {"PatientSex": "X", "PatientBirthDate": "1931.12.24", "StudyTime": "noon"}.items():
        ds[keyword].value = value


def no_frame(ds: Dataset) -> None:
    del ds.FrameOfReferenceUID


@pytest.mark.parametrize("damage", [bare, odd, no_frame], ids=lambda one: one.__name__)
@pytest.mark.filterwarnings("ignore")
def test_headers_that_lack_or_bend_what_the_standard_wants(tmp_path, damage: Callable[[Dataset], None]):
    root = study(tmp_path)
    for path in (root / "ct").iterdir():
        ds = dcmread(path)
        damage(ds)
        ds.save_as(path)
    case = read_case(root)
    files = to_dicom(profile_of(case), case)
    (tmp_path / "t.dcm").write_bytes(files["tumour.dcm"])
    np.testing.assert_array_equal(voxels(read_case(root / "ct", tmp_path / "t.dcm").tumour), TUMOUR)
    report = hd.sr.srread(BytesIO(files["profile.dcm"]))
    if damage is odd:
        assert str(report.PatientName) == "Müßig^Jörg" and report.PatientComments == "Größe"
        assert (report.PatientSex, report.SpecificCharacterSet) == ("X", "ISO_IR 192")
    if damage is bare:
        assert report.ContentDate == "19000101"


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["ISO 2022 IR 13", "ISO 2022 IR 87"], "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
        ("ISO_IR 100", "Äneas^Rüdiger"),
        ("ISO_IR 144", "Люксембург"),
        ("ISO_IR 127", "قباني^لنزار"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        ("ISO_IR 192", "Żółć^Łukasz"),
    ],
    ids=["Japanese", "katakana", "Korean", "German", "Russian", "Arabic", "Chinese", "Polish"],
)
def test_the_patient_has_the_same_name_in_every_object(root, tmp_path, charset, name):
    for path in shutil.copytree(root, tmp_path / "s").glob("ct/*"):
        ds = dcmread(path)
        ds.SpecificCharacterSet, ds.PatientName = charset, name
        ds.save_as(path)
    case = read_case(tmp_path / "s")
    for file, data in to_dicom(profile_of(case), case).items():
        ds = dcmread(BytesIO(data))
        assert (ds.SpecificCharacterSet, str(ds.PatientName)) == ("ISO_IR 192", name), file


def test_enhanced_ct(tmp_path):
    enhanced = made.enhanced_ct(HU)
    enhanced.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].FrameComments = "MARKED"
    made.save([enhanced], tmp_path / "ct")
    mask = sitk.GetImageFromArray(TUMOUR)
    mask.SetSpacing(made.SPACING)
    mask.SetOrigin(made.ORIGIN)
    sitk.WriteImage(mask, str(tmp_path / "m.nii.gz"))
    case = read_case(tmp_path / "ct", tmp_path / "m.nii.gz")
    assert len(case.source.headers) == 1
    profile = profile_of(case)
    hidden = to_dicom(profile, case, pseudonyms=Pseudonyms(b"k" * 32))
    assert not any(b"MARKED" in expanded(data) for data in hidden.values())
    for path in write_dicom(to_dicom(profile, case), tmp_path / "o"):
        if path.name == "tumour.dcm":
            np.testing.assert_array_equal(voxels(read_case(tmp_path / "ct", path).tumour), TUMOUR)


# ----------------------------------------------------------------------------------------------------- anonymous


def planted_study(folder: Path) -> tuple[Path, list[bytes]]:
    series = made.ct_series(HU)
    seg_file(folder / "seg.dcm", [with_study(ds) for ds in series], TUMOUR)
    for ds in series:
        plant(ds)
    made.save(series, folder / "ct")
    mask = dcmread(folder / "seg.dcm")
    mask.PatientID = series[0].PatientID
    mask.SegmentSequence[0].SegmentLabel = series[0].PatientID
    mask.save_as(folder / "seg.dcm")
    uids = [str(ds.get(key)) for ds in series for key in ("SOPInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")]
    return folder, [word.encode() for word in ("Marked", *made.MARKED.values(), *PLANTED.values(), *set(uids))]


def with_study(ds: Dataset) -> Dataset:
    for key, value in STUDY.items():
        setattr(ds, key, value)
    return ds


@pytest.mark.filterwarnings("ignore")
def test_anonymous_objects_hold_nothing_of_the_source_identity(tmp_path):
    root, marked = planted_study(tmp_path)
    case = read_case(root)
    profile = profile_of(case)
    named = {name: expanded(data) for name, data in to_dicom(profile, case).items()}
    assert all(b"MARKED" in data and b"19111213" in data and b"099Y" in data for data in named.values())
    hidden = to_dicom(profile, case, pseudonyms=Pseudonyms(b"k" * 32))
    assert [(name, word) for name, data in hidden.items() for word in marked if word in expanded(data)] == []
    objects = opened(hidden)
    assert len({ds.PatientID for ds in objects.values()}) == len({ds.StudyInstanceUID for ds in objects.values()}) == 1
    for ds in objects.values():
        assert ds.PatientIdentityRemoved == "YES" and ds.PatientID.startswith("ANON-")
        assert {e.value for e in ds.iterall() if e.VR in ("DA", "DT", "TM") and e.value} <= {"19000101", "000000"}
    again = to_dicom(profile, case, pseudonyms=Pseudonyms(b"k" * 32))
    other = opened(to_dicom(profile, case, pseudonyms=Pseudonyms(b"j" * 32)))
    assert again == hidden
    for keyword in ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID", "SOPInstanceUID", "SeriesInstanceUID"):
        assert other["regions.dcm"].get(keyword) != objects["regions.dcm"].get(keyword)


def test_anonymous_masks_keep_their_places(case, profile, files):
    hidden = to_dicom(profile, case, pseudonyms=Pseudonyms(b"k" * 32))
    for name in ("regions.dcm", "tumour.dcm"):
        one, other = (hd.seg.segread(BytesIO(data[name])).get_volume() for data in (files, hidden))
        np.testing.assert_array_equal(one.array, other.array)
        np.testing.assert_array_equal(one.affine, other.affine)


def test_the_key_is_made_once_and_kept_private(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPRADSCORE_KEY", str(tmp_path / "new" / "key"))
    key = pseudonym_key()
    assert len(key) == 32 and pseudonym_key() == key
    assert (tmp_path / "new" / "key").stat().st_mode & 0o077 == 0
    (tmp_path / "new" / "key").write_bytes(b"short")
    with pytest.raises(OutputError, match="5 bytes"):
        pseudonym_key()
    monkeypatch.setenv("DEEPRADSCORE_KEY", str(tmp_path / "new" / "key" / "below"))
    with pytest.raises(OutputError, match="DEEPRADSCORE_KEY"):
        pseudonym_key()


# ------------------------------------------------------------------------------------------------------- command


def no_features(prepared: PreparedCase, engine: Engine, *, threads: int) -> Generator[str, None, dict[str, float]]:
    """What takes most of the time of an analysis and is not looked at here."""
    yield "features"
    return dict.fromkeys(FEATURE_COLUMNS, 0.0)


@pytest.mark.filterwarnings("ignore")
def test_command_leaves_dicom_and_no_planted_value_anywhere(tmp_path, monkeypatch, capfd, caplog):
    monkeypatch.setenv("DEEPRADSCORE_KEY", str(tmp_path / "key"))
    monkeypatch.setattr(analysis, "feature_steps", no_features)
    root, marked = planted_study(tmp_path)
    out = tmp_path / "out"
    case_commands.analyze(ct=root, out=out, dicom_out=True, anonymous=True)
    written = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert {"dicom/regions.dcm", "dicom/tumour.dcm", "dicom/profile.dcm", "profile.json"} <= set(written)
    assert [(name, word) for name, data in written.items() for word in marked if word in data] == []
    told = "".join(capfd.readouterr()) + caplog.text
    assert not any(word.decode() in told for word in marked)


def nrrd_ct(root: Path, scratch: Path) -> dict[str, object]:
    sitk.WriteImage(read_case(root).ct, str(scratch / "ct.nrrd"))
    return {"ct": scratch / "ct.nrrd", "mask": root / "seg.dcm", "dicom_out": True}


def without_dicom_out(root: Path, scratch: Path) -> dict[str, object]:
    return {"ct": root, "anonymous": True}


def among_the_sources(root: Path, scratch: Path) -> dict[str, object]:
    shutil.copytree(root, scratch / "dicom")
    return {"ct": scratch / "dicom", "dicom_out": True}


def mask_among_results(root: Path, scratch: Path) -> dict[str, object]:
    (scratch / "dicom").mkdir()
    shutil.copy(root / "seg.dcm", scratch / "dicom" / "tumour.dcm")
    return {"ct": root / "ct", "mask": scratch / "dicom" / "tumour.dcm", "dicom_out": True}


def a_file_in_the_way(root: Path, scratch: Path) -> dict[str, object]:
    (scratch / "dicom").write_text("")
    return {"ct": root, "dicom_out": True}


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (nrrd_ct, r"ct\.nrrd: DICOM objects can be made only for a CT that is read from DICOM; give the folder"),
        (without_dicom_out, "--anonymous: .*add --dicom-out"),
        (among_the_sources, "among the files that they are made from"),
        (mask_among_results, "among the files that they are made from"),
        (a_file_in_the_way, "this is a file, not a folder"),
    ],
)
def test_refused_before_anything_is_written(root, tmp_path, make, sentence):
    given = make(root, tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises((InputError, OutputError), match=sentence):
        case_commands.analyze(out=tmp_path, **given)
    assert sorted(tmp_path.rglob("*")) == before


def test_heat_maps_of_an_older_result_go(files, tmp_path):
    write_dicom(files, tmp_path / "o")
    (tmp_path / "o" / "mine.dcm").write_text("")
    write_dicom({name: data for name, data in files.items() if "EGFR" not in name}, tmp_path / "o")
    assert {path.name for path in (tmp_path / "o").iterdir()} == NAMES - {"gradcam_EGFR.dcm"} | {"mine.dcm"}


# ---------------------------------------------------------------------------------------------------- validator


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian package dicom3tools) is not installed")
@pytest.mark.parametrize(
    ("which", "hidden"),
    [
        ("made up", None),
        ("made up", Pseudonyms(b"k" * 32)),
        ("ct-radiomics-phantom/pat_2/dicom", None),
        ("ibsi/ct_phantom/dicom", None),
    ],
    ids=["made up", "made up, anonymous", "pat_2", "ibsi"],
)
def test_no_error_that_the_source_does_not_give_itself(which, hidden, request, root, tmp_path):
    folder = root if which == "made up" else request.getfixturevalue("shared") / "data" / which
    case = read_case(folder)
    known = complaints(Path(shutil.copy(case.source.files[0], tmp_path)))
    for path in write_dicom(to_dicom(profile_of(case), case, pseudonyms=hidden), tmp_path / "o"):
        assert complaints(path) - known == set(), path.name

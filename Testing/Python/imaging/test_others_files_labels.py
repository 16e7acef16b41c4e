"""What others write into masks: other labels, Slicer's older files, names of labels. Right or refused, never silent."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from DeepRadScoreLib.computing.case_record import CaseTask
from DeepRadScoreLib.errors import InputError, RegionError
from DeepRadScoreLib.imaging import (
    MaskContent,
    Segment,
    case_from_segments,
    describe_image,
    lattice_regions,
    read_case,
    read_image,
)
from DeepRadScoreLib.imaging.assembling import case_from_images
from DeepRadScoreLib.imaging.formats.files import input_digest
from DeepRadScoreLib.imaging.formats.label_names import label_names, name_tables
from DeepRadScoreLib.imaging.masks.segments import choose, mask_content
from DeepRadScoreLib.models import OtherLabels
from support.dicom_mask_makers import box, contour, ct_files, rtstruct_file
from support.imaging_phantoms import ball, image_of, lung_ct

SIZE = (48, 48, 48)


def voxels(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)


def part(where: str) -> np.ndarray:
    """uint8 (z, y, x) on the 48 mm cube; the nodule's centre is the cube's but for "wall", 4 mm from the low x side."""
    x = np.indices(SIZE)[2]
    nodule, wall = ball(SIZE, (1, 1, 1), 6.0) > 0, ball(SIZE, (1, 1, 1), 6.0, centre=(14, 23.5, 23.5)) > 0
    parts = {
        "nodule": nodule,
        "nodule at the wall": wall & (x >= 10),
        "lung": np.ones(SIZE, bool),
        "lung up to the wall": x >= 10,
        "touching ball": ball(SIZE, (1, 1, 1), 6.0, centre=(36.0, 23.5, 23.5)) > 0,
        "touching slab": (x >= 30) & (x < 40),
        "core": ball(SIZE, (1, 1, 1), 3.0) > 0,
        "holder": ball(SIZE, (1, 1, 1), 9.0) > 0,
        "second reader": ball(SIZE, (1, 1, 1), 6.0, centre=(24.5, 23.5, 23.5)) > 0,
        "overlapping": ball(SIZE, (1, 1, 1), 6.0, centre=(31.0, 23.5, 23.5)) > 0,
    }
    return parts[where].astype(np.uint8)


class Others(NamedTuple):
    """Name and part of the tumour, then of the others; the parts that are cut out; what the note says.

    Segments called "" are labels without a name: `Segment_1` for the tumour, then 2, 3 ...
    """

    tumour: tuple[str, str]
    others: list[tuple[str, str]]
    cut: list[str]
    said: str
    how: str = "auto"


MANY = [("", "touching ball")] * 21
CASES = {
    "lung and nodule": Others(("", "nodule"), [("", "lung")], [], "label 2 (surrounds the tumour)"),
    "pleural nodule": Others(
        ("", "nodule at the wall"), [("", "lung up to the wall")], [], "label 2 (surrounds the tumour)"
    ),
    "a second nodule": Others(
        ("", "nodule"),
        [("", "touching ball"), ("", "lung")],
        ["touching ball"],
        "tumours: label 2; not cut out: label 3",
    ),
    "what is convex never surrounds": Others(
        ("", "nodule"), [("", "touching slab")], ["touching slab"], "tumours: label 2."
    ),
    "a name is no tumour's": Others(
        ("Tumour", "nodule"), [("heart", "touching ball")], [], "1 label (is no tumour by its"
    ),
    "a name is a tumour's": Others(
        ("GTV-1", "nodule"), [("GTV-2", "touching ball")], ["touching ball"], "tumours: 1 label."
    ),
    "Segment_1 and Tumour": Others(("Tumour", "nodule"), [("", "lung")], [], "label 2 (surrounds the tumour)"),
    "Lungs-GTV": Others(("GTV", "nodule"), [("Lungs-GTV", "lung")], [], "1 label (surrounds the tumour)"),
    "held by another": Others(("GTV-1", "nodule"), [("GTV", "holder")], [], "1 label (surrounds the tumour)"),
    "holds another": Others(("GTV", "holder"), [("GTV core", "core")], [], "1 label (outlines the same tumour)"),
    "two readers": Others(("GTV a", "nodule"), [("GTV b", "second reader")], [], "1 label (outlines the same tumour)"),
    "overlapping": Others(("GTV a", "nodule"), [("GTV b", "overlapping")], ["overlapping"], "tumours: 1 label."),
    "over twenty labels": Others(("", "nodule"), MANY, [], "label 2, label 3, label 4, label 5 and 17 more (is one of"),
    "all are tumours": Others(("A", "nodule"), [("heart", "touching ball")], ["touching ball"], "1 label.", "tumours"),
    "ignored": Others(
        ("GTV", "nodule"), [("GTV 2", "touching ball")], [], "1 label (is ignored as asked for)", "ignore"
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_other_labels(case: Others) -> None:
    names = [case.tumour, *case.others]
    segments = tuple(Segment(name or f"Segment_{n + 1}", f"S{n}", n, n + 1) for n, (name, _) in enumerate(names))
    layers = tuple(image_of(part(where) * np.uint8(n + 1)) for n, (_, where) in enumerate(names))
    ct = image_of(lung_ct(part(case.tumour[1])))
    content = MaskContent(layers, segments, (), "the mask")
    found = case_from_segments(ct, content, case_id="one", segment="S0", other_labels=OtherLabels(case.how))
    (note,) = (note for note in found.notes if note.code == "other_labels")
    assert case.said in note.message
    assert not any(name in note.message for name, _ in names if name), "a name may be a person's"
    tumour, shell = (voxels(image) for image in lattice_regions(found, 3.0))
    alone = case_from_images(ct, image_of(part(case.tumour[1])))
    expected_tumour, expected_shell = (voxels(image) for image in lattice_regions(alone, 3.0))
    np.testing.assert_array_equal(tumour, expected_tumour)
    cut = sum((part(where) for where in case.cut), np.zeros(SIZE[::-1], np.uint8))
    start = np.round(lattice_regions(alone, 3.0)[0].GetOrigin()).astype(int)
    z, y, x = (slice(a, a + n) for a, n in zip(start[::-1], tumour.shape, strict=True))
    np.testing.assert_array_equal(shell, expected_shell & (1 - cut[z, y, x]))


@pytest.mark.parametrize(
    ("size_mm", "named", "cut"), [(60, False, True), (75, False, False), (75, True, True), (102, True, False)]
)
def test_litres_large_labels_are_no_tumours(size_mm: int, named: bool, cut: bool) -> None:
    """Cubes of 0.2, 0.4 and 1.06 litres beside the tumour, on voxels of 3 mm."""
    size, n = (60, 60, 60), size_mm // 3
    labels = 1 * ball(size, (3, 3, 3), 6.0, centre=(30, 90, 90))
    other = np.zeros_like(labels)
    other[30 - n // 2 : 30 + n // 2 + n % 2, 30 - n // 2 : 30 + n // 2 + n % 2, 13 : 13 + n] = 1
    other &= 1 - labels
    names = ("GTV-1", "GTV-2") if named else ("Segment_1", "Segment_2")
    segments = tuple(Segment(name, f"S{n}", 0, n + 1) for n, name in enumerate(names))
    content = MaskContent((image_of(labels + 2 * other, (3, 3, 3)),), segments, (), "the mask")
    found = case_from_segments(image_of(lung_ct(labels), (3, 3, 3)), content, case_id="one", segment="S0")
    assert (found.other_tumours is not None) == cut


def test_the_shell_of_a_patient_does_not_depend_on_a_lung_label(shared: Path) -> None:
    folder = shared / "data" / "nsclc-radiomics-lung1" / "ct"
    ct, gtv = (sitk.ReadImage(str(folder / f"LUNG1-002_{name}_crop40.nii.gz")) for name in ("ct", "gtv1"))
    tumour = voxels(gtv) > 0
    labels = image_of(np.where(tumour, 2, voxels(ct) < -400).astype(np.uint8))
    labels.CopyInformation(ct)
    alone, beside = case_from_images(ct, gtv), case_from_images(ct, labels, label=2)
    for one, other in zip(lattice_regions(alone, 3.0), lattice_regions(beside, 3.0), strict=True):
        np.testing.assert_array_equal(voxels(one), voxels(other))


def test_structures_named_alike(tmp_path: Path) -> None:
    """An RTSTRUCT with the whole tumour, a part of it, a second tumour beside it, and the lung."""
    series = ct_files(tmp_path / "ct")
    boxes = {
        "GTV-1": ((3, 9), (6, 14)),
        "GTV-1 boost": ((4, 8), (7, 13)),
        "GTV-2": ((11, 16), (6, 14)),
        "Lung": ((1, 20), (2, 18)),
    }
    rois = [(name, [contour(box(*sides, z)) for z in range(2, 6)]) for name, sides in boxes.items()]
    mask = rtstruct_file(tmp_path / "rs.dcm", series, rois)
    drawn = {name: voxels(read_case(tmp_path / "ct", mask, segment=f"^{name}$").tumour) for name in boxes}
    for name, why in (("GTV-1", "outlines the same tumour"), ("GTV-1 boost", "surrounds the tumour")):
        case = read_case(tmp_path / "ct", mask, segment=f"^{name}$")
        np.testing.assert_array_equal(voxels(case.other_tumours), drawn["GTV-2"])
        (note,) = (note for note in case.notes if note.code == "other_labels")
        assert f"1 label ({why}), 1 label (is no tumour by its name)" in note.message
    every = read_case(tmp_path / "ct", mask, segment="^GTV-1$", other_labels="tumours")
    np.testing.assert_array_equal(voxels(every.other_tumours), drawn["Lung"] | drawn["GTV-1 boost"] | drawn["GTV-2"])


# Slicer's segmentations

SLICER = """
import json
import sys
import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy


def positions(segment):
    labelmap = segment.GetRepresentation("Binary labelmap")
    if labelmap.IsEmpty():
        return []
    matrix, extent = vtk.vtkMatrix4x4(), labelmap.GetExtent()
    labelmap.GetImageToWorldMatrix(matrix)
    values = vtk_to_numpy(labelmap.GetPointData().GetScalars())
    values = values.reshape([extent[2 * axis + 1] - extent[2 * axis] + 1 for axis in (2, 1, 0)])
    index = np.argwhere(values == segment.GetLabelValue())[:, ::-1] + extent[::2]
    to_ras = np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])
    return ((index @ to_ras[:3, :3].T + to_ras[:3, 3]) * [-1, -1, 1]).tolist()


found = {}
for path in sys.argv[2:]:
    scene = slicer.vtkMRMLScene()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mask")
    storage = slicer.vtkMRMLSegmentationStorageNode()
    scene.AddNode(storage)
    storage.SetFileName(path)
    if storage.ReadData(node):
        segments = [node.GetSegmentation().GetSegment(each) for each in node.GetSegmentation().GetSegmentIDs()]
        found[path] = {segment.GetName(): positions(segment) for segment in segments}
json.dump(found, open(sys.argv[1] + "/found.json", "w"))

scene = slicer.vtkMRMLScene()
application, colors = slicer.vtkMRMLApplicationLogic(), slicer.vtkMRMLColorLogic()
application.SetMRMLScene(scene)
colors.SetMRMLScene(scene)
application.SetModuleLogic("Colors", colors)
logic = slicer.vtkSlicerSegmentationsModuleLogic()
logic.SetMRMLScene(scene)
node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "exported")
node.CreateDefaultDisplayNodes()
for number, name in enumerate(("left lung", "lung nodules", "heart")):
    labelmap = slicer.vtkOrientedImageData()
    labelmap.SetExtent(0, 9, 0, 7, 0, 5)
    labelmap.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    labelmap.GetPointData().GetScalars().Fill(0)
    for x in range(4):
        labelmap.SetScalarComponentFromDouble(x, 2 * number, 3, 0, 1)
    identity = node.GetSegmentation().AddEmptySegment("", name)
    logic.SetBinaryLabelmapToSegment(labelmap, node, identity)
every = vtk.vtkStringArray()
for identity in node.GetSegmentation().GetSegmentIDs():
    every.InsertNextValue(identity)
assert logic.ExportSegmentsBinaryLabelmapRepresentationToFiles(sys.argv[1], node, every, "nrrd", False, None)
volume = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "volume")
assert logic.ExportAllSegmentsToLabelmapNode(node, volume)
table = slicer.vtkMRMLColorTableStorageNode()
scene.AddNode(table)
table.SetFileName(sys.argv[1] + "/table.ctbl")
assert table.WriteData(volume.GetDisplayNode().GetColorNode())
"""
"""Slicer's own reader and writers.

Reads segmentations, path -> name of the segment -> positions of its voxels in LPS, mm; and exports a segmentation as a
labelmap with its table of names, and a colour table.
"""
SMALL = (6, 8, 10)
WHOLE, ELSEWHERE = "0 9 0 7 0 5", "5 14 4 11 3 8"
IDS = {"Segment0_ID": "S1", "Segment0_Name": "tumour", "Segment1_ID": "S2", "Segment1_Name": "lung nodule"}


class Written(NamedTuple):
    """A segmentation: number of layers, on a fourth axis or as components; its header; what it is refused for."""

    layers: int
    fourth_axis: bool
    header: dict[str, str]
    refused: str = ""
    note: str = ""
    both: int = 0
    """In a layer that holds both segments, as the values 1 and this."""


def extents(first: str, second: str = "", common: str = "") -> dict[str, str]:
    """Header fields: the extents of the two segments, and that of the array in the older form."""
    fields = {"Segment0_Extent": first, "Segment1_Extent": second, "Segmentation_Extent": common}
    return {key: value for key, value in fields.items() if value}


ONE = {key: value for key, value in IDS.items() if key.startswith("Segment0")}
SHARED = {"Segment0_Layer": "0", "Segment1_Layer": "0", "Segment0_LabelValue": "1", "Segment1_LabelValue": "7"}
OFFSET = {"Segmentation_ReferenceImageExtentOffset": "5 4 3"}
FILES = {
    "older form": Written(2, True, {**IDS, **extents(ELSEWHERE, ELSEWHERE, ELSEWHERE)}),
    "older form, each segment's own extent": Written(
        2, True, {**IDS, **extents("9 11 7 9 5 6", "12 13 5 7 4 5", ELSEWHERE)}
    ),
    "older form, an extent that cuts": Written(
        2, True, {**IDS, **extents("9 10 7 9 5 6", ELSEWHERE, ELSEWHERE)}, note="6 voxels"
    ),
    "older form of one segment": Written(1, True, {**ONE, **extents(ELSEWHERE, common=ELSEWHERE)}),
    "older form without the fourth axis": Written(1, False, {**ONE, **extents(ELSEWHERE, common=ELSEWHERE)}),
    "older form without the array's extent": Written(
        2, True, {**IDS, **extents(WHOLE, WHOLE)}, "lacks the field Segmentation_Extent"
    ),
    "older form that begins below 0": Written(1, True, {**ONE, **extents("-3 6 -2 5 -1 4", common="-3 6 -2 5 -1 4")}),
    "older form with components": Written(2, False, {**IDS, **extents(WHOLE, WHOLE, WHOLE)}, "four axes"),
    "older form, an extent beyond the array": Written(
        1, True, {**ONE, **extents("0 20 0 7 0 5", common=WHOLE)}, "leaves the image"
    ),
    "one component each": Written(2, False, {**IDS, **extents(WHOLE, WHOLE)}),
    "with an offset": Written(2, False, {**IDS, **extents("4 6 3 5 2 3", "7 8 1 3 1 2"), **OFFSET}),
    "extents elsewhere than at 0": Written(2, False, {**IDS, **extents(ELSEWHERE, ELSEWHERE)}, note="26 voxels"),
    "an extent elsewhere and an offset": Written(1, False, {**ONE, **extents(ELSEWHERE), **OFFSET}, note="14 voxels"),
    "two segments in a layer": Written(1, False, {**IDS, **SHARED, **extents(WHOLE, WHOLE)}, both=7),
    "a layer's extent holds those of its segments": Written(
        1, False, {**IDS, **SHARED, **extents("4 7 1 5 0 5", "8 8 1 5 0 5")}, both=7
    ),
    "a layer's extent that cuts": Written(
        1, False, {**IDS, **SHARED, **extents("4 7 1 5 0 5", "0 -1 0 -1 0 -1")}, both=7, note="6 voxels"
    ),
    "an empty extent": Written(1, False, {**ONE, **extents("0 -1 0 -1 0 -1")}, "the mask is empty"),
    "a segment without an extent": Written(1, False, {**IDS, **SHARED, **extents("4 7 1 5 0 5")}, both=7),
    "no extents": Written(2, False, IDS),
    "a layer that is not there": Written(1, False, {**IDS, **extents(WHOLE, WHOLE)}),
    "an odd value": Written(1, False, {**ONE, "Segment0_LabelValue": "one"}, 'Segment0_LabelValue is "one"'),
    "an odd layer": Written(1, False, {**ONE, "Segment0_Layer": ""}, 'Segment0_Layer is ""'),
    "an odd extent": Written(1, False, {**ONE, **extents("0 9 0 7")}, "Segment0_Extent"),
    "an odd extent of the array": Written(
        1, True, {**ONE, **extents(WHOLE, common="0 9 0 7 0 x")}, "Segmentation_Extent"
    ),
}


def write_segmentation(path: Path, made: Written) -> None:
    """As ITK writes it, which Slicer wrote its older form with; the tumour is a block, so is the other segment."""
    tumour, other = np.zeros(SMALL, np.uint8), np.zeros(SMALL, np.uint8)
    tumour[2:4, 3:6, 4:7] = other[1:3, 1:4, 7:9] = 1
    layers = [tumour + np.uint8(made.both) * other, other][: made.layers]
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    images = [image_of(layer, (0.8, 0.9, 2.0), (100, -50, 20), turn) for layer in layers]
    image = sitk.JoinSeries(images) if made.fourth_axis else sitk.Compose(images) if made.layers > 1 else images[0]
    for key, value in made.header.items():
        image.SetMetaData(key, value)
    sitk.WriteImage(image, str(path))


@pytest.fixture(scope="module")
def segmentations(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("segmentations")
    paths = {name: folder / f"{number}.seg.nrrd" for number, name in enumerate(FILES)}
    for name, path in paths.items():
        write_segmentation(path, FILES[name])
    return paths


@pytest.fixture(scope="module")
def slicers_folder(segmentations: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Slicer made of the files and wrote itself, see `SLICER`."""
    if importlib.util.find_spec("slicer") is None or importlib.util.find_spec("vtk") is None:
        pytest.skip("slicer-core is not installed")
    out = tmp_path_factory.mktemp("slicer") / "exported"
    out.mkdir()
    paths = [str(path) for name, path in segmentations.items() if not FILES[name].refused]
    command = [sys.executable, "-c", SLICER, str(out), *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if not (out / "found.json").is_file() and "vtkMRMLScene" in done.stderr:
        pytest.skip("the package called slicer is not slicer-core")
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def by_slicer(segmentations: dict[str, Path], slicers_folder: Path) -> dict[str, dict[str, list]]:
    """What Slicer's own reader makes of the files: name of the file -> of the segment -> positions."""
    found = json.loads((slicers_folder / "found.json").read_text())
    return {name: found[str(path)] for name, path in segmentations.items() if str(path) in found}


@pytest.mark.parametrize("name", [name for name, made in FILES.items() if not made.refused])
def test_segmentations_lie_where_slicer_reads_them(
    name: str, segmentations: dict[str, Path], by_slicer: dict[str, dict[str, list]]
) -> None:
    content = mask_content(read_image(segmentations[name]), where=segmentations[name])
    expected = {called: np.array(found) for called, found in by_slicer[name].items() if found}
    assert {segment.name for segment in content.segments} == set(expected)
    for segment in content.segments:
        mask = content.binary(segment)
        index = np.argwhere(voxels(mask))[:, ::-1]
        here = [mask.TransformIndexToPhysicalPoint(one) for one in index.tolist()]
        np.testing.assert_allclose(sorted(here), sorted(expected[segment.name].tolist()), rtol=0, atol=1e-6)
    assert [FILES[name].note in note.message for note in content.notes] == [True] * bool(FILES[name].note)


@pytest.mark.parametrize("name", [name for name, made in FILES.items() if made.refused])
def test_segmentations_with_contradicting_headers_are_refused(name: str, segmentations: dict[str, Path]) -> None:
    with pytest.raises(InputError, match=re.escape(FILES[name].refused)) as caught:
        mask_content(read_image(segmentations[name]), where=segmentations[name])
    assert caught.value.path == segmentations[name]


# Names of labels

CARET = (
    '<?xml version="1.0" encoding="UTF-8"?> <CaretExtension>  <Date><![CDATA[2013-07-14T05:45:09]]></Date>   '
    '<VolumeInformation Index="0">   <LabelTable>\n{}\n  </LabelTable>  <StudyMetaDataLinkSet>  '
    "</StudyMetaDataLinkSet>  <VolumeType><![CDATA[Label]]></VolumeType>   </VolumeInformation></CaretExtension>"
)
"""As TotalSegmentator writes it."""
NAMES = {1: "lung_upper_lobe_left", 2: "heart", 5: "lung_nodules"}
TABLES = {
    "mask.label": '# ITK-SnAP Label Description File\n    0     0    0    0        0  0  0    "Clear Label"\n'
    + "".join(f'{value:5d}   255    0   12      0.5  1  1    "{name}"\n' for value, name in NAMES.items()),
    "mask.txt": "# Color table file mask.txt\n# 6 values\n"
    + "".join(f"{value} {name} 7 239 242 255\n" for value, name in NAMES.items()),
    "mask.labels.csv": '"LabelValue","Name","Color_R","Color_G","Color_B","Color_A"\n'
    + "".join(f'{value},"{name}",7,239,242,255\n' for value, name in NAMES.items()),
}
TABLES["all.label"] = TABLES["mask.label"]


def labelled(path: Path, names: dict[int, str] | None = None) -> Path:
    """A labelmap of the labels of `NAMES` and 6; `names` in its header's extension."""
    values = np.zeros(SIZE, np.int16)
    for number, value in enumerate([*NAMES, 6]):
        values[20:28, 20:28, 10 * number : 10 * number + 8] = value
    image = nibabel.Nifti1Image(values.T, np.diag([-1.0, -1.0, 1.0, 1.0]))
    if names is not None:
        body = "".join(
            f'<Label Key="{key}" Red="1" Green="0" Blue="0" Alpha="1"><![CDATA[{name}]]></Label>\n'
            for key, name in names.items()
        )
        for code, text in ((6, "a comment"), (0, CARET.format(body))):
            image.header.extensions.append(nibabel.nifti1.Nifti1Extension(code, text.encode()))
    nibabel.save(image, path)
    return path


def test_a_cached_case_knows_what_other_labels_were(tmp_path: Path) -> None:
    tasks = [CaseTask("a", "ct.nrrd", "mask.nrrd", other_labels=how) for how in OtherLabels]
    assert len({task.record_path({}, tmp_path) for task in tasks}) == 3


@pytest.mark.parametrize("source", ["extension.nii", "extension.nii.gz", *TABLES])
def test_labels_are_found_by_name(source: str, tmp_path: Path) -> None:
    mask = tmp_path / (source.replace("extension", "mask") if source.startswith("extension") else "mask.nii.gz")
    if source in TABLES:
        (tmp_path / source).write_text(TABLES[source], encoding="utf-8")
    labelled(mask, None if source in TABLES else NAMES)
    values = voxels(read_image(mask))
    ct = tmp_path / "ct.nrrd"
    sitk.WriteImage(image_of(lung_ct(values == 5)), str(ct))
    for asked in ("lung_nodules", "Lung nodules", "label 5", "5"):
        case = read_case(ct, mask, segment=asked)
        np.testing.assert_array_equal(voxels(case.tumour), values == 5)
        np.testing.assert_array_equal(voxels(case.other_tumours), values == 6)
    with pytest.raises(RegionError, match='"lung_upper_lobe_left", "heart", "lung_nodules", 6'):
        read_case(ct, mask)
    assert "lung_nodules" in describe_image(mask)


def test_tables_that_do_not_belong_to_the_mask_are_not_read(tmp_path: Path) -> None:
    mask = labelled(tmp_path / "mask.nii.gz")
    before = input_digest(mask)
    (tmp_path / "other.label").write_text(TABLES["mask.label"])
    labelled(tmp_path / "other.nii.gz")
    (tmp_path / "mask.txt").write_text("a patient's history of 2 lines 1 2 3 4\n")
    assert label_names(mask) == {}
    (tmp_path / "mask.label").write_text(TABLES["mask.label"])
    assert label_names(mask) == NAMES
    assert input_digest(mask) != before, "a cached case must not outlive its names"
    (tmp_path / "mask.ctbl").write_text("1 heart 1 2 3 255\n")
    with pytest.raises(InputError, match=r'mask.ctbl: the label 1 is "heart" here and "lung_upper.*mask.label'):
        label_names(mask)
    (tmp_path / "mask.ctbl").write_text("damaged")
    with pytest.raises(InputError, match=r"mask.ctbl: no label can be read"):
        label_names(mask)


def test_labelmaps_that_slicer_exported(slicers_folder: Path) -> None:
    """Slicer puts `exported.labels.csv` beside the labelmap; a colour table exchanges blanks for "_"."""
    mask = slicers_folder / "exported.nrrd"
    assert label_names(mask) == {1: "left lung", 2: "lung nodules", 3: "heart"}
    content = mask_content(read_image(mask), where=mask, names=label_names(mask))
    assert choose(content, segment="lung_nodules", label=None).value == 2
    table = slicers_folder / "table.ctbl"
    plain = slicers_folder / "table.nrrd"
    plain.write_bytes(mask.read_bytes())
    assert name_tables(plain) == (table,)
    assert label_names(plain) == {1: "left_lung", 2: "lung_nodules", 3: "heart"}

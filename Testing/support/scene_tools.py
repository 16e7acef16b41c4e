"""What the tests of the scene share: files loaded by Slicer's own storage nodes, a made-up profile, a scene counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

PATIENT = "DOE^JOHN"
"""What the DICOM database would call a volume; must never reach what we make."""


def load_volume(path: Path, name: str = PATIENT) -> Any:
    import slicer

    return slicer.modules.volumes.logic().AddArchetypeVolume(str(path), name)


def load_segmentation(path: Path, name: str = PATIENT) -> Any:
    """A labelmap file or a `.seg.nrrd`, by Slicer's own storage node."""
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(path))
    node.SetAndObserveStorageNodeID(storage.GetID())
    assert storage.ReadData(node)
    node.CreateDefaultDisplayNodes()
    return node


def segment_ids(segmentation: Any) -> list[str]:
    return list(segmentation.GetSegmentation().GetSegmentIDs())


def ball_case() -> tuple[sitk.Image, sitk.Image]:
    """A CT of 60 x 50 x 24 voxels (int16, oblique, no axis in LPS order) and a tumour: what is nearer than 9 mm."""
    rng = np.random.default_rng(3)
    ct = sitk.GetImageFromArray(rng.normal(-700, 60, (24, 50, 60)).astype(np.int16))
    ct.SetSpacing((0.9, 1.1, 2.5))
    turn = sitk.VersorTransform((0.2, 0.5, 0.8), 0.2)
    ct.SetDirection((np.array(turn.GetMatrix()).reshape(3, 3) @ np.diag([-1.0, 1.0, -1.0])).ravel().tolist())
    ct.SetOrigin((12.3, -45.6, 78.9))
    centre = np.array(ct.TransformContinuousIndexToPhysicalPoint((30.2, 24.7, 11.6)))
    index = np.stack(np.meshgrid(*(np.arange(n) for n in ct.GetSize()), indexing="ij"), axis=-1).reshape(-1, 3)
    axes = np.array(ct.GetDirection()).reshape(3, 3) * ct.GetSpacing()
    place = index @ axes.T + ct.GetOrigin()
    inside = (np.linalg.norm(place - centre, axis=1) <= 9.0).reshape(ct.GetSize()).transpose(2, 1, 0)
    tumour = sitk.GetImageFromArray(inside.astype(np.uint8))
    tumour.CopyInformation(ct)
    noise = rng.normal(40, 25, inside.shape).astype(np.int16)
    mixed = sitk.GetImageFromArray(np.where(inside, noise, sitk.GetArrayFromImage(ct)))
    mixed.CopyInformation(ct)
    return mixed, tumour


def made_up_profile(case: Any, *, model: bool = True) -> Any:
    """A profile of a case with random features, findings and maps, as quickly as it can be had."""
    from DeepRadScoreLib.analyses.findings import Finding, ModelCard, MolecularProfile, Validation
    from DeepRadScoreLib.endpoints import KEYS
    from DeepRadScoreLib.imaging import prepare
    from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS

    rng = np.random.default_rng(11)
    prepared = prepare(case)
    plain = MolecularProfile(
        case_id=case.case_id,
        prepared=prepared,
        features=dict(zip(FEATURE_COLUMNS, rng.normal(size=len(FEATURE_COLUMNS)).tolist(), strict=True)),
        quality=prepared.quality,
        findings={key: Finding(key, flags=("no_model",)) for key in KEYS},
        model=None,
        synthetic_case=False,
    )
    if not model:
        return plain
    columns = ("deep_ct", "radscore_tumour", "radscore_peritumoral")
    findings = {
        key: Finding(
            key,
            probability=0.1 * number + 0.05,
            threshold=0.4,
            decision=f"word of {key}",
            spread=(0.01, 0.99),
            radscore_tumour=0.5,
            radscore_peritumoral=-0.5,
            shap=dict(zip(columns, rng.normal(size=3).tolist(), strict=True)),
            shap_base=-0.2,
            validation=Validation(0.8, (0.7, 0.9), 153, 49),
        )
        for number, key in enumerate(KEYS[:-1])
    }
    findings[KEYS[-1]] = Finding(KEYS[-1], flags=("not_modelled",))
    heat = rng.uniform(size=(160, 160)).astype(np.float32)
    card = ModelCard(
        "trial", "ab" * 32, "strict", "shared", "densenet121", "none", "canonical", False, "355 patients, 153 held out"
    )
    return replace(plain, findings=findings, model=card, gradcam={"LVI": heat, "EGFR": 1 - heat}, gradcam_note="Cells.")


def texts_of(node: Any) -> str:
    """All that a node says of itself: name, attributes, text, table cells, description."""
    parts = [node.GetName() or "", node.GetDescription() or ""]
    for name in node.GetAttributeNames():
        parts += [name, node.GetAttribute(name) or ""]
    if node.IsA("vtkMRMLTextNode"):
        parts.append(node.GetText() or "")
    if node.IsA("vtkMRMLSegmentationNode"):
        segmentation = node.GetSegmentation()
        parts += [segmentation.GetSegment(one).GetName() for one in segmentation.GetSegmentIDs()]
    if node.IsA("vtkMRMLTableNode"):
        table = node.GetTable()
        for column in range(table.GetNumberOfColumns()):
            array = table.GetColumn(column)
            parts += [array.GetName(), *(str(array.GetValue(row)) for row in range(array.GetNumberOfValues()))]
    return "\n".join(parts)


def count_nodes() -> int:
    import slicer

    return slicer.mrmlScene.GetNumberOfNodes()


def hierarchy() -> Any:
    import slicer

    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)


def count_items() -> int:
    return hierarchy().GetNumberOfItems()


def under_patient(volume: Any, uid: str = "1.2.826.0.1.3680043.8.498.77") -> int:
    """Put a volume under a patient and a study, as loading from the DICOM database does; the study's item."""
    import slicer

    tree = hierarchy()
    patient = tree.CreateSubjectItem(tree.GetSceneItemID(), PATIENT)
    study = tree.CreateStudyItem(patient, f"Chest of {PATIENT}")
    item = tree.GetItemByDataNode(volume) or tree.CreateItem(study, volume)
    tree.SetItemParent(item, study)
    tree.SetItemUID(item, slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMUIDName(), uid)
    return study

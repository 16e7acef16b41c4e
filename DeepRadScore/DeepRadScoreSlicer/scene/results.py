"""Results of a case as nodes of the scene: stored, found, marked as out of date, exported and removed."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer

from DeepRadScoreLib.errors import DeepRadScoreError, InputError
from DeepRadScoreLib.models import OtherLabels
from DeepRadScoreLib.writing import write_folder
from DeepRadScoreSlicer.scene import ownership
from DeepRadScoreSlicer.scene.display import shell
from DeepRadScoreSlicer.scene.from_nodes import Chosen, images_of
from DeepRadScoreSlicer.scene.voxels import image_to_volume
from DeepRadScoreSlicer.translation import tr as _

if TYPE_CHECKING:
    import SimpleITK as sitk

    from DeepRadScoreLib.analyses.findings import MolecularProfile

TEXTS = {
    "profile_text": "profile.json",
    "features_text": "features.csv",
    "notes_text": "features.notes.csv",
    "report_text": "report.html",
}
"""Role of a text node -> the file whose text it holds."""
TABLE, HEAT_MAP, OCCLUSION_MAP = "profile_table", "heat_map", "occlusion_map"
ENDPOINT, STALE = "DeepRadScore.Endpoint", "DeepRadScore.Stale"
SEGMENT, FINGERPRINT = "DeepRadScore.SegmentId", "DeepRadScore.MadeFrom"
OTHER_LABELS = "DeepRadScore.OtherLabels"


@dataclass(frozen=True)
class Lesion:
    """A segment of a segmentation: each has results of its own."""

    segmentation_id: str
    segment_id: str


@dataclass(frozen=True)
class StoredProfile:
    """Results that are in the scene.

    Attributes
    ----------
    document: the content of `profile.json`.
    stale: the CT or the mask is no longer the one that it was made from.
    lesion: the segment that it is of.
    heat_map_ids: endpoint -> ID of its heat map's volume: the occlusion map where there is one, else Grad-CAM.
    finer: whether these are occlusion maps.
    profile: what it was stored from; None where it was found in the scene.
    """

    case_id: str
    document: dict[str, Any]
    stale: bool
    volume_id: str
    lesion: Lesion
    heat_map_ids: dict[str, str] = field(default_factory=dict)
    finer: bool = False
    profile: MolecularProfile | None = field(default=None, repr=False, compare=False)

    @property
    def mask_variants(self) -> int:
        """Over how many other masks the findings have a range; 0 without ranges."""
        ranges = (entry.get("variants") for entry in self.document["endpoints"].values())
        return max((variants["n"] for variants in ranges if variants is not None), default=0)

    @property
    def shell_mm(self) -> float:
        """Thickness of the shell that it was made with."""
        return float(self.document["regions"]["peritumoral"]["thickness_mm"])


def store_steps(profile: MolecularProfile, chosen: Chosen, fingerprint: str) -> Generator[str, None, StoredProfile]:
    """Write the files of a profile in short steps, then store all of it in the scene at once, replacing an older one.

    Nothing is in the scene before the last step; if that fails, the scene is as it was.

    Parameters
    ----------
    fingerprint: of the images that the profile was made of.

    Raises
    ------
    InputError: the CT or the segmentation is not in the scene any more.
    """
    from DeepRadScoreLib.report.html import report_steps
    from DeepRadScoreLib.report.profile import to_profile_json
    from DeepRadScoreLib.report.writing import features_csv, notes_csv

    yield _("writing the profile")
    texts = {
        "profile_text": to_profile_json(profile),
        "features_text": features_csv(profile.case_id, profile.features),
        "notes_text": notes_csv(profile),
    }
    texts["report_text"] = yield from report_steps(profile)
    yield _("putting the results into the scene")
    volume, segmentation = chosen.volume, chosen.segmentation
    if volume is None or segmentation is None:
        raise InputError(_("the CT or the segmentation was removed during the analysis"), mend=_("load the case again"))
    lesion = Lesion(chosen.segmentation_id, chosen.segment_id)
    older = [node.GetID() for node in _nodes(volume, lesion)]
    attributes = {SEGMENT: chosen.segment_id, OTHER_LABELS: chosen.other_labels.value, FINGERPRINT: fingerprint}
    _put(profile, texts, volume, segmentation, attributes)
    ownership.remove_nodes(older)
    stored = find(volume, lesion)
    assert stored is not None
    return replace(stored, profile=profile)


def lesions(volume: Any) -> list[Lesion]:
    """The lesions of a CT that have a profile, in the order in which they were analysed."""
    return [_lesion_of(node) for node in ownership.ours("profile_text", volume)]


def find(volume: Any, lesion: Lesion | None = None) -> StoredProfile | None:
    """The profile of a lesion of a CT, also from a scene that was loaded from disk; None where there is none.

    It is stale if it was marked so, or if the CT, the lesion or another tumour near it changed while nobody looked.

    Parameters
    ----------
    lesion: None for the one that was analysed first.
    """
    texts = _of(lesion, ownership.ours("profile_text", volume))
    if not texts:
        return None
    node = texts[0]
    if node.GetAttribute(STALE) is None and not _still_made_from(node, volume):
        mark_stale(volume, _lesion_of(node))
    grad_cams, finer = (_of(_lesion_of(node), ownership.ours(role, volume)) for role in (HEAT_MAP, OCCLUSION_MAP))
    maps = [*grad_cams, *finer]
    return StoredProfile(
        case_id=node.GetAttribute(ownership.CASE_ID),
        document=json.loads(node.GetText()),
        stale=node.GetAttribute(STALE) is not None,
        volume_id=volume.GetID(),
        lesion=_lesion_of(node),
        heat_map_ids={heat.GetAttribute(ENDPOINT): heat.GetID() for heat in maps},
        finer=bool(finer),
    )


def mark_stale(volume: Any, lesion: Lesion | None = None) -> None:
    """Mark every node of a lesion's results, or of all, as out of date: CT or mask changed since."""
    for node in _nodes(volume, lesion):
        if node.GetAttribute(STALE) is None:
            node.SetAttribute(STALE, "1")
            node.SetName(f"{node.GetName()} (out of date)")


def remove(volume: Any) -> None:
    """Remove the results of a CT from the scene, but not its shell."""
    ownership.remove_nodes(node.GetID() for node in _nodes(volume))


def text_of(volume: Any, role: str, lesion: Lesion | None) -> str:
    """The text of a file of a lesion's results (`TEXTS`). Raises InputError where there are none."""
    nodes = [] if volume is None else _of(lesion, ownership.ours(role, volume))
    if not nodes:
        raise InputError(_("there are no results of this case"), mend=_("press Analyze first"))
    return str(nodes[0].GetText())


def export(volume: Any, folder: Path, lesion: Lesion | None = None) -> list[Path]:
    """Write `profile.json`, `features.csv`, its notes and `report.html`, all or none, to the byte as `analyze` does.

    Results of an earlier version of this program have no notes.

    Raises
    ------
    InputError: there are no results, or they are out of date.
    OutputError: the folder cannot be written.
    """
    stored = find(volume, lesion)
    if stored is None:
        raise InputError(_("there are no results of this case"), mend=_("press Analyze first"))
    if stored.stale:
        raise InputError(_("the results are out of date: the CT or the mask changed"), mend=_("press Analyze again"))
    nodes = {name: _of(lesion, ownership.ours(role, volume)) for role, name in TEXTS.items()}
    texts = {name: found[0].GetText() for name, found in nodes.items() if found}

    def write(fresh: Path) -> None:
        for name, text in texts.items():
            (fresh / name).write_bytes(text.encode())

    return [folder / name for name in write_folder(folder, write, lambda _folder, _names: ())]


def _nodes(volume: Any, lesion: Lesion | None = None) -> list[Any]:
    roles = (*TEXTS, TABLE, HEAT_MAP, OCCLUSION_MAP)
    return _of(lesion, [node for role in roles for node in ownership.ours(role, volume)])


def _of(lesion: Lesion | None, nodes: list[Any]) -> list[Any]:
    """Those of some result nodes that belong to a lesion; all where it is None."""
    return [node for node in nodes if lesion in (None, _lesion_of(node))]


def _lesion_of(node: Any) -> Lesion:
    return Lesion(node.GetNodeReferenceID(ownership.SEGMENTATION) or "", node.GetAttribute(SEGMENT) or "")


def _still_made_from(text: Any, volume: Any) -> bool:
    segmentation = text.GetNodeReference(ownership.SEGMENTATION)
    others = OtherLabels(text.GetAttribute(OTHER_LABELS) or OtherLabels.AUTO)
    try:
        images = images_of(volume, segmentation, text.GetAttribute(SEGMENT), others)
        return images.fingerprint() == text.GetAttribute(FINGERPRINT)
    except DeepRadScoreError:
        return False


def _put(
    profile: MolecularProfile, texts: dict[str, str], volume: Any, segmentation: Any, attributes: dict[str, str]
) -> None:
    """Make all nodes, the shell last; after an error those already made are removed."""
    made: list[Any] = []
    try:
        for role, text in texts.items():
            made.append(_text_node(f"{profile.case_id} {TEXTS[role]}", text, role))
        made.append(_table_node(f"{profile.case_id} findings", json.loads(texts["profile_text"])))
        for key in profile.gradcam:
            made.append(_map_node(profile.heat_map(key), f"{profile.case_id} Grad-CAM {key}", HEAT_MAP, key))
        for key in profile.occlusion:
            speaks_for = _share_of_largest(profile.occlusion_map(key))
            made.append(_map_node(speaks_for, f"{profile.case_id} occlusion {key}", OCCLUSION_MAP, key))
        for node in made:
            ownership.mark(node, node.GetAttribute(ownership.ROLE), profile.case_id, volume)
            node.SetNodeReferenceID(ownership.SEGMENTATION, segmentation.GetID())
            for name, value in attributes.items():
                node.SetAttribute(name, value)
            ownership.file_with(node, volume)
        shell.show_shell(volume, profile.prepared.peritumoral, profile.case_id, profile.prepared.shell_mm)
    except BaseException:
        ownership.remove_nodes(node.GetID() for node in made)
        raise


def _text_node(name: str, text: str, role: str) -> Any:
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode", name)
    node.SetAttribute(ownership.ROLE, role)
    node.SetText(text)
    return node


def _map_node(image: sitk.Image, name: str, role: str, key: str) -> Any:
    node = image_to_volume(image, name)
    node.SetAttribute(ownership.ROLE, role)
    node.SetAttribute(ENDPOINT, key)
    return node


def _share_of_largest(change: sitk.Image) -> sitk.Image:
    """What speaks for the positive class, 0..1: 1 where hiding lowers the log-odds by the map's largest change."""
    import numpy as np
    import SimpleITK as sitk

    values = sitk.GetArrayViewFromImage(change)
    share = sitk.GetImageFromArray(np.maximum(values, 0) / max(float(np.abs(values).max()), 1e-12))
    share.CopyInformation(change)
    return share


def _table_node(name: str, document: dict[str, Any]) -> Any:
    """A table node with a row for each finding of `profile.json`; a cell is empty where that has no value."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", name)
    node.SetAttribute(ownership.ROLE, TABLE)
    columns = ("finding", "probability", "decision", "spread_low", "spread_high", "validation_auc", "flags", "label")
    for column in columns:
        node.AddColumn().SetName(column)
    for key, finding in document["endpoints"].items():
        low, high = finding["spread"] or (None, None)
        cells = {
            **finding,
            "finding": key,
            "spread_low": low,
            "spread_high": high,
            "flags": " ".join(finding["flags"]),
            "label": document["label"],
        }
        row = node.AddEmptyRow()
        for index, column in enumerate(columns):
            node.SetCellText(row, index, "" if cells[column] is None else str(cells[column]))
    return node

"""Nodes that this module makes: their marks, their CT, their item in the subject hierarchy, their removal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import slicer

ROLE = "DeepRadScore.Role"
CASE_ID = "DeepRadScore.CaseId"
SYNTHETIC = "DeepRadScore.Synthetic"
"""Attribute of a CT's node that is the synthetic cohort's: its text is the file's mark."""
VOLUME = "DeepRadScore.Volume"
SEGMENTATION = "DeepRadScore.Segmentation"
"""References from a node of ours to its CT, and to the segmentation that it was made from."""


def mark(node: Any, role: str, case_id: str, volume: Any) -> None:
    """Mark a node as made by this module: its role, the case's name and a reference to its CT, saved with the scene."""
    node.SetAttribute(ROLE, role)
    node.SetAttribute(CASE_ID, case_id)
    node.SetNodeReferenceID(VOLUME, volume.GetID())


def all_nodes() -> list[Any]:
    """All nodes of the scene, in the order in which they came into it."""
    return list(slicer.util.getNodesByClass("vtkMRMLNode"))


def ours(role: str | None = None, volume: Any | None = None) -> list[Any]:
    """Nodes made by this module: all, or those of one role or one CT."""
    return [
        node
        for node in all_nodes()
        if node.GetAttribute(ROLE) is not None
        and (role is None or node.GetAttribute(ROLE) == role)
        and (volume is None or node.GetNodeReferenceID(VOLUME) == volume.GetID())
    ]


def is_foreign(node: Any) -> bool:
    """Whether a node was not made by this module."""
    return node.GetAttribute(ROLE) is None and not node.GetHideFromEditors()


def is_ct(volume: Any) -> bool:
    """Whether a scalar volume may be a CT: no labelmap, and not made by this module."""
    return is_foreign(volume) and not volume.IsA("vtkMRMLLabelMapVolumeNode")


def file_with(node: Any, volume: Any) -> None:
    """Put a node beside the CT in the subject hierarchy: under its study, where it has one."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    volume_item, node_item = hierarchy.GetItemByDataNode(volume), hierarchy.GetItemByDataNode(node)
    parent = (hierarchy.GetItemParent(volume_item) if volume_item else 0) or hierarchy.GetSceneItemID()
    if node_item:
        hierarchy.SetItemParent(node_item, parent)
    else:
        hierarchy.CreateItem(parent, node)


def remove_nodes(node_ids: Iterable[str]) -> None:
    """Remove nodes from the scene with their subject hierarchy items, display nodes and storage nodes.

    Display nodes go after what they display: a volume whose display node goes first computes the histogram of its
    voxels anew, which takes more than half a second for a large CT.
    """
    scene = slicer.mrmlScene
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    nodes = [node for node_id in list(node_ids) if (node := scene.GetNodeByID(node_id)) is not None]
    for node in sorted(nodes, key=lambda node: bool(node.IsA("vtkMRMLDisplayNode"))):
        if not scene.IsNodePresent(node):
            continue
        attached = []
        if node.IsA("vtkMRMLDisplayableNode"):
            attached += [node.GetNthDisplayNode(index) for index in range(node.GetNumberOfDisplayNodes())]
        if node.IsA("vtkMRMLStorableNode"):
            attached += [node.GetNthStorageNode(index) for index in range(node.GetNumberOfStorageNodes())]
        item = hierarchy.GetItemByDataNode(node)
        if item:
            hierarchy.RemoveItem(item, False, False)
        for other in (node, *attached):
            if other is not None and scene.IsNodePresent(other):
                scene.RemoveNode(other)

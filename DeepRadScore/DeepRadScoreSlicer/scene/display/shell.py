"""The peritumoral shell in the scene: a separate segmentation node on the 1 mm lattice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import SimpleITK as sitk
import slicer

from DeepRadScoreLib.errors import DeepRadScoreError
from DeepRadScoreLib.imaging import lattice_regions
from DeepRadScoreLib.models import OtherLabels
from DeepRadScoreSlicer.scene import ownership, voxels
from DeepRadScoreSlicer.scene.from_nodes import masks_from_nodes

SHELL = "shell"
SHELL_COLOUR = (1.0, 0.702, 0.0)
"""The report's colour of the shell's outline."""
FILL_2D, OPACITY_3D = 0.15, 0.35
SMOOTHED_VOXELS = 1000
"""Voxels for which the surface's smoothing is chosen: that of a thin body, however many voxels the shell has."""


def update_shell(
    volume: Any,
    segmentation: Any,
    segment_id: str,
    case_id: str,
    shell_mm: float,
    lung: sitk.Image | None = None,
    other_labels: OtherLabels = OtherLabels.AUTO,
) -> Any:
    """Compute the shell of the tumour as drawn now, and replace the one shown before.

    Parameters
    ----------
    lung: image of 0 and 1 that confines the shell.
    other_labels: which other segments are other tumours, as in `read_case`.

    Raises
    ------
    InputError, RegionError: see `from_nodes.case_from_nodes`; the shell that was there is then removed, since it is not
    this tumour's.
    """
    try:
        masks = masks_from_nodes(volume, segmentation, segment_id, case_id, other_labels)
        masks = replace(masks, lung=lung)
        return show_shell(volume, lattice_regions(masks, shell_mm)[1], case_id, shell_mm)
    except DeepRadScoreError:
        if volume is not None:
            remove_shell(volume)
        raise


def show_shell(volume: Any, shell: sitk.Image, case_id: str, shell_mm: float) -> Any:
    """Show a computed shell (uint8, on the 1 mm lattice) in the one shell node of a CT.

    On an error the scene is as it was.
    """
    found = ownership.ours(SHELL, volume)
    name = f"{case_id} peritumoral shell {shell_mm:g} mm"
    node = found[0] if found else _new_node(name)
    try:
        ownership.mark(node, SHELL, case_id, volume)
        ownership.file_with(node, volume)
        voxels.fill_segmentation(node, shell, f"peritumoral {shell_mm:g} mm", SHELL_COLOUR)
    except BaseException:
        if not found:
            ownership.remove_nodes([node.GetID()])
        raise
    node.SetName(name)
    return node


def remove_shell(volume: Any) -> None:
    """Remove the shell of a CT from the scene."""
    ownership.remove_nodes(node.GetID() for node in ownership.ours(SHELL, volume))


def _new_node(name: str) -> Any:
    """A shell node; not hidden, since Slicer does not save hidden nodes."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetSelectable(False)
    display = node.GetDisplayNode()
    display.SetOpacity2DFill(FILL_2D)
    display.SetOpacity3D(OPACITY_3D)
    return node

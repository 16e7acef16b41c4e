"""A heat map over the CT in the slice views, whose layers before it are restored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
import vtk

from DeepRadScoreLib.errors import InputError
from DeepRadScoreSlicer.scene import ownership
from DeepRadScoreSlicer.scene.results import OCCLUSION_MAP
from DeepRadScoreSlicer.scene.voxels import index_to_ras
from DeepRadScoreSlicer.translation import tr as _

COLOURS = ("vtkMRMLColorTableNodeFileInferno.txt", "vtkMRMLColorTableNodeIron")
"""The map of the report, and one that Slicer has without its colour files: both grow from dark to light."""


@dataclass(frozen=True)
class _Layers:
    background: str | None
    foreground: str | None
    opacity: float


class HeatMapOverlay:
    """Shows one heat map at a time as the foreground of all slice views: the node `heat_map_id`."""

    def __init__(self) -> None:
        self.heat_map_id: str | None = None
        self._before: dict[str, _Layers] = {}
        self._turned: dict[str, Any] = {}

    def show(self, heat_map_id: str, volume_id: str, opacity: float, threshold: float) -> None:
        """Lay a heat map over its CT and go to its slice; the same map again only changes opacity and threshold.

        Parameters
        ----------
        opacity: of the foreground, 0..1.
        threshold: value of the map (0..1) below which it is transparent.

        Raises
        ------
        InputError: one of the two nodes is not in the scene any more.
        """
        heat, volume = slicer.mrmlScene.GetNodeByID(heat_map_id), slicer.mrmlScene.GetNodeByID(volume_id)
        if heat is None or volume is None:
            self.hide()
            raise InputError(_("the heat map is not in the scene any more"), mend=_("analyze the case again"))
        new = self.heat_map_id != heat_map_id
        if new and self.heat_map_id is not None:
            _remove_legend(self.heat_map_id)
        self.heat_map_id = heat_map_id
        _style(heat, threshold)
        for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            self._before.setdefault(composite.GetID(), _layers(composite))
            composite.SetBackgroundVolumeID(volume_id)
            composite.SetForegroundVolumeID(heat_map_id)
            composite.SetForegroundOpacity(opacity)
        if new:
            self._go_to(heat)
            _add_legend(heat)

    def hide(self) -> None:
        """Restore the slice views from before the first `show`, but for layers that the user has changed since."""
        if self.heat_map_id is None:
            return
        heat_map_id, self.heat_map_id = self.heat_map_id, None
        before, self._before = self._before, {}
        turned, self._turned = self._turned, {}
        for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            if composite.GetForegroundVolumeID() not in (heat_map_id, None):
                continue
            layers = before.get(composite.GetID(), _Layers(composite.GetBackgroundVolumeID(), None, 0.0))
            composite.SetBackgroundVolumeID(_present(layers.background))
            composite.SetForegroundVolumeID(_present(layers.foreground))
            composite.SetForegroundOpacity(layers.opacity)
        for node_id, matrix in turned.items():
            node = slicer.mrmlScene.GetNodeByID(node_id)
            if node is not None:
                node.GetSliceToRAS().DeepCopy(matrix)
                node.UpdateMatrices()
        _remove_legend(heat_map_id)

    def forget(self) -> None:
        """Drop all references to nodes: the scene is being closed."""
        self.heat_map_id, self._before, self._turned = None, {}, {}

    def _go_to(self, heat: Any) -> None:
        """Bring every slice view to the middle of the map; the one nearest to its plane is turned into it if tilted."""
        centre, normal = _centre_and_normal(heat)
        views = slicer.util.getNodesByClass("vtkMRMLSliceNode")
        along = {view.GetID(): _alignment(view, normal) for view in views}
        for view in views:
            best = along[view.GetID()] == max(along.values())
            if best and along[view.GetID()] < 0.9999 and view.GetID() not in self._turned:
                matrix = vtk.vtkMatrix4x4()
                matrix.DeepCopy(view.GetSliceToRAS())
                self._turned[view.GetID()] = matrix
                view.RotateToVolumePlane(heat)
            view.JumpSliceByOffsetting(*centre)


def _layers(view: Any) -> _Layers:
    return _Layers(view.GetBackgroundVolumeID(), view.GetForegroundVolumeID(), view.GetForegroundOpacity())


def _style(heat: Any, threshold: float) -> None:
    heat.CreateDefaultDisplayNodes()
    display = heat.GetDisplayNode()
    colour = next((node for node in COLOURS if slicer.mrmlScene.GetNodeByID(node) is not None), None)
    if colour is not None and display.GetColorNodeID() != colour:
        display.SetAndObserveColorNodeID(colour)
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(0.0, 1.0)
    display.SetThreshold(threshold, 1.0)
    display.SetApplyThreshold(True)


def _centre_and_normal(heat: Any) -> tuple[np.ndarray, np.ndarray]:
    """The middle pixel of the map and the direction of its third axis, in RAS mm."""
    to_ras = index_to_ras(heat)
    middle = [size // 2 for size in heat.GetImageData().GetDimensions()]
    return (to_ras @ (*middle, 1.0))[:3], to_ras[:3, 2] / np.linalg.norm(to_ras[:3, 2])


def _alignment(view: Any, normal: np.ndarray) -> float:
    """|cosine| between the view's normal and the map's."""
    return float(abs(slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS())[:3, 2] @ normal))


def _present(node_id: str | None) -> str | None:
    return node_id if node_id and slicer.mrmlScene.GetNodeByID(node_id) is not None else None


def _legends() -> Any | None:
    """The logic that makes colour legends; None outside the application."""
    module = getattr(slicer.modules, "colors", None)
    logic = None if module is None else module.logic()
    return logic if hasattr(logic, "AddDefaultColorLegendDisplayNode") else None


def _add_legend(heat: Any) -> None:
    logic = _legends()
    if logic is not None:
        legend = logic.AddDefaultColorLegendDisplayNode(heat)
        finer = heat.GetAttribute(ownership.ROLE) == OCCLUSION_MAP
        legend.SetTitleText(_("Occlusion") if finer else "Grad-CAM")


def _remove_legend(heat_map_id: str) -> None:
    logic, heat = _legends(), slicer.mrmlScene.GetNodeByID(heat_map_id)
    if logic is not None and heat is not None:
        legend = logic.GetColorLegendDisplayNode(heat)
        if legend is not None:
            slicer.mrmlScene.RemoveNode(legend)

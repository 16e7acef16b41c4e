"""The scene and the logics that the application makes at start: all real, from slicer-core."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import slicer
import vtk

SLICE_VIEWS = {"Red": "Axial", "Yellow": "Sagittal", "Green": "Coronal"}


def make_scene() -> SimpleNamespace:
    """Scene, application logic, the modules' logics, the three slice views, the 3-D view with its camera and the
    layouts; whoever holds the result keeps them alive.
    """
    scene = slicer.vtkMRMLScene()
    application = slicer.vtkMRMLApplicationLogic()
    application.SetMRMLScene(scene)
    colors = slicer.vtkMRMLColorLogic()
    colors.SetMRMLScene(scene)
    application.SetModuleLogic("Colors", colors)
    logics = {"colors": colors}
    for module, cls in {
        "volumes": slicer.vtkSlicerVolumesLogic,
        "segmentations": slicer.vtkSlicerSegmentationsModuleLogic,
        "tables": slicer.vtkSlicerTablesLogic,
        "texts": slicer.vtkSlicerTextsLogic,
        "markups": slicer.vtkSlicerMarkupsLogic,
        "subjecthierarchy": slicer.vtkSlicerSubjectHierarchyModuleLogic,
    }.items():
        logic = cls()
        logic.SetMRMLApplicationLogic(application)
        logic.SetMRMLScene(scene)
        application.SetModuleLogic(logic.GetModuleName() if hasattr(logic, "GetModuleName") else module, logic)
        logics[module] = logic
    slices = vtk.vtkCollection()
    views = {}
    for name, orientation in SLICE_VIEWS.items():
        views[name] = _slice_view(scene, name, orientation)
        slices.AddItem(views[name])
    application.SetSliceLogics(slices)
    layout = slicer.vtkMRMLLayoutLogic()
    layout.SetMRMLScene(scene)
    layout.GetLayoutNode().SetViewArrangement(layout.GetLayoutNode().SlicerLayoutFourUpView)
    camera = scene.AddNewNodeByClass("vtkMRMLCameraNode", "Camera")
    camera.SetLayoutName("1")
    return SimpleNamespace(
        scene=scene,
        application=application,
        logics=logics,
        slices=slices,
        views=views,
        layout=layout,
        view=scene.GetFirstNodeByClass("vtkMRMLViewNode"),
        items=SubjectHierarchyItems(scene),
    )


def _slice_view(scene: Any, name: str, orientation: str) -> Any:
    logic = slicer.vtkMRMLSliceLogic()
    logic.SetMRMLScene(scene)
    node = logic.AddSliceNode(name)
    node.SetOrientation(orientation)
    node.SetDimensions(400, 400, 1)
    return logic


class SubjectHierarchyItems:
    """What the application's subject hierarchy plugins do: an item for each node that is shown, gone with the node.

    After qSlicerSubjectHierarchyPluginLogic::onNodeAdded, onNodeAboutToBeRemoved, onSceneImportEnded,
    onSceneCloseEnded and onSceneBatchProcessEnded.
    """

    SHOWN = ("vtkMRMLDisplayableNode", "vtkMRMLTableNode", "vtkMRMLTextNode", "vtkMRMLTransformNode")

    def __init__(self, scene: Any) -> None:
        def observe(event: int, method: Any, priority: float = 0.0) -> None:
            @vtk.calldata_type(vtk.VTK_OBJECT)
            def with_node(_caller: Any, _event: str, node: Any) -> None:
                method(node)

            scene.AddObserver(event, with_node, priority)

        self._scene = scene
        observe(scene.NodeAddedEvent, self._added)
        observe(scene.NodeAboutToBeRemovedEvent, self._about_to_be_removed)
        scene.AddObserver(scene.EndImportEvent, lambda *_: self._add_missing(), 10.0)
        scene.AddObserver(scene.EndCloseEvent, lambda *_: self._hierarchy())
        scene.AddObserver(scene.EndBatchProcessEvent, lambda *_: self._add_missing(), 10.0)

    def _hierarchy(self) -> Any:
        return slicer.vtkMRMLSubjectHierarchyNode.ResolveSubjectHierarchy(self._scene)

    def _belongs(self, node: Any) -> bool:
        return (
            not node.GetHideFromEditors()
            and any(node.IsA(kind) for kind in self.SHOWN)
            and not node.IsA("vtkMRMLCameraNode")
        )

    def _added(self, node: Any) -> None:
        if node.IsA("vtkMRMLSubjectHierarchyNode"):
            self._hierarchy()
        elif not self._scene.IsImporting() and self._belongs(node):
            self._add(node)

    def _add(self, node: Any) -> None:
        hierarchy = self._hierarchy()
        if not hierarchy.GetItemByDataNode(node):
            hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)

    def _about_to_be_removed(self, node: Any) -> None:
        if self._scene.IsClosing() or node.IsA("vtkMRMLSubjectHierarchyNode"):
            return
        hierarchy = self._hierarchy()
        item = hierarchy.GetItemByDataNode(node)
        if item:
            hierarchy.RemoveItem(item, False, False)

    def _add_missing(self) -> None:
        self._hierarchy()
        for i in range(self._scene.GetNumberOfNodes()):
            node = self._scene.GetNthNode(i)
            if self._belongs(node):
                self._add(node)

"""Files in and out as the core's readers and writers do it, by MRML's own storage nodes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from PySide6.QtCore import QObject, Signal

IMAGES = (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd")


class qSlicerCoreIOManager(QObject):
    """`slicer.app.coreIOManager()`: what `slicer.util.loadVolume`, `saveNode` and their kin call."""

    newFileLoaded = Signal(dict)

    def __init__(self, parts: SimpleNamespace) -> None:
        super().__init__()
        self._parts = parts

    def fileType(self, path: str) -> str:
        name = path.lower()
        if name.endswith((".seg.nrrd", ".seg.nhdr", ".seg.vtm")):
            return "SegmentationFile"
        kinds = {
            ".mrml": "SceneFile",
            ".mrb": "SceneFile",
            ".csv": "TableFile",
            ".tsv": "TableFile",
            ".txt": "TextFile",
        }
        kinds |= {".json": "TextFile", ".html": "TextFile"}
        return "VolumeFile" if name.endswith(IMAGES) else kinds.get(Path(name).suffix, "NoFile")

    def fileWriterFileType(self, node: Any, _extension: str = "") -> str:
        return node.GetNodeTagName() + "File"

    def loadNodes(self, file_type: str, properties: dict[str, Any], loaded: Any = None, messages: Any = None) -> bool:
        loaders = {"VolumeFile": self._volume, "SegmentationFile": self._segmentation, "SceneFile": self._scene}
        node_class = {"TextFile": "vtkMRMLTextNode", "TableFile": "vtkMRMLTableNode"}.get(file_type)
        if file_type in loaders:
            found = loaders[file_type](properties)
        elif node_class is not None:
            found = self._stored(node_class, properties)
        else:
            raise NotImplementedError(f"the harness reads no {file_type}")
        if found in (None, False):
            return False
        if loaded is not None and found is not True:
            loaded.AddItem(found)
        return True

    def _name(self, properties: dict[str, Any]) -> str:
        return properties.get("name") or Path(properties["fileName"]).name.split(".")[0]

    def _volume(self, properties: dict[str, Any]) -> Any:
        if not Path(properties["fileName"]).exists():
            return None
        options = int(bool(properties.get("labelmap"))) + 8 * int(bool(properties.get("singleFile")))
        node = self._parts.logics["volumes"].AddArchetypeVolume(properties["fileName"], self._name(properties), options)
        if node is not None and properties.get("show", True):
            selection = self._parts.application.GetSelectionNode()
            selection.SetActiveVolumeID(node.GetID())
            self._parts.application.PropagateVolumeSelection()
        return node

    def _segmentation(self, properties: dict[str, Any]) -> Any:
        if not Path(properties["fileName"]).exists():
            return None
        opacities, name = bool(properties.get("autoOpacities", True)), properties.get("name", "")
        return self._parts.logics["segmentations"].LoadSegmentationFromFile(properties["fileName"], opacities, name)

    def _stored(self, node_class: str, properties: dict[str, Any]) -> Any:
        scene = self._parts.scene
        node = scene.AddNewNodeByClass(node_class, scene.GenerateUniqueName(self._name(properties)))
        storage = self._storage(node)
        storage.SetFileName(properties["fileName"])
        if not Path(properties["fileName"]).exists() or not storage.ReadData(node):
            scene.RemoveNode(storage)
            scene.RemoveNode(node)
            return None
        if hasattr(node, "CreateDefaultDisplayNodes"):
            node.CreateDefaultDisplayNodes()
        return node

    def _storage(self, node: Any) -> Any:
        if node.GetStorageNode() is None:
            node.AddDefaultStorageNode()
        return node.GetStorageNode()

    def _scene(self, properties: dict[str, Any]) -> bool:
        scene, path = self._parts.scene, properties["fileName"]
        if not Path(path).exists():
            return False
        if properties.get("clear"):
            scene.Clear(0)
        if path.lower().endswith(".mrb"):
            return bool(scene.ReadFromMRB(path, False))
        scene.SetURL(path)
        return bool(scene.Import())

    def saveNodes(self, file_type: str, properties: dict[str, Any], _messages: Any = None) -> bool:
        scene, path = self._parts.scene, str(properties["fileName"])
        if file_type == "SceneFile":
            if path.lower().endswith(".mrb"):
                return bool(scene.WriteToMRB(path))
            if path.lower().endswith(".mrml"):
                return bool(scene.Commit(path))
            return bool(self._parts.application.SaveSceneToSlicerDataBundleDirectory(path, None))
        node = scene.GetNodeByID(properties["nodeID"])
        storage = self._storage(node)
        storage.SetFileName(path)
        storage.SetUseCompression(int(properties.get("useCompression", 1)))
        return bool(storage.WriteData(node))

"""Loading a scripted module as the application does: module object, Python class, panel, `setup`, `enter`.

After Base/QTGUI/qSlicerScriptedLoadableModule.cxx, qSlicerScriptedLoadableModuleWidget.cxx and
qSlicerModuleFactoryManager.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import slicer
from PySide6.QtCore import Property, QObject
from PySide6.QtGui import QIcon

from .application import application, qSlicerScriptedLoadableModuleWidget
from .pythonqt import unwrap, wrap
from .standins import stored


class qSlicerCoreModule(QObject):
    """A module of the core that is loaded for its logic only."""

    def __init__(self, name: str, logic: Any) -> None:
        super().__init__()
        self._name, self._logic = name, logic

    def logic(self) -> Any:
        return self._logic

    def widgetRepresentation(self) -> Any:
        return None

    name = Property(str, lambda self: self._name)
    path = Property(str, lambda self: f"/Slicer/{self._name}")


class qSlicerScriptedLoadableModule(QObject):
    """A scripted module: what its Python class fills in, and its panel, made when it is first asked for."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._python: Any = None
        self._widget: Any = None

    def _python_class(self, suffix: str = "") -> type:
        return getattr(sys.modules[self._path.stem], self._path.stem + suffix)

    def widgetRepresentation(self) -> Any:
        if self._widget is None:
            self._widget = qSlicerScriptedLoadableModuleWidget(self)
            self._widget.setMRMLScene(slicer.mrmlScene)
            self._widget.setPythonSource(self._python_class("Widget"))
            self._widget.setup()
        return self._widget

    name = Property(str, lambda self: self._path.stem)
    path = Property(str, lambda self: str(self._path))
    title = stored(str, "")
    categories = stored("QStringList", [])
    dependencies = stored("QStringList", [])
    contributors = stored("QStringList", [])
    associatedNodeTypes = stored("QStringList", [])
    helpText = stored(str, "")
    acknowledgementText = stored(str, "")
    hidden = stored(bool, False)
    icon = stored(QIcon, QIcon())


CORE_MODULES = {
    "Colors": "colors",
    "Volumes": "volumes",
    "Segmentations": "segmentations",
    "Tables": "tables",
    "Texts": "texts",
    "Markups": "markups",
    "SubjectHierarchy": "subjecthierarchy",
}


def load_core_modules(logics: dict[str, Any]) -> None:
    """`slicer.modules` with the core modules whose logics are here."""
    for name, attribute in CORE_MODULES.items():
        module = qSlicerCoreModule(name, logics[attribute])
        application().moduleManager()._modules[name] = module
        setattr(slicer.modules, attribute, wrap(module))


@dataclass
class LoadedModule:
    """A loaded module: `module` and `widget` are the Python objects, `panel` the Qt widget that holds the panel."""

    name: str

    @property
    def _qt(self) -> qSlicerScriptedLoadableModule:
        return application().moduleManager()._modules[self.name]

    @property
    def module(self) -> Any:
        return self._qt._python

    @property
    def panel(self) -> Any:
        return wrap(self._qt.widgetRepresentation())

    @property
    def widget(self) -> Any:
        return self._qt.widgetRepresentation().self()

    def enter(self) -> None:
        self._qt.widgetRepresentation().enter()

    def exit(self) -> None:
        self._qt.widgetRepresentation().exit()

    def reload(self) -> None:
        """As the button Reload does: the Python class's own `onReload`."""
        self.widget.onReload()

    def close(self) -> None:
        """Unloads the module as the application does when it ends."""
        qt_module = self._qt
        widget = qt_module._widget
        if widget is not None and widget.isEntered:
            widget.exit()
        unwrap(slicer.app.moduleManager()).moduleAboutToBeUnloaded.emit(self.name)
        del application().moduleManager()._modules[self.name]
        for attribute in (self.name.lower(), self.name + "Instance", self.name + "Widget"):
            if hasattr(slicer.modules, attribute):
                delattr(slicer.modules, attribute)
        sys.modules.pop(self.name, None)
        if widget is not None:
            qt_module._widget = widget._python = None
            widget.deleteLater()


def load(path: Path) -> LoadedModule:
    """Imports the file, makes module and panel, and tells everyone that start-up is over."""
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.append(folder)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[path.stem])
    qt_module = qSlicerScriptedLoadableModule(path)
    manager = application().moduleManager()
    manager._modules[path.stem] = qt_module
    setattr(slicer.modules, path.stem.lower(), wrap(qt_module))
    qt_module._python = qt_module._python_class()(wrap(qt_module))
    setattr(slicer.modules, path.stem + "Instance", qt_module._python)
    for needed in qt_module.dependencies:
        if needed not in manager._modules:
            raise ImportError(f"{path.stem} depends on {needed}, which is not loaded")
    if hasattr(qt_module._python, "setup"):
        qt_module._python.setup()
    manager.moduleLoaded.emit(path.stem)
    application().startupCompleted.emit()
    qt_module.widgetRepresentation()
    return LoadedModule(path.stem)


OWN_PACKAGES = ("DeepRadScoreLib", "DeepRadScoreSlicer")


@contextmanager
def reloads_undone() -> Iterator[None]:
    """Within the block the module may be reloaded. After it, helpers and library are again the ones imported before:
    the other tests hold these, and their classes can be neither pickled nor caught as those of a second copy.
    """
    before = _own_modules()
    try:
        yield
    finally:
        after = _own_modules()
        if any(after.get(name) is not module for name, module in before.items()):
            for name in after:
                del sys.modules[name]
            sys.modules.update(before)
            _forget(after.keys() - before.keys())


def _forget(names: Iterable[str]) -> None:
    """Remove modules from their packages, where `from package import module` would find them again."""
    for name in names:
        package, _, child = name.rpartition(".")
        vars(sys.modules.get(package, types.ModuleType(package))).pop(child, None)


def _own_modules() -> dict[str, types.ModuleType]:
    return {name: module for name, module in sys.modules.items() if name.partition(".")[0] in OWN_PACKAGES}

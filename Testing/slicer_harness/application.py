"""The application object: `slicer.app` with its managers, the main window and the module manager.

After Base/QTCore/qSlicerCoreApplication.h, Base/QTGUI/qSlicerApplication.h, Libs/MRML/Widgets/qMRMLLayoutManager.h,
qSlicerModuleManager.h, qSlicerMainWindow.h and qSlicerExtensionsManagerModel.h. Reading and writing of files go
through MRML's own storage nodes.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import slicer
from PySide6.QtCore import Property, QObject, QProcessEnvironment, QSettings, Signal, Slot
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QApplication, QMainWindow, QVBoxLayout, QWidget

from . import io_manager
from .dialogs import dialogs
from .pythonqt import unwrap, wrap
from .qmrml_widgets import qMRMLWidget
from .standins import stored
from .views import qMRMLSliceWidget, qMRMLThreeDWidget, qSlicerLayoutManager

MAJOR, MINOR, REVISION = 5, 10, "34045"


class qSlicerCoreCommandOptions(QObject):
    """The command line's options."""

    runPythonAndExit = stored(bool, False)
    testingEnabled = stored(bool, False)


class qSlicerExtensionsManagerModel(QObject):
    """Which extensions are installed; a test sets `installed`, and reads in `asked_for` what was to be installed."""

    extensionInstalled = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._installed: set[str] = set()
        self._asked_for: list[str] = []

    def isExtensionInstalled(self, name: str) -> bool:
        return name in self._installed

    def updateExtensionsMetadataFromServer(self, *_: Any) -> bool:
        return True

    def installExtensionFromServer(self, name: str, *_: Any) -> bool:
        self._asked_for.append(name)
        return True

    interactive = stored(bool, True)
    installedExtensions = Property("QStringList", lambda self: sorted(self._installed))


class qSlicerModuleFactoryManager(QObject):
    """Names of the modules that are loaded."""

    def __init__(self, manager: qSlicerModuleManager) -> None:
        super().__init__(manager)
        self._manager = manager

    def loadedModuleNames(self) -> list[str]:
        return [module.name for module in self._manager._modules.values()]

    def isLoaded(self, name: str) -> bool:
        return name in self._manager._modules


class qSlicerModuleManager(QObject):
    """The modules that are loaded, ours and the core's."""

    moduleLoaded = Signal(str)
    moduleAboutToBeUnloaded = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._modules: dict[str, Any] = {}
        self._factory = qSlicerModuleFactoryManager(self)

    def module(self, name: str) -> Any:
        return self._modules.get(name)

    def modulesNames(self) -> list[str]:
        return list(self._modules)

    def factoryManager(self) -> QObject:
        return self._factory


class qSlicerModuleSelectorToolBar(QWidget):
    """The module selector: choosing a module enters it and leaves the one before."""

    moduleSelected = Signal(str)

    def __init__(self, manager: qSlicerModuleManager, parent: QWidget) -> None:
        super().__init__(parent)
        self._manager, self._name = manager, ""

    @Slot(str)
    def selectModule(self, name: str) -> None:
        if name == self._name:
            return
        for module, step in ((self._name, "exit"), (name, "enter")):
            widget = getattr(self._manager.module(module), "widgetRepresentation", lambda: None)()
            if widget is not None:
                getattr(widget, step)()
        self._name = name
        self.moduleSelected.emit(name)

    selectedModule = Property(str, lambda self: self._name, selectModule)


MAIN_WINDOW_KEYS = (
    "Ctrl+O", "Ctrl+S", "Ctrl+W", "Ctrl+Z", "Ctrl+Y", "Ctrl+X", "Ctrl+C", "Ctrl+V", "Ctrl+H", "Ctrl+F", "Ctrl+0",
    "Ctrl+1", "Ctrl+2", "Ctrl+3", "Ctrl+`", "Ctrl+4", "Ctrl+5", "Ctrl+6", "Ctrl+Left", "Ctrl+Right", "Alt+Left",
    "Alt+Right", "Ctrl+Shift+A", "Ctrl+Shift+T", "Ctrl+Shift+Space", "Ctrl+Shift+Left", "Ctrl+Shift+Right",
    "Ctrl+Shift+Down",
)  # fmt: skip
"""Slicer's keys while any module is shown: qSlicerMainWindow.{ui,cxx}, qSlicerAppMainWindow.cxx,
qSlicerModuleSelectorToolBar.cxx, qMRMLMarkupsToolBar.cxx and qMRMLSequenceBrowserPlayWidget.cxx."""


class qSlicerMainWindow(QMainWindow):
    """The main window: a module selector, a status bar and Slicer's keys."""

    def __init__(self, manager: qSlicerModuleManager) -> None:
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self._selector = qSlicerModuleSelectorToolBar(manager, self)
        self.statusBar()
        for key in MAIN_WINDOW_KEYS:
            QShortcut(QKeySequence(key), self)

    def moduleSelector(self) -> QWidget:
        return self._selector


class qSlicerScriptedLoadableModuleWidget(qMRMLWidget):
    """The widget that holds a scripted module's panel; `enter` and `exit` call the Python class's."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        QVBoxLayout(self)
        self._module, self._python, self._entered = module, None, False

    def setPythonSource(self, python_class: type) -> None:
        self._python = python_class(wrap(self))
        setattr(slicer.modules, python_class.__name__, self._python)

    def self(self) -> Any:
        return self._python

    def setup(self) -> None:
        self._python.setup()

    def reload(self) -> None:
        self.setPythonSource(self._module._python_class("Widget"))
        self.setup()

    def enter(self) -> None:
        assert not self._entered
        self._entered = True
        with contextlib.suppress(AttributeError) if not hasattr(self._python, "enter") else contextlib.nullcontext():
            self._python.enter()

    def exit(self) -> None:
        assert self._entered
        self._entered = False
        with contextlib.suppress(AttributeError) if not hasattr(self._python, "exit") else contextlib.nullcontext():
            self._python.exit()

    isEntered = Property(bool, lambda self: self._entered)
    moduleName = Property(str, lambda self: self._module.name)


class qSlicerApplication(QApplication):
    """`slicer.app`."""

    startupCompleted = Signal()
    mrmlSceneChanged = Signal(object)
    CPP_SIGNALS: ClassVar = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged(PyObject)"}

    def __init__(self) -> None:
        super().__init__(["Slicer"])
        self.setApplicationName("Slicer")
        self.setOrganizationName("NA-MIC")
        self._folder = tempfile.TemporaryDirectory(prefix="slicer-harness-")
        QSettings.setDefaultFormat(QSettings.Format.IniFormat)
        QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, self._folder.name)
        self._parts: SimpleNamespace = SimpleNamespace()
        self._options = qSlicerCoreCommandOptions()
        self._manager = qSlicerModuleManager()
        self._extensions = qSlicerExtensionsManagerModel()
        self._window: qSlicerMainWindow | None = None
        self._layout: qSlicerLayoutManager | None = None
        self._paused = 0
        self._language: Callable[[str, str], str] | None = None
        self._exit_status: int | None = None

    def _start(self, parts: SimpleNamespace) -> None:
        self._parts = parts
        self._io = io_manager.qSlicerCoreIOManager(parts)
        self._layout = qSlicerLayoutManager(parts)
        self._remote_io = slicer.vtkMRMLRemoteIOLogic()
        self._remote_io.GetCacheManager().SetRemoteCacheDirectory(self._subfolder("cache"))
        self._remote_io.SetMRMLScene(parts.scene)
        self._remote_io.AddDataIOToScene()

    def mrmlScene(self) -> Any:
        return self._parts.scene

    def applicationLogic(self) -> Any:
        return self._parts.application

    def layoutManager(self) -> Any:
        return self._layout

    def moduleManager(self) -> Any:
        return self._manager

    def moduleLogic(self, name: str) -> Any:
        module = self._manager.module(name)
        return module.logic() if module is not None else None

    def coreIOManager(self) -> Any:
        return self._io

    def ioManager(self) -> Any:
        return self._io

    def extensionsManagerModel(self) -> Any:
        return self._extensions

    @Slot()
    def openExtensionsManagerDialog(self) -> None:
        dialogs.ask("Extensions Manager")

    def commandOptions(self) -> Any:
        return self._options

    def testingEnabled(self) -> bool:
        return bool(self._options.testingEnabled)

    def userSettings(self) -> Any:
        return QSettings()

    def settings(self) -> Any:
        return QSettings()

    def startupEnvironment(self) -> QProcessEnvironment:
        return QProcessEnvironment.systemEnvironment()

    def translate(self, context: str, text: str) -> str:
        return self._language(context, text) if self._language is not None else text

    def moduleDocumentationUrl(self, name: str) -> str:
        return f"https://slicer.readthedocs.io/en/latest/user_guide/modules/{name.lower()}.html"

    @Slot()
    def pauseRender(self) -> None:
        self._paused += 1

    @Slot()
    def resumeRender(self) -> None:
        self._paused -= 1

    def exit(self, status: int = 0) -> None:
        """Asks the application to end after pending events; here the status is kept for the test to read."""
        self._exit_status = status

    @Slot()
    def restart(self) -> None:
        dialogs.ask("restart")

    applicationVersion = Property(str, lambda _: f"{MAJOR}.{MINOR}.0")
    majorVersion = Property(int, lambda _: MAJOR)
    minorVersion = Property(int, lambda _: MINOR)
    revision = Property(str, lambda _: REVISION)
    repositoryRevision = Property(str, lambda _: "harness")
    os = Property(str, lambda _: "linux")
    arch = Property(str, lambda _: "amd64")
    documentationBaseUrl = Property(str, lambda _: "https://slicer.readthedocs.io/en/latest/")
    slicerHome = Property(str, lambda self: self._folder.name)
    temporaryPath = Property(str, lambda self: self._subfolder("temporary"))
    cachePath = Property(str, lambda self: self._subfolder("cache"))
    extensionsInstallPath = Property(str, lambda self: self._subfolder("Extensions"))
    slicerUserSettingsFilePath = Property(str, lambda _: QSettings().fileName())

    def _subfolder(self, name: str) -> str:
        folder = Path(self._folder.name, name)
        folder.mkdir(exist_ok=True)
        return str(folder)


SLICER_WIDGETS = {
    cls.__name__: cls
    for cls in (
        qSlicerScriptedLoadableModuleWidget,
        qSlicerApplication,
        qSlicerMainWindow,
        qSlicerLayoutManager,
        qMRMLSliceWidget,
        qMRMLThreeDWidget,
    )
}


def application() -> qSlicerApplication:
    return unwrap(slicer.app)

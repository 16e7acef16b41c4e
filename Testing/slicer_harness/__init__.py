"""A scripted module of 3D Slicer, run with its real .ui file where there is no Slicer.

README.md beside this file says what in it is real and what is a stand-in.

    app = harness.start()
    loaded = harness.load_module()
    with harness.answering("overwrite", True):
        loaded.widget.ui.exportButton.click()
    harness.process_events(200)
"""

from __future__ import annotations

import os
import re
import sys
import time
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")

import slicer
import slicer.util
from PySide6.QtCore import QCoreApplication, QEvent, QSettings
from PySide6.QtWidgets import QApplication

from . import modules, parameter_node, scripted
from . import packages as _packages
from .application import SLICER_WIDGETS, application, qSlicerApplication, qSlicerMainWindow
from .ctk_widgets import CTK
from .dialogs import UnexpectedDialog, dialogs
from .dicom import DICOM_UTILS, ctkDICOMDatabase
from .modules import LoadedModule, reloads_undone
from .packages import installs, packages
from .pythonqt import QtModule, emit, slot_errors, unwrap, wrap, wrapper_class
from .qmrml_widgets import QMRML
from .scene import make_scene
from .segment_editor import editor_state, qMRMLSegmentEditorWidget
from .ui_loader import UiLoader

__all__ = [
    "LoadedModule",
    "UnexpectedDialog",
    "answering",
    "batch",
    "dialogs",
    "editor_state",
    "emit",
    "exit_status",
    "in_another_language",
    "installed_extensions",
    "installs",
    "load_module",
    "main_window",
    "packages",
    "process_events",
    "register_dicom",
    "reloads_undone",
    "reset",
    "slot_errors",
    "start",
    "unwrap",
    "wait_for",
    "wrap",
]

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "DeepRadScore" / "DeepRadScore.py"


def start() -> Any:
    """Starts the application once per process and installs the modules; the application object."""
    if not isinstance(QApplication.instance(), qSlicerApplication):
        _start()
    return slicer.app


def _start() -> None:
    qt_app = qSlicerApplication()
    parts = make_scene()
    slicer.mrmlScene = parts.scene
    slicer.app = wrap(qt_app)
    slicer.modules = types.ModuleType("slicer.modules")
    slicer.dicomDatabase = wrap(ctkDICOMDatabase())
    qt_app._start(parts)
    qt = QtModule("qt")
    qt.QUiLoader = UiLoader
    ctk = _namespace("ctk", CTK)
    for name, cls in {
        **QMRML,
        **SLICER_WIDGETS,
        "qSlicerScriptedLoadableModule": modules.qSlicerScriptedLoadableModule,
    }.items():
        setattr(slicer, name, wrapper_class(cls))
    scripted_names = [name for name in vars(scripted) if name.startswith("ScriptedLoadableModule")]
    installed = {
        "qt": qt,
        "ctk": ctk,
        "slicer.modules": slicer.modules,
        "slicer.i18n": _namespace(
            "slicer.i18n", {"tr": scripted.tr, "translate": scripted.translate, "getContext": scripted.getContext}
        ),
        "slicer.ScriptedLoadableModule": _namespace(
            "slicer.ScriptedLoadableModule", {name: getattr(scripted, name) for name in scripted_names}
        ),
        "slicer.parameterNodeWrapper": _namespace("slicer.parameterNodeWrapper", parameter_node.EXPORTED),
        "qSlicerSegmentationsModuleWidgetsPythonQt": _namespace(
            "qSlicerSegmentationsModuleWidgetsPythonQt",
            {"qMRMLSegmentEditorWidget": qMRMLSegmentEditorWidget},
        ),
    }
    installed["DICOMLib.DICOMUtils"] = _namespace("DICOMLib.DICOMUtils", DICOM_UTILS)
    installed["DICOMLib"] = _namespace("DICOMLib", {"DICOMUtils": installed["DICOMLib.DICOMUtils"]})
    sys.modules.update(installed)
    for name in ("i18n", "ScriptedLoadableModule", "parameterNodeWrapper"):
        setattr(slicer, name, installed[f"slicer.{name}"])
    _packages.install_modules()
    modules.load_core_modules(parts.logics)
    if str(MODULE.parent) not in sys.path:
        sys.path.append(str(MODULE.parent))


def _namespace(name: str, members: dict[str, Any]) -> types.ModuleType:
    module = types.ModuleType(name)
    for key, value in members.items():
        is_widget = isinstance(value, type) and hasattr(value, "staticMetaObject")
        setattr(module, key, wrapper_class(value) if is_widget else value)
    module.__all__ = list(members)
    return module


def process_events(ms: int = 0) -> None:
    """Runs the event loop: what is pending, and all that comes within `ms` milliseconds."""
    end = time.monotonic() + ms / 1000
    while True:
        QCoreApplication.processEvents()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        if time.monotonic() >= end:
            return
        time.sleep(0.001)


def wait_for(condition: Any, seconds: float = 60.0) -> None:
    """Runs the event loop until `condition()` holds; an error in a slot, or the time limit, ends the waiting with
    an error. The condition is asked after each turn of the loop, so that none that holds for one step is missed.
    """
    end = time.monotonic() + seconds
    while not condition():
        process_events()
        time.sleep(0.001)
        if slot_errors:
            raise AssertionError("an exception in a slot:\n" + "\n".join(slot_errors))
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds} s")


def load_module(path: Path = MODULE) -> LoadedModule:
    """Loads a scripted module, as the application does at start: `setup` has run, it is not entered yet."""
    start()
    return modules.load(path)


def answering(pattern: str, answer: Any = True) -> Any:
    """See `Dialogs.answering`."""
    return dialogs.answering(pattern, answer)


@contextmanager
def main_window() -> Iterator[Any]:
    """Within the block there is a main window; `slicer.util.selectModule` works only there."""
    app = application()
    app._window = qSlicerMainWindow(app.moduleManager())
    app._window.show()
    try:
        yield wrap(app._window)
    finally:
        app._window.close()
        app._window.deleteLater()
        app._window = None
        process_events()


@contextmanager
def in_another_language() -> Iterator[None]:
    """Within the block each text that is translated is in a language of its own: in capitals, placeholders kept."""
    app = application()

    def capitals(_context: str, text: str) -> str:
        return "".join(part if part.startswith("{") else part.upper() for part in re.split(r"(\{[^{}]*\})", text))

    app._language = capitals
    try:
        yield
    finally:
        app._language = None


@contextmanager
def batch() -> Iterator[None]:
    """Within the block Slicer runs with --no-main-window and without views; every dialog is an error."""
    app = application()
    layout, app._layout, dialogs.batch = app._layout, None, True
    app._exit_status = None
    try:
        yield
    finally:
        app._layout, dialogs.batch = layout, False


def exit_status() -> int | None:
    """The status that `slicer.util.exit` was given since the last `batch` or `reset`; None if it was not called."""
    return application()._exit_status


@contextmanager
def installed_extensions(*names: str) -> Iterator[list[str]]:
    """Within the block these extensions are installed; gives the list of those that were asked to be installed."""
    model = application()._extensions
    model._installed, model._asked_for = set(names), []
    try:
        yield model._asked_for
    finally:
        model._installed = set()


def register_dicom(folder: Path) -> None:
    """Makes the DICOM database know the files in a folder."""
    unwrap(slicer.dicomDatabase)._register(folder)


def reset() -> None:
    """An empty scene, empty settings, no dialogs and no errors noted."""
    slicer.mrmlScene.Clear(0)
    process_events()
    QSettings().clear()
    dialogs.clear()
    slot_errors.clear()
    installs.clear()
    unwrap(slicer.dicomDatabase)._series.clear()
    application()._exit_status = None

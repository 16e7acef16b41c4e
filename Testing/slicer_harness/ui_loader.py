"""`qt.QUiLoader`: reads a .ui file as Slicer does, with the stand-ins for Slicer's and ctk's widgets."""

from __future__ import annotations

import re
from typing import Any

from PySide6.QtCore import QBuffer, QByteArray, QFile, QIODevice, qInstallMessageHandler
from PySide6.QtUiTools import QUiLoader

from .ctk_widgets import CTK
from .pythonqt import unwrap, wrap
from .qmrml_widgets import QMRML


class UiLoader:
    """Loads a form; a class without a stand-in and a connection that cannot be made are errors."""

    def load(self, file: Any, parent: Any = None) -> Any:
        device: QFile = unwrap(file)
        text = bytes(device.readAll().data()).decode("utf-8")
        unknown = set(re.findall(r'class="((?:ctk|q[MS])\w+)"', text)) - {*CTK, *QMRML}
        if unknown:
            raise NotImplementedError(f"no stand-in for {sorted(unknown)}")
        for tag in ("signal", "slot"):
            text = re.sub(rf"(<{tag}>.*?\()vtk\w+\*(\)</{tag}>)", r"\1PyObject\2", text)
        loader = QUiLoader()
        for cls in (*CTK.values(), *QMRML.values()):
            loader.registerCustomWidget(cls)
        messages: list[str] = []
        before = qInstallMessageHandler(lambda _kind, _context, message: messages.append(message))
        try:
            content = QByteArray(text.encode("utf-8"))
            buffer = QBuffer(content)
            buffer.open(QIODevice.OpenModeFlag.ReadOnly)
            widget = loader.load(buffer, unwrap(parent))
        finally:
            qInstallMessageHandler(before)
        problems = [m for m in messages if "No such" in m or "QUiLoader" in m or "QFormBuilder" in m or "Designer" in m]
        if problems or widget is None:
            raise RuntimeError("\n".join([*problems, loader.errorString()]))
        return wrap(widget)

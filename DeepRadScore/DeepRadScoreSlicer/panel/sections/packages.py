"""The section "Packages": what is missing for an analysis, with a button that gets it, and the versions in use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
from slicer.i18n import tr as _

from DeepRadScoreSlicer import packages, requirements
from DeepRadScoreSlicer.panel.messages import Messages


class PackagesSection:
    """Shows which packages are missing, and installs them after asking.

    Parameters
    ----------
    ui: the panel's widgets.
    on_installed: called when packages may have been added.

    Attributes
    ----------
    missing: whether something is missing without which there is no analysis.
    """

    def __init__(self, ui: Any, messages: Messages, on_installed: Callable[[], None]) -> None:
        self._ui, self._messages, self._on_installed = ui, messages, on_installed
        ui.installButton.connect("clicked(bool)", self._on_install)
        self.show()

    def show(self) -> None:
        """Look for the packages and show what is missing."""
        found = requirements.missing()
        self.missing = any(each.hinders for each in found)
        head = [_("The analysis is not possible yet. Missing:")] if self.missing else []
        self._ui.packagesLabel.text = "\n".join([*head, *(each.sentence for each in found), requirements.information()])
        self._ui.installButton.visible = self.missing
        self._ui.packagesSection.collapsed = not self.missing

    def _on_install(self, _checked: bool = False) -> None:
        self._messages.guarded(self._install)
        self.show()
        self._on_installed()

    def _install(self) -> None:
        def confirm(text: str) -> bool:
            return bool(slicer.util.confirmOkCancelDisplay(text, windowTitle=_("Get packages")))

        self._messages.say(packages.install(requirements.hindering(), confirm))

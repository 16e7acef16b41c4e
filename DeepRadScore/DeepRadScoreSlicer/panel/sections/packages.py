"""The section "Packages": what is missing for an analysis, with a button that gets it, the versions in use, and a check
of the features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
from slicer.i18n import tr as _

from DeepRadScoreSlicer import packages, requirements
from DeepRadScoreSlicer.panel.messages import Messages
from DeepRadScoreSlicer.panel.work import Work


class PackagesSection:
    """Shows which packages are missing, installs them after asking, and compares the features with pyradiomics'.

    Parameters
    ----------
    ui: the panel's widgets.
    on_installed: called when packages may have been added.

    Attributes
    ----------
    missing: whether something is missing without which there is no analysis.
    missing_for_models: whether something is missing without which there is none with a model.
    """

    def __init__(self, ui: Any, messages: Messages, work: Work, on_installed: Callable[[], None]) -> None:
        self._ui, self._messages, self._work, self._on_installed = ui, messages, work, on_installed
        ui.installButton.connect("clicked(bool)", self._on_install)
        ui.verifyButton.connect("clicked(bool)", self._on_verify)
        self._found: list[requirements.Missing] | None = None
        self.show()

    def show(self) -> None:
        """Look for the packages, and show what is missing where that has changed since the last time."""
        found = requirements.missing()
        if found == self._found:
            return
        self._found = found
        self.missing_for_models = any(each.hinders for each in found)
        self.missing = any(each.hinders and not each.for_models_only for each in found)
        head = [_("The analysis is not possible yet. Missing:")] if self.missing else []
        if self.missing_for_models and not self.missing:
            head = [_("Without a model the analysis is possible; for a model is missing:")]
        self._ui.packagesLabel.text = "\n".join([*head, *(each.sentence for each in found), requirements.information()])
        self._ui.installButton.visible = self.missing_for_models
        self._ui.packagesSection.collapsed = not self.missing_for_models
        self.update()

    def update(self) -> None:
        """Allow the check of the features unless other work runs or packages are missing."""
        self._ui.verifyButton.enabled = not (self._work.running or self.missing)

    def _on_install(self, _checked: bool = False) -> None:
        self._messages.guarded(self._install)
        self.show()
        self._on_installed()

    def _install(self) -> None:
        def confirm(text: str) -> bool:
            return bool(slicer.util.confirmOkCancelDisplay(text, windowTitle=_("Get packages")))

        self._messages.say(packages.install(requirements.hindering(), confirm))

    def _on_verify(self, _checked: bool = False) -> None:
        self._messages.guarded(self._verify)

    def _verify(self) -> None:
        from DeepRadScoreLib.synthetic.engine_check import engine_check_steps

        self._work.start(
            engine_check_steps(), lambda check: self._messages.say(check.sentence), messages=self._messages
        )

"""The section "Analysis": the model, the buttons that start or cancel an analysis, and what hinders it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import ctk
import qt
from slicer.i18n import tr as _

from DeepRadScoreLib.analyses.additions import Additions
from DeepRadScoreSlicer.cases.model_text import model_text
from DeepRadScoreSlicer.panel.messages import Messages
from DeepRadScoreSlicer.panel.review import Review
from DeepRadScoreSlicer.panel.sections.packages import PackagesSection
from DeepRadScoreSlicer.panel.sections.review import ReviewSection
from DeepRadScoreSlicer.panel.work import Work
from DeepRadScoreSlicer.scene.results import StoredProfile

MASK_VARIANTS = 8
BUNDLE = "DeepRadScore/bundlePathEdit"
KEYS = "DeepRadScore/trustedKeysPathEdit"


class AnalysisSection:
    """Starts and cancels the analysis of what is under review.

    Parameters
    ----------
    ui: the panel's widgets.
    logic: gives the steps of the analysis.
    below_profile: messages on what is added to the findings.
    """

    def __init__(
        self,
        ui: Any,
        logic: Any,
        review: Review,
        choice: ReviewSection,
        packages: PackagesSection,
        work: Work,
        messages: Messages,
        below_profile: Messages,
    ) -> None:
        self._ui, self._logic, self._review, self._choice = ui, logic, review, choice
        self._packages, self._work = packages, work
        self._messages, self._below_profile = messages, below_profile
        ui.analyzeButton.connect("clicked(bool)", self._on_analyze)
        ui.outlineButton.connect("clicked(bool)", self._on_outline)
        ui.finerMapsButton.connect("clicked(bool)", self._on_finer_maps)
        ui.bundlePathEdit.filters = ctk.ctkPathLineEdit.Files
        ui.bundlePathEdit.connect("currentPathChanged(QString)", self._on_model)
        ui.bundlePathEdit.connect("validInputChanged(bool)", self._on_valid)
        ui.bundlePathEdit.currentPath = qt.QSettings().value(BUNDLE, "") or ""
        ui.trustedKeysPathEdit.currentPath = qt.QSettings().value(KEYS, "") or ""
        ui.trustedKeysPathEdit.connect("currentPathChanged(QString)", self._on_keys)
        ui.trustedKeysPathEdit.connect("validInputChanged(bool)", self._on_keys)

    def update(self) -> None:
        """Show what hinders an analysis, or that one runs."""
        ui, running, hindrance = self._ui, self._work.running, self._hindrance()
        ui.analyzeButton.text = _("Cancel") if running else _("Analyze")
        ui.analyzeButton.enabled = running or not hindrance
        ui.analyzeButton.toolTip = hindrance or _("Compute regions, features and, with a model, the findings.")
        ui.analysisHintLabel.text = hindrance
        ui.analysisHintLabel.visible = bool(hindrance) and not running
        ui.progressBar.visible = running
        stored = self._review.stored
        for button in (ui.outlineButton, ui.finerMapsButton):
            button.visible = stored is not None and stored.document["model"] is not None
            button.enabled = not running and not hindrance

    def _hindrance(self) -> str:
        if self._packages.missing:
            return _("Packages are missing: see Packages below.")
        if self._packages.missing_for_models and self._ui.bundlePathEdit.currentPath:
            return _("Packages for the model are missing: see Packages below, or leave the model out.")
        if not self._review.chosen.complete:
            return _("Choose a CT, its segmentation and the tumour's segment first.")
        return ""

    def _on_model(self, path: str) -> None:
        model = model_text(Path(path)) if path else None
        self._ui.modelLabel.text = model.sentence if model is not None else ""
        self._ui.modelLabel.visible = model is not None
        self._choice.use_model_shell(model.shell_mm if model is not None else None)
        qt.QSettings().setValue(BUNDLE, path)
        self.update()

    def _on_valid(self, valid: bool) -> None:
        """No model where the field was emptied: it says nothing of an empty path."""
        if not valid:
            self._on_model("")

    def _on_keys(self, _changed: str | bool) -> None:
        qt.QSettings().setValue(KEYS, self._ui.trustedKeysPathEdit.currentPath)

    def _on_analyze(self, _checked: bool = False) -> None:
        if self._work.running:
            self._ui.analyzeButton.enabled = False
            self._work.cancel()
            return
        self._messages.guarded(lambda: self._start(Additions(), self._messages))

    def _on_outline(self, _checked: bool = False) -> None:
        self._add(replace(self._additions(), mask_variants=MASK_VARIANTS))

    def _on_finer_maps(self, _checked: bool = False) -> None:
        self._add(replace(self._additions(), occlusion=True))

    def _add(self, additions: Additions) -> None:
        """Analyse once more with additions, unless up-to-date results say that there is nothing to add."""
        stored = self._review.stored
        if stored is not None and not stored.stale and _all_withheld(stored):
            self._below_profile.say(_("No finding has a probability: there is nothing to compare, and nothing to map."))
            return
        self._below_profile.guarded(lambda: self._start(additions, self._below_profile))

    def _additions(self) -> Additions:
        """Those that the results under review have."""
        stored = self._review.stored
        return Additions() if stored is None else Additions(stored.mask_variants, stored.finer)

    def _start(self, additions: Additions, messages: Messages) -> None:
        chosen = self._review.chosen
        bundle, trusted = (
            Path(edit.currentPath) if edit.currentPath else None
            for edit in (self._ui.bundlePathEdit, self._ui.trustedKeysPathEdit)
        )
        given = bundle, self._review.lung_mask(), trusted, additions
        steps = self._logic.analysis_steps(chosen, self._review.case_id, *given)

        def use(stored: StoredProfile) -> None:
            self._review.show_results(stored, chosen)
            if additions.occlusion and not stored.finer:
                messages.say(_no_maps(stored))

        self._work.start(steps, use, messages=messages)


def _all_withheld(stored: StoredProfile) -> bool:
    return all(entry["probability"] is None for entry in stored.document["endpoints"].values())


def _no_maps(stored: StoredProfile) -> str:
    """Why there are no finer heat maps."""
    if _all_withheld(stored):
        return _("There are no finer heat maps: no finding has a probability.")
    return _("There are no finer heat maps: this model has no image network.")

"""The sections "Profile" and "Export": the findings, their heat maps over the CT, and the results in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ctk
import qt
from slicer.i18n import tr as _

from DeepRadScoreSlicer.panel.messages import Messages
from DeepRadScoreSlicer.panel.profile import ProfileView
from DeepRadScoreSlicer.panel.review import Review
from DeepRadScoreSlicer.panel.sections.review import ReviewSection
from DeepRadScoreSlicer.scene import results
from DeepRadScoreSlicer.scene.display.overlay import HeatMapOverlay

EXPORT = "DeepRadScore/exportPathEdit"


class ResultsSection:
    """Shows the results of the CT under review, and writes them to a folder.

    Parameters
    ----------
    ui: the panel's widgets.
    choice: holds the opacity and the threshold of heat maps.
    """

    def __init__(self, ui: Any, review: Review, choice: ReviewSection, messages: Messages, of_export: Messages) -> None:
        self._ui, self._review, self._choice = ui, review, choice
        self._messages, self._of_export = messages, of_export
        self.overlay = HeatMapOverlay()
        self.profile = ProfileView(ui.profileFrame.layout(), self._on_finding)
        self._volume_id = ""
        ui.exportButton.connect("clicked(bool)", self.export)
        ui.exportPathEdit.filters = ctk.ctkPathLineEdit.Dirs
        ui.exportPathEdit.currentPath = qt.QSettings().value(EXPORT, "") or ""

    def show(self, stored: results.StoredProfile | None) -> None:
        """Show the results of the CT under review, or that there are none."""
        volume_id = self._review.chosen.volume_id
        if volume_id != self._volume_id:
            self._volume_id = volume_id
            self.profile.close_finding()
        if stored is None:
            self.profile.clear(_("Not analyzed yet.") if volume_id else _("No CT is chosen."))
        else:
            self.profile.show(stored.document, stored.stale)

    def update(self, running: bool) -> None:
        """Enable the export, and show the sliders of heat maps, where there are results."""
        ui, stored = self._ui, self._review.stored
        ui.exportButton.enabled = stored is not None and not stored.stale and not running
        ui.exportButton.toolTip = _("Write the profile into the folder.") if stored is not None else _("Analyze first.")
        for widget in (ui.opacityLabel, ui.opacitySlider, ui.thresholdLabel, ui.thresholdSlider):
            widget.visible = stored is not None and bool(stored.heat_map_ids)

    def update_overlay(self) -> None:
        """Draw the shown heat map with the current opacity and threshold."""
        if self.overlay.heat_map_id is not None:
            self._messages.guarded(lambda: self._lay_over(self.overlay.heat_map_id))

    def export(self, _checked: bool = False) -> None:
        """Write the results into a folder of the case's name."""
        folder = self._ui.exportPathEdit.currentPath
        if not folder:
            self._of_export.say(_("Choose a folder for the results first."))
            return
        self._of_export.guarded(lambda: self._export(Path(folder), self._review.export_name))

    def _on_finding(self, key: str | None) -> None:
        """Lay the finding's heat map over the CT, or take it away."""
        stored = self._review.stored if key is not None else None
        heat_map = stored.heat_map_ids.get(key) if stored is not None else None
        self._messages.say("")
        if heat_map is not None:
            self._messages.guarded(lambda: self._lay_over(heat_map))
            return
        self.overlay.hide()
        if key is not None:
            self._messages.say(_("There is no heat map for this finding."))

    def _lay_over(self, heat_map_id: str) -> None:
        node = self._choice.node
        self.overlay.show(heat_map_id, self._review.chosen.volume_id, node.heatMapOpacity, node.heatMapThreshold)

    def _export(self, parent: Path, name: Path) -> None:
        folder = parent / name
        written = results.export(self._review.volume, folder, self._review.lesion)
        self._review.note_export()
        qt.QSettings().setValue(EXPORT, str(parent))
        names = ", ".join(path.name for path in written)
        self._of_export.say(_("Written to {folder}: {names}").format(folder=folder, names=names))

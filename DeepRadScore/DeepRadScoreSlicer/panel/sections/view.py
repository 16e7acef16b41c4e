"""The row of the section "Review" for what the views show: the window, the tumour's place and the reading layout."""

from __future__ import annotations

from typing import Any

import qt
from slicer.i18n import tr as _

from DeepRadScoreSlicer.panel.messages import Messages
from DeepRadScoreSlicer.panel.review import Review
from DeepRadScoreSlicer.scene.display import viewing
from DeepRadScoreSlicer.scene.display.viewing import BONE, LUNG, MEDIASTINUM, Window

CHOSEN, OWN_WINDOW, READING = (f"DeepRadScore/{name}" for name in ("window", "ownWindow", "readingLayout"))
PRESETS = (LUNG, MEDIASTINUM, BONE)
OWN = len(PRESETS)
"""Position of the reader's own window in the list of windows, after those of the module."""


class ViewSection:
    """Shows a case that was opened as a reader wants to see it.

    Parameters
    ----------
    ui: the panel's widgets.
    """

    def __init__(self, ui: Any, review: Review, messages: Messages) -> None:
        self._ui, self._review, self._messages = ui, review, messages
        self._layout_before: int | None = None
        settings = qt.QSettings()
        for text in (_("Lung"), _("Mediastinum"), _("Bone"), _("My window")):
            ui.windowBox.addItem(text)
        ui.windowBox.setCurrentIndex(_number(settings.value(CHOSEN, "0")))
        ui.readingLayoutCheckBox.checked = str(settings.value(READING, "true")) == "true"
        ui.windowBox.connect("activated(int)", self._on_window)
        ui.keepWindowButton.connect("clicked(bool)", self._on_keep)
        ui.goToTumourButton.connect("clicked(bool)", self._on_go)
        ui.readingLayoutCheckBox.connect("toggled(bool)", self._on_layout)

    def show_case(self) -> None:
        """Show what is under review: in the reading layout where it is wanted, windowed, centred on the tumour."""
        if self._ui.readingLayoutCheckBox.checked:
            self._show_layout()
        self._use_window()
        self.go_to_tumour()

    def go_to_tumour(self) -> bool:
        """Centre the views on the tumour; False where there is none yet."""
        place = viewing.tumour_place(self._review.segmentation, self._review.chosen.segment_id)
        if place is not None:
            viewing.look_at(place)
        return place is not None

    def update(self) -> None:
        """Enable what needs a CT."""
        there = self._review.volume is not None
        self._ui.keepWindowButton.enabled = there
        self._ui.goToTumourButton.enabled = there and self._review.segmentation is not None

    def restore_layout(self) -> None:
        """Restore the layout from before the reading layout."""
        viewing.restore_layout(self._layout_before)
        self._layout_before = None

    def _show_layout(self) -> None:
        before = viewing.show_reading_layout()
        if before is not None:
            self._layout_before = before

    def _use_window(self) -> None:
        volume, index = self._review.volume, self._ui.windowBox.currentIndex
        window = PRESETS[index] if index < OWN else _own_window()
        if volume is not None and window is not None:
            viewing.set_window(volume, window)

    def _on_window(self, index: int) -> None:
        if index == OWN and _own_window() is None:
            self._messages.say(
                _("You have no window of your own yet: set one in a slice view, then press Keep window.")
            )
            return
        qt.QSettings().setValue(CHOSEN, str(index))
        self._use_window()

    def _on_keep(self, _checked: bool = False) -> None:
        window = viewing.window_of(self._review.volume)
        if window is not None:
            settings = qt.QSettings()
            settings.setValue(OWN_WINDOW, f"{window.low} {window.high}")
            settings.setValue(CHOSEN, str(OWN))
            self._ui.windowBox.setCurrentIndex(OWN)

    def _on_go(self, _checked: bool = False) -> None:
        if not self.go_to_tumour():
            self._messages.say(_("The segment is empty: there is no tumour to go to yet."))

    def _on_layout(self, on: bool) -> None:
        qt.QSettings().setValue(READING, "true" if on else "false")
        if not on:
            self.restore_layout()
        elif self._review.volume is not None:
            self._show_layout()


def _number(text: Any) -> int:
    return int(text) if str(text).isdigit() and int(text) <= OWN else 0


def _own_window() -> Window | None:
    """The reader's own window from the settings, None where there is none."""
    try:
        low, high = map(float, str(qt.QSettings().value(OWN_WINDOW, "")).split())
    except ValueError:
        return None
    return Window(low, high) if low < high else None

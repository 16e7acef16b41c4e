"""The module's own outline at the crosshair, where no extension makes one, and the slider of its radius."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import slicer
from slicer.i18n import tr as _

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging import Outline, outline_at
from DeepRadScoreSlicer.panel.messages import Messages
from DeepRadScoreSlicer.panel.review import Review
from DeepRadScoreSlicer.panel.sections.review import ReviewSection
from DeepRadScoreSlicer.scene.display.viewing import crosshair
from DeepRadScoreSlicer.scene.from_nodes import volume_image
from DeepRadScoreSlicer.scene.opening import add_masks, drawn_digest, is_empty, new_mask, replace_mask
from DeepRadScoreSlicer.scene.ownership import file_with
from DeepRadScoreSlicer.scene.usable import check_volume


@dataclass(frozen=True)
class _Proposal:
    """An outline that stands as it was made: the slider may change it."""

    volume_id: str
    segmentation_id: str
    segment_id: str
    point: tuple[float, float, float]
    drawn: bytes


class OwnOutline:
    """Proposes a tumour from the crosshair; until it is edited its radius can be changed. All of it is one undo step.

    Parameters
    ----------
    ui: the panel's widgets.
    show: called when a proposal was made: the views are to show it.
    """

    def __init__(
        self, ui: Any, review: Review, choice: ReviewSection, messages: Messages, show: Callable[[], Any]
    ) -> None:
        self._ui, self._review, self._choice = ui, review, choice
        self._messages, self._show = messages, show
        self._proposal: _Proposal | None = None
        self._showing = False
        ui.outlineRadiusSlider.connect("valueChanged(double)", self._on_radius)

    def update(self) -> None:
        """Show the slider while the proposal under review stands as it was made."""
        for widget in (self._ui.outlineRadiusLabel, self._ui.outlineRadiusSlider):
            widget.visible = self._stands

    def outline(self) -> None:
        """Propose the tumour at the crosshair: in the segment under review if that is empty, else in another one.

        Raises
        ------
        InputError: no CT, no crosshair, or no tumour can be told there; nothing was changed.
        """
        volume, point = self._review.volume, crosshair()
        check_volume(volume)
        if point is None:
            raise InputError(
                _("the crosshair is not set"), mend=_("hold Shift and move the mouse over the tumour, then press again")
            )
        made = _outline(volume, point, None)
        segmentation, segment_id = self._review.segmentation, self._review.chosen.segment_id
        if segmentation is None:
            segmentation = new_mask(f"{self._review.case_id} tumour", volume)
            file_with(segmentation, volume)
            self._choice.choose(volume, segmentation, "")
        self._choice.save_state()
        if is_empty(segmentation, segment_id):
            replace_mask(segmentation, segment_id, made.mask)
        else:
            (segment_id,) = add_masks(segmentation, [made.mask], "tumour")
        self._take(volume, segmentation, segment_id, point, made)
        self._show()

    def _on_radius(self, radius_mm: float) -> None:
        if not self._showing and self._stands:
            self._messages.guarded(lambda: self._change(radius_mm))

    def _change(self, radius_mm: float) -> None:
        """Make the proposal again with another radius; where that cannot be, it stays as it is."""
        volume, segmentation, proposal = self._review.volume, self._review.segmentation, self._proposal
        assert proposal is not None
        made = _outline(volume, proposal.point, radius_mm)
        replace_mask(segmentation, proposal.segment_id, made.mask)
        self._take(volume, segmentation, proposal.segment_id, proposal.point, made)

    def _take(
        self, volume: Any, segmentation: Any, segment_id: str, point: tuple[float, float, float], made: Outline
    ) -> None:
        """Put a proposal under review, and say what it is."""
        self._choice.choose(volume, segmentation, segment_id)
        drawn = drawn_digest(segmentation, segment_id)
        self._proposal = _Proposal(volume.GetID(), segmentation.GetID(), segment_id, point, drawn)
        self._showing = True
        self._ui.outlineRadiusSlider.value = made.radius_mm
        self._showing = False
        self.update()
        text = _("A proposal from one point: check it. It fails where a tumour lies against the pleura or a vessel.")
        if made.cut:
            text += " " + _("This one was cut from dense tissue that goes on: look there first.")
        self._messages.say(text)

    @property
    def _stands(self) -> bool:
        one, chosen = self._proposal, self._review.chosen
        if one is None or self._review.volume is None or self._review.segmentation is None:
            return False
        nodes = (chosen.volume_id, chosen.segmentation_id, chosen.segment_id)
        same = nodes == (one.volume_id, one.segmentation_id, one.segment_id)
        return same and drawn_digest(self._review.segmentation, one.segment_id) == one.drawn


def _outline(volume: Any, point: tuple[float, float, float], radius_mm: float | None) -> Outline:
    right, anterior, superior = point
    with slicer.util.WaitCursor():
        return outline_at(volume_image(volume), (-right, -anterior, superior), radius_mm)

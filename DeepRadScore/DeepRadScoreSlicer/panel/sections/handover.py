"""The row of the section "Review" that hands the CT to other extensions and takes their result as lesions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from DeepRadScoreSlicer.panel.messages import Messages
from DeepRadScoreSlicer.panel.review import Review
from DeepRadScoreSlicer.panel.sections.review import ReviewSection
from DeepRadScoreSlicer.panel.work import Work
from DeepRadScoreSlicer.scene import total_segmentator
from DeepRadScoreSlicer.scene.opening import add_masks, new_mask
from DeepRadScoreSlicer.scene.ownership import file_with


class HandoverSection:
    """Offers extensions that are installed.

    Parameters
    ----------
    ui: the panel's widgets.
    show: called when a lesion was taken: the views are to show it.
    """

    def __init__(
        self,
        ui: Any,
        review: Review,
        choice: ReviewSection,
        work: Work,
        messages: Messages,
        show: Callable[[], Any],
    ) -> None:
        self._ui, self._review, self._choice = ui, review, choice
        self._work, self._messages, self._show = work, messages, show
        ui.findNodulesButton.connect("clicked(bool)", self._on_find)

    def update(self) -> None:
        """Show what is installed, and enable it where a CT is under review and nothing else runs."""
        button = self._ui.findNodulesButton
        button.visible = total_segmentator.installed()
        button.enabled = self._review.volume is not None and not self._work.running

    def _on_find(self, _checked: bool = False) -> None:
        volume_id = self._review.chosen.volume_id
        self._messages.guarded(
            lambda: self._work.start(
                total_segmentator.nodule_steps(self._review.volume), lambda nodules: self._take(volume_id, nodules)
            )
        )

    def _take(self, volume_id: str, nodules: list[Any]) -> None:
        """Add the nodules as segments, and put the one nearest to the crosshair under review."""
        volume, segmentation = self._review.volume, self._review.segmentation
        if volume is None or volume.GetID() != volume_id:
            self._messages.say(_("Another CT is under review by now: the nodules that were found are not taken."))
            return
        if segmentation is None:
            segmentation = new_mask(f"{self._review.case_id} tumour", volume)
            file_with(segmentation, volume)
        else:
            self._choice.save_state()
        taken = add_masks(segmentation, nodules, "nodule")
        self._choice.choose(volume, segmentation, taken[total_segmentator.nearest_to_crosshair(nodules)])
        self._show()
        text = _("TotalSegmentator found {count}; {name} is under review. They are proposals: check each outline.")
        count = _("one nodule") if len(nodules) == 1 else _("{number} nodules").format(number=len(nodules))
        self._messages.say(text.format(count=count, name=self._review.lesions[self._review.chosen.segment_id]))

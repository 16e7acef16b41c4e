"""The rows of the section "Review" in which lesions are proposed: by other extensions, or by the module itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from DeepRadScoreLib.errors import InputError
from DeepRadScoreSlicer.panel.messages import Messages
from DeepRadScoreSlicer.panel.review import Review
from DeepRadScoreSlicer.panel.sections.own_outline import OwnOutline
from DeepRadScoreSlicer.panel.sections.review import ReviewSection
from DeepRadScoreSlicer.panel.work import WorkRow
from DeepRadScoreSlicer.scene.display.viewing import crosshair
from DeepRadScoreSlicer.scene.opening import add_lesion, add_masks, empty_mask, is_empty, new_mask
from DeepRadScoreSlicer.scene.outlining import monai_label, nn_interactive, total_segmentator
from DeepRadScoreSlicer.scene.outlining.monai_label import Model
from DeepRadScoreSlicer.scene.outlining.proposals import nearest_to
from DeepRadScoreSlicer.scene.ownership import file_with, remove_nodes
from DeepRadScoreSlicer.scene.usable import check_volume


class HandoverSection:
    """Offers extensions that are installed, and at the crosshair an outline of the module's own where none is.

    Parameters
    ----------
    ui: the panel's widgets.
    row: where the work of another program is shown and cancelled.
    show: called when a lesion was taken: the views are to show it.
    """

    def __init__(
        self,
        ui: Any,
        review: Review,
        choice: ReviewSection,
        row: WorkRow,
        messages: Messages,
        show: Callable[[], Any],
    ) -> None:
        self._ui, self._review, self._choice = ui, review, choice
        self._row, self._messages, self._show = row, messages, show
        self._outlining = False
        self._own = OwnOutline(ui, review, choice, messages, show)
        ui.findNodulesButton.connect("clicked(bool)", self._on_find)
        ui.outlineAtCrosshairButton.connect("clicked(bool)", self._on_outline)
        ui.monaiLabelButton.connect("clicked(bool)", self._on_monai)

    def update(self) -> None:
        """Show what is installed, and enable it where a CT is under review and nothing else runs."""
        free = self._review.volume is not None and self._row.free and not self._outlining
        for button, offered in (
            (self._ui.findNodulesButton, total_segmentator.installed()),
            (self._ui.outlineAtCrosshairButton, True),
            (self._ui.monaiLabelButton, monai_label.offered()),
        ):
            button.visible = offered
            button.enabled = free
        self._name_outline_button()
        self._own.update()

    def _name_outline_button(self) -> None:
        """Say who outlines at the crosshair: nnInteractive where it is installed, else the module itself."""
        button = self._ui.outlineAtCrosshairButton
        if nn_interactive.installed():
            button.text = _("Outline at crosshair (nnInteractive)")
            button.toolTip = _(
                "Let nnInteractive outline the tumour at the crosshair (Shift and mouse), in a segment of its own. "
                "Its model must be initialized in its own module."
            )
        else:
            button.text = _("Outline at crosshair")
            button.toolTip = _(
                "Propose the outline of a solid or part-solid lung tumour at the crosshair (Shift and mouse), in a "
                "segment of its own; its radius can be changed, and Undo takes it back. Check it: it fails where a "
                "tumour lies against the pleura or a vessel."
            )

    def _on_find(self, _checked: bool = False) -> None:
        volume_id = self._review.chosen.volume_id
        steps = total_segmentator.nodule_steps(self._review.volume)
        self._row.start(steps, lambda found: self._take(volume_id, found, "nodule", total_segmentator.EXTENSION))

    def _take(self, volume_id: str, masks: list[Any], name: str, finder: str) -> None:
        """Add masks as segments with numbered names, and put the one nearest to the crosshair under review."""
        volume, segmentation = self._review.volume, self._review.segmentation
        if volume is None or volume.GetID() != volume_id:
            self._messages.say(_("Another CT is under review by now: what was found is not taken."))
            return
        if segmentation is None:
            segmentation = new_mask(f"{self._review.case_id} tumour", volume)
            file_with(segmentation, volume)
        else:
            self._choice.save_state()
        taken = add_masks(segmentation, masks, name)
        self._choice.choose(volume, segmentation, taken[nearest_to(crosshair(), masks)])
        self._show()
        text = _("{finder} found {count}; {name} is under review. They are proposals: check each outline.")
        count = _("one lesion") if len(masks) == 1 else _("{number} lesions").format(number=len(masks))
        name = self._review.lesions[self._review.chosen.segment_id]
        self._messages.say(text.format(finder=finder, count=count, name=name))

    def _on_monai(self, _checked: bool = False) -> None:
        volume_id = self._review.chosen.volume_id

        def ask(models: list[Model]) -> None:
            model = self._chosen_model(models)
            if model is not None and self._may_leave(monai_label.NAME, self._far_server()):
                steps = monai_label.outline_steps(self._review.volume, model, crosshair())
                self._row.start(steps, lambda found: self._take(volume_id, found, "tumour", monai_label.NAME))

        def start() -> None:
            check_volume(self._review.volume)
            self._row.start(monai_label.models_steps(), ask)

        self._messages.guarded(start)

    def _chosen_model(self, models: list[Model]) -> Model | None:
        """The only model, or the one that the user chooses; None for none."""
        if len(models) == 1:
            return models[0]
        titles, window = [model.title for model in models], slicer.util.mainWindow()
        question = _("Several models of the server outline tumours:")
        answer = qt.QInputDialog.getItem(window, monai_label.NAME, question, titles, 0, False)
        return models[titles.index(answer)] if answer in titles else None

    def _far_server(self) -> str:
        address = monai_label.server()
        return address if monai_label.is_elsewhere(address) else ""

    def _on_outline(self, _checked: bool = False) -> None:
        """Outline at the crosshair; nnInteractive lets the event loop run meanwhile, so a second press does nothing."""
        if self._outlining:
            return
        self._outlining = True
        self.update()
        try:
            self._messages.guarded(self._outline if nn_interactive.installed() else self._own.outline)
        finally:
            self._outlining = False
            self.update()

    def _may_leave(self, program: str, server: str) -> bool:
        """Whether the CT may be sent to a server; "" is none. Asked until the user ticks not to be, for each server."""
        if not server:
            return True
        text = _("{program} is set to a server: the voxels of the CT will be sent to {server}.")
        return bool(
            slicer.util.confirmOkCancelDisplay(
                text.format(program=program, server=server),
                windowTitle=_("Send the CT"),
                dontShowAgainSettingsKey=f"DeepRadScore/SendTo/{server}",
            )
        )

    def _outline(self) -> None:
        """Outline the tumour at the crosshair in an empty segment; without a result the scene is as it was."""
        volume, segmentation, segment_id = (
            self._review.volume,
            self._review.segmentation,
            self._review.chosen.segment_id,
        )
        point = crosshair()
        check_volume(volume)
        nn_interactive.check_ready(volume, point)
        if not self._may_leave("nnInteractive", nn_interactive.server()):
            return
        made, added = segmentation is None, False
        if made:
            segmentation = empty_mask(f"{self._review.case_id} tumour", volume)
            segment_id = segmentation.GetSegmentation().GetNthSegmentID(0)
        elif not is_empty(segmentation, segment_id):
            segment_id, added = add_lesion(segmentation), True
        try:
            nn_interactive.outline_at(point, volume, segmentation, segment_id)
            if is_empty(segmentation, segment_id):
                raise InputError(_("nnInteractive found nothing at the crosshair"), mend=_("put it into the tumour"))
        except InputError:
            if made:
                remove_nodes([segmentation.GetID()] if segmentation.GetScene() is not None else [])
            elif added and segmentation.GetScene() is not None:
                segmentation.GetSegmentation().RemoveSegment(segment_id)
            raise
        if made:
            file_with(segmentation, volume)
        self._choice.choose(volume, segmentation, segment_id)
        self._show()
        self._messages.say(_("nnInteractive made this outline from one point: it is a proposal, check it."))

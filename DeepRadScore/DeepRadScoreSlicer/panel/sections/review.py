"""The section "Review": what is under review, as chosen and saved with the scene, and its mask's correction."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from DeepRadScoreLib.models import OtherLabels
from DeepRadScoreLib.progress import at_most_every
from DeepRadScoreSlicer.panel.editor import Editor
from DeepRadScoreSlicer.panel.messages import Messages
from DeepRadScoreSlicer.panel.patient import mask_of_study
from DeepRadScoreSlicer.panel.review import Review
from DeepRadScoreSlicer.panel.work import STEP_S, WorkRow
from DeepRadScoreSlicer.scene import results
from DeepRadScoreSlicer.scene.dicom_case import chosen_id, mask_node, mask_of_volume_steps
from DeepRadScoreSlicer.scene.dicom_database import instances_of, series_of
from DeepRadScoreSlicer.scene.from_nodes import Chosen
from DeepRadScoreSlicer.scene.opening import add_lesion, choose_segment, empty_mask
from DeepRadScoreSlicer.scene.ownership import file_with, is_ct, is_foreign
from DeepRadScoreSlicer.scene.usable import check_volume

if TYPE_CHECKING:
    from DeepRadScoreLib.imaging import MaskContent


class ReviewSection:
    """Keeps the scene's parameter node, the selectors, the editor and the review in step.

    Parameters
    ----------
    ui: the panel's widgets.
    row: where the reading of a mask is shown and cancelled.
    on_choice: called after each change of the parameter node.

    Attributes
    ----------
    node: the parameter node; None while there is no scene.
    """

    def __init__(
        self, ui: Any, review: Review, editor: Editor, row: WorkRow, messages: Messages, on_choice: Callable[[], None]
    ) -> None:
        self._ui, self._review, self._editor, self._messages = ui, review, editor, messages
        self._row, self._on_choice = row, on_choice
        self.node: Any | None = None
        self._binding: Any = None
        self._observed = VTKObservationMixin()
        self._model_shell_mm: float | None = None
        self._syncing = False
        ui.segmentSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._on_segmentation)
        ui.segmentSelector.connect("currentSegmentChanged(QString)", self._on_segment)
        ui.drawTumourButton.connect("clicked(bool)", self._on_draw)
        ui.anotherLesionButton.connect("clicked(bool)", self._on_another)
        ui.studyMaskButton.connect("clicked(bool)", self._on_study_mask)
        ui.saveMaskButton.connect("clicked(bool)", self._on_save)
        ui.restoreMaskButton.connect("clicked(bool)", self._on_restore)

    def bind(self, node: Any | None) -> None:
        """Bind the widgets to a parameter node, or to none."""
        if self.node is not None:
            self.node.disconnectGui(self._binding)
            self._observed.removeObservers()
        self.node = node
        if node is not None:
            self._binding = node.connectGui(self._ui)
            self._observed.addObserver(node, vtk.vtkCommand.ModifiedEvent, self.follow)
            self.use_model_shell(self._model_shell_mm)
            self.follow()

    def choose(self, volume: Any, segmentation: Any, segment_id: str | None) -> None:
        """Put these under review; None for the only segment that there is."""
        if segment_id is None:
            segment_id = choose_segment(segmentation, None) if segmentation is not None else ""
        with slicer.util.NodeModify(self.node):
            self.node.inputVolume, self.node.segmentation, self.node.segmentId = volume, segmentation, segment_id

    def choose_only_ones(self) -> None:
        """Choose the CT and the segmentation where nothing is chosen and the scene has only one."""
        if self.node.inputVolume is None:
            volumes = [node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if is_ct(node)]
            if len(volumes) == 1:
                self.node.inputVolume = volumes[0]
        if self.node.segmentation is None:
            masks = [node for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode") if is_foreign(node)]
            if len(masks) == 1:
                self.choose(self.node.inputVolume, masks[0], None)

    def use_model_shell(self, shell_mm: float | None) -> None:
        """Take the thickness of the chosen model's shell, which cannot be altered then; None: any is allowed."""
        self._model_shell_mm = shell_mm
        self._ui.shellSpinBox.enabled = shell_mm is None
        if shell_mm is not None and self.node is not None:
            self.node.shellMm = shell_mm

    def update(self) -> None:
        """Enable the buttons of the mask where there is something to draw on, to save or to restore."""
        volume = self._review.volume
        self._ui.drawTumourButton.enabled = volume is not None
        self._ui.anotherLesionButton.enabled = volume is not None and self._review.segmentation is not None
        self._show_lesions()
        self._ui.studyMaskButton.enabled = self._row.free and volume is not None and bool(instances_of(volume))
        self._ui.saveMaskButton.enabled = self._review.unsaved
        self._ui.restoreMaskButton.enabled = self._review.has_original

    def follow(self, _caller: Any = None, _event: Any = None) -> None:
        """Review the CT and the segment chosen in the parameter node."""
        node = self.node
        if node is None or self._syncing:
            return
        if node.inputVolume is not None and not is_foreign(node.inputVolume):
            self._messages.say(_("A heat map is no CT: choose the CT volume."))
            node.inputVolume = None
            return
        self._syncing = True
        try:
            self._show(node)
        finally:
            self._syncing = False
        self._on_choice()

    def _show(self, node: Any) -> None:
        selector, volume, segmentation = self._ui.segmentSelector, node.inputVolume, node.segmentation
        if selector.currentNode() != segmentation:
            selector.setCurrentNode(segmentation)
        if segmentation is not None and selector.currentSegmentID() != node.segmentId:
            selector.setCurrentSegmentID(node.segmentId)
        ids = [each.GetID() if each is not None else "" for each in (volume, segmentation)]
        segment_id = node.segmentId if segmentation is not None else ""
        self._review.choose(Chosen(*ids, segment_id, node.shellMm, OtherLabels(node.otherLabels)))
        self._review.show_shell(node.showShell)
        self._editor.set_nodes(segmentation, volume, segment_id)

    def _on_segmentation(self, segmentation: Any = None) -> None:
        node = self.node
        if node is None or self._syncing or segmentation == node.segmentation:
            return
        if segmentation is None or is_foreign(segmentation):
            self.choose(node.inputVolume, segmentation, None)
            return
        text = _("{name} was made by this module: choose the segmentation with the tumour.")
        self._messages.say(text.format(name=segmentation.GetName()))
        self.follow()

    def _on_segment(self, segment_id: str) -> None:
        node = self.node
        if node is not None and not self._syncing and self._ui.segmentSelector.currentNode() == node.segmentation:
            node.segmentId = segment_id

    def draw_tumour(self) -> None:
        """Begin to paint the tumour, in a segmentation of its own on the CT's grid where none is chosen.

        Raises
        ------
        InputError: the chosen volume is no CT that can be drawn on.
        """
        volume, segmentation = self._review.volume, self._review.segmentation
        if segmentation is None:
            check_volume(volume)
            segmentation = empty_mask(f"{self._review.case_id} tumour", volume)
            file_with(segmentation, volume)
            self.choose(volume, segmentation, None)
        self._editor.draw()

    def another_lesion(self) -> None:
        """Begin to paint another lesion of the patient, as a segment of its own in the same segmentation."""
        segmentation = self._review.segmentation
        self._editor.save_state()
        self.choose(self._review.volume, segmentation, add_lesion(segmentation))
        self._editor.draw()

    def _on_another(self, _checked: bool = False) -> None:
        self._messages.guarded(self.another_lesion)

    def _show_lesions(self) -> None:
        """Where there are several lesions, name them, and say which have a profile."""
        lesions, chosen = self._review.lesions, self._review.chosen
        label = self._ui.lesionsLabel
        label.visible = len(lesions) > 1
        if len(lesions) > 1:
            read = {one.segment_id for one in results.lesions(self._review.volume)} if chosen.volume is not None else ()
            with_profile = [name for identity, name in lesions.items() if identity in read]
            text = _("{count} lesions: {names}. With a profile: {profiles}.")
            label.text = text.format(
                count=len(lesions), names=", ".join(lesions.values()), profiles=", ".join(with_profile) or _("none")
            )

    def _on_draw(self, _checked: bool = False) -> None:
        self._messages.guarded(self.draw_tumour)

    def take_study_mask(self) -> None:
        """Read a SEG or RTSTRUCT of the CT's study in steps and put it under review, in a segmentation of its own.

        Raises
        ------
        InputError, MissingPackageError: as `mask_of_study`.
        """
        volume = self._review.volume
        path = mask_of_study(series_of(volume))
        if path is None:
            self._messages.say(_("No SEG or RTSTRUCT that was drawn on this CT was found or chosen."))
            return
        self._row.start(
            at_most_every(STEP_S, mask_of_volume_steps(path, volume)), lambda content: self._take_mask(volume, content)
        )

    def _take_mask(self, volume: Any, content: MaskContent) -> None:
        if volume != self._review.volume:
            self._messages.say(_("Another CT is under review by now: the mask that was read is not taken."))
            return
        segmentation = mask_node(content, f"{self._review.case_id} tumour")
        file_with(segmentation, volume)
        self.choose(volume, segmentation, chosen_id(content, None))
        if not self._review.chosen.segment_id:
            self._messages.say(_("Choose the segment of this mask that is the tumour."))

    def _on_study_mask(self, _checked: bool = False) -> None:
        self._messages.guarded(self.take_study_mask)

    def _on_save(self, _checked: bool = False) -> None:
        self._messages.guarded(self._save)
        self.update()

    def _save(self) -> None:
        path = self._review.save()
        if path is not None:
            self._messages.say(_("The corrected mask is saved: {path}").format(path=path))

    def save_state(self) -> None:
        """Save the segmentation for the editor's Undo: before the module itself changes it."""
        self._editor.save_state()

    def restore_original(self) -> None:
        """Restore the mask from before the first edit; the editor's Undo brings the corrections back."""
        self._editor.save_state()
        self._messages.guarded(self._review.restore_original)

    def _on_restore(self, _checked: bool = False) -> None:
        text = _("Replace the corrected mask by the original? Undo in the editor brings the corrections back.")
        if slicer.util.confirmOkCancelDisplay(text, windowTitle=_("Back to original")):
            self.restore_original()

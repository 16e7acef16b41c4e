"""The section "Cases": a list of cases, opened one at a time and saved before the next one."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from DeepRadScoreLib.errors import MissingPackageError
from DeepRadScoreLib.models import MaskGrid
from DeepRadScoreLib.progress import Progress, Stage, at_most_every
from DeepRadScoreSlicer.cases.worklist import ListedCase, Worklist
from DeepRadScoreSlicer.panel.messages import Messages
from DeepRadScoreSlicer.panel.patient import mask_of_study
from DeepRadScoreSlicer.panel.review import Review
from DeepRadScoreSlicer.panel.work import STEP_S, WorkRow
from DeepRadScoreSlicer.panel.worklist import WorklistView
from DeepRadScoreSlicer.scene import dicom_database, listed_case, opening
from DeepRadScoreSlicer.scene.listed_case import ReadCase

LIST = "DeepRadScore/listPathEdit"
MASK_GRIDS = (None, MaskGrid.SAME, MaskGrid.AS_STORED)
"""In the order of the panel's choices."""


class CasesSection:
    """Opens, saves and closes the cases of a list.

    Parameters
    ----------
    ui: the panel's widgets.
    row: where the opening of a case is shown and cancelled.
    choose: puts CT, segmentation and segment under review.
    show: called when a case was opened: the views are to show it.
    leave: ends what the panel does with the open case, before its nodes go.
    """

    def __init__(
        self,
        ui: Any,
        review: Review,
        row: WorkRow,
        messages: Messages,
        choose: Callable[[Any, Any, str | None], None],
        show: Callable[[], None],
        leave: Callable[[], None],
    ) -> None:
        self._ui, self._review, self._row, self._messages = ui, review, row, messages
        self._choose, self._show, self._leave = choose, show, leave
        self._refused = ""
        self.list: Worklist | None = None
        self.view = WorklistView(ui.caseListFrame.layout(), self.open_case)
        ui.listPathEdit.currentPath = qt.QSettings().value(LIST, "") or ""
        ui.openListButton.connect("clicked(bool)", self._on_open_list)
        ui.folderButton.connect("clicked(bool)", self._on_folder)
        ui.dicomButton.connect("clicked(bool)", self._on_dicom)
        ui.closeCaseButton.connect("clicked(bool)", self._on_close)

    def open_case(self, case: ListedCase, then: Callable[[], None] = lambda: None) -> None:
        """Load a case of the list in steps, then close the open one and put it in its place.

        One that is cancelled leaves the open case as it was. One that cannot be read is the open case too, without
        anything in the scene, so that it can be given a status. While a case is loaded, nothing else is opened.

        Parameters
        ----------
        then: called once the case is the open one.
        """
        if self._row.running or not (self._saved() and self._results_may_go()):
            return

        def use(read: ReadCase) -> None:
            if not self._saved():
                opening.close_case(read.opened)
                return
            self._close()
            then()
            self._show_case(read)

        def fail() -> None:
            if self._saved():
                self._close()
                then()

        self._row.start(self._steps(case), use, fail)

    def close_case(self) -> bool:
        """Save the corrections of the open case and take it out of the scene; False where it stays open."""
        self._row.drop()
        if not (self._saved() and self._results_may_go()):
            return False
        self._close()
        return True

    def _saved(self) -> bool:
        """Save the corrections of the open case; False where they cannot be saved, which the message says."""
        self._messages.say("")
        try:
            self._review.save()
        except Exception as error:
            self._messages.fail(error)
            return False
        return True

    def _close(self) -> None:
        """Take the open case, if there is one, out of the scene without saving it."""
        if self._review.opened is not None:
            self._leave()
            self._choose(None, None, "")
            self._review.close()

    def update(self) -> None:
        """Enable closing where a case is open, and other cases while none is being opened."""
        self.view.wait(self._row.running)
        self._ui.closeCaseButton.enabled = self._review.opened is not None

    def save_quietly(self) -> None:
        """Save without asking: the scene or the application is being closed."""
        self.view.leave()
        self._messages.guarded(lambda: self._review.save() and None)

    def _steps(self, case: ListedCase) -> Generator[Progress, None, ReadCase]:
        assert self.list is not None
        placed = replace(case, mask_grid=case.mask_grid or MASK_GRIDS[self._ui.maskGridBox.currentIndex])
        self._refused = ""
        begun = self.list.mask(case.case_id) or self.list.autosaved_mask(case.case_id).is_file()
        if case.ct is None and not begun:
            yield Progress(Stage.READING, _("looking for masks of the study"))
            try:
                placed = replace(placed, mask=mask_of_study(str(case.series)))
            except MissingPackageError as error:
                self._refused = str(error)
        with slicer.util.WaitCursor():
            return (yield from at_most_every(STEP_S, listed_case.read_steps(placed, self.list)))

    def _show_case(self, read: ReadCase) -> None:
        """Put a case that was loaded under review."""
        self._review.take(read)
        opened, scene = read.opened, slicer.mrmlScene
        nodes = (scene.GetNodeByID(node_id) for node_id in (opened.volume_id, opened.segmentation_id))
        self._choose(*nodes, opened.segment_id)
        self._show()
        if self._review.recovered:
            self._messages.say(
                _(
                    "The corrections of a session that ended before they were saved are back. "
                    "They are not saved yet: Save correction keeps them."
                )
            )
        if not opened.segment_id:
            self._messages.say(_("Which segment is the tumour is not told by the list: choose it below."))
        if self._refused:
            self._messages.say(self._refused)

    def _results_may_go(self) -> bool:
        if self._review.all_exported:
            return True
        text = _("The profile of {case} has not been exported and will be removed with the case.")
        return bool(
            slicer.util.confirmOkCancelDisplay(
                text.format(case=self._review.case_id),
                windowTitle=_("Close the case"),
                dontShowAgainSettingsKey="DeepRadScore/CloseWithoutExport",
            )
        )

    def _use(self, read: Callable[[], Worklist]) -> None:
        def work() -> None:
            cases = read()
            if self.close_case():
                self.list = cases
                self.view.set_list(cases)

        self._messages.guarded(work)

    def _on_open_list(self, _checked: bool = False) -> None:
        text = self._ui.listPathEdit.currentPath
        if not text:
            self._messages.say(_("Name a cohort table (.csv or .xlsx) or a folder of cases first."))
            return
        path = Path(text)
        self._use(lambda: Worklist.from_folder(path) if path.is_dir() else Worklist.from_cohort(path))
        qt.QSettings().setValue(LIST, text)

    def _on_folder(self, _checked: bool = False) -> None:
        before, window = self._ui.listPathEdit.currentPath, slicer.util.mainWindow()
        folder = qt.QFileDialog.getExistingDirectory(window, _("Folder of cases"), before)
        if folder:
            self._ui.listPathEdit.currentPath = folder
            self._on_open_list()

    def _on_dicom(self, _checked: bool = False) -> None:
        """List the series that are selected in the DICOM module's window, in the order they have there."""
        self._messages.guarded(self._list_selected)

    def _list_selected(self) -> None:
        browser = getattr(getattr(slicer.modules, "DICOMInstance", None), "browserWidget", None)
        series = dicom_database.selected_series(browser)
        if not series:
            self._messages.say(
                _(
                    "Select the CT series in the DICOM module first, then come back here. A CT that is loaded already "
                    "is chosen under Review."
                )
            )
            return
        self._use(lambda: Worklist.from_dicom(series, dicom_database.review_folder()))

    def _on_close(self, _checked: bool = False) -> None:
        if self.close_case():
            self.view.close_case()

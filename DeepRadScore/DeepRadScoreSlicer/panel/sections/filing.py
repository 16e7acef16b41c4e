"""The part "File" of the section "Export": DICOM objects, the report in the browser and as PDF, plain text."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging.formats.files import is_dicom
from DeepRadScoreLib.progress import Progress
from DeepRadScoreSlicer.panel.messages import Messages
from DeepRadScoreSlicer.panel.review import Review
from DeepRadScoreSlicer.panel.work import Work, WorkRow
from DeepRadScoreSlicer.scene import filing

FOLDER, PDF = "dicom", "report.pdf"


class FilingSection:
    """Files the results of the lesion under review.

    Parameters
    ----------
    ui: the panel's widgets.
    """

    def __init__(self, ui: Any, review: Review, work: Work, messages: Messages) -> None:
        self._ui, self._review, self._work, self._messages = ui, review, work, messages
        self._row = WorkRow(work, messages, ui.filingLabel, ui.filingBar, ui.cancelFilingButton)
        presses = (
            (ui.dicomFolderButton, self._write_objects),
            (ui.dicomDatabaseButton, self._add_to_database),
            (ui.openReportButton, self._open_report),
            (ui.pdfButton, self._write_pdf),
            (ui.copyTextButton, self._copy_text),
        )
        self._buttons = [button for button, _press in presses]
        for button, press in presses:
            button.connect("clicked(bool)", self._guarded(press))

    def update(self) -> None:
        """Enable what can be done with the results, and show how far the work is."""
        stored = self._review.stored
        there = stored is not None and not stored.stale and not self._work.running
        for button in self._buttons:
            button.enabled = there
        self._row.update()

    def _guarded(self, press: Callable[[], None]) -> Callable[[bool], None]:
        def on_pressed(_checked: bool = False) -> None:
            self._messages.say("")
            self._messages.guarded(press)

        return on_pressed

    def _write_objects(self) -> None:
        folder = self._folder() / FOLDER
        self._check_sources(folder)
        self._row.start(filing.write_steps(self._objects(), folder), lambda paths: self._written(folder, paths))

    def _add_to_database(self) -> None:
        def told(names: list[str]) -> None:
            self._messages.say(_("Added to the DICOM database: {names}").format(names=", ".join(names)))

        self._row.start(filing.database_steps(self._objects()), told)

    def _write_pdf(self) -> None:
        path = self._folder() / PDF
        self._row.start(filing.pdf_steps(self._profile(), path), lambda path: self._written(path.parent, [path]))

    def _open_report(self) -> None:
        review = self._review
        path = filing.report_file(review.volume, review.lesion, review.export_name)
        if not qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(path))):
            raise InputError(_("no program opens the report"), where=path, mend=_("open this file in a browser"))

    def _copy_text(self) -> None:
        slicer.app.clipboard().setText(filing.plain_text(self._review.volume, self._review.lesion))
        self._messages.say(_("The text is in the clipboard: paste it into the report."))

    def _objects(self) -> Generator[Progress, None, dict[str, bytes]]:
        return filing.objects_steps(self._review.chosen, self._profile(), self._source_folder())

    def _profile(self) -> Any:
        profile = self._review.profile
        if profile is None:
            raise InputError(
                _("for this the analysis has to be done once more: it was done before this CT was opened here"),
                mend=_("press Analyze"),
            )
        return profile

    def _folder(self) -> Path:
        parent = self._ui.exportPathEdit.currentPath
        if not parent:
            raise InputError(_("no folder is chosen for the results"), mend=_("choose one above"))
        return Path(parent) / self._review.export_name

    def _source_folder(self) -> Path | None:
        """The DICOM folder or file that the case of the list was read from; None for a CT of the database."""
        opened = self._review.opened
        if opened is None or opened.volume_id != self._review.chosen.volume_id or opened.case.ct is None:
            return None
        return opened.case.ct if is_dicom(opened.case.ct) else None

    def _check_sources(self, folder: Path) -> None:
        source = self._source_folder()
        if source is not None and folder.resolve().is_relative_to(source.resolve()):
            raise InputError(
                _("the DICOM objects would be written among the files that they are made from"),
                where=folder,
                mend=_("choose another folder"),
            )

    def _written(self, folder: Path, paths: list[Path]) -> None:
        names = ", ".join(path.name for path in paths)
        self._messages.say(_("Written to {folder}: {names}").format(folder=folder, names=names))

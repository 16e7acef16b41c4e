"""What DICOM tells of the case: the patient, in a label only, and the masks of the study in Slicer's database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from DeepRadScoreSlicer.scene import dicom_database

SHOWN = "DeepRadScore/showPatient"


class PatientLine:
    """Shows name and ID of the patient and the date of the study in a label, with a switch that hides them.

    The label is the only place: no node, setting, file or log holds them.

    Parameters
    ----------
    ui: the panel's widgets.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._shown: tuple[Any | None, Path | None] = (None, None)
        ui.patientCheckBox.checked = str(qt.QSettings().value(SHOWN, "true")) == "true"
        ui.patientCheckBox.connect("toggled(bool)", self._on_toggle)
        self.show(None)

    def show(self, volume: Any | None, file: Path | None = None) -> None:
        """Show whose CT is under review; nothing where it is not from DICOM.

        Parameters
        ----------
        file: one of the CT's files where it was read from a folder.
        """
        words: tuple[str, ...] = ()
        if volume is not None:
            words = dicom_database.whose_file(file) if file is not None else dicom_database.whose(volume)
        self._shown = (volume, file) if words else (None, None)
        self._ui.patientCheckBox.visible = bool(words)
        self._ui.patientLabel.text = " · ".join(words) if self._ui.patientCheckBox.checked else ""
        self._ui.patientLabel.visible = bool(words)

    def _on_toggle(self, shown: bool) -> None:
        qt.QSettings().setValue(SHOWN, "true" if shown else "false")
        self.show(*self._shown)


def mask_of_study(series_uid: str) -> Path | None:
    """The SEG or RTSTRUCT of a series' study; of several the one that the user chooses; None for none.

    Raises
    ------
    InputError, MissingPackageError: as `dicom_database.masks_of`.
    """
    masks = dicom_database.masks_of(series_uid)
    if len(masks) < 2:
        return masks[0].path if masks else None
    titles = [f"{number}. {mask.title}" for number, mask in enumerate(masks, start=1)]
    none = _("None of them: draw a new one")
    answer = qt.QInputDialog.getItem(
        slicer.util.mainWindow(),
        _("Mask of the study"),
        _("Several masks were drawn on this CT:"),
        [none, *titles],
        0,
        False,
    )
    return masks[titles.index(answer)].path if answer in titles else None

"""How a CT was acquired and reconstructed, as far as its DICOM header tells."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Acquisition:
    """Acquisition and reconstruction of a CT; None where the header does not tell.

    Attributes
    ----------
    kernel: reconstruction kernel as stored, several words joined by a backslash.
    tube_voltage_kv: peak tube voltage.
    contrast: whether a contrast agent is named (True) or its absence is (False).
    manufacturer, model: of the scanner.
    study_month: months of the study from year 0; no output holds it, and no day is kept anywhere.
    """

    kernel: str | None = None
    tube_voltage_kv: float | None = None
    slice_thickness_mm: float | None = None
    contrast: bool | None = None
    manufacturer: str | None = None
    model: str | None = None
    study_month: int | None = None


UNKNOWN = Acquisition()
"""That of a CT whose file tells nothing of it."""

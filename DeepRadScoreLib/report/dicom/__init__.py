"""A profile as DICOM objects in the study of its CT. Import its modules inside functions: highdicom is slow to load."""

from __future__ import annotations

from enum import StrEnum


class PageForm(StrEnum):
    """How the report's page is put into an archive that takes neither SEG nor SR."""

    SC = "sc"
    PDF = "pdf"

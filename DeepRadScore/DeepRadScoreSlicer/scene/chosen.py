"""The CT, the tumour's segment and the shell that are chosen for a case of the scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import slicer


@dataclass(frozen=True)
class Chosen:
    """Nodes by ID, "" where nothing is chosen yet, and the thickness of the shell in mm."""

    volume_id: str = ""
    segmentation_id: str = ""
    segment_id: str = ""
    shell_mm: float = 3.0

    @property
    def complete(self) -> bool:
        """Whether CT, segmentation and segment are chosen."""
        return bool(self.volume_id and self.segmentation_id and self.segment_id)

    @property
    def volume(self) -> Any | None:
        """The CT, or None where it is not in the scene any more."""
        return slicer.mrmlScene.GetNodeByID(self.volume_id) if self.volume_id else None

    @property
    def segmentation(self) -> Any | None:
        """The segmentation, or None where it is not in the scene any more."""
        return slicer.mrmlScene.GetNodeByID(self.segmentation_id) if self.segmentation_id else None

"""Changes of the CT or the tumour mask, reported at once and again when the edits have paused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.util import VTKObservationMixin

from DeepRadScoreSlicer.scene.voxels import index_to_ras

PAUSE_MS = 700
REST = 2
"""Pauses without a change until the edits are taken to be over for now."""


class ReviewWatch:
    """Observes one CT and one segmentation while they are under review.

    A change of colour, opacity or visibility is none: what is compared is the voxels, their geometry and the names by
    which other segments count as tumour.

    Parameters
    ----------
    on_change: called at every change, with "mask" or "volume".
    on_pause: called `PAUSE_MS` after the last change, or when `update_soon` asked for it.
    on_rest: called `REST` pauses after each `on_pause` without a change since: for what takes longer than a stroke.
    """

    def __init__(
        self, on_change: Callable[[str], None], on_pause: Callable[[], None], on_rest: Callable[[], None]
    ) -> None:
        self._on_change, self._on_pause = on_change, on_pause
        self._observed = VTKObservationMixin()
        self._volume: Any | None = None
        self._segmentation: Any | None = None
        self._seen: dict[str, Any] = {}
        self._timer, self._rest = qt.QTimer(), qt.QTimer()
        for timer, handler in ((self._timer, self._pause), (self._rest, on_rest)):
            timer.setSingleShot(True)
            timer.connect("timeout()", handler)

    def follow(self, volume: Any | None, segmentation: Any | None) -> None:
        """Observe a CT and a segmentation, and no longer those observed before."""
        if volume == self._volume and segmentation == self._segmentation:
            return
        self.stop()
        self._volume, self._segmentation = volume, segmentation
        moved = slicer.vtkMRMLTransformableNode.TransformModifiedEvent
        if volume is not None:
            for event in (slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent, moved, "ModifiedEvent"):
                self._observed.addObserver(volume, event, self._volume_event)
        if segmentation is not None:
            kinds = slicer.vtkSegmentation
            for event in (
                kinds.SourceRepresentationModified,
                kinds.SegmentModified,
                kinds.SegmentAdded,
                kinds.SegmentRemoved,
            ):
                self._observed.addObserver(segmentation.GetSegmentation(), event, self._mask_event)
            self._observed.addObserver(segmentation, moved, self._mask_event)
        self._seen = {"volume": self._volume_state(), "mask": self._mask_state()}

    def stop(self) -> None:
        """Observe nothing, and cancel pending calls of `on_pause` and `on_rest`."""
        self._timer.stop()
        self._rest.stop()
        self._observed.removeObservers()
        self._volume = self._segmentation = None
        self._seen = {}

    def update_soon(self) -> None:
        """Call `on_pause` once the pending events are handled."""
        self._timer.start(0)

    def rest_soon(self) -> None:
        """Call `on_rest` after a while without a change."""
        self._rest.start(REST * PAUSE_MS)

    @property
    def waiting(self) -> bool:
        """Whether a pause or a rest is being waited for."""
        return bool(self._timer.active or self._rest.active)

    def _pause(self) -> None:
        self._on_pause()
        self.rest_soon()

    def _volume_event(self, _caller: Any, _event: Any) -> None:
        self._compare("volume", self._volume_state())

    def _mask_event(self, _caller: Any, _event: Any) -> None:
        self._compare("mask", self._mask_state())

    def _compare(self, what: str, state: Any) -> None:
        if self._seen.get(what) != state:
            self._seen[what] = state
            self._rest.stop()
            self._timer.start(PAUSE_MS)
            self._on_change(what)

    def _volume_state(self) -> Any:
        volume = self._volume
        if volume is None:
            return None
        image = volume.GetImageData()
        scalars = None if image is None else image.GetPointData().GetScalars()
        times = [each.GetMTime() for each in (image, scalars) if each is not None]
        return (times, index_to_ras(volume).tolist(), volume.GetTransformNodeID())

    def _mask_state(self) -> Any:
        segmentation = self._segmentation
        if segmentation is None:
            return None
        content = segmentation.GetSegmentation()
        states = [segmentation.GetTransformNodeID()]
        for segment_id in content.GetSegmentIDs():
            segment = content.GetSegment(segment_id)
            source = segment.GetRepresentation(content.GetSourceRepresentationName())
            time = 0 if source is None else source.GetMTime()
            states.append((segment_id, segment.GetName(), segment.GetLabelValue(), time))
        return states

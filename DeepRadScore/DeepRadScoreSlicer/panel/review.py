"""The case under review: its nodes, their changes, and what is updated after a change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from DeepRadScoreLib.errors import DeepRadScoreError
from DeepRadScoreLib.imaging import Segment
from DeepRadScoreSlicer.cases.worklist import Worklist, file_name
from DeepRadScoreSlicer.panel.autosave import Autosave
from DeepRadScoreSlicer.panel.watching import ReviewWatch
from DeepRadScoreSlicer.scene import corrections, from_nodes, listed_case, opening, ownership, results
from DeepRadScoreSlicer.scene.display import quality_line, shell, surface, viewing
from DeepRadScoreSlicer.scene.from_nodes import Chosen
from DeepRadScoreSlicer.scene.image_files import LungMask

if TYPE_CHECKING:
    from DeepRadScoreLib.analyses.findings import MolecularProfile


class Review:
    """Keeps quality line, shell, original mask and stale marks in step with CT and mask.

    Parameters
    ----------
    on_quality: is given the quality line, or the sentence that says what to do.
    on_results: is given the stored profile of the CT, or None, whenever it or its staleness changed.

    Attributes
    ----------
    watch: observes the CT and the mask under review.
    chosen: the nodes under review, the thickness of the shell, and what other segments are.
    opened: the case of the list that was opened last, None where none is open.
    unsaved: whether the opened case's mask was changed since it was loaded or saved.
    stored: results of the CT under review, as last found or stored.
    recovered: whether the opened case's corrections come from a session that ended before they were saved.
    """

    def __init__(
        self, on_quality: Callable[[str], None], on_results: Callable[[results.StoredProfile | None], None]
    ) -> None:
        self._on_quality, self._on_results = on_quality, on_results
        self.watch = ReviewWatch(self._changed, self.update, self.update_surfaces)
        self._show_shell = True
        self.stored: results.StoredProfile | None = None
        self._lung: tuple[LungMask, Any] | None = None
        self.chosen = Chosen()
        self.unsaved = False
        self.recovered = False
        self._exported: set[results.Lesion] = set()
        self._profiles: dict[results.Lesion, MolecularProfile] = {}
        self._autosave = Autosave(self.autosave)
        self.opened: opening.OpenedCase | None = None
        self._list: Worklist | None = None
        self._original_known = True

    @property
    def volume(self) -> Any | None:
        """The CT, or None where it is not in the scene any more."""
        return self.chosen.volume

    @property
    def segmentation(self) -> Any | None:
        """The segmentation, or None where it is not in the scene any more."""
        return self.chosen.segmentation

    @property
    def case_id(self) -> str:
        """The case's name: the list's, else one without a patient's name in it. Raises as `anonymous_case_id`."""
        volume = self.volume
        if volume is None:
            return ""
        if not volume.GetAttribute(ownership.CASE_ID):
            volume.SetAttribute(ownership.CASE_ID, from_nodes.anonymous_case_id(volume))
        return str(volume.GetAttribute(ownership.CASE_ID))

    @property
    def lesion(self) -> results.Lesion | None:
        """The segment under review, None where none is chosen."""
        chosen = self.chosen
        return results.Lesion(chosen.segmentation_id, chosen.segment_id) if chosen.complete else None

    @property
    def lesions(self) -> dict[str, str]:
        """ID and name of each segment of the segmentation that counts as a tumour by its name."""
        content = None if self.segmentation is None else self.segmentation.GetSegmentation()
        named = {one: content.GetSegment(one) for one in content.GetSegmentIDs()} if content is not None else {}
        return {
            one: each.GetName() or one
            for one, each in named.items()
            if Segment(each.GetName() or one, one, 0, each.GetLabelValue()).counts_as_tumour
        }

    @property
    def export_name(self) -> Path:
        """Folder for the results of the lesion: the case's name, and in it the segment's where there are several."""
        name = Path(self.case_id)
        lesions = self.lesions
        if len(lesions) < 2 or self.chosen.segment_id not in lesions:
            return name
        return name / file_name(lesions[self.chosen.segment_id])

    @property
    def profile(self) -> MolecularProfile | None:
        """The profile of the lesion under review, None unless it was analysed since its CT was chosen."""
        return None if self.lesion is None else self._profiles.get(self.lesion)

    @property
    def exported(self) -> bool:
        """Whether the results of the lesion under review were written into a folder."""
        return self.lesion in self._exported

    @property
    def all_exported(self) -> bool:
        """Whether the results of every lesion of this CT were."""
        return self.volume is None or self._exported.issuperset(results.lesions(self.volume))

    def note_export(self) -> None:
        """The results of the lesion under review were written into a folder."""
        if self.lesion is not None:
            self._exported.add(self.lesion)

    @property
    def listed(self) -> bool:
        """Whether the segmentation under review is that of the opened case of the list."""
        return self.opened is not None and self.opened.segmentation_id == self.chosen.segmentation_id

    @property
    def first_file(self) -> Path | None:
        """The file of the first slice of the CT under review, where that was read from a DICOM folder."""
        opened = self.opened
        return opened.first_file if opened is not None and opened.volume_id == self.chosen.volume_id else None

    @property
    def has_original(self) -> bool:
        """Whether the mask before the first edit is in the scene."""
        volume, segmentation = self.volume, self.segmentation
        if volume is None or segmentation is None:
            return False
        return corrections.original_of(volume, segmentation) is not None

    def choose(self, chosen: Chosen) -> None:
        """Put nodes under review: another lesion has its own results; another shell makes a lesion's results stale."""
        if chosen == self.chosen:
            return
        before, self.chosen = self.chosen, chosen
        volume, segmentation = self.volume, self.segmentation
        self.watch.follow(volume, segmentation)
        if volume is not None and segmentation is not None:
            self._keep_original(volume, segmentation)
        if before.volume_id != chosen.volume_id:
            self._exported.clear()
            self._profiles.clear()
            self.find_results()
        elif before.segmentation_id != chosen.segmentation_id or before.segment_id != chosen.segment_id:
            self.find_results()
        elif before.complete and chosen.complete:
            self._mark_stale()
        self.watch.update_soon()

    def show_shell(self, visible: bool) -> None:
        """Show or hide the shell of the CT under review; those of other CTs are hidden."""
        self._show_shell = visible
        volume = self.volume
        for node in ownership.ours(shell.SHELL):
            display = node.GetDisplayNode()
            if display is not None:
                belongs = volume is not None and node.GetNodeReferenceID(ownership.VOLUME) == volume.GetID()
                display.SetVisibility(visible and belongs)

    def take(self, read: listed_case.ReadCase) -> None:
        """Make a case that was loaded the open one, and show it."""
        self.opened, self._list = read.opened, read.cases
        self.unsaved = self.recovered = read.recovered
        self._original_known = read.original_known
        opening.show_case(read.opened)

    def save(self) -> Path | None:
        """Write an unsaved correction of the opened case beside its list; the path, or None where there was none.

        Raises
        ------
        OutputError: it cannot be written; the correction is still in the scene.
        """
        if not self.unsaved or self.opened is None or self._list is None:
            return None
        self._autosave.stop()
        segmentation = slicer.mrmlScene.GetNodeByID(self.opened.segmentation_id)
        if segmentation is None:
            self.unsaved = False
            return None
        case_id = self.opened.case.case_id
        listed_case.save_original(self.opened, self._list)
        path = self._list.corrected_mask(case_id)
        corrections.save_corrected(segmentation, path)
        self._list.autosaved_mask(case_id).unlink(missing_ok=True)
        self.unsaved = self.recovered = False
        return path

    def restore_original(self) -> None:
        """Restore the mask from before the first edit. Raises InputError."""
        volume, segmentation = self.volume, self.segmentation
        if volume is not None and segmentation is not None:
            corrections.restore_original(volume, segmentation)

    def close(self) -> None:
        """Remove the opened case from the scene without saving it."""
        opened, self.opened, self.unsaved = self.opened, None, False
        self.stop()
        if opened is not None:
            opening.close_case(opened)

    def find_results(self) -> None:
        """Find the lesion's results in the scene; voxels and settings are compared with those that were analysed."""
        volume = self.volume
        stored = None if volume is None else results.find(volume, self.lesion)
        self._set_results(stored)
        if stored is not None and stored.shell_mm != self.chosen.shell_mm:
            self._mark_stale()

    def show_results(self, stored: results.StoredProfile, analysed: Chosen) -> None:
        """Show results that were just stored; stale where something else is under review by now."""
        if stored.volume_id != self.chosen.volume_id or stored.lesion != self.lesion:
            return
        self._exported.discard(stored.lesion)
        if stored.profile is not None:
            self._profiles[stored.lesion] = stored.profile
        self.watch.rest_soon()
        self._set_results(stored)
        if analysed != self.chosen:
            self._mark_stale()

    def lung_mask(self) -> LungMask | None:
        """The lung mask that the list names for the CT under review."""
        opened = self.opened
        if opened is None or opened.volume_id != self.chosen.volume_id or opened.case.lung_mask is None:
            return None
        return LungMask(opened.case.lung_mask, opened.case.ct, opened.case.mask_grid)

    def update(self) -> None:
        """Update quality line and shell, after a pause in the edits."""
        volume, segmentation, chosen = self.volume, self.segmentation, self.chosen
        self._on_quality(quality_line.quality_line(volume, segmentation, chosen.segment_id))
        if volume is None:
            return
        try:
            lung = self._lung_image(volume)
            shell.update_shell(
                volume, segmentation, chosen.segment_id, self.case_id, chosen.shell_mm, lung, chosen.other_labels
            )
        except DeepRadScoreError as error:
            shell.remove_shell(volume)
            self._on_quality(str(error))
        self.show_shell(self._show_shell)

    def update_surfaces(self) -> None:
        """Update the surfaces of tumour and shell in the 3-D view, when the edits are over for now."""
        volume, segmentation = self.volume, self.segmentation
        place = viewing.tumour_place(segmentation, self.chosen.segment_id)
        if place is not None:
            surface.show_surface(segmentation, place.voxels)
        for node in ownership.ours(shell.SHELL, volume) if volume is not None else ():
            surface.show_surface(node, shell.SMOOTHED_VOXELS)

    def autosave(self) -> None:
        """Write unsaved corrections beside the list, in case the application ends before they are saved."""
        if not self.unsaved or self.opened is None or self._list is None:
            return
        segmentation = slicer.mrmlScene.GetNodeByID(self.opened.segmentation_id)
        if segmentation is None:
            return
        try:
            listed_case.save_original(self.opened, self._list)
            corrections.write_copy(segmentation, self._list.autosaved_mask(self.opened.case.case_id))
        except DeepRadScoreError as error:
            self._on_quality(str(error))

    def stop(self) -> None:
        """Stop observing, and hold no node."""
        self.watch.stop()
        self._autosave.stop()
        self.chosen, self.stored, self._lung = Chosen(), None, None
        self._profiles.clear()

    def forget(self) -> None:
        """Drop the opened case: the scene is closed, and its nodes are gone."""
        self.stop()
        self.opened, self._list, self.unsaved = None, None, False

    def _changed(self, what: str) -> None:
        if what == "mask" and self.listed:
            self.unsaved = True
            self._autosave.soon()
            self._on_quality(_("The tumour has changed…"))
        self._mark_stale()

    def _mark_stale(self) -> None:
        volume = self.volume
        if volume is not None and self.stored is not None and not self.stored.stale:
            results.mark_stale(volume, self.stored.lesion)
            self._set_results(replace(self.stored, stale=True))

    def _set_results(self, stored: results.StoredProfile | None) -> None:
        self.stored = stored
        self._on_results(stored)

    def _keep_original(self, volume: Any, segmentation: Any) -> None:
        if self.listed and not self._original_known:
            return
        try:
            case_id = self.case_id
        except DeepRadScoreError:  # such a volume has no tumour to be reviewed; the quality line will say why
            return
        corrections.keep_original(volume, segmentation, case_id)

    def _lung_image(self, volume: Any) -> Any | None:
        mask = self.lung_mask()
        if mask is None:
            return None
        if self._lung is None or self._lung[0] != mask:
            self._lung = (mask, mask.on(from_nodes.volume_image(volume)))
        return self._lung[1]

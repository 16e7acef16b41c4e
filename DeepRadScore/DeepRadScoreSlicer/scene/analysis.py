"""The analysis of the chosen case in short steps: from the nodes of the scene to its results in the scene."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from DeepRadScoreSlicer.scene.chosen import Chosen

if TYPE_CHECKING:
    from DeepRadScoreLib.bundle import Bundle
    from DeepRadScoreSlicer.scene.results import StoredProfile


class Announced(NamedTuple):
    """A step that is about to be done, as the library's own `Step`, before the library is imported."""

    label: str
    fraction: float


class LastModel:
    """The model that was read last, read again only when its file has changed."""

    def __init__(self) -> None:
        self._read: tuple[tuple[str, int, int], Bundle] | None = None

    def steps(self, path: Path) -> Generator[str, None, Bundle]:
        """The model of a file, in short steps. Raises BundleError."""
        yield "loading the library of models"
        from DeepRadScoreLib import bundle

        stat = path.stat() if path.is_file() else None
        key = (str(path), stat.st_mtime_ns, stat.st_size) if stat is not None else (str(path), 0, 0)
        if self._read is None or self._read[0] != key:
            self._read = None
            self._read = (key, (yield from bundle.bundle_steps(path)))
        return self._read[1]


def analysis_steps(
    chosen: Chosen, case_id: str, model: LastModel, bundle_path: Path | None = None, lung_mask: Path | None = None
) -> Generator[Any, None, StoredProfile]:
    """The analysis of a case; the scene is changed in the last step only.

    Raises
    ------
    InputError, RegionError, BundleError: what cannot be used, and what to do about it.
    """
    yield Announced("loading the library", 0.0)
    from DeepRadScoreLib import analysis
    from DeepRadScoreLib.stepping import changed
    from DeepRadScoreSlicer.scene import from_nodes, results

    yield Announced("reading CT and mask from the scene", 0.0)
    images = from_nodes.images_of(chosen.volume, chosen.segmentation, chosen.segment_id)
    case = images.case(case_id, lung_mask)
    yield Announced("noting what is analysed", 0.0)
    fingerprint = images.fingerprint()
    bundle = None
    if bundle_path is not None:
        bundle = yield from changed(model.steps(bundle_path), lambda label: Announced(label, 0.0))
    profile = yield from analysis.steps(case, bundle, shell_mm=chosen.shell_mm)
    storing = results.store_steps(profile, chosen, fingerprint)
    return (yield from changed(storing, lambda label: Announced(label, 1.0)))

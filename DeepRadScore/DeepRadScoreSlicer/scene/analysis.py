"""The analysis of the chosen case in short steps: from the nodes of the scene to its results in the scene."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

from DeepRadScoreLib.analyses.additions import NO_ADDITIONS, Additions
from DeepRadScoreLib.progress import Progress, Stage, in_stage
from DeepRadScoreSlicer.scene.from_nodes import Chosen, images_of
from DeepRadScoreSlicer.scene.image_files import LungMask
from DeepRadScoreSlicer.scene.results import StoredProfile, store_steps
from DeepRadScoreSlicer.translation import tr as _

if TYPE_CHECKING:
    from DeepRadScoreLib.bundles.bundle import Bundle


class LastModel:
    """The model that was read last, read again only when its file has changed."""

    def __init__(self) -> None:
        self._read: tuple[tuple[str, int, int, frozenset[str]], Bundle] | None = None

    def steps(self, path: Path, trusted: Path | None = None) -> Generator[str, None, Bundle]:
        """The model of a file, in short steps. Raises BundleError, InputError, MissingPackageError.

        Parameters
        ----------
        trusted: a public key, or a folder of them, by one of which the model has to be signed.
        """
        yield _("loading the library of models")
        from DeepRadScoreLib.bundles import bundle
        from DeepRadScoreLib.bundles.signatures import TrustedKeys

        stat = path.stat() if path.is_file() else None
        changed = (0, 0) if stat is None else (stat.st_mtime_ns, stat.st_size)
        key = (str(path), *changed, frozenset(() if trusted is None else TrustedKeys.read(trusted).keys))
        if self._read is None or self._read[0] != key:
            self._read = None
            self._read = (key, (yield from bundle.bundle_steps(path, trusted)))
        return self._read[1]


def analysis_steps(
    chosen: Chosen,
    case_id: str,
    model: LastModel,
    bundle_path: Path | None = None,
    lung_mask: LungMask | None = None,
    trusted: Path | None = None,
    additions: Additions = NO_ADDITIONS,
) -> Generator[Progress, None, StoredProfile]:
    """The analysis of a case; the scene is changed in the last step only. Without a model nothing is added.

    `trusted`: see `LastModel.steps`.

    Raises
    ------
    InputError, RegionError, BundleError: what cannot be used, and what to do about it.
    """
    yield Progress(Stage.ANALYSING, _("loading the library"))
    from DeepRadScoreLib.analyses import analysis

    yield Progress(Stage.ANALYSING, _("reading CT and mask from the scene"))
    images = images_of(chosen.volume, chosen.segmentation, chosen.segment_id, chosen.other_labels)
    case = images.case(case_id, lung_mask)
    yield Progress(Stage.ANALYSING, _("noting what is analysed"))
    fingerprint = images.fingerprint()
    bundle = None
    if bundle_path is not None:
        bundle = yield from in_stage(model.steps(bundle_path, trusted), Stage.ANALYSING, 0, 0)
    profile = yield from analysis.steps(case, bundle, shell_mm=chosen.shell_mm)
    profile = yield from additions.steps(case, bundle, profile)
    return (yield from in_stage(store_steps(profile, chosen, fingerprint), Stage.ANALYSING, 100, 100))

"""Tasks and records of single cases, and the cache of records, keyed by the content of files and by settings."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from dataclasses import asdict, astuple, dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import platformdirs

from DeepRadScoreLib.errors import OutputError
from DeepRadScoreLib.imaging import QualityNote
from DeepRadScoreLib.imaging.acquisition import UNKNOWN, Acquisition
from DeepRadScoreLib.imaging.formats.files import input_digest
from DeepRadScoreLib.likeness.measures import MEASURES
from DeepRadScoreLib.models import (
    DEFAULT_ENGINE,
    Engine,
    MaskGrid,
    OtherLabels,
    Preprocessing,
    chosen,
    chosen_if_named,
)
from DeepRadScoreLib.provenance import ENGINE_PACKAGES, PREPARING_PACKAGES, code_digest, versions
from DeepRadScoreLib.writing import replacing

SOURCES = ("computing", "imaging", "likeness", "radscore")
"""Packages of the program whose code affects a record."""
MEND = "set DEEPRADSCORE_CACHE to a folder that can be written"
Wants = Literal["features", "patches", "both", "shuffled"]
"""The features alone; the patch alone; both; the features of the case with shuffled voxels."""


@dataclass(frozen=True)
class CaseSettings:
    """How the cases of a cohort are read, prepared and measured.

    Attributes
    ----------
    shell_mm: thickness of the peritumoral shell.
    other_labels: as in `read_case`.
    mask_grid: as in `read_case`, for the cases whose cell `mask_grid` is empty.
    """

    preprocessing: Preprocessing = Preprocessing.CANONICAL
    shell_mm: float = 3.0
    engine: Engine = DEFAULT_ENGINE
    other_labels: OtherLabels = OtherLabels.AUTO
    mask_grid: MaskGrid | None = None


DEFAULT_SETTINGS = CaseSettings()


def case_settings(
    preprocessing: Preprocessing | str,
    engine: Engine | str,
    other_labels: OtherLabels | str,
    mask_grid: MaskGrid | str | None,
    shell_mm: float = 3.0,
) -> CaseSettings:
    """The settings of a caller who names them.

    Raises
    ------
    InputError: a name that is not known.
    """
    return CaseSettings(
        preprocessing=chosen(Preprocessing, preprocessing, "preprocessing"),
        shell_mm=shell_mm,
        engine=chosen(Engine, engine, "engine"),
        other_labels=chosen(OtherLabels, other_labels, "other_labels"),
        mask_grid=chosen_if_named(MaskGrid, mask_grid, "mask_grid"),
    )


@dataclass(frozen=True)
class CaseTask:
    """Files and settings that determine the result of a case; a path is empty where there is no such file.

    Attributes
    ----------
    segment: name of the tumour's segment, or empty.
    series: SeriesInstanceUID of the CT if its DICOM folder holds several, else empty.
    mask_grid: one of `models.MaskGrid`, or empty.
    jitter: whether a case without a second mask gets its repeated features from a jittered one (see `mask_variants`).
    seed: of the shuffled voxels and the jitter; it affects nothing else.
    """

    case_id: str
    ct: str
    mask: str
    segment: str = ""
    lung_mask: str = ""
    repeat_mask: str = ""
    series: str = ""
    mask_grid: str = ""
    other_labels: OtherLabels = OtherLabels.AUTO
    preprocessing: Preprocessing = Preprocessing.CANONICAL
    shell_mm: float = 3.0
    engine: Engine = DEFAULT_ENGINE
    wants: Wants = "both"
    jitter: bool = False
    seed: int = 0

    @property
    def files(self) -> dict[str, str]:
        """Column of a cohort table -> path of the file or folder, empty where there is none."""
        return {"ct": self.ct, "mask": self.mask, "lung_mask": self.lung_mask, "repeat_mask": self.repeat_mask}

    @property
    def jitters(self) -> bool:
        """Whether the repeated features of this case are those of a jittered mask."""
        return self.jitter and not self.repeat_mask and self.wants in ("features", "both")

    def digests(self) -> dict[str, bytes]:
        """SHA-256 of all that is read of each of `files`, empty where it does not exist."""
        existing = {column: Path(name) for column, name in self.files.items() if name and Path(name).exists()}
        return {column: input_digest(existing[column]) if column in existing else b"" for column in self.files}

    def record_path(self, digests: dict[str, bytes], cache: Path) -> Path:
        """Cache path of the record, derived from every input and setting that affects it."""
        settings = {
            "segment": self.segment,
            "other_labels": self.other_labels,
            "preprocessing": self.preprocessing,
            "shell_mm": self.shell_mm,
            "code": code_digest(*SOURCES),
            **_versions(self.engine if self.wants != "patches" else None),
        }
        if self.wants != "patches":
            settings["engine"] = self.engine
        if self.series:
            settings["series"] = self.series
        if self.mask_grid:
            settings["mask_grid"] = self.mask_grid
        if self.wants in ("patches", "shuffled"):
            settings["wants"] = self.wants
        if self.wants == "shuffled" or self.jitters:
            settings["seed"] = self.seed
        if self.jitters:
            settings["jitter"] = True
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        for column, content in digests.items():
            digest.update(f"|{column.removesuffix('_mask')}:".encode())
            if self.wants != "patches" or column != "repeat_mask":
                digest.update(content)
        key = digest.hexdigest()
        return cache / "cases" / key[:2] / f"{key}.npz"


@cache
def _versions(engine: Engine | None) -> dict[str, str]:
    """Versions of what decides the features by an engine, or regions and patch alone."""
    return versions(PREPARING_PACKAGES if engine is None else ENGINE_PACKAGES[engine])


@dataclass(frozen=True)
class CaseRecord:
    """Result of one case of a study, or the sentence on its `error`.

    Attributes
    ----------
    features: (1702,), empty if not wanted.
    patch: (160, 160) in HU, empty if not wanted.
    repeat: (1702,) features from the second mask, or None.
    quality: all remarks on the case.
    synthetic: whether its CT carries the mark of the synthetic cohort.
    measures: (number of `MEASURES`,), NaN if not computed.
    acquisition: what the header of its CT tells of the scan.
    fingerprint: of its CT, see `image_fingerprint`.
    """

    case_id: str
    features: np.ndarray = field(default_factory=lambda: np.empty(0))
    patch: np.ndarray = field(default_factory=lambda: np.empty(0))
    repeat: np.ndarray | None = None
    quality: tuple[QualityNote, ...] = ()
    synthetic: bool = False
    measures: np.ndarray = field(default_factory=lambda: np.full(len(MEASURES), np.nan))
    acquisition: Acquisition = UNKNOWN
    fingerprint: str = ""
    error: str = ""


def cache_folder() -> Path:
    """Folder of computed cases and of interrupted runs: $DEEPRADSCORE_CACHE, or the user's cache folder."""
    return Path(os.environ.get("DEEPRADSCORE_CACHE") or platformdirs.user_cache_path("deepradscore"))


def check_cache(folder: Path) -> None:
    """Make the cache folder.

    Raises
    ------
    OutputError: it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise OutputError("computed cases cannot be kept there", where=folder, mend=MEND)


def load_record(path: Path, case_id: str) -> CaseRecord | None:
    """The record stored in a file; None if there is none, it is damaged, or it lacks what this version stores."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as data:
            return CaseRecord(
                case_id,
                features=data["features"],
                patch=data["patch"],
                repeat=data["repeat"] if data["repeat"].size else None,
                quality=tuple(QualityNote(*note) for note in data["quality"].tolist()),
                synthetic=bool(data["synthetic"]),
                measures=_measures(data["measures"]),
                acquisition=Acquisition(**json.loads(str(data["acquisition"]))),
                fingerprint=str(data["fingerprint"]),
            )
    except (OSError, EOFError, ValueError, TypeError, KeyError, zipfile.BadZipFile):
        return None


def _measures(stored: np.ndarray) -> np.ndarray:
    """Stored measures. Raises ValueError where they are others than today's."""
    return stored.reshape(len(MEASURES))


def store_record(path: Path, record: CaseRecord) -> None:
    """Store a record, whole or not at all.

    Raises
    ------
    OutputError: it cannot be written.
    """
    try:
        with replacing(path) as temporary:
            np.savez(
                temporary,
                features=record.features,
                patch=record.patch,
                repeat=np.empty(0) if record.repeat is None else record.repeat,
                quality=np.array([astuple(note) for note in record.quality], dtype=str).reshape(-1, 3),
                synthetic=record.synthetic,
                measures=record.measures,
                acquisition=json.dumps(asdict(record.acquisition)),
                fingerprint=record.fingerprint,
            )
    except OSError as error:
        what = f"the computed case cannot be kept ({error.strerror})"
        raise OutputError(what, where=path.parent, mend=f"free some space, or {MEND}") from error

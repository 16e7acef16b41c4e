"""Names used in files, tables and options: models, baselines, protocols, networks, preprocessing, engines, flags."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

from DeepRadScoreLib.errors import InputError

Choice = TypeVar("Choice", bound=StrEnum)


class Model(StrEnum):
    """The three models of the paper, from the least to the most complete."""

    RADIOMICS = "radiomics-score"
    DEEP = "deep-ct"
    FUSED = "deep-radscore"


class Baseline(StrEnum):
    """Baselines that the models are compared with."""

    VOLUME = "volume"
    CLINICAL = "clinical"
    SITE = "site"
    SCANNER = "scanner"
    THICKNESS = "slice-thickness"
    DATE = "date"
    SHUFFLED_VOXELS = "shuffled-voxels"
    SHUFFLED_LABELS = "shuffled-labels"


MODELS: tuple[Model, ...] = tuple(Model)
BASELINES: tuple[Baseline, ...] = tuple(Baseline)
CONFOUNDERS: tuple[Baseline, ...] = (Baseline.SITE, Baseline.SCANNER, Baseline.THICKNESS, Baseline.DATE)
"""The baselines of where, how and when a CT was made, which say nothing of the tumour."""
CONFOUNDER_NAMES: dict[str, str] = {
    Baseline.SITE: "site",
    Baseline.SCANNER: "scanner",
    Baseline.THICKNESS: "slice thickness",
    Baseline.DATE: "date",
}
"""Their names in a sentence, after "the"."""
ALL_MODELS: tuple[Model | Baseline, ...] = (*MODELS, *BASELINES)
DEEP_MODELS: tuple[Model, ...] = (Model.DEEP, Model.FUSED)
"""The models that need images."""


class Protocol(StrEnum):
    """How later stages are trained: on out-of-fold scores, or on in-sample scores as in the paper."""

    STRICT = "strict"
    PAPER = "paper"


class Split(StrEnum):
    """Outer folds of an evaluation: stratified ones, the table's column `split`, or each site left out."""

    CV = "cv"
    COLUMN = "column"
    SITE = "site"


class NetworkForm(StrEnum):
    """One fine-tuned network for all endpoints, one for each, or an untrained trunk with a read-out."""

    SHARED = "shared"
    PER_ENDPOINT = "per-endpoint"
    FROZEN = "frozen"


class Preprocessing(StrEnum):
    """How a case is prepared: in the canonical frame, or resampled as pyradiomics does it from the files as stored."""

    CANONICAL = "canonical"
    PYRADIOMICS = "pyradiomics"


class MaskGrid(StrEnum):
    """Where a mask lies that has the CT's array size and, by its header, another place."""

    SAME = "same"
    AS_STORED = "as-stored"


class Coordinates(StrEnum):
    """Axes of a point: right, anterior, superior as in 3D Slicer; left, posterior, superior as in DICOM and ITK."""

    RAS = "ras"
    LPS = "lps"


class Engine(StrEnum):
    """What computes the features of a prepared case."""

    OWN = "own"
    PYRADIOMICS = "pyradiomics"


DEFAULT_ENGINE = Engine.OWN


class OtherLabels(StrEnum):
    """What the other labels of a mask are: judged by name, shape and size; all tumours; or not looked at."""

    AUTO = "auto"
    TUMOURS = "tumours"
    IGNORE = "ignore"


class Flag(StrEnum):
    """Why a finding has no probability, or what speaks against it."""

    NO_MODEL = "no_model"
    NOT_MODELLED = "not_modelled"
    NOT_VALIDATED = "not_validated"
    VALIDATION_ONE_CLASS = "validation_one_class"
    VALIDATION_FEW_POSITIVES = "validation_few_positives"
    NOT_BETTER_THAN_CHANCE = "not_better_than_chance"
    SINGLE_FEATURE_RADSCORE = "single_feature_radscore"
    OUTSIDE_SPREAD = "outside_spread"
    NO_SIGNAL = "no_signal"
    NOT_FINITE = "not_finite"
    UNLIKE_TRAINING = "unlike_training"
    QUALITY_FAILURE = "quality_failure"


def chosen(choices: type[Choice], value: str, option: str) -> Choice:
    """The member of an enumeration that a caller named; `option` names the argument.

    Raises
    ------
    InputError: there is no such member.
    """
    if value in list(choices):
        return choices(value)
    raise InputError(f'"{value}" is not known', where=option, mend=f"choose {' or '.join(choices)}")


def chosen_if_named(choices: type[Choice], value: str | None, option: str) -> Choice | None:
    """None where a caller named none, else as `chosen`."""
    return None if value is None else chosen(choices, value, option)


def better_than_chance(auc_ci: tuple[float, float]) -> bool:
    """Whether the whole 95 % interval of an AUC lies above 0.5."""
    return auc_ci[0] > 0.5


def flags_with_chance(flags: tuple[str, ...], auc_ci: tuple[float, float] | None) -> tuple[str, ...]:
    """The flags of a finding, with `NOT_BETTER_THAN_CHANCE` where its validated AUC is not."""
    if auc_ci is None or better_than_chance(auc_ci) or Flag.NOT_BETTER_THAN_CHANCE in flags:
        return flags
    return (*flags, Flag.NOT_BETTER_THAN_CHANCE)

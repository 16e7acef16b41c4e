"""Deep-RadScore: a molecular and prognostic profile from a lung CT and its tumour segmentation.

The names in `__all__` are imported when they are first used, so that `import DeepRadScoreLib` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from DeepRadScoreLib.version import __version__ as __version__

if TYPE_CHECKING:
    from DeepRadScoreLib.api import analyze, evaluate, extract, outline, train
    from DeepRadScoreLib.bundles.bundle import Bundle, read_bundle
    from DeepRadScoreLib.cohort.table import Cohort, read_cohort
    from DeepRadScoreLib.errors import DeepRadScoreError, InputError
    from DeepRadScoreLib.fusion.model import FusionModel
    from DeepRadScoreLib.imaging import Case, Outline, read_case
    from DeepRadScoreLib.progress import Progress
    from DeepRadScoreLib.publication.study_report import StudyReport
    from DeepRadScoreLib.radscore.radscore import RadScore
    from DeepRadScoreLib.report.profile_view import Profile
    from DeepRadScoreLib.study.training.train import TrainingResult

__all__ = [
    "Bundle",
    "Case",
    "Cohort",
    "DeepRadScoreError",
    "FusionModel",
    "InputError",
    "Outline",
    "Profile",
    "Progress",
    "RadScore",
    "StudyReport",
    "TrainingResult",
    "analyze",
    "evaluate",
    "extract",
    "outline",
    "read_bundle",
    "read_case",
    "read_cohort",
    "train",
]
_MODULES = {
    "api": ("analyze", "evaluate", "extract", "outline", "train"),
    "bundles.bundle": ("Bundle", "read_bundle"),
    "cohort.table": ("Cohort", "read_cohort"),
    "errors": ("DeepRadScoreError", "InputError"),
    "fusion.model": ("FusionModel",),
    "imaging": ("Case", "Outline", "read_case"),
    "progress": ("Progress",),
    "publication.study_report": ("StudyReport",),
    "radscore.radscore": ("RadScore",),
    "report.profile_view": ("Profile",),
    "study.training.train": ("TrainingResult",),
}


def __getattr__(name: str) -> object:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

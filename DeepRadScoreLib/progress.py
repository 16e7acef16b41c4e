"""How far long work is: one event, whatever the work, and the steps of a generator as such events."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from typing import TypeVar

from DeepRadScoreLib.stepping import changed

Outcome = TypeVar("Outcome")


class Stage(StrEnum):
    """What is being done; the values are the words that users see, and programs compare the members."""

    READING = "reading the case"
    ANALYSING = "analysing"
    SAMPLE = "synthetic sample"
    MAKING_CASES = "making cases"
    FEATURES = "regions and features"
    PATCHES = "deep patches"
    SHUFFLED_VOXELS = "features of shuffled voxels"
    RADSCORES = "selecting features and adding up RadScores"
    NETWORKS = "training networks"
    CLASSIFIERS = "comparing seven classifiers"
    HELD_OUT = "judging on the held-out cases"
    OUTER_FOLDS = "outer folds"
    EXPLAINING = "explaining the test cases"
    BASELINE = "baseline"
    BACKBONES = "comparing backbones"
    FIGURES = "drawing figures"
    SEARCHING = "searching DICOM files"
    FETCHING_SEGMENTATIONS = "fetching segmentations (MB)"
    FETCHING_CTS = "fetching CTs (MB)"


@dataclass(frozen=True)
class Progress:
    """One event of long work.

    Attributes
    ----------
    detail: what within the stage, in words, or "".
    done, total: how much of the stage is done, in a unit of its own (cases, epochs, megabytes, percent). A `done`
        smaller than the last one says that the stage has begun anew.
    failure: the sentence on a unit that failed while the others go on, or "".
    """

    stage: Stage
    detail: str = ""
    done: int = 0
    total: int = 1
    failure: str = ""

    @property
    def text(self) -> str:
        """Stage and detail in words, for people alone."""
        return f"{self.stage}: {self.detail}" if self.detail else str(self.stage)

    @property
    def fraction(self) -> float:
        """The share of the stage that is done, 0 to 1."""
        return self.done / max(self.total, 1)


Report = Callable[[Progress], None]
"""Is called with every event; what it raises ends the work."""


def ignore(event: Progress) -> None:
    """The report of work that nobody watches."""


def in_stage(
    steps: Generator[str, None, Outcome], stage: Stage, begin: int = 0, end: int = 100, expected: int = 1
) -> Generator[Progress, None, Outcome]:
    """The same steps as events of a stage.

    Parameters
    ----------
    steps: yields in words what it does next.
    begin, end: percent of the stage that are done before and after these steps.
    expected: how many steps lead from `begin` to `end`; if more come, they stay at `end`.
    """
    number = count()

    def event(detail: str) -> Progress:
        return Progress(stage, detail, begin + round((end - begin) * min(next(number) / expected, 1)), 100)

    return changed(steps, event)

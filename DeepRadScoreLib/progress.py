"""Long work as a generator of short steps, and the event that reports its progress."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from time import monotonic
from typing import TypeVar

Step = TypeVar("Step")
Other = TypeVar("Other")
Outcome = TypeVar("Outcome")


class Stage(StrEnum):
    """What is being done. The values are the words that users see; programs compare the members."""

    READING = "reading the case"
    OUTLINING = "outlining the tumour"
    ANALYSING = "analysing"
    MASK_VARIANTS = "over other masks"
    OCCLUSION = "hiding each place of the patch"
    FILING = "filing"
    SAMPLE = "synthetic sample"
    MAKING_CASES = "making cases"
    WAITING = "waiting for an equal run to end"
    FEATURES = "regions and features"
    PATCHES = "deep patches"
    SHUFFLED_VOXELS = "features of shuffled voxels"
    RADSCORES = "selecting features and adding up RadScores"
    NETWORKS = "training networks"
    CLASSIFIERS = "comparing classifiers"
    HELD_OUT = "judging on the held-out cases"
    OUTER_FOLDS = "outer folds"
    EXPLAINING = "explaining the test cases"
    BASELINE = "baseline"
    BACKBONES = "comparing backbones"
    FIGURES = "drawing figures"
    ENGINE_CHECK = "comparing with pyradiomics"
    SEARCHING = "searching DICOM files"
    FETCHING_SEGMENTATIONS = "fetching segmentations (MB)"
    FETCHING_CTS = "fetching CTs (MB)"


@dataclass(frozen=True)
class Progress:
    """One event of long work.

    Attributes
    ----------
    detail: what is being done within the stage, in words, or "".
    done, total: how much of the stage is done, in the stage's unit (cases, epochs, megabytes, percent). A `done`
        smaller than the last one means that the stage has begun again.
    failure: the sentence on a unit that failed while the work continues, or "".

    Examples
    --------
    >>> from DeepRadScoreLib import Progress
    >>> from DeepRadScoreLib.progress import Stage
    >>> event = Progress(Stage.FEATURES, "case 7", done=1, total=4)
    >>> event.text, event.fraction
    ('regions and features: case 7', 0.25)
    """

    stage: Stage
    detail: str = ""
    done: int = 0
    total: int = 1
    failure: str = ""

    @property
    def text(self) -> str:
        """Stage and detail in words, to be shown only: no program reads it."""
        return f"{self.stage}: {self.detail}" if self.detail else str(self.stage)

    @property
    def fraction(self) -> float:
        """The share of the stage that is done, 0 to 1."""
        return self.done / max(self.total, 1)


Report = Callable[[Progress], None]
"""A function called with every event; an exception that it raises ends the work."""


def ignore(event: Progress) -> None:
    """Do nothing: the report of work that nobody watches."""


def run_to_end(steps: Generator[Step, None, Outcome], show: Callable[[Step], None] | None = None) -> Outcome:
    """Run steps and return their outcome; `show` is called with each step before its work is done."""
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return end.value
        if show is not None:
            show(step)


def map_steps(
    steps: Generator[Step, None, Outcome], change: Callable[[Step], Other]
) -> Generator[Other, None, Outcome]:
    """The same work and outcome, with each step replaced by `change(step)`."""
    try:
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                return end.value
            yield change(step)
    finally:
        steps.close()


def at_most_every(seconds: float, steps: Generator[Step, None, Outcome]) -> Generator[Step, None, Outcome]:
    """The same work and outcome, without the steps that come within `seconds` of the one before them."""
    last = -float("inf")
    try:
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                return end.value
            if monotonic() - last >= seconds:
                yield step
                last = monotonic()
    finally:
        steps.close()


def each_within(
    enter: Callable[[], AbstractContextManager[object]], steps: Generator[Step, None, Outcome]
) -> Generator[Step, None, Outcome]:
    """The same work and outcome; the work of each step, not what is done between them, lies within a context."""
    try:
        while True:
            with enter():
                try:
                    step = next(steps)
                except StopIteration as end:
                    return end.value
            yield step
    finally:
        steps.close()


def as_part(
    steps: Generator[Progress, None, Outcome], detail: str, begin: int, end: int
) -> Generator[Progress, None, Outcome]:
    """The same work and outcome as a part of a longer one.

    Parameters
    ----------
    detail: what is being done, in place of the steps' own words.
    begin, end: percent of the whole that are done before and after these steps.
    """
    return map_steps(
        steps, lambda step: Progress(step.stage, detail, begin + round((end - begin) * step.fraction), 100)
    )


def in_stage(
    steps: Generator[str, None, Outcome], stage: Stage, begin: int = 0, end: int = 100, expected: int = 1
) -> Generator[Progress, None, Outcome]:
    """The same steps as events of a stage, with the same outcome.

    Parameters
    ----------
    steps: yields in words what is done next.
    begin, end: percent of the stage that are done before and after these steps.
    expected: how many steps lead from `begin` to `end`; if more come, they stay at `end`.
    """
    number = count()

    def event(detail: str) -> Progress:
        return Progress(stage, detail, begin + round((end - begin) * min(next(number) / expected, 1)), 100)

    return map_steps(steps, event)

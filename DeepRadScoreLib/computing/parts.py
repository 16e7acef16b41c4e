"""What of a long run is finished is kept, so that the same command goes on from there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import joblib

from DeepRadScoreLib.computing.workers import Lost, Workers
from DeepRadScoreLib.errors import WorkersError
from DeepRadScoreLib.progress import Progress, Report, Stage, ignore
from DeepRadScoreLib.writing import replacing

Result = TypeVar("Result")
Name = TypeVar("Name")


@dataclass(frozen=True)
class Refused:
    """What stands in place of a fit that the data do not allow: the error's sentence."""

    reason: str


class RefusedEndpoints(Exception):
    """Some endpoints cannot be fitted on a training part: endpoint -> the sentence that says why."""

    def __init__(self, reasons: dict[str, str]) -> None:
        self.reasons = reasons
        super().__init__(reasons)


def all_fitted(fits: Mapping[tuple[str, Name], Result | Refused]) -> dict[tuple[str, Name], Result]:
    """The fits, named by endpoint and part or model, if none was refused.

    Raises
    ------
    RefusedEndpoints: with the first sentence of each endpoint.
    """
    refused: dict[str, str] = {}
    fitted: dict[tuple[str, Name], Result] = {}
    for (key, name), fit in fits.items():
        if isinstance(fit, Refused):
            refused.setdefault(key, fit.reason)
        else:
            fitted[key, name] = fit
    if refused:
        raise RefusedEndpoints(refused)
    return fitted


def each_kept(
    work: Path,
    function: Callable[..., Result],
    tasks: Iterable[dict[str, Any]],
    *,
    workers: Workers,
    stage: Stage,
    detail: str = "",
    report: Report = ignore,
) -> list[Result]:
    """`function(**task)` for every task, in order; results are kept in `work` by content.

    A result is found again by the function's name and text and by the values of its arguments: hand over arrays and
    plain values, whose hash is the same in every process.

    Raises
    ------
    WorkersError: a unit that its process died of each time it was tried.
    """
    tasks = list(tasks)
    results: dict[int, Result] = {}
    for position, result in workers.each(joblib.Memory(work, verbose=0).cache(function), tasks):
        if isinstance(result, Lost):
            raise WorkersError(
                str(result),
                where=Progress(stage, detail).text,
                mend="free some memory or use fewer --jobs, and run the same command again",
            )
        results[position] = result
        report(Progress(stage, detail, len(results), len(tasks)))
    return [results[position] for position in range(len(tasks))]


def kept(path: Path, make: Callable[[], Result]) -> Result:
    """What `make` gives, kept in the file `path`."""
    if path.is_file():
        return joblib.load(path)
    result = make()
    with replacing(path) as part:
        joblib.dump(result, part)
    return result

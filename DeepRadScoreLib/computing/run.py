"""The context of long work: where its finished results are stored, who computes, and who hears how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import joblib

from DeepRadScoreLib.computing.cache import cache_folder
from DeepRadScoreLib.computing.workers import Crashed, InProcess, Workers
from DeepRadScoreLib.errors import WorkersError
from DeepRadScoreLib.progress import Progress, Report, Stage, ignore
from DeepRadScoreLib.writing import replacing

Result = TypeVar("Result")


@dataclass(frozen=True)
class Run:
    """The context of long work.

    Attributes
    ----------
    folder: where results of finished units are stored, so that the same call after an interruption goes on from them.
    workers: who computes the units.
    report: called with every event, in the process that began the work. What it raises cancels the work: processes
        that are at a unit are killed, and no file is left half written.
    """

    folder: Path = field(default_factory=cache_folder)
    workers: Workers = field(default_factory=InProcess)
    report: Report = ignore

    def within(self, name: str) -> Run:
        """The same run with the folder `name` below its own."""
        return replace(self, folder=self.folder / name)

    def load_or_compute(self, name: str, compute: Callable[[], Result]) -> Result:
        """The result stored under `name`; if there is none, `compute` gives it and it is stored."""
        path = self.folder / f"{name}.joblib"
        if path.is_file():
            return joblib.load(path)
        result = compute()
        with replacing(path) as part:
            joblib.dump(result, part)
        return result

    def load_or_compute_each(
        self, function: Callable[..., Result], tasks: Iterable[dict[str, Any]], stage: Stage, detail: str = ""
    ) -> list[Result]:
        """`function(**task)` for every task, in order, each stored by content.

        A result is found again by the function's name and text and by the values of its arguments: hand over arrays
        and plain values, whose hash is the same in every process.

        Raises
        ------
        WorkersError: the process of a unit died each time it was tried.
        """
        tasks = list(tasks)
        results: dict[int, Result] = {}
        stored = joblib.Memory(self.folder, verbose=0).cache(function)
        with closing(self.workers.each(stored, tasks)) as found:
            for position, result in found:
                if isinstance(result, Crashed):
                    raise WorkersError(
                        str(result),
                        where=Progress(stage, detail).text,
                        mend="free some memory or use fewer --jobs, and run the same command again",
                    )
                results[position] = result
                self.report(Progress(stage, detail, len(results), len(tasks)))
        return [results[position] for position in range(len(tasks))]

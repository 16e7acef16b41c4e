"""Context of long work: folder of finished results, workers and progress report."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import joblib

from DeepRadScoreLib.computing.case_record import cache_folder
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
    folder: results of finished units, from which the same call continues after an interruption.
    workers: compute the units.
    report: called with every event, in the process that began the work. An exception that it raises cancels the work:
        processes that compute a unit are killed, and no partial file is left.
    """

    folder: Path = field(default_factory=cache_folder)
    workers: Workers = field(default_factory=InProcess)
    report: Report = ignore

    def within(self, name: str) -> Run:
        """The same run with the sub-folder `name` as its folder."""
        return replace(self, folder=self.folder / name)

    def load_or_compute(self, name: str, compute: Callable[[], Result]) -> Result:
        """Load the result stored under `name`; if there is none, compute and store it."""
        path = self.folder / f"{name}.joblib"
        if path.is_file():
            return joblib.load(path)
        result = compute()
        with replacing(path) as temporary:
            joblib.dump(result, temporary)
        return result

    def load_or_compute_each(
        self, function: Callable[..., Result], tasks: Iterable[dict[str, Any]], stage: Stage, detail: str = ""
    ) -> list[Result]:
        """`function(**task)` for every task, in order; results are stored and loaded.

        A result is identified by the name and source text of the function and by the values of its arguments: pass
        arrays and plain values, whose hash is the same in every process.

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

"""Context of long work: folder of finished results, workers and progress report."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from DeepRadScoreLib.computing.case_record import cache_folder
from DeepRadScoreLib.computing.kept_results import folder_key, load_result, store_result
from DeepRadScoreLib.computing.workers import Crashed, InProcess, Workers
from DeepRadScoreLib.errors import WorkersError
from DeepRadScoreLib.progress import Progress, Report, Stage, ignore
from DeepRadScoreLib.writing import locked

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

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep equal runs from each other: this one waits until no other has the folder, and removes it at the end.

        An exception leaves the folder, from which the same call continues.
        """
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(self.folder.with_name(f"{self.folder.name}.lock"), lambda: self.report(Progress(Stage.WAITING))):
            yield
            shutil.rmtree(self.folder, ignore_errors=True)

    def load_or_compute(self, name: str, compute: Callable[[], Result], stage: Stage) -> Result:
        """Load the result stored under `name`; if there is none, compute and store it."""
        key = folder_key(self.folder)
        found = self._stored(name, key, stage)
        if found:
            return found[0]
        result = compute()
        store_result(self._path(name), result, key)
        return result

    def load_or_compute_each(
        self, function: Callable[..., Result], tasks: Iterable[dict[str, Any]], stage: Stage, detail: str = ""
    ) -> list[Result]:
        """`function(**task)` for every task, in order; results are stored and loaded.

        A result is identified by the name of the function and the values of its arguments: pass arrays and plain
        values, whose hash is the same in every process.

        Raises
        ------
        WorkersError: the process of a unit died each time it was tried.
        """
        import joblib

        tasks = list(tasks)
        key = folder_key(self.folder)
        names = [f"{function.__name__}-{joblib.hash(task)}" for task in tasks]
        stored = {position: self._stored(name, key, stage) for position, name in enumerate(names)}
        results: dict[int, Result] = {position: found[0] for position, found in stored.items() if found}
        if results:
            self.report(Progress(stage, detail, len(results), len(tasks)))
        missing = [position for position in range(len(tasks)) if position not in results]
        with closing(self.workers.each(function, [tasks[position] for position in missing])) as computed:
            for number, result in computed:
                if isinstance(result, Crashed):
                    raise WorkersError(
                        str(result),
                        where=Progress(stage, detail).text,
                        mend="free some memory or use fewer --jobs, and run the same command again",
                    )
                position = missing[number]
                store_result(self._path(names[position]), result, key)
                results[position] = result
                self.report(Progress(stage, detail, len(results), len(tasks)))
        return [results[position] for position in range(len(tasks))]

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.result"

    def _stored(self, name: str, key: bytes, stage: Stage) -> tuple[Any, ...]:
        """The stored result in a tuple, empty if there is none or it is damaged, which is reported."""
        try:
            return (load_result(self._path(name), key),)
        except FileNotFoundError:
            return ()
        except ValueError as error:
            self.report(Progress(stage, failure=f"{error}: it is computed anew."))
            return ()

"""Files and folders written whole or not at all.

Partial output is removed on interruption; the final renaming is never interrupted.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from DeepRadScoreLib.errors import OutputError

MEND = "choose a folder that you may write to, with space left"
_parts: set[Path] = set()
_processes: set[subprocess.Popen[bytes]] = set()
_moving = threading.Lock()
KILLED_WITHIN_S = 0.2


@contextmanager
def unfinished(part: Path) -> Iterator[None]:
    """Within it a file or folder is made; it is removed at the end if it is still there, also by `give_up`."""
    _parts.add(part)
    try:
        yield
    finally:
        _remove(part)
        _parts.discard(part)


def _remove(part: Path) -> None:
    shutil.rmtree(part, ignore_errors=True)
    with suppress(OSError):
        part.unlink(missing_ok=True)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """The temporary name, beside `path` and with its endings, of a file to be written; it is renamed at the end.

    Raises
    ------
    OSError: it cannot be written; what was there before is untouched.
    """
    part = path.with_name(f".{uuid4().hex}.part{''.join(path.suffixes)[-9:]}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with unfinished(part):
        yield part
        with in_one_go():
            part.replace(path)


@contextmanager
def ends_with_program(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Within it another program is at work; it is killed at the end if it still runs, also by `give_up`."""
    _processes.add(process)
    try:
        yield
    finally:
        process.kill()
        process.wait()
        _processes.discard(process)


@contextmanager
def in_one_go() -> Iterator[None]:
    """Within it finished files get their names: `give_up` waits for the end."""
    with _moving:
        yield


def is_moving() -> bool:
    """Whether finished files are getting their names."""
    return _moving.locked()


def give_up(patience_s: float) -> None:
    """For the end of the program: kill the programs it started, wait so long for moves that have begun, then remove
    what is unfinished."""
    for process in list(_processes):
        process.kill()
        with suppress(subprocess.TimeoutExpired):
            process.wait(KILLED_WITHIN_S)
    _moving.acquire(timeout=patience_s)
    for part in list(_parts):
        _remove(part)


def check_folder(folder: Path) -> None:
    """Look, before the work begins, whether results can be written to a folder; creates nothing.

    Raises
    ------
    OutputError: it, or the nearest of its parents that exists, is a file or may not be written.
    """
    place = _existing(folder.absolute())
    if not place.is_dir():
        raise OutputError("this is a file, not a folder", where=place, mend="choose another folder for the results")
    if not os.access(place, os.W_OK | os.X_OK):
        raise OutputError("nothing may be written in this folder", where=place, mend=MEND)


def check_file(path: Path) -> None:
    """Look, before the work begins, whether a file can be written; creates nothing.

    Raises
    ------
    OutputError: the path is a folder, lies under a file, or may not be written to.
    """
    if path.is_dir():
        raise OutputError("this is a folder", where=path, mend="give the name of a file")
    check_folder(path.absolute().parent)


def write_atomically(path: Path, data: bytes | str) -> None:
    """Write a file as `written_atomically` does. Text is written as UTF-8.

    Raises
    ------
    OutputError: it cannot be written; what was there before is untouched.
    """
    with written_atomically(path) as stream:
        stream.write(data.encode() if isinstance(data, str) else data)


@contextmanager
def written_atomically(path: Path) -> Iterator[BinaryIO]:
    """A file to write into, see `replacing`.

    Raises
    ------
    OutputError: it cannot be written; what was there before is untouched.
    """
    try:
        with replacing(path) as part, part.open("xb") as stream:
            yield stream
    except OSError as error:
        raise OutputError(
            f"the file cannot be written ({error.strerror})",
            where=path,
            mend="choose a place that you may write to, with space left",
        ) from error


def write_folder(
    folder: Path,
    write: Callable[[Path], None],
    outdated: Callable[[Path, set[str]], Iterable[str]],
    last: Sequence[str] = (),
) -> list[str]:
    """Leave what `write` writes in a folder: all of it, or what was there before.

    All is made in a temporary folder beside it (or in it, if it is there). A new folder then comes with one move; into
    an old one the files are moved one by one, undone if one of the moves fails. Files with other names stay.

    Parameters
    ----------
    write: fills the empty folder that it is given.
    outdated: (old folder, names of the new files) -> names of the files to be removed from it.
    last: names of files that are moved last, in this order.

    Returns
    -------
    The files' names, as POSIX paths below the folder, in the order in which they are moved.

    Raises
    ------
    OutputError: the folder cannot be written.
    """
    check_folder(folder)
    target = folder.absolute()
    part = _existing(target) / f".deepradscore.{uuid4().hex}.part"
    try:
        with unfinished(part):
            fresh = part / "new"
            fresh.mkdir(parents=True)
            write(fresh)
            found = [path.relative_to(fresh).as_posix() for path in fresh.rglob("*") if path.is_file()]
            names = [*sorted(set(found) - set(last)), *(name for name in last if name in found)]
            with in_one_go():
                if target.exists():
                    _exchange(fresh, target, part / "old", names, list(outdated(target, set(names))))
                else:
                    _place(fresh, target)
    except OSError as error:
        raise OutputError(f"the results cannot be written ({error.strerror})", where=folder, mend=MEND) from error
    return names


def _place(fresh: Path, target: Path) -> None:
    """Make `fresh` the folder `target`, which is not there; parents made for it go again if that fails."""
    made = [place for place in reversed(target.parents) if not place.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh.replace(target)
    except BaseException:
        _remove_empty(made)
        raise


def _exchange(fresh: Path, target: Path, old: Path, names: list[str], outdated: list[str]) -> None:
    """Move every file of `fresh` into `target`, outdated ones out of it; undone if one of the moves fails."""
    saved: list[str] = []
    placed: list[str] = []
    made = [place for place in dict.fromkeys((target / name).parent for name in names) if not place.exists()]
    try:
        for name in outdated:
            _move(target / name, old / name)
            saved.append(name)
        for name in names:
            if (target / name).is_file():
                _copy(target / name, old / name)
                saved.append(name)
            _move(fresh / name, target / name)
            placed.append(name)
    except BaseException:
        for name in saved:
            _move(old / name, target / name)
        for name in placed:
            if name not in saved:
                (target / name).unlink()
        _remove_empty(made)
        raise


def _copy(source: Path, destination: Path) -> None:
    destination.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, destination)


def _move(source: Path, destination: Path) -> None:
    destination.parent.mkdir(parents=True, exist_ok=True)
    source.replace(destination)


def _remove_empty(places: list[Path]) -> None:
    """Remove those of these folders that are there and empty, the last one first."""
    for place in reversed(places):
        if place.is_dir() and not any(place.iterdir()):
            place.rmdir()


def _existing(path: Path) -> Path:
    """The path itself, or the nearest of its parents that exists."""
    return next(place for place in (path, *path.parents) if place.exists())

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
from typing import BinaryIO, Protocol
from uuid import uuid4

from DeepRadScoreLib.errors import OutputError

MEND = "choose a folder that you may write to, with space left"
MAX_KILL_S = 0.2
LOOK_S = 0.2
LOCK_NAME = ".lock"
"""Held in a temporary folder as long as its maker lives."""


class Program(Protocol):
    """Another program that this one started: a `subprocess.Popen`, or what has these methods of it."""

    def kill(self) -> None:
        """End it."""

    def wait(self, timeout: float | None = None) -> object:
        """Wait until it has ended. Raises subprocess.TimeoutExpired."""


_unfinished: set[Path] = set()
_processes: set[Program] = set()
_moving = threading.Lock()


@contextmanager
def unfinished(path: Path) -> Iterator[None]:
    """Remove a file or folder at the end of the block if it still exists; `clean_up` removes it too."""
    _unfinished.add(path)
    try:
        yield
    finally:
        _remove(path)
        _unfinished.discard(path)


def _remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):
        path.unlink(missing_ok=True)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` and with its endings, for a file that is renamed to `path` at the end.

    Raises
    ------
    OSError: it cannot be written; an earlier file is untouched.
    """
    temporary = path.with_name(f".{uuid4().hex}.part{''.join(path.suffixes)[-9:]}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with unfinished(temporary):
        yield temporary
        _flush(temporary)
        with _moving:
            temporary.replace(path)


def _flush(path: Path) -> None:
    """Have a file's content on the disk before its name is, so that a power failure leaves the old file or the new."""
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


@contextmanager
def ends_with_program(process: Program) -> Iterator[None]:
    """Kill another program at the end of the block if it still runs; `clean_up` kills it too."""
    _processes.add(process)
    try:
        yield
    finally:
        process.kill()
        process.wait()
        _processes.discard(process)


def is_moving() -> bool:
    """Whether finished files are being renamed."""
    return _moving.locked()


def clean_up(patience_s: float) -> None:
    """Kill the programs that this one started and remove unfinished files, before the process ends.

    Files that are being renamed get up to `patience_s` seconds.
    """
    for process in list(_processes):
        process.kill()
        with suppress(subprocess.TimeoutExpired):
            process.wait(MAX_KILL_S)
    _moving.acquire(timeout=patience_s)
    for path in list(_unfinished):
        _remove(path)


@contextmanager
def locked(path: Path, waiting: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Hold a lock between programs for the block, by a file that is gone afterwards.

    While another program holds it `waiting` is called, several times a second; what it raises ends the wait. A program
    that dies holds nothing any more.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    while not lock.is_locked:
        try:
            lock.acquire(timeout=LOOK_S)
        except Timeout:
            waiting()
        else:
            if not path.exists():
                lock.release()
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        lock.release()


def check_folder(folder: Path) -> None:
    """Check, before work begins, that results can be written to a folder; creates nothing.

    Raises
    ------
    OutputError: it, or its nearest existing parent, is a file or may not be written to.
    """
    existing = _existing(folder.absolute())
    if not existing.is_dir():
        raise OutputError("this is a file, not a folder", where=existing, mend="choose another folder for the results")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise OutputError("nothing may be written in this folder", where=existing, mend=MEND)


def check_file(path: Path) -> None:
    """Check, before work begins, that a file can be written; creates nothing.

    Raises
    ------
    OutputError: the path is a folder, lies under a file, or may not be written to.
    """
    if path.is_dir():
        raise OutputError("this is a folder", where=path, mend="give the name of a file")
    check_folder(path.absolute().parent)


def check_space(path: Path, needed: int) -> None:
    """Check, before work begins, that a file or folder of `needed` bytes has space; creates nothing.

    Raises
    ------
    OutputError: its disk has less.
    """
    free = shutil.disk_usage(_existing(path.absolute())).free
    if free < needed:
        raise OutputError(
            f"at least {needed / 1e6:.1f} MB will be written and {free / 1e6:.1f} MB are free", where=path, mend=MEND
        )


def write_atomically(path: Path, data: bytes | str) -> None:
    """Write a file whole or not at all; text as UTF-8. Raises as `written_atomically` does."""
    with written_atomically(path) as stream:
        stream.write(data.encode() if isinstance(data, str) else data)


@contextmanager
def written_atomically(path: Path) -> Iterator[BinaryIO]:
    """A stream into a file that is written whole or not at all.

    Raises
    ------
    OutputError: it cannot be written; an earlier file is untouched.
    """
    try:
        with replacing(path) as temporary, temporary.open("xb") as stream:
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
    """Write files into a folder: all of them, or none.

    They are written to a temporary folder beside it (or in it, if it exists). A new folder is then made by one move;
    into an old one the files are moved one by one, undone if a move fails. Files with other names stay.

    Parameters
    ----------
    write: called with an empty folder, which it fills.
    outdated: (old folder, names of the new files) -> names of the files to remove from it.
    last: names of files that are moved last, in this order.

    Returns
    -------
    The files' names, as POSIX paths below the folder, in the order in which they are moved.

    Raises
    ------
    OutputError: the folder cannot be written.
    """
    from filelock import FileLock

    check_folder(folder)
    target = folder.absolute()
    beside = _existing(target)
    temporary = beside / f".deepradscore.{uuid4().hex}.part"
    try:
        _remove_leftovers(beside)
        fresh = temporary / "new"
        with unfinished(temporary):
            fresh.mkdir(parents=True)
            with FileLock(temporary / LOCK_NAME):
                write(fresh)
                found = [path.relative_to(fresh).as_posix() for path in fresh.rglob("*") if path.is_file()]
                names = [*sorted(set(found) - set(last)), *(name for name in last if name in found)]
                with _moving:
                    if target.exists():
                        _move_files(fresh, target, temporary / "old", names, list(outdated(target, set(names))))
                    else:
                        _move_folder(fresh, target)
    except OutputError as error:
        raise _about_target(error, fresh, folder) from error.__cause__
    except OSError as error:
        raise OutputError(f"the results cannot be written ({error.strerror})", where=folder, mend=MEND) from error
    return names


def _about_target(error: OutputError, fresh: Path, folder: Path) -> OutputError:
    """The same error, about the file that the user asked for in place of the temporary one."""
    path = error.path
    if path is None or not path.is_relative_to(fresh):
        return error
    return error.renamed(path, str(folder / path.relative_to(fresh)))


def _remove_leftovers(folder: Path) -> None:
    """Remove temporary folders of programs that were killed."""
    from filelock import FileLock, Timeout

    for temporary in folder.glob(".deepradscore.*.part"):
        with suppress(OSError, Timeout):
            if (temporary / LOCK_NAME).exists():
                FileLock(temporary / LOCK_NAME).acquire(timeout=0).lock.release()
                shutil.rmtree(temporary)


def _move_folder(fresh: Path, target: Path) -> None:
    """Rename `fresh` to `target`, which does not exist; parents made for it are removed if that fails."""
    made = [parent for parent in reversed(target.parents) if not parent.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh.replace(target)
    except BaseException:
        _remove_empty(made)
        raise


def _move_files(fresh: Path, target: Path, old: Path, names: list[str], outdated: list[str]) -> None:
    """Move every file of `fresh` into `target`, outdated ones out of it; undone if one of the moves fails."""
    saved: list[str] = []
    moved: list[str] = []
    made = [parent for parent in dict.fromkeys((target / name).parent for name in names) if not parent.exists()]
    try:
        for name in outdated:
            _move(target / name, old / name)
            saved.append(name)
        for name in names:
            if (target / name).is_file():
                _copy(target / name, old / name)
                saved.append(name)
            _move(fresh / name, target / name)
            moved.append(name)
    except BaseException:
        for name in saved:
            _move(old / name, target / name)
        for name in set(moved) - set(saved):
            (target / name).unlink()
        _remove_empty(made)
        raise


def _copy(source: Path, destination: Path) -> None:
    destination.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, destination)


def _move(source: Path, destination: Path) -> None:
    destination.parent.mkdir(parents=True, exist_ok=True)
    source.replace(destination)


def _remove_empty(folders: list[Path]) -> None:
    """Remove the folders that exist and are empty, the last one first."""
    for folder in reversed(folders):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _existing(path: Path) -> Path:
    """The path, or its nearest existing parent."""
    return next(candidate for candidate in (path, *path.parents) if candidate.exists())

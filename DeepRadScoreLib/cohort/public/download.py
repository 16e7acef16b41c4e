"""Series of a public archive fetched into a folder: each file checked, what is there kept, what is missing fetched."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from DeepRadScoreLib.cohort.public.s5cmd import RemoteFile, copies, listing
from DeepRadScoreLib.errors import DownloadError, OutputError
from DeepRadScoreLib.progress import Progress, Report, Stage
from DeepRadScoreLib.writing import check_folder, unfinished, write_atomically

RECORD = "downloaded.json"
PART = ".unfinished"
TRIES = 3
PAUSE_S = 2.0
CHUNK_BYTES = 1_000_000_000
MEGABYTE = 1_000_000
NO_SPACE = ("no space left on device", "not enough space on the disk", "disk quota exceeded")
NOT_THERE = ("no object found", "status code: 403", "status code: 404")
"""How s5cmd says that the archive answered and has no such files, or gives them to nobody."""
PART_SIZES_MIB = (5, 8, 10, 15, 16, 25, 32, 50, 64, 100, 128)
"""In which parts programs put large files into an archive; the ETag of such a file depends on it."""
GOES_ON = "the same command goes on from what is there"
WRONG = "its bytes are not those of the archive's checksum"


@dataclass(frozen=True)
class RemoteSeries:
    """A DICOM series of the archive.

    Attributes
    ----------
    name: what a message calls it ("R01-001, CT").
    url: s3://bucket/folder/*, its files.
    folder: where they go, as a POSIX path below the folder of all downloads.
    files, size: how many files and bytes the index says it has.
    """

    name: str
    url: str
    folder: str
    files: int
    size: int


class Downloads:
    """What a folder holds of an archive; `downloaded.json` records every series that came whole.

    Attributes
    ----------
    size_alone: the addresses of fetched files whose checksum could not be compared (see `has_etag`).
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.size_alone: list[str] = []
        self._record = _read_record(root / RECORD)

    def has(self, series: RemoteSeries) -> bool:
        """Whether all of it came, and every file is still there in its size."""
        sizes = self._record.get(f"{series.folder} {series.url}")
        if not sizes or len(sizes) != series.files:
            return False
        return all(_size(self.root / series.folder / name) == size for name, size in sizes.items())

    def fetch(self, wanted: Sequence[RemoteSeries], stage: Stage, report: Report) -> dict[str, str]:
        """Fetch what is missing of these series; every file's size and MD5 are compared with the archive's listing.

        A file gets its name only after that. One that does not match is fetched again, three times in all.

        Parameters
        ----------
        stage, report: what `report` is called with, in megabytes, as files arrive.

        Returns
        -------
        Address of each series that is not whole -> a sentence; the others are.

        Raises
        ------
        DownloadError: the archive cannot be reached (any more).
        OutputError: the disk is full, or will be; the folder cannot be written.
        MissingPackageError: s5cmd is not installed.
        """
        waiting = [series for series in wanted if not self.has(series)]
        if not waiting:
            return {}
        self.check_space(sum(series.size for series in waiting))
        total = max(1, sum(series.size for series in waiting) // MEGABYTE)
        done = 0

        def arrived(size: int) -> None:
            nonlocal done
            done += size
            report(Progress(stage, done=min(done // MEGABYTE, total), total=total))

        failed: dict[str, str] = {}
        try:
            arrived(0)
            with unfinished(self.root / PART):
                shutil.rmtree(self.root / PART, ignore_errors=True)
                (self.root / PART).mkdir(parents=True)
                for chunk in _chunks(waiting):
                    failed |= self._fetch_chunk(chunk, arrived)
        except OSError as error:
            raise self._cannot_write(error.strerror or str(error)) from error
        return failed

    def check_space(self, needed: int) -> None:
        """Look whether so many bytes can be written.

        Raises
        ------
        OutputError: they cannot.
        """
        check_folder(self.root)
        existing = next(path for path in (self.root, *self.root.absolute().parents) if path.exists())
        free = shutil.disk_usage(existing).free
        if free < needed:
            raise OutputError(
                f"{gigabytes(needed)} are to come and only {gigabytes(free)} are free",
                where=self.root,
                mend="choose a folder on a larger disk, or fewer cases with --limit",
            )

    def _fetch_chunk(self, chunk: Sequence[RemoteSeries], arrived: Callable[[int], None]) -> dict[str, str]:
        listed, failed = self._listed(chunk)
        for series in chunk:
            if series.url in listed and (reason := _differs(series, listed[series.url])):
                failed[series.url] = reason
        sound = [series for series in chunk if series.url not in failed]
        targets = {file.url: self.root / series.folder / file.name for series in sound for file in listed[series.url]}
        files = {file.url: file for series in sound for file in listed[series.url]}
        reasons = self._fetch_files(files, targets, arrived)
        for series in sound:
            missing = [file for file in listed[series.url] if file.url in reasons]
            if missing:
                failed[series.url] = _not_whole(series, missing, reasons[missing[0].url])
            else:
                sizes = {file.name: file.size for file in listed[series.url]}
                self._record[f"{series.folder} {series.url}"] = sizes
        write_atomically(self.root / RECORD, json.dumps(self._record, indent=0, sort_keys=True))
        if any(reason != WRONG for reason in reasons.values()):
            self._listed(chunk)
        return failed

    def _listed(self, chunk: Sequence[RemoteSeries]) -> tuple[dict[str, list[RemoteFile]], dict[str, str]]:
        """The archive's own list of the files of each series; a sentence about each that it does not have."""
        found: dict[str, list[RemoteFile]] = {}
        failed: dict[str, str] = {}
        names = {series.url: series.name for series in chunk}
        for attempt in range(TRIES):
            open_urls = [url for url in names if url not in found and url not in failed]
            more, errors = listing(open_urls, self.root / PART)
            found |= more
            answered = {url: error for url, error in errors.items() if any(word in error for word in NOT_THERE)}
            for url in answered:
                failed[url] = f"{names[url]}: the archive has no files at {url}"
            if len(answered) == len(errors):
                return found, failed
            if attempt + 1 < TRIES:
                time.sleep(PAUSE_S)
        url = next(url for url in errors if url not in answered)
        raise DownloadError(
            f"the archive cannot be reached ({_short(errors[url])})",
            where=url,
            mend=f"see to the connection; {GOES_ON}",
        )

    def _fetch_files(
        self, files: dict[str, RemoteFile], targets: dict[str, Path], arrived: Callable[[int], None]
    ) -> dict[str, str]:
        """Fetch those that are missing; address of each that did not come -> why."""
        open_files: dict[str, RemoteFile] = {}
        for url, file in files.items():
            if self._is_file(targets[url], file):
                arrived(file.size)
            else:
                open_files[url] = file
        reasons = dict.fromkeys(open_files, "no answer")
        for attempt in range(TRIES):
            if not reasons:
                break
            if attempt and any(reason != WRONG for reason in reasons.values()):
                time.sleep(PAUSE_S)
            names = {url: f"{number}.part" for number, url in enumerate(reasons)}
            for url, error in copies(names, self.root / PART):
                if error is not None and any(words in error.lower() for words in NO_SPACE):
                    raise self._cannot_write("no space left on the disk")
                part = self.root / PART / names[url]
                if error is None and self._is_file(part, files[url]):
                    targets[url].parent.mkdir(parents=True, exist_ok=True)
                    part.replace(targets[url])
                    del reasons[url]
                    arrived(files[url].size)
                else:
                    part.unlink(missing_ok=True)
                    reasons[url] = WRONG if error is None else _short(error)
        return reasons

    def _is_file(self, path: Path, file: RemoteFile) -> bool:
        if _size(path) != file.size:
            return False
        same = has_etag(path, file.etag)
        if same is None:
            self.size_alone.append(file.url)
        return same is not False

    def _cannot_write(self, reason: str) -> OutputError:
        return OutputError(
            f"the files cannot be written ({reason})", where=self.root, mend=f"make space; then {GOES_ON}"
        )


def gigabytes(size: int) -> str:
    """A size in bytes as a reader wants it: GB, or MB below one."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def has_etag(path: Path, etag: str) -> bool | None:
    """Whether a file has this ETag: the MD5 of its bytes or, with "-n", that of the MD5s of its n parts.

    None: it came to the archive in parts, of a size that is none of `PART_SIZES_MIB`, or its bytes are others.
    """
    digest, _, count = etag.partition("-")
    with path.open("rb") as stream:
        if not count:
            return hashlib.file_digest(stream, _md5).hexdigest() == digest
        size = path.stat().st_size
        for part in (mib << 20 for mib in PART_SIZES_MIB if -(-size // (mib << 20)) == int(count)):
            stream.seek(0)
            parts = b"".join(_md5(stream.read(part)).digest() for _ in range(int(count)))
            if _md5(parts).hexdigest() == digest:
                return True
    return None


def _md5(data: bytes = b"") -> hashlib._Hash:
    return hashlib.md5(data, usedforsecurity=False)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _read_record(path: Path) -> dict[str, dict[str, int]]:
    """What was recorded; nothing where the file is not there or not one of these: then all is compared again."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    sound = isinstance(record, dict) and all(isinstance(sizes, dict) for sizes in record.values())
    return record if sound else {}


def _chunks(series: Sequence[RemoteSeries]) -> Iterator[list[RemoteSeries]]:
    """So many at a time that s5cmd is busy, and the record is kept often enough."""
    chunk: list[RemoteSeries] = []
    for one in series:
        chunk.append(one)
        if sum(each.size for each in chunk) >= CHUNK_BYTES:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _differs(series: RemoteSeries, found: Sequence[RemoteFile]) -> str:
    size = sum(file.size for file in found)
    if (len(found), size) == (series.files, series.size):
        return ""
    return (
        f"{series.name}: the archive has {len(found)} files of {size} bytes at {series.url}, the index says "
        f"{series.files} of {series.size}; install a newer idc-index"
    )


def _not_whole(series: RemoteSeries, missing: Sequence[RemoteFile], reason: str) -> str:
    return (
        f"{series.name}: {len(missing)} of {series.files} files did not come whole in {TRIES} tries, "
        f"{missing[0].url} ({reason}); {GOES_ON}"
    )


def _short(error: str) -> str:
    """Of a message of s5cmd, which may be long, the part that says the reason."""
    text = " ".join(error.split()).rstrip(".")
    status = re.match(r"(\w+):.*(status code: \d+)", text)
    return f"{status[1]}, {status[2]}" if status else text.rpartition(": ")[2] or "no answer"

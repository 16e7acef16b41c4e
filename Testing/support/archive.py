"""A real Orthanc on loopback addresses of this machine, with its DICOMweb plugin."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PLUGINS = Path("/usr/share/orthanc/plugins")
MISSING = (
    "Orthanc is not installed (Debian packages orthanc and orthanc-dicomweb)"
    if shutil.which("Orthanc") is None or not list(PLUGINS.glob("*DicomWeb*"))
    else ""
)
SECONDS_TO_START = 60


@dataclass(frozen=True)
class Archive:
    """An archive that runs; `dicom_port` is that of its storage SCP."""

    address: str
    dicom_port: int

    def get(self, path: str, **headers: str) -> bytes:
        """The body of an answer."""
        with urllib.request.urlopen(urllib.request.Request(self.address + path, headers=headers)) as answer:
            return answer.read()

    def find(self, path: str) -> list[dict[str, Any]]:
        """The answer of a QIDO-RS search."""
        return json.loads(self.get(f"/dicom-web{path}", Accept="application/dicom+json") or b"[]")

    def retrieve(self, study: str, series: str, instance: str) -> bytes:
        """The file of an instance by WADO-RS."""
        path = f"/dicom-web/studies/{study}/series/{series}/instances/{instance}"
        kind = 'multipart/related; type="application/dicom"; transfer-syntax=*'
        (part,) = self.get(path, Accept=kind).split(b"\r\n\r\n", 1)[1:]
        return part.rsplit(b"\r\n--", 1)[0]

    def store(self, data: bytes) -> None:
        """Store a file by the archive's REST interface."""
        with urllib.request.urlopen(urllib.request.Request(f"{self.address}/instances", data=data)) as answer:
            assert json.load(answer)["Status"] in ("Success", "AlreadyStored")


def version() -> str:
    """The version of the installed one."""
    done = subprocess.run(["Orthanc", "--version"], capture_output=True, text=True, check=True)
    return done.stdout.split()[1]


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def running(folder: Path) -> Iterator[Archive]:
    """An empty archive under a folder; it ends with the context."""
    http, dicom = _free_port(), _free_port()
    settings = {
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "HttpPort": http,
        "DicomPort": dicom,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "Plugins": [str(PLUGINS)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(["Orthanc", "orthanc.json"], cwd=folder, stdout=log, stderr=log)
    archive = Archive(f"http://127.0.0.1:{http}", dicom)
    try:
        _wait(archive, process)
        yield archive
    finally:
        process.terminate()
        process.wait(30)


def _wait(archive: Archive, process: subprocess.Popen[bytes]) -> None:
    for _ in range(SECONDS_TO_START * 5):
        assert process.poll() is None, "Orthanc ended"
        try:
            archive.get("/system")
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
        else:
            return
    raise AssertionError("Orthanc does not answer")

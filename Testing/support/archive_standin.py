"""A stand-in for the public archive: an S3 server on this machine, and a small index in the real index's columns."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import NAMESPACE_URL, uuid5
from xml.sax.saxutils import escape

import numpy as np
import pandas as pd
from pydicom import Dataset, dcmread
from pydicom.filebase import DicomBytesIO

from DeepRadScoreLib.cohort.public.nsclc_radiogenomics import CLINICAL_COLUMNS, ENDPOINT_WORDS, LOBES
from support.dicom_mask_makers import SHAPE, ct_files, seg_file

BUCKET = "idc-open-data"
MARKED = {
    "PatientAge": "099Y",
    "PatientSex": "MARKEDSEX",
    "StudyDate": "1902-03-04",
    "SeriesDate": "1902-03-05",
    "StudyDescription": "MARKEDSTUDY^Quirina",
    "SeriesDescription": "MARKEDSERIES Nov-11-1902",
    "Manufacturer": "MARKEDMAKER",
    "BodyPartExamined": "MARKEDPART",
}
ALWAYS = 10**6


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has gone is no news."""


class Archive:
    """Serves `objects` (key -> bytes) of one bucket; what goes wrong is counted down in the other tables.

    Attributes
    ----------
    breaks, wrong, refused: key -> how many more times its body ends half-way, has other bytes, or is not given at all.
    parts: key -> its ETag, of an object that came in parts.
    lost: keys that the listing does not show.
    got: key -> how often its body was asked for; listings: how many there were.
    stalls: a body ends half-way and the server waits until the client has gone, which sets `gone`.
    """

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.breaks: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.parts: dict[str, str] = {}
        self.lost: set[str] = set()
        self.got: Counter[str] = Counter()
        self.listings = 0
        self.stalls = False
        self.gone = threading.Event()
        self.server = _Server(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def etag(self, key: str) -> str:
        return self.parts.get(key) or hashlib.md5(self.objects[key]).hexdigest()

    def listing(self, prefix: str) -> bytes:
        self.listings += 1
        entries = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>2020-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>&quot;{self.etag(key)}&quot;</ETag><Size>{len(data)}</Size></Contents>"
            for key, data in sorted(self.objects.items())
            if key.startswith(prefix) and key not in self.lost
        )
        return (
            '<?xml version="1.0" encoding="UTF-8"?>'
            f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>{BUCKET}</Name>'
            f"<Prefix>{prefix}</Prefix><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
        ).encode()

    def _handler(archive) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_: object) -> None:
                pass

            def do_HEAD(self) -> None:
                self.answer(with_body=False)

            def do_GET(self) -> None:
                self.answer(with_body=True)

            def answer(self, with_body: bool) -> None:
                address = urlsplit(self.path)
                bucket, _, key = unquote(address.path).lstrip("/").partition("/")
                status, headers = 200, {"x-amz-bucket-region": "us-east-1", "Content-Type": "application/xml"}
                if bucket == BUCKET and not key:
                    body = archive.listing(parse_qs(address.query).get("prefix", [""])[0]) if with_body else b""
                elif bucket == BUCKET and key in archive.objects:
                    status, body = 200, archive.objects[key]
                    headers = {"ETag": f'"{archive.etag(key)}"', "Last-Modified": "Wed, 01 Jan 2020 00:00:00 GMT"}
                else:
                    status, body = 404, b"<Error><Code>NoSuchKey</Code></Error>"
                whole = len(body)
                if with_body and status == 200 and key:
                    archive.got[key] += 1
                    body, status = self.damaged(key, body), 403 if self.due(archive.refused, key) else 200
                wanted = self.headers.get("Range", "")
                if status == 200 and key and wanted:
                    first, last = (int(number) for number in wanted.removeprefix("bytes=").split("-"))
                    last = min(last, whole - 1)
                    status, headers["Content-Range"] = 206, f"bytes {first}-{last}/{whole}"
                    body = body[first : last + 1]
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if with_body:
                    self.send(key, body)

            def send(self, key: str, body: bytes) -> None:
                broken = bool(key) and self.due(archive.breaks, key)
                stalls = bool(key) and archive.stalls
                try:
                    self.wfile.write(body[: len(body) // 2] if broken or stalls else body)
                    self.wfile.flush()
                    if stalls:
                        self.connection.recv(1)
                        archive.gone.set()
                except OSError:
                    archive.gone.set()
                if broken or stalls:
                    self.close_connection = True
                    self.connection.close()

            def damaged(self, key: str, body: bytes) -> bytes:
                return bytes(len(body)) if self.due(archive.wrong, key) else body

            @staticmethod
            def due(faults: Counter[str], key: str) -> bool:
                faults[key] -= 1
                return faults[key] >= 0

        return Handler


class Collection:
    """A few patients of NSCLC Radiogenomics as the archive would hold them, made up.

    Attributes
    ----------
    index, clinical: files; the index has the columns of the real one, and marked values where a person could stand.
    keys: (patient, "ct" or "seg") -> the keys of its files in the archive; a patient's several CTs are "ct0", "ct1" ...
    uids: the same -> SeriesInstanceUID.
    """

    def __init__(self, folder: Path, archive: Archive, columns: list[str]) -> None:
        self.archive, self.folder, self.columns = archive, folder, columns
        self.rows: list[dict[str, object]] = []
        self.keys: dict[tuple[str, str], list[str]] = {}
        self.uids: dict[tuple[str, str], str] = {}
        self.index, self.clinical = folder / "index.parquet", folder / "clinical.csv"

    def patient(
        self, name: str, ct_series: int = 1, drawn_on: int = 0, seg: bool = True, derived: bool = False
    ) -> None:
        """A patient with so many CTs in one study and a SEG of one of them; `derived`: also one from an analysis."""
        study = ""
        for number in range(ct_series):
            made = ct_files(self.folder / name / str(number), patient=name)
            study = study or str(made[0].StudyInstanceUID)
            for ds in made:
                ds.StudyInstanceUID = study
            self._add(name, "ct" if ct_series == 1 else f"ct{number}", "CT", made)
            if number == drawn_on and seg:
                self._add(name, "seg", "SEG", [self._seg(name, made)])
            if number == drawn_on and derived:
                self._add(name, "derived", "SEG", [self._seg(name, made)], analysis="bamf_aimi_annotations")

    def _seg(self, name: str, sources: list[Dataset]) -> Dataset:
        pixels = np.zeros(SHAPE, bool)
        pixels[2:6, 8:14, 8:16] = True
        return dcmread(seg_file(self.folder / name / "seg.dcm", sources, pixels))

    def _add(self, name: str, kind: str, modality: str, made: list[Dataset], analysis: str | None = None) -> None:
        uid, folder = str(made[0].SeriesInstanceUID), str(uuid5(NAMESPACE_URL, f"{name} {kind}"))
        self.keys[name, kind], self.uids[name, kind] = [], uid
        size = 0
        for number, ds in enumerate(made):
            stream = DicomBytesIO()
            ds.save_as(stream, enforce_file_format=True)
            key = f"{folder}/{uuid5(NAMESPACE_URL, f'{name} {kind} {number}')}.dcm"
            self.archive.objects[key] = stream.getvalue()
            self.keys[name, kind].append(key)
            size += len(stream.getvalue())
        self.rows.append(
            {
                **dict.fromkeys(self.columns),
                **{column: value for column, value in MARKED.items() if column in self.columns},
                "collection_id": "nsclc_radiogenomics",
                "analysis_result_id": analysis,
                "PatientID": name,
                "StudyInstanceUID": str(made[0].StudyInstanceUID),
                "SeriesInstanceUID": uid,
                "Modality": modality,
                "instanceCount": len(made),
                "series_size_MB": size / 1e6,
                "series_aws_url": f"s3://{BUCKET}/{folder}/*",
                "aws_bucket": BUCKET,
                "license_short_name": "CC BY 3.0",
                "source_DOI": "10.7937/k9/tcia.2017.7hs46erv",
            }
        )

    def write(self, labelled: list[str]) -> None:
        """The index of all patients beside a series of another collection; the clinical table of those named."""
        other = {**self.rows[0], "collection_id": "another", "SeriesInstanceUID": "1.2.3"}
        pd.DataFrame([*self.rows, other], columns=self.columns).to_parquet(self.index)
        words = {column: "Unknown" for column, _ in ENDPOINT_WORDS.values()} | {"EGFR mutation status": "Mutant"}
        words["Pathological T stage"] = "T4"
        cells = words | dict.fromkeys(set(CLINICAL_COLUMNS) - set(words), "") | dict.fromkeys(LOBES, "Unchecked")
        words |= {"Lymphovascular invasion": "Absent", "Pleural invasion (elastic, visceral, or parietal)": "No"}
        pd.DataFrame([{"Case ID": name, **cells, **words} for name in labelled]).to_csv(self.clinical, index=False)

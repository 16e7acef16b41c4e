"""Bundles: the archive itself, and parts whose hashes were made anew."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from DeepRadScoreLib.bundles.bundle import MANIFEST, read_bundle
from fuzzing.contract import Target
from fuzzing.feature_tables import packed
from fuzzing.strategies import edited_json, mutated
from support.small_bundle import files_of, rehashed, small_bundle, small_densenet

SCHEMA = "schema.json"


@cache
def parts() -> dict[str, bytes]:
    """Those of a made-up bundle; a small part first."""
    with small_densenet(), TemporaryDirectory() as folder:
        path = Path(folder) / "model.zip"
        small_bundle().save(path)
        found = files_of(path)
    return dict(sorted(found.items(), key=lambda item: len(item[1])))


def _with_part(name: str, data: bytes) -> bytes:
    return packed(rehashed(parts() | {name: data}))


def _read_archive(data: bytes, folder: Path) -> None:
    path = folder / "model.zip"
    path.write_bytes(data)
    with small_densenet():
        bundle = read_bundle(path)
    repr(bundle)
    bundle.manifest.facts()
    bundle.manifest.endpoint_rows()


def _read_part(data: bytes, folder: Path) -> None:
    """The first byte chooses the part that the others replace."""
    names = list(parts())
    if data:
        _read_archive(_with_part(names[data[0] % len(names)], data[1:]), folder)


def _read_skops(data: bytes, folder: Path) -> None:
    """The first byte chooses a classifier whose schema the others replace."""
    names = [name for name in parts() if name.endswith(".skops")]
    if data:
        name = names[data[0] % len(names)]
        _read_archive(_with_part(name, _with_schema(parts()[name], data[1:])), folder)


def _with_schema(archive: bytes, schema: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        inner = {name: opened.read(name) for name in opened.namelist()}
    return packed(inner | {SCHEMA: schema})


def _schema(archive: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return opened.read(SCHEMA)


def _numbered(values: dict[str, bytes]) -> list[bytes]:
    return [bytes([number]) + data for number, data in enumerate(values.values())]


def _schemas() -> dict[str, bytes]:
    return {name: _schema(data) for name, data in parts().items() if name.endswith(".skops")}


@st.composite
def edited_parts(draw: DrawFn) -> bytes:
    """One part with a few values of its JSON, of a header of arrays, or a few bytes changed."""
    names = list(parts())
    name = draw(st.sampled_from(names))
    data = parts()[name]
    if name.endswith(".json"):
        data = draw(edited_json([data]))
    elif name.endswith(".safetensors"):
        data = draw(_edited_arrays(data))
    else:
        data = draw(mutated([data]))
    return bytes([names.index(name)]) + data


@st.composite
def _edited_arrays(draw: DrawFn, data: bytes) -> bytes:
    (length,) = struct.unpack("<Q", data[:8])
    header = draw(edited_json([data[8 : 8 + length]]))
    return struct.pack("<Q", len(header)) + header + data[8 + length :]


@st.composite
def edited_schemas(draw: DrawFn) -> bytes:
    """The schema of one classifier with a few values changed."""
    schemas = list(_schemas().values())
    number = draw(st.integers(0, len(schemas) - 1))
    return bytes([number]) + draw(edited_json([schemas[number]]))


def _manifest_only() -> list[bytes]:
    small = {MANIFEST: json.dumps({"schema": "deepradscore.bundle/2"}).encode()}
    return [packed(small), packed(rehashed(parts()))]


TARGETS = (
    Target("bundle", _read_archive, _manifest_only, lambda: mutated(_manifest_only())),
    Target("bundle-parts", _read_part, lambda: _numbered(parts()), edited_parts),
    Target("bundle-classifiers", _read_skops, lambda: _numbered(_schemas()), edited_schemas),
)

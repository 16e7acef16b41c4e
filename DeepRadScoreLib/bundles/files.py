"""The file of a bundle: its parts by name, read behind their hashes and signature; written; signed."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from DeepRadScoreLib.archive import DAMAGED, MEND, checked_parts, read_part
from DeepRadScoreLib.bundles.fit import SCORES
from DeepRadScoreLib.bundles.manifest import Manifest
from DeepRadScoreLib.bundles.signatures import NAME as SIGNATURE
from DeepRadScoreLib.bundles.signatures import Signature, TrustedKeys, read_private_key, signed
from DeepRadScoreLib.bundles.stored_manifest import NAME as MANIFEST
from DeepRadScoreLib.bundles.stored_manifest import parse_manifest, parts_of
from DeepRadScoreLib.errors import BundleError, OutputError
from DeepRadScoreLib.likeness import storage
from DeepRadScoreLib.paths import AnyPath, as_path
from DeepRadScoreLib.progress import run_to_end
from DeepRadScoreLib.writing import check_space, replacing

MAX_PARTS = 2000
FIRST_ZIP_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class _Stored:
    """All parts of a zip archive and their SHA-256, by name."""

    data: dict[str, bytes] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BundleFiles:
    """The parts of a bundle, each of which has its hash.

    Attributes
    ----------
    parts: those besides manifest and signature, by name.
    sha256: that of the manifest.
    signature: None where the bundle is not signed.
    """

    manifest: Manifest
    parts: dict[str, bytes]
    sha256: str
    signature: Signature | None


def read_files(path: AnyPath, trusted: AnyPath | None = None) -> BundleFiles:
    """The parts of a bundle; see `file_steps`."""
    return run_to_end(file_steps(path, trusted))


def file_steps(path: AnyPath, trusted: AnyPath | None = None) -> Generator[str, None, BundleFiles]:
    """The parts of a bundle, each read and hashed in a step.

    Parameters
    ----------
    trusted: a public key, or a folder of them, by one of which the bundle has to be signed; see `TrustedKeys.read`.

    Raises
    ------
    BundleError: no such file, not a bundle, another schema version, a missing or changed part (named), or a signature
        that is missing, of another bundle, or by none of the trusted keys.
    InputError: `trusted` holds no keys.
    MissingPackageError: the package that verifies is not installed.
    """
    path = as_path(path, "the bundle")
    keys = None if trusted is None else TrustedKeys.read(as_path(trusted, "the trusted keys"))
    stored = yield from _part_steps(path)
    with about(path):
        written, signature = stored.data[MANIFEST], None
        if SIGNATURE in stored.data:
            signature = Signature.parse(stored.data[SIGNATURE], written)
        if keys is not None:
            keys.verify(signature, written)
        manifest, parts = _checked(stored)
    return BundleFiles(manifest, parts, stored.hashes[MANIFEST], signature)


def _part_steps(path: Path) -> Generator[str, None, _Stored]:
    """All parts, each read and hashed in a step; the manifest is among them."""
    if not path.is_file():
        what = "this is a folder" if path.is_dir() else "the file does not exist"
        raise BundleError(what, where=path, mend='give the path of a bundle made by "deepradscore train"')
    stored = _Stored()
    try:
        with zipfile.ZipFile(path) as archive, about(path):
            parts = {part.filename: part for part in checked_parts(archive, path.stat().st_size, MAX_PARTS)}
            names = [MANIFEST, *(name for name in parts if name != MANIFEST)]
            for number, name in enumerate(names, start=1):
                yield f"reading and checking the model, part {number} of {len(names)}"
                stored.data[name] = read_part(archive, parts[name])
                stored.hashes[name] = hashlib.sha256(stored.data[name]).hexdigest()
    except DAMAGED as error:
        if isinstance(error, BundleError):
            raise
        reason = f" ({error})" if isinstance(error, zipfile.BadZipFile) else ""
        raise BundleError(
            f"this is not a whole bundle{reason}", where=path, mend="copy the bundle again from its source"
        ) from error
    return stored


def _checked(stored: _Stored) -> tuple[Manifest, dict[str, bytes]]:
    """The manifest, and the parts that it names, which are as it says and no more."""
    manifest = parse_manifest(stored.data[MANIFEST])
    parts = {name: data for name, data in stored.data.items() if name not in (MANIFEST, SIGNATURE)}
    limits = () if manifest.limits is None else (storage.TEXT, storage.ARRAYS)
    needed = {SCORES, *parts_of(manifest), *limits}
    for name in sorted(set(manifest.files) | set(parts) | needed):
        if name not in parts or stored.hashes[name] != manifest.files.get(name):
            raise BundleError(f'its part "{name[:200]}" is not what was written', mend="copy the bundle again")
        if name not in needed:
            raise BundleError(f'its part "{name}" belongs to no bundle of this kind', mend=MEND)
    return manifest, parts


@contextmanager
def about(path: Path, part: str = "") -> Iterator[None]:
    """An error about content names the bundle and the part in which it stands."""
    try:
        yield
    except BundleError as error:
        raise error.within(path, part) from error.__cause__


def write_files(path: Path, parts: Mapping[str, bytes]) -> None:
    """Write the parts of a bundle, whole or not at all; the same parts in the same order give the same bytes.

    Raises
    ------
    OutputError: the file cannot be written.
    """
    check_space(path, sum(map(len, parts.values())))
    try:
        with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            for name, data in parts.items():
                archive.writestr(zipfile.ZipInfo(name, FIRST_ZIP_DATE), data)
    except OSError as error:
        raise OutputError(
            f"the bundle cannot be written ({error.strerror})", where=path, mend="choose a place you may write to"
        ) from error


def sign_bundle(path: AnyPath, key: AnyPath, password: Callable[[], str]) -> Signature:
    """Sign a bundle, once its parts were compared with their hashes; an earlier signature is replaced.

    Parameters
    ----------
    key: a private Ed25519 key, PEM.
    password: asked for the key's password where it has one.

    Raises
    ------
    BundleError: see `file_steps`.
    InputError, MissingPackageError: see `read_private_key`.
    OutputError: the file cannot be written.
    """
    path = as_path(path, "the bundle")
    private = read_private_key(as_path(key, "the key"), password)
    stored = run_to_end(_part_steps(path))
    with about(path):
        _, parts = _checked(stored)
    written = stored.data[MANIFEST]
    signature = signed(written, private)
    write_files(path, {MANIFEST: written, SIGNATURE: signature, **parts})
    return Signature.parse(signature, written)

"""Keyed hashes that replace names and UIDs: always the same for one key, and not reversible without it."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from DeepRadScoreLib.errors import OutputError

if TYPE_CHECKING:
    from pydicom.uid import UID

KEY_BYTES = 32


def key_file() -> Path:
    """Path of the key: $DEEPRADSCORE_KEY, or `.deepradscore/pseudonym.key` in the user's home.

    Needs no package, so that Slicer names a case alike before and after packages are installed.
    """
    return Path(os.environ.get("DEEPRADSCORE_KEY") or Path("~/.deepradscore/pseudonym.key").expanduser())


def pseudonym_key() -> bytes:
    """The key of this user on this machine, made at the first call.

    Raises
    ------
    OutputError: it can be neither read nor made, or is too short to be one.
    """
    path = key_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                stream.write(secrets.token_bytes(KEY_BYTES))
        except FileExistsError:
            pass
        key = path.read_bytes()
    except OSError as error:
        raise OutputError(
            f"the key of the pseudonyms cannot be read or made ({error.strerror})",
            where=path,
            mend="set DEEPRADSCORE_KEY to a file in a folder that you may write to",
        ) from error
    if len(key) < KEY_BYTES:
        raise OutputError(
            f"the key of the pseudonyms has {len(key)} bytes, not {KEY_BYTES}",
            where=path,
            mend="remove the file, so that a new key is made (pseudonyms then change)",
        )
    return key


class Pseudonyms:
    """Pseudonyms by keyed hash (HMAC-SHA-256): equal values get equal pseudonyms."""

    def __init__(self, key: bytes) -> None:
        self.key = key

    def uid(self, original: str) -> UID:
        """The UID that replaces another."""
        from pydicom.uid import generate_uid

        return generate_uid(entropy_srcs=[self._hash("uid", original)])

    def patient(self, original: str) -> str:
        """Pseudonym of a patient, which replaces ID and name: "ANON-" and sixteen characters."""
        return f"ANON-{self._hash('patient', original)[:16].upper()}"

    def case(self, original: str) -> str:
        """Pseudonym of a CT, which replaces an identifier such as its SeriesInstanceUID: "case-" and twelve digits."""
        return f"case-{self._hash('case', original)[:12]}"

    def _hash(self, kind: str, value: str) -> str:
        return hmac.new(self.key, f"{kind}\0{value}".encode(), hashlib.sha256).hexdigest()

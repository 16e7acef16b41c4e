"""Results of finished units on disk: unpickled only if a hash with the folder's own key says that they are ours."""

from __future__ import annotations

import hmac
import io
import secrets
from pathlib import Path
from typing import Any

from DeepRadScoreLib.writing import locked, replacing

KEY_FILE = ".key"
KEY_BYTES = DIGEST_BYTES = 32


def folder_key(folder: Path) -> bytes:
    """The secret key of a folder, made at the first call and readable by its user alone.

    Raises
    ------
    OSError: it cannot be read or written.
    """
    path = folder / KEY_FILE
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / f"{KEY_FILE}.lock"):
        if not path.is_file() or path.stat().st_size != KEY_BYTES:
            with replacing(path) as temporary:
                temporary.touch(mode=0o600)
                temporary.write_bytes(secrets.token_bytes(KEY_BYTES))
        return path.read_bytes()


def store_result(path: Path, result: Any, key: bytes) -> None:
    """Write a result behind its keyed hash, whole or not at all."""
    import joblib

    stream = io.BytesIO()
    joblib.dump(result, stream)
    content = stream.getvalue()
    with replacing(path) as temporary:
        temporary.write_bytes(hmac.digest(key, content, "sha256") + content)


def load_result(path: Path, key: bytes) -> Any:
    """A result as it was stored.

    Raises
    ------
    FileNotFoundError: there is none.
    ValueError: it is damaged, or was not stored with this key.
    """
    import joblib

    stored = path.read_bytes()
    digest, content = stored[:DIGEST_BYTES], stored[DIGEST_BYTES:]
    if not hmac.compare_digest(digest, hmac.digest(key, content, "sha256")):
        raise ValueError(f"{path.name} is damaged")
    return joblib.load(io.BytesIO(content))

"""Ed25519 signatures of bundles (RFC 8032): who made a bundle, where its hashes tell only whether it is whole.

A signature is of the bytes of `manifest.json`, which holds the hashes of all other parts, and stands in the part
`signature.json`. Keys are PEM files, as `openssl genpkey -algorithm ed25519` makes them.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from DeepRadScoreLib.errors import BundleError, InputError
from DeepRadScoreLib.extras import require
from DeepRadScoreLib.json_text import parse_json, validated

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

NAME = "signature.json"
SCHEMA: Literal["deepradscore.signature/1"] = "deepradscore.signature/1"
MAX_KEY_BYTES = 2**16
KEY_ENDINGS = (".pem", ".pub")
FROM_ITS_MAKER = "get the bundle again from its maker"
MAKE_KEY = "make one with: openssl genpkey -algorithm ed25519 -out key.pem"
MAKE_PUBLIC = "make it of the private key with: openssl pkey -in key.pem -pubout -out public.pem"

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Signature(BaseModel):
    """The content of `signature.json`.

    Attributes
    ----------
    key: SHA-256 of the public key (DER, SubjectPublicKeyInfo), see `fingerprint`.
    manifest: SHA-256 of the signed `manifest.json`.
    signature: of the bytes of `manifest.json`, base64.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal["deepradscore.signature/1"] = Field(alias="schema")
    key: Digest
    manifest: Digest
    signature: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{86}==$")]

    @classmethod
    def parse(cls, data: bytes, manifest: bytes) -> Self:
        """The signature in `signature.json`, which has to be of this `manifest.json`; it is not verified.

        Raises
        ------
        BundleError: it is no signature, or that of another manifest.
        """
        parse_json(data, NAME)
        found: Self = validated(TypeAdapter(cls), data, NAME)
        if found.manifest != hashlib.sha256(manifest).hexdigest():
            raise BundleError(
                "it is the signature of another bundle, or the bundle was changed after it",
                where=NAME,
                mend=FROM_ITS_MAKER,
            )
        return found

    @property
    def short_key(self) -> str:
        """The beginning of the key's fingerprint, for people."""
        return self.key[:16]


@dataclass(frozen=True)
class TrustedKeys:
    """Public keys of those whose bundles are trusted: fingerprint -> key."""

    keys: dict[str, Ed25519PublicKey]

    @classmethod
    def read(cls, path: Path) -> Self:
        """The public key in a file, or those of all files in a folder that end in .pem or .pub.

        Raises
        ------
        InputError: there is no such file, no key in the folder, or a file that holds no public Ed25519 key.
        MissingPackageError: the package `cryptography` is not installed.
        """
        require("signing", "checking a signature")
        files = sorted(one for one in path.iterdir() if one.suffix in KEY_ENDINGS) if path.is_dir() else [path]
        if not files:
            raise InputError("no file in this folder ends in .pem or .pub", where=path, mend="put public keys into it")
        return cls({fingerprint(key): key for key in map(_public_key, files)})

    def verify(self, signature: Signature | None, manifest: bytes) -> None:
        """Check that one of these keys signed this `manifest.json`.

        Raises
        ------
        BundleError: there is no signature, it is by another key, or it is not that of the manifest.
        """
        from cryptography.exceptions import InvalidSignature

        if signature is None:
            raise BundleError("the bundle is not signed", mend="get a signed one, or sign it with: deepradscore sign")
        key = self.keys.get(signature.key)
        if key is None:
            what = f"it is signed with the key {signature.short_key}, which is none of the trusted ones"
            raise BundleError(what, where=NAME, mend=f"{FROM_ITS_MAKER}, or add the key if you trust it")
        try:
            key.verify(base64.b64decode(signature.signature), manifest)
        except InvalidSignature as error:
            what = f"the key {signature.short_key} did not make this signature of this bundle"
            raise BundleError(what, where=NAME, mend=FROM_ITS_MAKER) from error


def signed(manifest: bytes, key: Ed25519PrivateKey) -> bytes:
    """The content of `signature.json` for the bytes of a `manifest.json`."""
    made = Signature(
        schema=SCHEMA,
        key=fingerprint(key.public_key()),
        manifest=hashlib.sha256(manifest).hexdigest(),
        signature=base64.b64encode(key.sign(manifest)).decode(),
    )
    return made.model_dump_json(by_alias=True, indent=1).encode()


def fingerprint(key: Ed25519PublicKey) -> str:
    """SHA-256 of a public key: `openssl pkey -pubin -in public.pem -outform DER | sha256sum`."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def read_private_key(path: Path, password: Callable[[], str]) -> Ed25519PrivateKey:
    """The private key in a PEM file; `password` is asked for its password where it has one.

    Raises
    ------
    InputError: the file holds no private Ed25519 key, or the password is another.
    MissingPackageError: the package `cryptography` is not installed.
    """
    require("signing", "signing a bundle")
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    data = _pem(path)
    if b"PUBLIC KEY-----" in data:
        raise InputError(
            "this is a public key, a private one signs", where=path, mend="give the file of the private key"
        )
    try:
        try:
            key = load_pem_private_key(data, None)
        except TypeError:
            key = load_pem_private_key(data, password().encode())
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        what = "this is no private key in PEM form that can be read, or its password is another"
        raise InputError(what, where=path, mend=MAKE_KEY) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(f"this is {_kind(key)}, an Ed25519 key is needed", where=path, mend=MAKE_KEY)
    return key


def _public_key(path: Path) -> Ed25519PublicKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    data = _pem(path)
    if b"PRIVATE KEY-----" in data:
        raise InputError("this is a private key, which only signs", where=path, mend=MAKE_PUBLIC)
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InputError("this is no public key in PEM form", where=path, mend=MAKE_PUBLIC) from error
    if not isinstance(key, Ed25519PublicKey):
        raise InputError(f"this is {_kind(key)}, an Ed25519 key is needed", where=path, mend=MAKE_KEY)
    return key


def _pem(path: Path) -> bytes:
    if not path.is_file():
        raise InputError("there is no such file", where=path, mend="give the file of a key in PEM form")
    with path.open("rb") as stream:
        return stream.read(MAX_KEY_BYTES)


def _kind(key: Any) -> str:
    """What a key is, from the name of its class."""
    name = type(key).__name__.lstrip("_")
    return f"a key of another kind ({name.removesuffix('PrivateKey').removesuffix('PublicKey')})"

"""Signed bundles, judged by openssl: who signed is told, and whatever was changed afterwards is refused."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

pytest.importorskip("cryptography")

from DeepRadScoreLib.bundles.bundle import MANIFEST, read_bundle
from DeepRadScoreLib.bundles.files import read_files, sign_bundle
from DeepRadScoreLib.bundles.signatures import NAME as SIGNATURE
from DeepRadScoreLib.cli import main as cli
from DeepRadScoreLib.errors import BundleError, InputError
from support.small_bundle import Edit, Files, files_of, in_json, rehashed, small_bundle, small_densenet, write_files


def openssl(*arguments: object) -> bytes:
    return subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True).stdout


def never_asked() -> str:
    raise AssertionError("this key has no password")


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> Path:
    """A folder of keys made by openssl; `trusted` in it holds two public ones."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("mine", "other"):
        openssl("genpkey", "-algorithm", "ed25519", "-out", folder / f"{name}.pem")
    openssl("genpkey", "-algorithm", "ed25519", "-aes256", "-pass", "pass:secret", "-out", folder / "locked.pem")
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", folder / "ec.pem")
    openssl("genpkey", "-algorithm", "x25519", "-out", folder / "x25519.pem")
    for name in ("mine", "other", "ec", "x25519"):
        openssl("pkey", "-in", folder / f"{name}.pem", "-pubout", "-out", folder / f"{name}.pub")
    (folder / "text.pem").write_text("no key")
    (folder / "empty").mkdir()
    (folder / "trusted").mkdir()
    (folder / "trusted" / "notes.txt").write_text("two of us")
    for name in ("mine", "other"):
        (folder / "trusted" / f"{name}.pem").write_bytes((folder / f"{name}.pub").read_bytes())
    return folder


@pytest.fixture(scope="module")
def unsigned(tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle") / "model.zip"
    with small_densenet():
        small_bundle().save(path)
        yield path


@pytest.fixture
def bundle(unsigned, keys, tmp_path) -> Path:
    """A bundle signed with the key "mine"."""
    path = tmp_path / "model.zip"
    path.write_bytes(unsigned.read_bytes())
    sign_bundle(path, keys / "mine.pem", never_asked)
    return path


def test_openssl_verifies_the_signature_and_names_the_same_key(bundle, unsigned, keys, tmp_path):
    files = files_of(bundle)
    signature = json.loads(files[SIGNATURE])
    (tmp_path / "manifest").write_bytes(files[MANIFEST])
    (tmp_path / "signature").write_bytes(base64.b64decode(signature["signature"]))
    verify = (
        "pkeyutl",
        "-verify",
        "-pubin",
        "-rawin",
        "-in",
        tmp_path / "manifest",
        "-sigfile",
        tmp_path / "signature",
    )
    assert b"Verified Successfully" in openssl(*verify, "-inkey", keys / "mine.pub")
    with pytest.raises(subprocess.CalledProcessError):
        openssl(*verify, "-inkey", keys / "other.pub")
    (tmp_path / "key").write_bytes(openssl("pkey", "-pubin", "-in", keys / "mine.pub", "-outform", "DER"))
    assert openssl("dgst", "-sha256", "-r", tmp_path / "key").split()[0].decode() == signature["key"]
    del files[SIGNATURE]
    assert files == files_of(unsigned)


def test_what_openssl_signed_is_verified(unsigned, keys, tmp_path):
    files = files_of(unsigned)
    (tmp_path / "manifest").write_bytes(files[MANIFEST])
    der = openssl("pkey", "-in", keys / "mine.pem", "-pubout", "-outform", "DER")
    (tmp_path / "key").write_bytes(der)
    made = openssl("pkeyutl", "-sign", "-inkey", keys / "mine.pem", "-rawin", "-in", tmp_path / "manifest")
    files[SIGNATURE] = json.dumps(
        {
            "schema": "deepradscore.signature/1",
            "key": openssl("dgst", "-sha256", "-r", tmp_path / "key").split()[0].decode(),
            "manifest": openssl("dgst", "-sha256", "-r", tmp_path / "manifest").split()[0].decode(),
            "signature": base64.b64encode(made).decode(),
        }
    ).encode()
    path = write_files(files, tmp_path / "model.zip", hashes=False)
    assert read_files(path, keys / "mine.pub").signature is not None


def test_a_signed_bundle_is_read_with_and_without_keys_and_is_the_same_model(bundle, unsigned, keys):
    digest = read_bundle(unsigned).sha256
    for trusted in (None, keys / "mine.pub", keys / "trusted", str(keys / "trusted")):
        assert read_bundle(bundle, trusted).sha256 == digest


def test_a_second_signature_replaces_the_first_and_the_same_key_gives_the_same_bytes(bundle, keys):
    first = bundle.read_bytes()
    sign_bundle(bundle, keys / "other.pem", never_asked)
    assert read_files(bundle, keys / "other.pub").signature is not None
    sign_bundle(bundle, keys / "mine.pem", never_asked)
    assert bundle.read_bytes() == first


def test_the_password_of_a_key_is_asked_for(bundle, keys):
    sign_bundle(bundle, keys / "locked.pem", lambda: "secret")
    before = bundle.read_bytes()
    with pytest.raises(InputError, match=r"locked\.pem: .* or its password is another; make one with: openssl"):
        sign_bundle(bundle, keys / "locked.pem", lambda: "wrong")
    assert bundle.read_bytes() == before


def other_bit(text: str) -> str:
    data = bytearray(base64.b64decode(text))
    data[0] ^= 1
    return base64.b64encode(bytes(data)).decode()


def with_its_digest(edit: Edit) -> Edit:
    """The edit of a manifest, whose hash is then put into the signature."""

    def edited(files: Files) -> None:
        edit(files)
        in_json(SIGNATURE, "manifest", value=hashlib.sha256(files[MANIFEST]).hexdigest())(files)

    return edited


def with_hashes_anew(edit: Edit) -> Edit:
    """The edit of a part, whose hash is then put into the manifest."""

    def edited(files: Files) -> None:
        edit(files)
        signature = files.pop(SIGNATURE)
        files.update({**rehashed(files), SIGNATURE: signature})

    return edited


def unsign(files: Files) -> None:
    del files[SIGNATURE]


def in_binary(files: Files) -> None:
    files[SIGNATURE] = b"\x00"


RENAMED = in_json(MANIFEST, "name", value="better")
OF_ANOTHER = "signature.json: it is the signature of another bundle, or the bundle was changed after it; get the bundle"
NOT_MADE = "did not make this signature of this bundle; get the bundle again from its maker."
UNKNOWN = (
    "signature.json: it is signed with the key 0000000000000000, which is none of the trusted ones; get the bundle"
)
EDITED = {
    "a score, hashes made anew": (with_hashes_anew(in_json("radscores.json", "EGFR", "averaged", value=0)), OF_ANOTHER),
    "the manifest": (RENAMED, OF_ANOTHER),
    "the manifest, its hash made anew": (with_its_digest(RENAMED), NOT_MADE),
    "a bit of the signature": (in_json(SIGNATURE, "signature", change=other_bit), NOT_MADE),
    "an unknown key": (in_json(SIGNATURE, "key", value="0" * 64), UNKNOWN),
    "no signature": (unsign, "the bundle is not signed; get a signed one, or sign it with: deepradscore sign."),
    "a field more": (in_json(SIGNATURE, "more", value=1), 'signature.json, "more": '),
    "a short signature": (in_json(SIGNATURE, "signature", value="AA=="), 'signature.json, "signature": '),
    "no JSON": (in_binary, "signature.json: it is not valid JSON"),
}


def refused(path: Path, trusted: Path | None, words: str) -> None:
    with pytest.raises(BundleError) as caught:
        read_bundle(path, trusted)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}") and words in sentence and "\n" not in sentence, sentence


@pytest.mark.parametrize("name", EDITED)
def test_what_was_edited_after_its_signature_is_refused_in_one_sentence(bundle, keys, tmp_path, name):
    edit, words = EDITED[name]
    files = files_of(bundle)
    edit(files)
    path = write_files(files, tmp_path / "edited.zip", hashes=False)
    refused(path, keys / "trusted", words)
    if words == OF_ANOTHER:
        refused(path, None, words)


def test_the_signature_of_one_trusted_key_is_not_that_of_another(bundle, keys, tmp_path):
    files = files_of(bundle)
    sign_bundle(bundle, keys / "other.pem", never_asked)
    in_json(SIGNATURE, "key", value=json.loads(files_of(bundle)[SIGNATURE])["key"])(files)
    refused(write_files(files, tmp_path / "edited.zip", hashes=False), keys / "trusted", NOT_MADE)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("mine.pub", "this is a public key, a private one signs; give the file of the private key."),
        ("ec.pem", "this is a key of another kind (EC), an Ed25519 key is needed; make one with: openssl"),
        ("x25519.pem", "this is a key of another kind (X25519), an Ed25519 key is needed; make one"),
        ("text.pem", "this is no private key in PEM form that can be read"),
        ("none.pem", "there is no such file; give the file of a key in PEM form."),
        ("empty", "there is no such file; give the file of a key in PEM form."),
    ],
)
def test_a_key_that_cannot_sign_is_refused_in_one_sentence(bundle, keys, key, words):
    before = bundle.read_bytes()
    with pytest.raises(InputError) as caught:
        sign_bundle(bundle, keys / key, never_asked)
    assert str(caught.value).startswith(f"{keys / key}: {words}")
    assert bundle.read_bytes() == before


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("mine.pem", "this is a private key, which only signs; make it of the private key with: openssl pkey"),
        ("ec.pub", "this is a key of another kind (EC), an Ed25519 key is needed"),
        ("x25519.pub", "this is a key of another kind (X25519), an Ed25519 key is needed"),
        ("text.pem", "this is no public key in PEM form"),
        ("none.pem", "there is no such file"),
        ("empty", "no file in this folder ends in .pem or .pub; put public keys into it."),
    ],
)
def test_keys_that_cannot_be_trusted_are_refused_in_one_sentence(bundle, keys, key, words):
    with pytest.raises(InputError) as caught:
        read_files(bundle, keys / key)
    assert str(caught.value).startswith(f"{keys / key}: {words}")


def command_output(*arguments: object) -> tuple[int, str]:
    """Exit code and all that the command prints."""
    said = StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said), redirect_stderr(said):
        patch.setattr(sys, "argv", ["deepradscore", *map(str, arguments)])
        patch.setattr(cli, "end_by_signals", lambda: None)
        try:
            cli.main()
        except SystemExit as end:
            return int(end.code or 0), said.getvalue()
    return 0, said.getvalue()


def test_the_commands_sign_and_tell(unsigned, keys, tmp_path):
    path = tmp_path / "model.zip"
    path.write_bytes(unsigned.read_bytes())
    code, said = command_output("inspect", path)
    assert code == 0 and said.endswith(
        "signature      none. The hashes show damage, not origin: whoever changes a bundle can make them anew.\n"
    )
    assert command_output("inspect", path, "--trusted", keys / "mine.pub")[0] == 2
    code, said = command_output("sign", path, "--key", keys / "mine.pem")
    key = json.loads(files_of(path)[SIGNATURE])["key"][:16]
    assert (code, said) == (0, f"signed by the key {key}: {path}\n")
    assert f"said to be by the key {key}, not checked: give --trusted KEYS. " in command_output("inspect", path)[1]
    code, said = command_output("inspect", path, "--trusted", keys / "trusted")
    assert code == 0 and f"signature      by the trusted key {key}: the bundle is as the owner" in said
    code, said = command_output("inspect", tmp_path / "ct.nrrd", "--trusted", keys / "trusted")
    assert code == 2 and said.count("\n") == 1


def test_analyze_uses_no_bundle_of_others(bundle, keys, tmp_path):
    out = tmp_path / "out"
    given = ("analyze", "--ct", "none.nrrd", "--mask", "none.nrrd", "--model", bundle, "--out", out)
    code, said = command_output(*given, "--require-signature", keys / "other.pub")
    assert code == 2 and "which is none of the trusted ones" in said and not out.exists()
    code, said = command_output(*given, "--require-signature", keys / "mine.pub")
    assert code == 2 and "deepradscore: none.nrrd: the file does not exist" in said

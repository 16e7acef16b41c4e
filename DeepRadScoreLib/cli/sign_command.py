"""`sign`: the signature of a bundle by its maker."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def sign(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="The bundle, which gets the signature.")],
    key: Annotated[Path, typer.Option(metavar="FILE", help="Your private Ed25519 key (PEM).")],
) -> None:
    """Sign a bundle, so that others can check that it comes from you and is as you made it.

    A key is made by `openssl genpkey -algorithm ed25519 -out key.pem`; keep it private. Who is to check gets the public
    key, `openssl pkey -in key.pem -pubout -out public.pem`, by another way than the bundle.

    Example: `deepradscore sign model.zip --key key.pem`
    """
    from DeepRadScoreLib.bundles.files import sign_bundle

    made = sign_bundle(bundle, key, lambda: str(typer.prompt(f"password of {key}", hide_input=True, err=True)))
    typer.echo(f"signed by the key {made.short_key}: {bundle}")

"""`limits`: limits of the training data for a bundle that has none."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from DeepRadScoreLib.cli.case_commands import print_manifest
from DeepRadScoreLib.errors import InputError


def limits(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle without limits of its training data.")],
    features: Annotated[Path, typer.Argument(metavar="FEATURES", help="The feature table of its training cases.")],
    out: Annotated[Path, typer.Option(metavar="BUNDLE", help="The bundle to write, another file.")],
) -> None:
    """Give an older bundle the limits that the feature table of its training cases tells, without training it again.

    The table is that of `extract` for the training cases alone. Limits of the image, of the networks' features, of deep
    scores and of the scan stay unknown, and the bundle says so; training it again learns them, too.

    Example: `deepradscore limits model.zip features.parquet --out model-with-limits.zip`
    """
    from DeepRadScoreLib.bundles.bundle import read_bundle
    from DeepRadScoreLib.study.training.older_limits import bundle_with_limits
    from DeepRadScoreLib.writing import check_file

    check_file(out)
    for given in (bundle, features):
        if out.resolve() == given.resolve():
            raise InputError("this is the file that is read", where=out, mend="choose another name for the new bundle")
    made = bundle_with_limits(read_bundle(bundle), features, bundle)
    made.save(out)
    print_manifest(made.manifest)
    typer.echo(f"bundle: {out}")

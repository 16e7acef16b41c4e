"""`outline`: a proposal for a tumour's mask from one point."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from DeepRadScoreLib.models import Coordinates


def outline(
    ct: Annotated[Path, typer.Option(help="The CT in HU: NRRD, NIfTI, or a folder of DICOM files.")],
    at: Annotated[tuple[float, float, float], typer.Option(metavar="X Y Z", help="A point in the tumour, in mm.")],
    out: Annotated[Path, typer.Option(metavar="MASK", help="The mask to write: NRRD, NIfTI or MetaImage.")],
    coordinates: Annotated[
        Coordinates, typer.Option(help="Of the point: ras, as in 3D Slicer, or lps, as in DICOM and ITK.")
    ] = Coordinates.RAS,
    radius: Annotated[
        float | None,
        typer.Option(metavar="MM", help="How far from the point the outline may reach (default: by the tumour there)."),
    ] = None,
    series: Annotated[str | None, typer.Option(help="SeriesInstanceUID of the CT, where DICOM holds several.")] = None,
) -> None:
    """Propose the outline of a solid or part-solid lung tumour from one point in it.

    It is a proposal: look at it, and correct it in an editor. It fails where a tumour lies broadly against the chest
    wall, the mediastinum or a vessel of its own width; a click into ground glass takes that in, one into a solid part
    leaves it out.

    Example: `deepradscore outline --ct ct.nrrd --at 31.5 -12 88 --out tumour.nrrd`
    """
    from DeepRadScoreLib import api
    from DeepRadScoreLib.display.progress_bar import show_progress

    with show_progress() as report:
        made = api.outline(ct, at, coordinates=coordinates, radius_mm=radius, series=series, out=out, progress=report)
    cut = " It was cut from dense tissue that goes on: look there first." if made.cut else ""
    typer.echo(f"mask: {out}, {made.volume_ml:.2f} mL within {made.radius_mm:.0f} mm of the point.{cut}")

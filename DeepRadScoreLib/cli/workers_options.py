"""Who does the work of a cohort's command: `--jobs` and `--scheduler`."""

from __future__ import annotations

from typing import Annotated

import typer

Jobs = Annotated[int | None, typer.Option(help="Parallel processes; without it, or with -1, one for each core.")]
Scheduler = Annotated[
    str | None, typer.Option(help='A Dask scheduler: its address, its file, or "local" for one on this machine.')
]

"""A page of `docs/measured`: tables that a benchmark writes itself, with the machine and the commit they are of."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
QUIET = 0.5
"""Load of the machine at the start, above which a page on time says that it was not quiet."""


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; a bar in a cell is escaped."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def machine(load: float | None) -> str:
    """The processor, the load at the start where times are given, Python and the commit, in one sentence."""
    found = [line for line in _lines(Path("/proc/cpuinfo")) if line.startswith("model name")]
    name = found[0].partition(":")[2].strip() if found else platform.processor() or platform.machine()
    loaded = "" if load is None else f", load {load:.1f} at the start"
    if load is not None and load > QUIET:
        loaded += ", which is not quiet: do not compare these times"
    return f"{os.cpu_count()} cores of {name}{loaded}; Python {platform.python_version()}; commit {commit()}."


def commit() -> str:
    """The commit of the checkout, with "changed" where it is not what was committed."""
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    if head.returncode:
        return "not known"
    changed = subprocess.run(
        [*git, "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True, check=False
    )
    return head.stdout.strip() + (", changed" if changed.stdout.strip() else "")


def write_page(path: Path, title: str, made_by: str, parts: Sequence[str], *, load: float | None = None) -> None:
    """Write a page whole or not at all.

    Parameters
    ----------
    made_by: the `make` target that writes it.
    parts: paragraphs and tables in Markdown.
    load: of the machine at the start, for a page of times.
    """
    text = "\n\n".join([f"# {title}", f"Made by `make {made_by}`. {machine(load)}", *parts]) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".part")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []

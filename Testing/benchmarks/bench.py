"""The table of what the program costs beside the program before and beside other packages: `make bench`.

    python Testing/benchmarks/bench.py [engine ...] [--page docs/measured/cost.md]

Each module of `Testing/benchmarks/rows` gives some rows; without names all of them are run. Both sides of a row run in
turns on this machine; printed are the medians, the ratio's median over the turns, and its spread. `--page` also writes
them as a page of the documentation. This program's byte code is kept on disk, as that of the installed ones beside it.
"""

from __future__ import annotations

import argparse
import os
import pkgutil
import sys
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import rows
from measured_page import write_page
from rows.side_by_side import HEADER

READING = """\
Both sides of a row run in turns. Times are medians; *times faster* is the median of the ratios turn by turn, *spread*
their least and most. *at least* and *aim* are what it has to be and should be, *reached* says which of them was.
*before* is the program of commit 3812096."""


def main() -> None:
    """Print the rows of the named modules, and write the page if one is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="modules of Testing/benchmarks/rows; none: all of them")
    parser.add_argument("--page", type=Path)
    given = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    modules = [module.name for module in pkgutil.iter_modules(rows.__path__) if module.name != "side_by_side"]
    load, lines = os.getloadavg()[0], [HEADER]
    print(HEADER)
    for name in given.names or modules:
        for row in import_module(f"rows.{name}").rows():
            lines.append(row.line())
            print(lines[-1], flush=True)
    if given.page is not None:
        write_page(given.page, "What it costs", "measured-cost", [READING, "\n".join(lines)], load=load)


if __name__ == "__main__":
    main()

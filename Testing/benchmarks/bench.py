"""The table of what the program costs beside the program before and beside other packages: `make bench`.

    python Testing/benchmarks/bench.py [engine ...]

Each module of `Testing/benchmarks/rows` gives some rows; without names all of them are run. Both sides of a row run in
turns on this machine; printed are the medians, the ratio's median over the turns, and its spread.
"""

from __future__ import annotations

import pkgutil
import sys
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import rows
from rows.side_by_side import HEADER


def main(names: list[str]) -> None:
    """Print the rows of the named modules."""
    modules = [module.name for module in pkgutil.iter_modules(rows.__path__) if module.name != "side_by_side"]
    print(HEADER)
    for name in names or modules:
        for row in import_module(f"rows.{name}").rows():
            print(row.line(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

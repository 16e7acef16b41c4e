"""The licences of all that is installed for DeepRadScore, as the packages state them."""

from __future__ import annotations

import json
import re
import subprocess
import sys

ALLOWED = {
    "0BSD",
    "Apache-2.0",
    "Apache License 2.0",
    "Apache Software License",
    "Apache-2.0 WITH LLVM-exception",
    "BSD",
    "BSD 3",
    "BSD License",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC License (ISCL)",
    "MIT",
    "MIT License",
    "MIT-0",
    "MIT-CMU",
    "MPL-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)",
    "PSF-2.0",
    "Python Software Foundation License",
    "The Unlicense (Unlicense)",
    "Zlib",
}
FOR_DEVELOPERS_ALONE = {"PySide6_Essentials", "shiboken6", "docutils"}
"""Under the LGPL, and in small parts the GPL: they draw the tests' windows and the documentation's pages, and no part
of the program imports them."""
WITHOUT_METADATA = {"atheris": "Apache-2.0", "skops": "MIT"}
"""What a package's licence file says where its metadata says nothing."""


def test_every_package_has_a_licence_that_allows_its_use_here() -> None:
    call = [sys.executable, "-m", "piplicenses", "--from=mixed", "--format=json", "--with-system"]
    run = subprocess.run(call, check=True, capture_output=True, text=True)
    packages = {entry["Name"]: entry["License"].strip() for entry in json.loads(run.stdout)}
    assert {"numpy", "torch", "numba", "skops"} <= set(packages)
    others = {
        name: licence
        for name, licence in packages.items()
        if name not in FOR_DEVELOPERS_ALONE and not _parts(WITHOUT_METADATA.get(name, licence)) <= ALLOWED
    }
    assert not others


def _parts(licence: str) -> set[str]:
    """The licences of an expression; of one that gives a choice, all."""
    return {
        part.strip("() ") if part.count("(") != part.count(")") else part
        for part in re.split(r" AND | OR |; ", licence)
    }

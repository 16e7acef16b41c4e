"""The command line as a user runs it, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def command(*arguments: object, cache: Path | None = None) -> subprocess.CompletedProcess:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if cache is not None:
        environment["DEEPRADSCORE_CACHE"] = str(cache)
    call = [sys.executable, "-m", "DeepRadScoreLib.cli.main", *map(str, arguments)]
    return subprocess.run(call, capture_output=True, text=True, check=False, env=environment)

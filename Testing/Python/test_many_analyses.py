"""Analyses in one process keep neither memory nor files; the short form of `analyses_soak.py`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SOAK = Path(__file__).parents[1] / "benchmarks" / "analyses_soak.py"


def test_analyses_keep_neither_memory_nor_files():
    call = [sys.executable, "-W", "ignore", str(SOAK), "--analyses", "12", "--first", "6"]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].endswith(" open files")

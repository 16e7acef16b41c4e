"""What every test may ask for: the shared data, or a skip that says why."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def shared() -> Path:
    folder = Path(os.environ.get("DEEPRADSCORE_TEST_DATA", ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"the test data is not at {folder}; set DEEPRADSCORE_TEST_DATA")
    return folder

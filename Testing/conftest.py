"""What the tests of the library and of the module share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session", autouse=True)
def pseudonym_key_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A key of the tests' own, so that none is made in the home of whoever runs them."""
    path = tmp_path_factory.mktemp("key") / "pseudonym.key"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEEPRADSCORE_KEY", str(path))
        yield path


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared test data; skips where it is absent."""
    folder = Path(os.environ.get("DEEPRADSCORE_TEST_DATA", ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"the test data is not at {folder}; set DEEPRADSCORE_TEST_DATA")
    return folder

"""Other people's programs that open a case's objects: each module has VERSION, MISSING and `read`, by file name.

`PROGRAMS` is where Testing/set-up-viewers installs them; `MISSING` says how to get one that is not there, or is "".
"""

from __future__ import annotations

from pathlib import Path

PROGRAMS = Path(__file__).parents[3] / ".venv" / "viewers"
INSTALL = "make test installs it; alone: VENV=.venv sh Testing/set-up-viewers"

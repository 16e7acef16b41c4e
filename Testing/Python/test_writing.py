"""Folders written whole: what a killed program left is removed, what another one is writing is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from DeepRadScoreLib.writing import write_folder

WRITES = """
import sys, time
from pathlib import Path
from DeepRadScoreLib.writing import write_folder

def write(folder):
    (folder / "half.txt").write_text("half")
    print("writing", flush=True)
    time.sleep(600)

write_folder(Path(sys.argv[1]), write, lambda folder, names: ())
"""


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def write(folder: Path) -> None:
    (folder / "whole.txt").write_text("whole")


def test_leftovers_go_with_the_next_writing_once_their_maker_is_dead(tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITES, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "writing\n"
    assert write_folder(tmp_path, write, lambda folder, names: ()) == ["whole.txt"]
    assert any(name.endswith("new/half.txt") for name in files(tmp_path))
    writer.kill()
    writer.communicate()
    write_folder(tmp_path, write, lambda folder, names: ())
    assert files(tmp_path) == ["whole.txt"]

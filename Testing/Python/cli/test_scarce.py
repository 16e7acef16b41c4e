"""A full disk, a folder that may only be read, little memory: one sentence that names the user's path, nothing left."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from DeepRadScoreLib.cli import main as cli
from DeepRadScoreLib.errors import OutputError
from DeepRadScoreLib.writing import write_atomically, write_folder
from support.imaging_phantoms import image_of, lung_ct
from support.small_bundle import small_bundle, small_densenet


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 48 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=48k", "none", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no small disk can be made here without the right to mount one")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("DEEPRADSCORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cli, "end_by_signals", lambda: None)

    def call(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["deepradscore", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert end.value.code == 2
        said = capsys.readouterr().err
        assert "Traceback" not in said
        return said.strip().splitlines()[-1]

    return call


@pytest.fixture
def case(tmp_path: Path) -> tuple[Path, Path]:
    z, y, x = np.mgrid[:20, :24, :24] - np.array([10, 12, 12]).reshape(3, 1, 1, 1)
    inside = (x**2 + y**2 + z**2 <= 36).astype(np.uint8)
    for name, values in (("ct", lung_ct(inside).astype(np.int16)), ("mask", inside)):
        sitk.WriteImage(image_of(values), str(tmp_path / f"{name}.nrrd"))
    return tmp_path / "ct.nrrd", tmp_path / "mask.nrrd"


def test_extract_looks_for_space_before_it_computes(run, disk, tmp_path):
    table = tmp_path / "cohort.csv"
    table.write_text("case_id,ct,mask\n" + "".join(f"{n},none.nrrd,none.nrrd\n" for n in range(30)))
    sentence = run("extract", table, "--out", disk / "features.csv")
    assert sentence.startswith(f"deepradscore: {disk / 'features.csv'}: at least 0.2 MB will be written and 0.0 MB are")
    assert not list(disk.iterdir()) and not (tmp_path / "cache").exists()


def test_a_bundle_is_not_begun_without_space(disk):
    with small_densenet(), pytest.raises(OutputError, match="MB are free") as caught:
        small_bundle().save(disk / "model.zip")
    assert caught.value.path == disk / "model.zip"
    assert not list(disk.iterdir())


def test_results_that_fill_the_disk_leave_nothing(disk):
    def write(folder: Path) -> None:
        write_atomically(folder / "profile.json", bytes(20_000))
        write_atomically(folder / "report.html", bytes(100_000))

    with pytest.raises(OutputError) as caught:
        write_folder(disk / "out", write, lambda _folder, _names: ())
    assert str(caught.value).startswith(f"{disk / 'out' / 'report.html'}: the file cannot be written (No space left")
    assert not list(disk.iterdir())


def test_a_folder_that_may_only_be_read(run, disk, case):
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    ct, mask = case
    sentence = run("analyze", "--ct", ct, "--mask", mask, "--out", disk / "out")
    assert sentence.startswith(f"deepradscore: {disk}: nothing may be written in this folder; choose")


LITTLE = """
import resource, sys
from pathlib import Path
from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging.formats.files import read_image

used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 200 * 2**20, resource.getrlimit(resource.RLIMIT_AS)[1]))
try:
    read_image(Path(sys.argv[1]))
except InputError as error:
    print(error)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit of a process is that of Linux")
def test_an_image_that_the_memory_does_not_hold_is_not_called_damaged(tmp_path):
    path = tmp_path / "ct.nrrd"
    sitk.WriteImage(image_of(np.zeros((2, 2, 2), np.int16)), str(path))
    header = path.read_bytes().split(b"\n\n")[0].replace(b"sizes: 2 2 2", b"sizes: 1000 1000 300")
    path.write_bytes(header + b"\n\n")
    with path.open("rb+") as stream:
        stream.truncate(len(header) + 2 + 600_000_000)
    done = subprocess.run([sys.executable, "-c", LITTLE, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{path}: there is not enough memory for its pixels (1000 x 1000 x 300); end")

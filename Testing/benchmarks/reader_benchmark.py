"""What a reader waits for in the panel on a CT of 512 x 512 x 402 voxels, in the harness.

    python Testing/benchmarks/reader_benchmark.py [--slices 402] [--turns 5]
    python Testing/benchmarks/reader_benchmark.py --cases 200 --slices 100

Rows: opening a case of a list until its quality line and shell are there; quality line and shell after a stroke; the
same with the surfaces in the 3-D view; autosave and saving of a correction; each for tumours of 48 and 359 mL. Then a
case of Slicer's DICOM database, CT and SEG, and the longest of its steps. Seconds by the clock and of this process's
CPU, which other programs do not lengthen: the least of the turns, the first of which, with its imports, has a row of
its own where it is another. Then everything in the GUI thread that took over 100 ms of CPU.

With `--cases` instead: so many cases of a list opened one after the other, with the memory of the process, the nodes of
the scene and the module's observations at each tenth of them.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "Testing"), str(ROOT / "DeepRadScore")]

import slicer_harness as harness  # noqa: E402
from support.big_case import write_big_case, write_big_study  # noqa: E402

VOLUMES_ML = (48.0, 359.0)
LONG_S = 0.1
MB = 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=402)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--cases", type=int, help="open so many cases one after the other instead")
    given = parser.parse_args()
    harness.start()
    if given.cases:
        go_through(given.cases, given.slices)
        return
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}; seconds by the clock, seconds of CPU")
    long: list[str] = []
    for volume_ml in VOLUMES_ML:
        with tempfile.TemporaryDirectory() as folder, harness.main_window():
            write_big_case(Path(folder), slices=given.slices, volume_ml=volume_ml)
            Path(folder, "list.csv").write_text("case_id,ct,mask\na,ct.nrrd,mask.nrrd\n", encoding="utf-8")
            for name, clock, cpu in rows(Path(folder, "list.csv"), given.turns):
                print(f"{volume_ml:.0f} mL  {name:<40} {clock:6.2f} {cpu:6.2f}", flush=True)
                if cpu > LONG_S:
                    long.append(f"{volume_ml:.0f} mL  {name}: {cpu:.2f}")
    with tempfile.TemporaryDirectory() as folder, harness.main_window():
        write_big_study(Path(folder), slices=given.slices, volume_ml=VOLUMES_ML[0])
        for name, clock, cpu in dicom_rows(Path(folder), given.turns):
            print(f"DICOM  {name:<40} {clock:6.2f} {cpu:6.2f}", flush=True)
            if cpu > LONG_S:
                long.append(f"DICOM  {name}: {cpu:.2f}")
    print("over 100 ms of CPU:", *(long or ["nothing"]), sep="\n  ")


def go_through(cases: int, slices: int) -> None:
    """Open cases of a list one after the other; memory, nodes and observations at each tenth of them."""
    import slicer

    with tempfile.TemporaryDirectory() as folder, harness.main_window():
        write_big_case(Path(folder), slices=slices, volume_ml=VOLUMES_ML[0])
        table = Path(folder, "list.csv")
        listed = "".join(f"case{number},ct.nrrd,mask.nrrd\n" for number in range(cases))
        table.write_text(f"case_id,ct,mask\n{listed}", encoding="utf-8")
        module = harness.load_module()
        module.enter()
        panel = module.widget
        panel.ui.listPathEdit.currentPath = str(table)
        panel.ui.openListButton.click()
        for number in range(1, cases + 1):
            panel.cases.view.next()
            settle(panel)
            if number == 1 or number % max(cases // 10, 1) == 0:
                pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
                nodes, seen = slicer.mrmlScene.GetNumberOfNodes(), len(panel.Observations)
                print(f"case {number:4d}: {pages * os.sysconf('SC_PAGE_SIZE') / MB:6.0f} MB, {nodes} nodes, "
                      f"{seen} observations", flush=True)  # fmt: skip
        module.close()


def rows(table: Path, turns: int) -> Any:
    """Names, seconds by the clock and of CPU of each piece of work."""
    module = harness.load_module()
    module.enter()
    panel = module.widget
    panel.ui.listPathEdit.currentPath = str(table)
    panel.ui.openListButton.click()
    opened = []
    for _ in range(turns):
        opened.append(timed(lambda: (panel.cases.view.next(), settle(panel))))
        if len(opened) < turns:
            panel.ui.closeCaseButton.click()
    yield "open, with quality line and shell", *least(opened)
    yield (
        "quality line and shell after a stroke",
        *least([timed(panel.review.update, stroke(panel)) for _ in range(turns)]),
    )
    yield "surfaces in the 3-D view", *least([timed(panel.review.update_surfaces, stroke(panel)) for _ in range(turns)])
    yield "autosave", *least([timed(panel.review.autosave) for _ in range(turns)])
    yield "save the correction", *timed(panel.review.save)
    module.close()


def dicom_rows(folder: Path, turns: int) -> Any:
    """The same of opening a case of the DICOM database, in all and its longest turn of the event loop."""
    from types import SimpleNamespace

    import slicer

    from DeepRadScoreSlicer.panel.work import Stepper

    turn, taken = Stepper._turn, []

    def recorded(stepper: Stepper) -> None:
        taken.append(timed(lambda: turn(stepper)))

    Stepper._turn = recorded
    harness.register_dicom(folder)
    module = harness.load_module()
    module.enter()
    panel = module.widget
    series = slicer.dicomDatabase.seriesForFile(str(sorted(Path(folder, "ct").iterdir())[0]))
    browser = SimpleNamespace(
        fileLists=[slicer.dicomDatabase.filesForSeries(series)],
        dicomVisualBrowser=SimpleNamespace(isHidden=lambda: True),
    )
    slicer.modules.DICOMInstance = SimpleNamespace(browserWidget=browser)
    panel.ui.dicomButton.click()
    opened, longest = [], []
    for number in range(turns + 1):
        taken.clear()
        opened.append(timed(lambda: (panel.cases.view.next(), settle(panel))))
        longest.append(max(taken, key=lambda times: times[1]))
        if number < turns:
            panel.ui.closeCaseButton.click()
    yield "open, first in this process", *opened[0]
    yield "its longest step", *longest[0]
    yield "open, with quality line and shell", *least(opened[1:])
    yield "its longest step", *least(longest[1:])
    Stepper._turn = turn
    module.close()


def settle(panel: Any) -> None:
    harness.wait_for(lambda: not panel.review.watch.waiting and not panel.work.running)


def stroke(panel: Any) -> None:
    """A cube in the middle of the tumour turned over, as an effect of the editor changes a labelmap."""
    import slicer

    from DeepRadScoreSlicer.scene.voxels import BINARY, array_of

    content = panel.review.segmentation.GetSegmentation()
    labelmap = content.GetSegment(panel.review.chosen.segment_id).GetRepresentation(BINARY)
    labels = array_of(labelmap)
    z, y, x = (size // 2 for size in labels.shape)
    labels[z : z + 4, y : y + 8, x : x + 8] = 1 - labels[z : z + 4, y : y + 8, x : x + 8]
    labelmap.GetPointData().GetScalars().Modified()
    labelmap.Modified()
    content.InvokeEvent(slicer.vtkSegmentation.SourceRepresentationModified)


def timed(work: Callable[[], Any], _before: Any = None) -> tuple[float, float]:
    clock, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - cpu


def least(times: list[tuple[float, float]]) -> tuple[float, float]:
    return min(clock for clock, _ in times), min(cpu for _, cpu in times)


if __name__ == "__main__":
    main()

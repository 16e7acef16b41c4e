"""Quality line and ring of the panel in a scene of 512 x 512 x 400 voxels, in turns with an earlier commit.

    python Testing/benchmarks/panel_benchmark.py [--turns 9] [--slices 400] [--commit 6fd0f75]

The scene is the tests' (Slicer's own MRML, no Qt). `first`: the quality line after the CT was loaded; `next`: after a
change of the segmentation alone.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from rows.side_by_side import HEADER, ROOT, Row, Worker, before, in_turns

EARLIER = "6fd0f75"
"""The last commit whose quality line read the whole CT each time; its tests' scene is the same."""

SCENE = """
import sys
for folder in ("Testing", "DeepRadScore"):
    sys.path.append(folder)
import slicer_harness
slicer_harness.start()
from support.scene_tools import load_segmentation, load_volume, segment_ids
from DeepRadScoreSlicer.scene.display.quality_line import quality_line
from DeepRadScoreSlicer.scene.display.shell import update_shell
volume, segmentation = load_volume({ct!r}), load_segmentation({mask!r})
segment = segment_ids(segmentation)[0]
"""
WORK = {
    "quality line, first": "volume.GetImageData().Modified(); quality_line(volume, segmentation, segment)",
    "quality line, next": "quality_line(volume, segmentation, segment)",
    "ring of 3 mm": "update_shell(volume, segmentation, segment, 'case', 3.0)",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--slices", type=int, default=400)
    parser.add_argument("--volume-ml", type=float, default=48.0)
    parser.add_argument("--commit", default=EARLIER)
    given = parser.parse_args()
    sys.path.insert(0, str(ROOT / "Testing"))
    from support.big_case import write_big_case

    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}\n{HEADER}")
    with tempfile.TemporaryDirectory() as folder, before(given.commit) as checkout:
        if checkout is None:
            sys.exit(f"{given.commit} is not in this clone")
        ct, mask = map(str, write_big_case(Path(folder), slices=given.slices, volume_ml=given.volume_ml))
        other, own = Worker(checkout), Worker(ROOT)
        for worker in (other, own):
            worker.run(SCENE.format(ct=ct, mask=mask))
        for name, code in WORK.items():
            print(compared(name, code, other, own, given.turns).line(), flush=True)
        for worker in (other, own):
            worker.close()


def compared(name: str, code: str, other: Worker, own: Worker, turns: int) -> Row:
    """A row of one piece of work, the first time of either side not counted."""
    for worker in (other, own):
        worker.run(code)
    return in_turns(Row(name, "the program before", 1, 1), lambda: other.run(code), lambda: own.run(code), turns)


if __name__ == "__main__":
    main()

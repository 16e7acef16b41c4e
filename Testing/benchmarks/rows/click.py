"""From features to the finished profile: networks with heat maps, findings, the first click of a process, the help.

python Testing/benchmarks/bench.py click

Both sides analyse lung2 with the default bundle of the steps benchmark, which each makes for itself (a minute or two),
and random features: they decide nothing about the time. The new side compares the case with the training cases, too.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from rows.side_by_side import NO_HISTORY, ROOT, Row, Worker, before, in_turns, timed

DATA = Path(os.environ.get("DEEPRADSCORE_TEST_DATA", ROOT.parent / "shared")) / "data" / "pyradiomics"
CT, MASK = DATA / "lung2_image.nrrd", DATA / "lung2_label.nrrd"
HELP_S = 0.10

MODEL = """
import sys
from pathlib import Path
sys.path.insert(0, "Testing/benchmarks")
from steps_benchmark import made_up_model
made_up_model(Path("{model}"), "shared")
"""
CASE = f"""
import time
from pathlib import Path
import numpy as np
from DeepRadScoreLib.imaging import prepare, read_case
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS
prepared = prepare(read_case(Path({str(CT)!r}), Path({str(MASK)!r})))
features = dict(zip(FEATURE_COLUMNS, np.random.default_rng(0).normal(size=len(FEATURE_COLUMNS)).tolist()))

def now():
    return np.array([time.perf_counter(), time.process_time()])

def times(steps):
    found = {{}}
    label, start = "", now()
    while True:
        step = next(steps, None)
        found[label] = found.get(label, 0.0) + now() - start
        if step is None:
            return found
        label, start = step, now()
"""
OPEN_BEFORE = """
from DeepRadScoreLib.analyses.analysis import _finding_steps
from DeepRadScoreLib.bundles.bundle import read_bundle
bundle = read_bundle(Path("{model}"))
def steps():
    return _finding_steps(bundle, prepared, features)
"""
OPEN = """
from DeepRadScoreLib.analyses.analysis import finding_steps
from DeepRadScoreLib.bundles.bundle import read_bundle
from DeepRadScoreLib.analyses.findings import MolecularProfile
bundle = read_bundle(Path("{model}"))
profile = MolecularProfile("case", prepared, features, prepared.quality, {{}}, None, False)
def steps():
    return finding_steps(bundle, profile)
"""
SPLIT = """
found = times(steps())
result = [
    sum(took for label, took in found.items() if "deep features" in label or "Grad-CAM" in label).tolist(),
    sum(took for label, took in found.items() if label.startswith(("finding", "SHAP", "comparing"))).tolist(),
]
"""
CLICK = f"""
from DeepRadScoreLib.analyses.analysis import steps as analysis
for _ in analysis(read_case(Path({str(CT)!r}), Path({str(MASK)!r})), bundle):
    pass
"""
FIRST = """
start = now()
{open}
times(steps())
first = now() - start
start = now()
bundle = read_bundle(Path("{model}"))
times(steps())
result = (first - (now() - start)).tolist()
"""
TWO_COMMANDS = """
import typer
app = typer.Typer()
@app.command()
def one() -> None: "One."
@app.command()
def two() -> None: "Two."
app(["--help"])
"""
ANALYZE = """
import json, sys, time
from DeepRadScoreLib.cli.main import main
def analyze():
    start = time.perf_counter()
    try:
        main()
    except SystemExit as end:
        assert not end.code
    return time.perf_counter() - start
times, runs, names = [], int(sys.argv.pop(1)), sys.argv.pop(1)
for _ in range(runs):
    times.append(analyze())
with open(names, "w") as stream:
    json.dump([times[-1], list(sys.modules)], stream)
"""
IMPORTS = """
import json, sys
from importlib import import_module
with open(sys.argv[1]) as stream:
    for name in json.load(stream)[1]:
        try:
            import_module(name)
        except ImportError:
            pass
"""


def rows() -> Iterator[Row]:
    """The rows of a click."""
    with tempfile.TemporaryDirectory() as folder, before() as checkout:
        now = _model(ROOT, Path(folder) / "now.zip", OPEN)
        if checkout is None:
            yield Row("the click", "the program before", 0, 0, remark=NO_HISTORY)
        else:
            earlier = _model(checkout, Path(folder) / "before.zip", OPEN_BEFORE)
            yield from _warm(checkout, earlier, now)
            yield _first(checkout, earlier, now)
        yield _whole(Path(folder))
    yield _help()


def _model(root: Path, path: Path, opening: str) -> str:
    """Code that reads the default bundle of the steps benchmark, which is made at that path."""
    maker = Worker(root)
    maker.run(MODEL.format(model=path))
    maker.close()
    return opening.format(model=path)


def _warm(checkout: Path, earlier: str, now: str) -> Iterator[Row]:
    networks = Row("deep features and ten Grad-CAMs", "the program before", 1.8, 3)
    findings = Row("ten findings from the features, imports apart", "the program before", 4, 10)
    workers = Worker(checkout), Worker(ROOT)
    for worker, code in zip(workers, (earlier, now), strict=True):
        worker.run(CASE + code + SPLIT)
    taken: list[tuple[list[list[float]], list[list[float]]]] = []
    for _ in range(9):
        for worker in workers:
            worker.run(SPLIT)
        taken.append((workers[0].result, workers[1].result))
    click = Row("warm click to profile, 48 mL (lung2)", "the program before", 6, 10)
    for worker in workers:
        worker.run(CLICK)
    in_turns(click, lambda: workers[0].run(CLICK), lambda: workers[1].run(CLICK))
    for worker in workers:
        worker.close()
    yield click
    yield _filled(networks, [(other[0], own[0]) for other, own in taken])
    yield _filled(findings, [(other[1], own[1]) for other, own in taken])


def _filled(row: Row, turns: list[tuple[list[float], list[float]]]) -> Row:
    """The row with wall times, and in its remark the ratio of processor times, which other programs disturb less."""
    row.other, row.own = ([turn[side][0] for turn in turns] for side in (0, 1))
    row.remark = f"processor: {statistics.median(other[1] / own[1] for other, own in turns):.1f}"
    return row


def _first(checkout: Path, earlier: str, now: str) -> Row:
    """Reading the model and all after the features, for the first time in a process and again."""

    def beyond_warm(root: Path, code: str) -> list[float]:
        worker = Worker(root)
        path = code.split('read_bundle(Path("')[1].split('"', maxsplit=1)[0]
        worker.run(CASE + FIRST.format(open=code, model=path))
        worker.close()
        return worker.result

    row = Row("the first click of a process, beyond a warm one", "the program before", 3, 5)
    return _filled(row, [(beyond_warm(checkout, earlier), beyond_warm(ROOT, now)) for _ in range(3)])


def _whole(folder: Path) -> Row:
    """`analyze` as a process of its own, at most 1.1 times a warm one and the imports of all that it loads."""
    names = folder / "modules.json"
    path = {"PYTHONPATH": str(ROOT)}
    given = ["analyze", "--ct", str(CT), "--mask", str(MASK), "--model", str(folder / "now.zip"), "--out"]

    def analysis(runs: int) -> float:
        out = [*given, str(folder / "out")]
        return timed([sys.executable, "-W", "ignore", "-c", ANALYZE, str(runs), str(names), *out], **path)

    def warm_and_imports() -> float:
        analysis(2)
        warm = float(names.read_text().split(",")[0].lstrip("["))
        return warm + timed([sys.executable, "-W", "ignore", "-c", IMPORTS, str(names)], **path)

    row = Row("cold analyze as a whole process", "a warm one and its imports", 1 / 1.1, 1)
    return in_turns(row, warm_and_imports, lambda: analysis(1), 3)


def _help() -> Row:
    """What the help takes beyond typer's, as a ratio of the limit."""
    own = [sys.executable, "-m", "DeepRadScoreLib.cli.main", "--help"]

    def beyond_typer() -> float:
        bare = _processor(lambda: timed([sys.executable, "-c", TWO_COMMANDS]))
        return max(_processor(lambda: timed(own, PYTHONPATH=str(ROOT))) - bare, 0.001)

    row = Row("--help beyond typer with two empty commands", "0.10 s", 1, 2, remark="processor time")
    return in_turns(row, lambda: HELP_S, beyond_typer, 9)


def _processor(work: Callable[[], object]) -> float:
    """Processor seconds of the processes that it starts."""
    start = os.times()
    work()
    end = os.times()
    return end.children_user + end.children_system - start.children_user - start.children_system

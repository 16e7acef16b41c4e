"""Every step of reading a model and of an analysis with its time, and what stepping costs beside the library alone.

    python Testing/benchmarks/steps_benchmark.py [CT MASK] [--network shared|frozen] [--model BUNDLE] [--runs 3]

Default: the 48 mL tumour (lung2) of the test data, a model of ten endpoints and five DenseNet121 with random weights on
160 x 160 pixels (made up on the spot, its findings mean nothing, and none is withheld). Printed in milliseconds, for
each step: wall time of the first analysis of the process ("cold"), least wall and least processor time of the later
ones ("warm"). A step that appears in the first analysis only is an import. Then what a user waits for from click to
profile: stepped by a timer of interval 0 in an event loop (PySide6, where it is installed), by a plain loop, and
`analyze` in one go.

On a machine that other programs keep busy set OMP_NUM_THREADS=1: threads that wait for each other are slower than one.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from DeepRadScoreLib.bundles.bundle import Bundle
    from DeepRadScoreLib.computing.extraction import CohortFeatures
    from DeepRadScoreLib.imaging import Case

ROOT = Path(__file__).resolve().parents[2]
LIMIT_MS = 300.0
FOLDS = 5


class Took(NamedTuple):
    """Milliseconds of wall time and of processor time, all threads together."""

    wall: float
    processor: float


def now() -> Took:
    return Took(1000 * time.perf_counter(), 1000 * time.process_time())


def since(start: Took) -> Took:
    return Took(*(after - before for after, before in zip(now(), start, strict=True)))


def timed(work: Callable[[], object]) -> Took:
    start = now()
    work()
    return since(start)


def made_up_model(path: Path, network: str) -> None:
    """A bundle of ten endpoints, each with a planted signal; it takes a minute or two."""
    sys.path.insert(0, str(ROOT / "Testing"))
    from DeepRadScoreLib.computing.run import Run
    from DeepRadScoreLib.deepct.backbones import build_trunk
    from DeepRadScoreLib.deepct.network import DeepCT, NetworkSpec
    from DeepRadScoreLib.endpoints import KEYS
    from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS
    from DeepRadScoreLib.study.plans import NetworkPlan, TrainingPlan
    from DeepRadScoreLib.study.training.train import train_bundle
    from support.small_study import small_study

    cohort, computed = small_study(keys=KEYS)
    for number, key in enumerate(KEYS):
        computed.features[FEATURE_COLUMNS[20 + 100 * number]] += 2.0 * cohort.labels[key].fillna(0).to_numpy()
    quick = {"weights": "none", "epochs": 1, "device": "cpu"}
    plan = (
        NetworkPlan(form="frozen", **quick)
        if network == "frozen"
        else NetworkPlan(form="shared", backbone="resnet50", pixels=32, **quick)
    )
    plan = TrainingPlan(network=plan, folds=FOLDS, repeats=1, search="quick")
    with tempfile.TemporaryDirectory() as work:
        bundle = train_bundle(cohort, computed, plan, Run(Path(work))).bundle
    if network == "shared":
        spec = NetworkSpec("densenet121", KEYS)
        bundle = replace(
            bundle,
            manifest=bundle.manifest.model_copy(update={"backbone": spec.backbone, "pixels": spec.pixels}),
            networks=tuple(
                {"shared": DeepCT(spec, build_trunk("densenet121", seed=fold)[0], seed=fold)} for fold in range(FOLDS)
            ),
        )
    without_refusals(bundle, computed).save(path)


def without_refusals(bundle: Bundle, training: CohortFeatures) -> Bundle:
    """The bundle with limits beyond which no case lies, learned from its networks, and rules that no model breaks."""
    import numpy as np

    from DeepRadScoreLib.abstention import AbstentionRules
    from DeepRadScoreLib.likeness.evidence import Evidence
    from DeepRadScoreLib.likeness.parts import Part, fit_part
    from DeepRadScoreLib.likeness.ranges import PROBABILITIES, Ranges

    if bundle.limits is None:
        raise RuntimeError("too few training cases to learn limits from")
    chosen = np.arange(len(training.features)) % FOLDS
    folds = [(np.flatnonzero(chosen != fold), np.flatnonzero(chosen == fold)) for fold in range(FOLDS)]
    pooled = tuple(each.pooled for each in bundle.outputs(training.patches))
    network = fit_part(Part.NETWORK, Evidence(training.features, pooled=pooled), folds)
    if network is None:
        raise RuntimeError("the bundle has no network")
    far = 1e9
    everything = np.linspace(-far, far, len(PROBABILITIES))[:, None]
    rules = AbstentionRules(min_training_positives=0, auc_above=0.0, quality_failures=())
    return replace(bundle, manifest=bundle.manifest.model_copy(update={"rules": rules})).with_limits(
        replace(
            bundle.limits,
            parts={**bundle.limits.parts, Part.NETWORK: network.limits},
            thresholds=replace(bundle.limits.thresholds, warn=far, beyond=far),
            columns={
                key: Ranges(model.names, np.repeat(everything, len(model.names), axis=1))
                for key, model in bundle.endpoints.items()
            },
        )
    )


def stepped(running: Generator[Any, None, Any]) -> list[tuple[str, Took]]:
    """Label and time of each step, in order."""
    took: list[tuple[str, Took]] = []
    label, start = "before the first step", now()
    while True:
        try:
            step = next(running)
        except StopIteration:
            took.append((label, since(start)))
            return took
        took.append((label, since(start)))
        label, start = getattr(step, "detail", step), now()


def by_timer(case: Case, bundle: Bundle) -> None:
    """One step for each tick of a timer of interval 0, as a panel does it."""
    from PySide6.QtCore import QCoreApplication, QTimer

    from DeepRadScoreLib.analyses.analysis import steps

    application = QCoreApplication.instance() or QCoreApplication([])
    running, timer = steps(case, bundle), QTimer()

    def tick() -> None:
        try:
            next(running)
        except StopIteration:
            timer.stop()
            application.quit()

    timer.timeout.connect(tick)
    timer.start(0)
    application.exec()


def least(runs: list[Took]) -> Took:
    return Took(min(run.wall for run in runs), min(run.processor for run in runs))


def print_steps(cold: list[tuple[str, Took]], warm: list[list[tuple[str, Took]]]) -> None:
    later = {label: least([dict(run)[label] for run in warm]) for label, _ in warm[0]}
    print(f"{'cold':>7} {'warm':>7} {'cpu':>7}  ms, step")
    for label, first in cold:
        again = later.get(label)
        columns = "      -       -" if again is None else f"{again.wall:7.0f} {again.processor:7.0f}"
        print(f"{first.wall:7.0f} {columns}  {label}")
    print_long("cold", dict(cold))
    print_long("warm", later)


def print_long(title: str, times: dict[str, Took]) -> None:
    """The steps over the limit by wall time; where other programs take the processor, its own time is what counts."""
    long = sorted(((took, label) for label, took in times.items() if took.wall > LIMIT_MS), reverse=True)
    busy = sum(took.processor > LIMIT_MS for took, _ in long)
    print(f"{title}: {len(times)} steps, {len(long)} of them over {LIMIT_MS:.0f} ms ({busy} by processor time too)")
    for took, label in long:
        print(f"{took.wall:7.0f} {took.processor:7.0f}  {label}")


def print_ways(case: Case, bundle: Bundle, runs: int) -> None:
    from DeepRadScoreLib.analyses.analysis import steps
    from DeepRadScoreLib.api import analyze

    ways: dict[str, Callable[[], object]] = {
        "analyze in one go": lambda: analyze(case, bundle),
        "stepped by a loop": lambda: stepped(steps(case, bundle)),
    }
    try:
        import PySide6.QtCore  # noqa: F401
    except ImportError:
        print("PySide6 is not installed: not stepped by a timer")
    else:
        ways["stepped by a timer"] = lambda: by_timer(case, bundle)
    times: dict[str, list[Took]] = {way: [] for way in ways}
    for _ in range(runs):
        for way, work in ways.items():
            times[way].append(timed(work))
    alone = least(times["analyze in one go"])
    for way, found in times.items():
        best = least(found)
        print(
            f"{way:18s} {best.wall / 1000:6.2f} s, processor {best.processor / 1000:6.2f} s; ratio to analyze "
            f"{best.wall / alone.wall:.3f} (processor {best.processor / alone.processor:.3f})"
        )


def main() -> None:
    shared = Path(os.environ.get("DEEPRADSCORE_TEST_DATA", ROOT.parent / "shared")) / "data" / "pyradiomics"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ct", type=Path, nargs="?", default=shared / "lung2_image.nrrd")
    parser.add_argument("mask", type=Path, nargs="?", default=shared / "lung2_label.nrrd")
    parser.add_argument("--network", choices=("shared", "frozen"), default="shared")
    parser.add_argument("--model", type=Path, help="a bundle; one that does not exist is made up and left there")
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = given.model or Path(folder) / "model.zip"
        if not model.exists():
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                pool.submit(made_up_model, model, given.network).result()
        benchmark(given.ct, given.mask, model, given.runs)


def benchmark(ct: Path, mask: Path, model: Path, runs: int) -> None:
    threads = os.environ.get("OMP_NUM_THREADS", "not set")
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}, OMP_NUM_THREADS {threads}")
    start = now()
    from DeepRadScoreLib.analyses.analysis import steps
    from DeepRadScoreLib.imaging import read_case

    print(f"{since(start).wall:7.0f} ms  importing the library (before a click)")
    start = now()
    case = read_case(ct, mask)
    print(f"{since(start).wall:7.0f} ms  reading the case (before a click)")
    start = now()
    from DeepRadScoreLib.bundles.bundle import bundle_steps, read_bundle

    print(f"{since(start).wall:7.0f} ms  importing what reads models\nReading the model:")
    print_steps(stepped(bundle_steps(model)), [stepped(bundle_steps(model)) for _ in range(runs)])
    bundle = read_bundle(model)
    print("The analysis:")
    print_steps(stepped(steps(case, bundle)), [stepped(steps(case, bundle)) for _ in range(runs)])
    print_ways(case, bundle, runs)


if __name__ == "__main__":
    main()

"""Does the method find what was planted? The demonstration over ten seeds fixed beforehand, judged by rules fixed too.

    python Testing/benchmarks/demo_check.py --out demo-check-out

A seed that is finished is kept in the folder and not run again. Exit 0 if every rule holds, else 1.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from DeepRadScoreLib.cli.demo_command import FULL, held_out_aucs, run_demo, training_plan
from DeepRadScoreLib.cohort.table import read_cohort
from DeepRadScoreLib.computing.extraction import extract_cohort
from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.computing.workers import Processes
from DeepRadScoreLib.endpoints import KEYS
from DeepRadScoreLib.models import MODELS
from DeepRadScoreLib.progress import Progress
from DeepRadScoreLib.study.training.train import train_bundle
from DeepRadScoreLib.synthetic.causes import PLANTED, reachable_auc, seen_by

SEEDS = tuple(range(101, 111))
BEYOND = tuple(key for key in KEYS if PLANTED[key].where == "beyond the shell")
CAUSELESS = tuple(key for key in KEYS if PLANTED[key].where == "nowhere")


def say_when_done(event: Progress) -> None:
    if event.done == event.total:
        print(f"  {event.text}", flush=True)


def frozen_aucs(folder: Path, seed: int) -> dict[str, float]:
    """Deep-CT's AUC on the endpoints beyond the shell, with the same network's random trunk left as it is."""
    cohort = read_cohort(folder / "cohort" / "cohort.csv", needs=("case_id", "patient_id", "ct", "mask"))
    labels = cohort.labels.copy()
    labels[[key for key in KEYS if key not in BEYOND]] = np.nan
    cohort = dataclasses.replace(cohort, labels=labels)
    plan = training_plan(FULL, seed)
    plan = dataclasses.replace(plan, network=dataclasses.replace(plan.network, form="frozen"))
    work = folder / "frozen"
    work.mkdir(exist_ok=True)
    workers = Processes()
    computed = extract_cohort(cohort, Run(workers=workers))
    result = train_bundle(cohort, computed, plan, Run(work, workers))
    return {key: aucs["deep-ct"][0] for key, aucs in held_out_aucs(result.held_out).items()}


def one_seed(folder: Path, seed: int) -> dict:
    stored = folder / "result.json"
    if stored.is_file():
        return json.loads(stored.read_text())
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["DEEPRADSCORE_CACHE"] = str(folder / "cache")
    begin = time.perf_counter()
    result, _ = run_demo(folder, FULL, seed, Processes(), say_when_done)
    seconds = time.perf_counter() - begin
    table = held_out_aucs(result.held_out)
    aucs = {key: {model: value[0] for model, value in row.items()} for key, row in table.items()}
    found = {"seed": seed, "seconds": seconds, "cases": FULL.test, "auc": aucs, "frozen": frozen_aucs(folder, seed)}
    stored.write_text(json.dumps(found, indent=1))
    return found


def judge(results: list[dict]) -> list[tuple[bool, str]]:
    """Every rule with whether it holds."""
    reachable = reachable_auc()
    verdicts: list[tuple[bool, str]] = []
    values = {
        (key, model): np.array([found["auc"][key][model] for found in results if key in found["auc"]])
        for key in KEYS
        for model in MODELS
    }
    print(f"\n{'endpoint':9s}{'planted in':26s}" + "".join(f"{model:>24s}" for model in MODELS) + "   reachable")
    for key in KEYS:
        cells = ""
        for model in MODELS:
            mean, error = _mean_and_error(values[key, model])
            cells += f"{mean:17.3f} +-{error:.3f}"
            if model in seen_by(key):
                verdicts.append((mean - 2 * error > 0.5, f"{key} {model}: mean less 2 SE {mean - 2 * error:.3f} > 0.5"))
            if key in CAUSELESS:
                verdicts.append((abs(mean - 0.5) <= 3 * error, f"{key} {model}: {mean:.3f} within 3 SE of 0.5"))
            verdicts.append((mean <= reachable[key] + 2 * error, f"{key} {model}: {mean:.3f} no more than reachable"))
        print(f"{key:9s}{PLANTED[key].where:26s}{cells}   {reachable[key]:.3f}")
    gain = [
        found["auc"][key]["deep-radscore"] - max(found["auc"][key][model] for model in MODELS[:2])
        for found in results
        for key in found["auc"]
        if key not in CAUSELESS
    ]
    verdicts.append((float(np.mean(gain)) >= -0.03, f"fused less best single on average {np.mean(gain):+.3f} >= -0.03"))
    for key in BEYOND:
        trained = values[key, "deep-ct"]
        frozen = np.array([found["frozen"][key] for found in results if key in found["frozen"]])
        verdicts.append(
            (trained.mean() > frozen.mean(), f"{key}: trained {trained.mean():.3f} > frozen random {frozen.mean():.3f}")
        )
    pooled = sum(found["cases"] for found in results)
    verdicts.append((pooled >= 400 and len(results) == len(SEEDS), f"{len(results)} seeds, {pooled} unseen cases"))
    return verdicts


def _mean_and_error(values: np.ndarray) -> tuple[float, float]:
    if len(values) < 2:
        return float(values.mean()) if len(values) else float("nan"), float("nan")
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="*", default=SEEDS, help="a few only, for a trial")
    args = parser.parse_args()
    results = []
    for seed in args.seeds:
        print(f"seed {seed}", flush=True)
        results.append(one_seed(args.out.absolute() / str(seed), seed))
        print(f"  {results[-1]['seconds']:.0f} s", flush=True)
    if len(results) < len(SEEDS):
        print("a trial of a few seeds: the rules are judged over all ten only, standard errors mean little")
    verdicts = judge(results)
    for holds, sentence in verdicts:
        print(("holds  " if holds else "FAILS  ") + sentence)
    sys.exit(0 if all(holds for holds, _ in verdicts) else 1)


if __name__ == "__main__":
    main()

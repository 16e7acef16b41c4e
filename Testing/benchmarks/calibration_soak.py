"""Coverage of label sets and intervals, calibration, and fold models: the long form, with tables as CSV.

Two parts, both on cases of known probability:

draws: many training draws of made-up features (support/calibration_study.py), as the pipeline fits them.
images: a bundle of the demonstration's size on unseen phantom cases; about 3 seconds a case for their features.

Run: `python Testing/benchmarks/calibration_soak.py --out soak-out`; `--bundle FILE` takes a bundle that is there,
`--page FILE` also writes the means as a page of the documentation.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))

from measured_page import table, write_page

from DeepRadScoreLib.bundles.bundle import Bundle, read_bundle
from DeepRadScoreLib.cli.demo_command import FULL, run_demo
from DeepRadScoreLib.cohort.table import read_cohort
from DeepRadScoreLib.computing.extraction import extract_cohort
from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.computing.workers import Processes
from DeepRadScoreLib.imaging.origin import SYNTHETIC_LABEL
from DeepRadScoreLib.progress import ignore
from DeepRadScoreLib.synthetic.causes import draw_labels, log_odds
from DeepRadScoreLib.synthetic.cohort import write_cohort
from support.calibration_study import Judged, interval_rows, label_set_row, probability_row, train_and_judge

KEYS = ("LVI", "PI", "EGFR", "TP53")
UNSEEN_SEED = 1001
READING = f"""\
{SYNTHETIC_LABEL.capitalize()}. Cases whose probability is known. Each number is a mean over models (one for each
endpoint and training draw).

- Label sets, made for a level of 0.90 of each label. *covered*: share of the cases of that label whose set holds it;
  *attainable*: the most that so many patients allow; *both*, *empty*: share of sets with both labels and with none.
- Scores, of the mean over the folds, which is shown, and of RadScores refitted on all. *above truth*: calibration error
  less that of the known probabilities; *outside*: share of cases outside the range of the folds; *spread*: its width.
- Intervals at 0.90. *holds known*: share of the cases whose own probability they hold; *holds expected*: whose mean
  probability, among cases of the same score, they hold."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("soak-out"))
    parser.add_argument("--draws", type=int, default=50)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    parts = [READING]
    given.out.mkdir(parents=True, exist_ok=True)
    workers = Processes(given.jobs)
    if given.draws:
        tasks = [{"seed": seed, "keys": KEYS, "folds": given.folds, "refit": True} for seed in range(given.draws)]
        drawn = [one for _, judged in workers.each(train_and_judge, tasks) for one in judged]
        parts += report(drawn, f"{given.draws} draws of made-up features", given.out / "draws", 1000)
    if given.cases:
        path = given.bundle or given.out / "demo" / "model.zip"
        if given.bundle is None:
            run_demo(given.out / "demo", FULL, 1, workers, ignore)
        judged = judge_images(read_bundle(path), given.out, given.cases, workers)
        parts += report(judged, f"{given.cases} unseen phantom cases", given.out / "images", given.cases)
    if given.page is not None:
        write_page(given.page, "Coverage and calibration", "measured-calibration", parts)


def judge_images(bundle: Bundle, out: Path, cases: int, workers: Processes) -> list[Judged]:
    """The bundle's findings of `cases` unseen phantom cases."""
    table = write_cohort(out / "unseen", 1, cases, UNSEEN_SEED, workers)
    cohort = read_cohort(table, needs=("case_id", "patient_id", "ct", "mask"))
    computed = extract_cohort(cohort, Run(out / "cache", workers))
    latents = json.loads((table.parent / "synthetic.json").read_text())["latents"]
    unseen = computed.features.index.str.contains("test")
    return judge_features(bundle, computed.features[unseen], computed.patches[unseen], latents)


def judge_features(bundle: Bundle, features: pd.DataFrame, patches: np.ndarray, latents: dict) -> list[Judged]:
    """The bundle's findings from features and patches; `latents`: case_id -> causes of the case."""
    causes = pd.DataFrame([latents[case_id] for case_id in features.index])
    labels = draw_labels(causes, UNSEEN_SEED)
    outputs = bundle.outputs(patches)
    judged = []
    for key, model in bundle.endpoints.items():
        card = bundle.manifest.endpoints[key].calibration
        if card is None or model.fusion.no_signal_ or bundle.manifest.withheld(key):
            continue
        truth = 1 / (1 + np.exp(-log_odds(causes, key)))
        of_case = model.log_odds(model.columns(features, outputs))
        folds = model.fold_log_odds(features, outputs)
        judged.append(Judged(key, model.fusion.classifier_, card, truth, labels[key].to_numpy(), of_case, folds))
    return judged


def report(judged: list[Judged], title: str, out: Path, most: int) -> list[str]:
    """Print the mean of every figure over endpoints and draws, and write each as a row of a CSV table.

    Returns the means as sections of a page.
    """
    parts = [f"## {title[0].upper()}{title[1:]}: {len(judged)} models"]
    print(f"\n{title}, {SYNTHETIC_LABEL}: {len(judged)} models")
    rows = [{"key": one.key, "classifier": one.classifier, "n": len(one.truth)} for one in judged]
    sets = pd.DataFrame([row | label_set_row(one) for row, one in zip(rows, judged, strict=True)])
    shipped = [row | probability_row(one, one.log_odds) for row, one in zip(rows, judged, strict=True)]
    refitted = [
        row | probability_row(one, one.of_refit)
        for row, one in zip(rows, judged, strict=True)
        if one.of_refit is not None
    ]
    intervals = pd.DataFrame(
        [
            row | {"method": method} | figures
            for row, one in zip(rows, judged, strict=True)
            for method, figures in interval_rows(one, most).items()
        ]
    )
    for name, frame in (
        ("label_sets", sets),
        ("mean_score_of_folds", pd.DataFrame(shipped)),
        ("radscores_refitted", pd.DataFrame(refitted)),
    ):
        if len(frame):
            means = frame.mean(numeric_only=True).drop("n")
            print(f"{name}:\n{means.round(4).to_string()}")
            frame.to_csv(out.with_name(f"{out.name}_{name}.csv"), index=False)
            cells = [[figure.replace("_", " "), f"{value:.3f}"] for figure, value in means.items()]
            parts += [f"### {name.replace('_', ' ').capitalize()}", table(["figure", "mean"], cells)]
    by_method = intervals.groupby("method", sort=False).mean(numeric_only=True).drop(columns="n")
    print(f"intervals at .90:\n{by_method.round(3).to_string()}")
    intervals.to_csv(out.with_name(f"{out.name}_intervals.csv"), index=False)
    cells = [[method, *(f"{value:.3f}" for value in row)] for method, row in by_method.iterrows()]
    return [*parts, "### Intervals", table(["method", *(name.replace("_", " ") for name in by_method.columns)], cells)]


if __name__ == "__main__":
    main()

"""The method on public patients, and on labels that mean nothing: what `evaluate` and the null studies say.

    python Testing/benchmarks/public_studies.py --out public-studies-out [--only lung1|radiogenomics|null]

`lung1` and `radiogenomics` write cohort and feature tables and run `deepradscore evaluate` on them. `null` shuffles the
labels of these two cohorts, and draws features of pure noise for 508 patients; its draws are kept in null.csv, and a
draw that is there is not made again.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from DeepRadScoreLib.cohort.public import lung1, nsclc_radiogenomics
from DeepRadScoreLib.cohort.table import read_cohort
from DeepRadScoreLib.publication.characteristics import formatted_table_one, table_one

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "Testing"))
from support.null_study import NullDraw, exactly, judge, noise, summarise  # noqa: E402

DATA = Path(os.environ.get("DEEPRADSCORE_TEST_DATA", ROOT.parent / "shared")) / "data"
LUNG1 = DATA / "nsclc-radiomics-lung1"
RADIOGENOMICS = DATA / "nsclc-radiogenomics"
LUNG1_CLINICAL = LUNG1 / "clinical" / "NSCLC-Radiomics-Lung1.clinical-version3-Oct-2019.csv"
LUNG1_FEATURES = LUNG1 / "features" / "primakov_pyradiomics_149x1218.xlsx"
RADIOGENOMICS_LABELS = RADIOGENOMICS / "clinical" / "NSCLCR01Radiogenomic_DATA_LABELS_2018-05-22_1500-shifted.csv"
EXPRESSION = RADIOGENOMICS / "expression" / "rnaseq_CD8A_CD274_CD8B_fpkm.csv"
KASIKCI_FEATURES = RADIOGENOMICS / "features" / "kasikci_radiomics_87x32_unnamed.txt"

ENDPOINTS = {"lung1": lung1.ENDPOINTS, "radiogenomics": ("KRAS", "EGFR")}
VOLUME = "tumour_original_shape_VoxelVolume"
TOTAL_ENERGY, ROOT_MEAN_SQUARED, VOXEL_VOLUME = "1", "13", "20"
"""Columns of the unnamed table; in every row the first / the second ** 2 is the third, as only a volume can be."""

PATIENTS = 508
COLUMNS = 851
POSITIVES = {
    "30 %": 152,
    "LVI": 114 + 49,
    "PI": 224 + 96,
    "T4": 87 + 37,
    "EGFR": 130 + 56,
    "KRAS": 34 + 23,
    "ALK": 14 + 13,
    "TP53": 62 + 58,
    "PIK3CA": 28 + 19,
    "ROS1": 16 + 10,
    "PDL1": 63 + 22,
}
"""Positives among 508 patients: one endpoint of 30 %, and the paper's ten (training + test)."""


@lru_cache
def lung1_tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cohort table and tumour features of the 145 patients who have both."""
    features = lung1.feature_table(LUNG1_FEATURES)
    table = lung1.cohort_table(LUNG1_CLINICAL)
    return table[table["case_id"].isin(features.index)], features


@lru_cache
def radiogenomics_tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cohort table of all 211 patients, and the 32 features of 87 of them, named by position but for the volume."""
    raw = pd.read_csv(KASIKCI_FEATURES, sep="\t", index_col=0).rename_axis("case_id")
    if not np.allclose(raw[TOTAL_ENERGY] / raw[ROOT_MEAN_SQUARED] ** 2, raw[VOXEL_VOLUME], rtol=1e-6):
        raise ValueError(f"{KASIKCI_FEATURES}: column {VOXEL_VOLUME} is not the volume")
    named = {column: VOLUME if column == VOXEL_VOLUME else f"tumour_column_{column}" for column in raw}
    return nsclc_radiogenomics.cohort_table(RADIOGENOMICS_LABELS, EXPRESSION), raw.rename(columns=named)


TABLES: dict[str, Callable[[], tuple[pd.DataFrame, pd.DataFrame]]] = {
    "lung1": lung1_tables,
    "radiogenomics": radiogenomics_tables,
}


def evaluate(name: str, out: Path, options: list[str]) -> None:
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    table, features = TABLES[name]()
    table.to_csv(folder / "cohort.csv", index=False)
    features.to_csv(folder / "features.csv")
    said = lung1.notes(table) if name == "lung1" else nsclc_radiogenomics.notes(table)
    print(f"\n{name}: {len(features)} patients with {features.shape[1]} features", *said, sep="\n  ")
    if name == "lung1":
        volumes = len(lung1.read_gtvs(LUNG1_FEATURES))
        print(
            f"  {volumes} delineated volumes: {volumes - len(features)} are not their patient's largest and left out."
        )
        print(f"  {len(lung1.absent_features(features))} of the 851 features are not in the table.")
    write_table_one(folder)
    call = [sys.executable, "-m", "DeepRadScoreLib.cli.main", "evaluate", str(folder / "cohort.csv")]
    call += ["--features", str(folder / "features.csv"), "--out", str(folder / "study"), "--protocol", "both"]
    call += ["--endpoints", ",".join(ENDPOINTS[name]), *options]
    begin = time.perf_counter()
    code = subprocess.run(call, check=False).returncode
    if code > 1:
        raise SystemExit(code)
    print(f"  {time.perf_counter() - begin:.0f} s")
    print_aucs(json.loads((folder / "study" / "results.json").read_text()))


def write_table_one(folder: Path) -> None:
    """Table 1 of all patients of the cohort table, by site, with the PD-1/PD-L1 labels if CD8A gives any."""
    cohort = read_cohort(folder / "cohort.csv", needs=("case_id", "patient_id"))
    table = cohort.table
    if cohort.pdl1_rules["CD8A"]:
        table = table.assign(PDL1=cohort.labels["PDL1"].map({0.0: "0", 1.0: "1"}).fillna(""))
        print(f"  PD-1/PD-L1 labels by CD8A: {cohort.pdl1_rules['CD8A']}, cut {cohort.cd8a_cut:.3f} FPKM.")
    described = table_one(table, table.get("site"), None, table["patient_id"])
    formatted_table_one(described).to_csv(folder / "table1.csv", index=False)


def print_aucs(results: dict) -> None:
    print(f"{'endpoint':16s}{'protocol':9s}{'model':18s}{'n':>4s}{'pos':>5s}{'AUC':>7s}  95 % interval   inner AUC")
    for protocol, result in results["protocols"].items():
        for endpoint, found in result["endpoints"].items():
            for model, card in found["models"].items():
                if card["auc"] is not None:
                    low, high = card["auc_ci"] or (np.nan, np.nan)
                    inner = f"{card['inner_auc']:.3f}" if card["inner_auc"] is not None else "-"
                    print(
                        f"{endpoint:16s}{protocol:9s}{model:18s}{card['n']:4d}{card['positives']:5d}{card['auc']:7.3f}"
                        f"  [{low:.3f}, {high:.3f}]  {inner:>8s}  {card['auc_note'] or ''}"
                    )
    for endpoint, flow in results["flow"].items():
        if flow["not_run"]:
            print(f"{endpoint:16s}not modelled: {flow['not_run']}")


SHUFFLED = {
    "lung1 T4 shuffled": ("lung1", "T4"),
    "lung1 died_within_2y shuffled": ("lung1", "died_within_2y"),
    "radiogenomics KRAS shuffled": ("radiogenomics", "KRAS"),
}
NOISE = {f"noise {endpoint} ({positives}/{PATIENTS})": positives for endpoint, positives in POSITIVES.items()}


def draws_of(permutations: int, draws: int) -> Iterator[tuple[str, int]]:
    """(study, draw): the real labels by turns, the 30 % endpoint of noise, the paper's ten by turns."""
    yield from ((study, draw) for draw in range(permutations) for study in SHUFFLED)
    thirty, *ten = NOISE
    yield from ((thirty, draw) for draw in range(draws))
    yield from ((study, draw) for draw in range(draws) for study in ten)


def drawn(study: str, draw: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Features and labels: a real cohort's labels in random order over the patients who have one, or noise."""
    if study in NOISE:
        labels = exactly(NOISE[study], PATIENTS, [draw, NOISE[study]])
        return noise(PATIENTS, COLUMNS, ("tumour", "peritumoral"), draw), labels
    name, endpoint = SHUFFLED[study]
    table, features = TABLES[name]()
    labels = table.set_index("case_id")[endpoint].reindex(features.index)
    known = labels[labels.isin(["0", "1"])]
    order = np.random.default_rng([draw, 7]).permutation(len(known))
    return features.loc[known.index], known.to_numpy(dtype=float).astype(int)[order]


def judged(study: str, draw: int, features: pd.DataFrame, labels: np.ndarray) -> tuple[str, int, NullDraw, float]:
    begin = time.perf_counter()
    return study, draw, judge(features, labels, draw), time.perf_counter() - begin


def null_studies(out: Path, permutations: int, draws: int, jobs: int, minutes: float) -> None:
    """Every draw that is not in null.csv yet; after `minutes` no further one is begun."""
    header = ["study", "draw", *(field.name for field in dataclasses.fields(NullDraw)), "seconds"]
    path = out / "null.csv"
    if not path.exists():
        path.write_text(",".join(header) + "\n")
    kept = pd.read_csv(path)
    done = set(zip(kept["study"], kept["draw"], strict=True))
    end = time.monotonic() + 60.0 * minutes
    tasks = (
        delayed(judged)(*task, *drawn(*task))
        for task in draws_of(permutations, draws)
        if task not in done and time.monotonic() < end
    )
    parallel = Parallel(n_jobs=jobs, return_as="generator_unordered", inner_max_num_threads=1, pre_dispatch=2 * jobs)
    with path.open("a", newline="") as stream:
        writer = csv.writer(stream)
        for study, draw, result, seconds in parallel(tasks):
            writer.writerow([study, draw, *dataclasses.astuple(result), round(seconds, 2)])
            stream.flush()
    print_null(pd.read_csv(path))


def print_null(kept: pd.DataFrame) -> None:
    print(
        "\nLabels that mean nothing: the strict mean AUC with its standard error, how often its 95 % interval holds\n"
        "0.5, and the paper protocol's inner cross-validated and held-out AUC on the same draws.\n"
        f"{'study':34s}{'draws':>6s}{'strict':>8s}{'SE':>8s}  {'coverage':22s}{'inner':>7s}{'test':>7s}{'s/draw':>8s}"
    )
    names = [field.name for field in dataclasses.fields(NullDraw)]
    for study, rows in kept.groupby("study", sort=False):
        if len(rows) > 1:
            found = summarise([NullDraw(*values) for values in rows[names].to_numpy()])
            low, high = found.coverage_ci
            print(
                f"{study:34s}{found.draws:6d}{found.strict:8.3f}{found.strict_se:8.4f}  {found.coverage:.3f} "
                f"[{low:.3f}, {high:.3f}]{found.inner:7.3f}{found.test:7.3f}{rows['seconds'].mean():8.1f}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", choices=("lung1", "radiogenomics", "null"))
    parser.add_argument("--repeats", type=int, help="of the inner cross-validation; default: the command's own")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--permutations", type=int, default=200, help="of the real labels")
    parser.add_argument("--draws", type=int, default=50, help="of the noise cohort")
    parser.add_argument("--minutes", type=float, default=120.0, help="no draw is begun after so many")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    options = ["--jobs", str(asked.jobs)] + ([] if asked.repeats is None else ["--repeats", str(asked.repeats)])
    for name in ENDPOINTS:
        if asked.only in (None, name):
            evaluate(name, asked.out, options)
    if asked.only in (None, "null"):
        null_studies(asked.out, asked.permutations, asked.draws, asked.jobs, asked.minutes)


if __name__ == "__main__":
    main()

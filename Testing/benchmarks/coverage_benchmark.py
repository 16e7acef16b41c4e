"""Measured coverage of the 95 % intervals of the AUC, held-out and cross-validated, and the speed of DeLong.

    python Testing/benchmarks/coverage_benchmark.py [--tables 2000] [--seed 0]

Gaussian classes with unit covariance; `auc` is that of the best possible score, the signal lies half in each of two
columns. Two ways of learning a linear score w: `logistic`, ridge logistic regression (penalty 1 on the slopes) of 5
columns, and `best of 200`, the column with the largest |t| of 200, an unstable one. A linear score of such classes has
the AUC Phi(w . shift / sqrt(2 w . w)), so that the truth needs no second sample.

Held out: the score is learned on one table and judged on another with n and events alike; the quantity estimated is
its true AUC. Cross-validated: 5 stratified folds of one table; the quantity estimated is the mean over the folds of the
true AUCs of the fold-fitted scores. Each coverage (in %) stands with its 95 % Clopper-Pearson interval and the mean
width of the intervals. `mean_auc` is what the library gives; the others are what it was chosen from. Last, how often
two models without a true difference are called different at p < 0.05: by `mean_auc_difference`, and by the sum of the
folds' paired variances alone.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit
from scipy.stats import binomtest, norm, t

from DeepRadScoreLib.statistics.auc import auc_interval, components, delong, delong_test, mean_auc, mean_auc_difference

Z = norm.ppf(0.975)
FOLDS = 5
BATCH = 250
Learner = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Setting:
    n: int
    events: int
    auc: float
    learner: str


SETTINGS = [
    *(
        Setting(n, events, auc, "logistic")
        for n, events, auc in (
            (60, 10, 0.75),
            (60, 10, 0.97),
            (60, 20, 0.75),
            (100, 30, 0.5),
            (100, 30, 0.7),
            (100, 30, 0.9),
            (150, 50, 0.7),
            (300, 30, 0.7),
            (300, 100, 0.85),
            (508, 30, 0.8),
            (508, 30, 0.95),
            (508, 150, 0.5),
            (508, 150, 0.75),
            (508, 150, 0.97),
        )
    ),
    Setting(100, 30, 0.5, "best of 200"),
    Setting(300, 100, 0.7, "best of 200"),
]


PAIRS = [
    (Setting(100, 30, 0.5, "logistic"), ([0, 1], [2, 3, 4])),
    (Setting(508, 150, 0.5, "logistic"), ([0, 1, 2], [0, 1, 2, 3, 4])),
    (Setting(100, 30, 0.75, "logistic"), ([0, 2], [1, 3])),
    (Setting(508, 150, 0.75, "logistic"), ([0, 2], [1, 3])),
]


def logistic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Slopes (tables, columns) of ridge logistic regression by Newton's method; x (tables, n, columns), y (n,)."""
    x = np.concatenate([x, np.ones((*x.shape[:2], 1))], axis=2)
    penalty = np.diag([1.0] * (x.shape[2] - 1) + [0.0])
    w = np.zeros((len(x), x.shape[2]))
    for _ in range(8):
        p = expit(np.einsum("bij,bj->bi", x, w))
        gradient = np.einsum("bij,bi->bj", x, y - p) - w @ penalty
        hessian = np.matmul((x * (p * (1 - p))[..., None]).transpose(0, 2, 1), x) + penalty
        w = w + np.linalg.solve(hessian, gradient[..., None])[..., 0]
    return w[:, :-1]


def best_of_many(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """One column with its sign: the largest |t| of the difference of the classes' means."""
    one, zero = x[:, y == 1], x[:, y == 0]
    difference = one.mean(axis=1) - zero.mean(axis=1)
    statistic = difference / np.sqrt(one.var(axis=1) / one.shape[1] + zero.var(axis=1) / zero.shape[1])
    best = np.abs(statistic).argmax(axis=1)
    w = np.zeros_like(statistic)
    rows = np.arange(len(w))
    w[rows, best] = np.sign(statistic[rows, best])
    return w


LEARNERS: dict[str, tuple[Learner, int]] = {"logistic": (logistic, 5), "best of 200": (best_of_many, 200)}


def tables(setting: Setting, count: int, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of columns (tables, n, columns), and the shift (columns,) of the positives, which stand first."""
    columns = LEARNERS[setting.learner][1]
    shift = np.zeros(columns)
    shift[:2] = norm.ppf(setting.auc)
    for start in range(0, count, BATCH):
        x = rng.normal(size=(min(BATCH, count - start), setting.n, columns))
        x[:, : setting.events] += shift
        yield x, shift


def labels(setting: Setting) -> np.ndarray:
    return (np.arange(setting.n) < setting.events).astype(int)


def folds_of(setting: Setting) -> np.ndarray:
    return np.concatenate([np.arange(count) % FOLDS for count in (setting.events, setting.n - setting.events)])


def true_auc(w: np.ndarray, shift: np.ndarray) -> np.ndarray:
    return norm.cdf(w @ shift / np.sqrt(2.0 * np.sum(w**2, axis=1)))


def held_out(setting: Setting, count: int, rng: np.random.Generator) -> np.ndarray:
    """Rows (truth, low, high) of `auc_interval` on a second table."""
    learn = LEARNERS[setting.learner][0]
    y = labels(setting)
    rows = []
    for (x, shift), (unseen, _) in zip(tables(setting, count, rng), tables(setting, count, rng), strict=True):
        w = learn(x, y)
        scores = np.einsum("bij,bj->bi", unseen, w)
        for truth, score in zip(true_auc(w, shift), scores, strict=True):
            estimate = auc_interval(y, score)
            rows.append((truth, estimate.low, estimate.high))
    return np.array(rows)


def cross_validated(setting: Setting, count: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Per method rows (truth, low, high)."""
    learn = LEARNERS[setting.learner][0]
    y, fold_of = labels(setting), folds_of(setting)
    rows: dict[str, list[tuple[float, float, float]]] = {}
    for x, shift in tables(setting, count, rng):
        truths, scores = [], []
        for k in range(FOLDS):
            w = learn(x[:, fold_of != k], y[fold_of != k])
            truths.append(true_auc(w, shift))
            scores.append(np.einsum("bij,bj->bi", x[:, fold_of == k], w))
        for b, truth in enumerate(np.mean(truths, axis=0)):
            folds = [(y[fold_of == k], scores[k][b]) for k in range(FOLDS)]
            for method, (low, high) in intervals(folds).items():
                rows.setdefault(method, []).append((truth, low, high))
    return {method: np.array(found) for method, found in rows.items()}


def intervals(folds: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, tuple[float, float]]:
    """The chosen interval, `mean_auc`, and those it was chosen from."""
    chosen = mean_auc(folds)
    auc = chosen.auc
    parts = [components(y, score[None]) for y, score in folds]
    aucs = np.array([positives.mean() for positives, _ in parts])
    n, m = sum(len(y) for y, _ in folds), sum(int(y.sum()) for y, _ in folds)
    curve = np.mean(
        [
            (np.sum(((p - p.mean()) / (m / n)) ** 2) + np.sum(((q - q.mean()) / (1 - m / n)) ** 2)) / len(y)
            for (p, q), (y, _) in zip(parts, folds, strict=True)
        ]
    )
    within = sum(np.var(p, ddof=1) / p.size + np.var(q, ddof=1) / q.size for p, q in parts) / len(folds) ** 2
    corrected = aucs.var(ddof=1) * (1 / len(folds) + 1 / (len(folds) - 1))
    found = {"mean_auc": (chosen.low, chosen.high)}
    for name, variance, reach in (
        ("influence curve", curve / n, Z),
        ("fold DeLong", within, Z),
        ("fold DeLong, r = 1 / K", within * (1 + (len(folds) - 1) / len(folds)), Z),
        ("corrected t", corrected, t.ppf(0.975, len(folds) - 1)),
    ):
        half = reach * np.sqrt(variance)
        found[name] = (auc - half, auc + half)
        if name in ("influence curve", "fold DeLong"):
            found[name + ", logit"] = (
                tuple(expit(logit(auc) + np.array([-1, 1]) * half / (auc * (1 - auc))))
                if 0 < auc < 1
                else found["mean_auc"]
            )
    return found


def false_alarms(setting: Setting, own: tuple[list[int], list[int]], count: int, rng: np.random.Generator) -> list[int]:
    """How often p < 0.05 for two logistic models on columns of their own: library, and without fold correlation."""
    y, fold_of = labels(setting), folds_of(setting)
    alarms = np.zeros(2, int)
    for x, _ in tables(setting, count, rng):
        scores = []
        for k in range(FOLDS):
            fitted = [logistic(x[:, fold_of != k][..., c], y[fold_of != k]) for c in own]
            scores.append(
                [np.einsum("bij,bj->bi", x[:, fold_of == k][..., c], w) for c, w in zip(own, fitted, strict=True)]
            )
        for b in range(len(x)):
            folds = [(y[fold_of == k], scores[k][0][b], scores[k][1][b]) for k in range(FOLDS)]
            difference, p = mean_auc_difference(folds)
            variance = sum(np.array([1, -1]) @ delong(y, np.stack([a, b]))[1] @ [1, -1] for y, a, b in folds) / FOLDS**2
            alarms += (p < 0.05, abs(difference) > Z * np.sqrt(variance))
    return alarms.tolist()


def share(count: int, total: int) -> str:
    ci = binomtest(count, total).proportion_ci(0.95, "exact")
    return f"{100 * count / total:5.1f} [{100 * ci.low:.1f}, {100 * ci.high:.1f}]"


def line(name: str, rows: np.ndarray) -> str:
    truth, low, high = rows.T
    covered = int(np.sum((low <= truth) & (truth <= high)))
    return f"  {name:24s} {share(covered, len(rows))}  width {np.mean(high - low):.3f}  true AUC {truth.mean():.3f}"


def delong_speed(repeats: int = 21) -> None:
    """Median time of 10 endpoints x 3 models at n = 508, two paired comparisons each, beside MLstatkit's."""
    from MLstatkit import Delong_test

    rng = np.random.default_rng(0)
    y = (rng.random((10, 508)) < 0.3).astype(int)
    scores = rng.normal(size=(10, 3, 508)) + y[:, None]
    took = {}
    for name, test in (("ours", delong_test), ("MLstatkit", Delong_test)):
        times = []
        for _ in range(repeats):
            begin = time.perf_counter()
            for labels_, (a, b, c) in zip(y, scores, strict=True):
                test(labels_, a, b)
                test(labels_, a, c)
            times.append(time.perf_counter() - begin)
        took[name] = 1000 * float(np.median(times))
    ours, theirs = took.values()
    print(f"DeLong, 10 endpoints x 3 models, n = 508: {ours:.1f} ms; MLstatkit {theirs:.1f} ms, {theirs / ours:.1f} x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    begin = time.perf_counter()
    delong_speed()
    for index, setting in enumerate(SETTINGS):
        rng = np.random.default_rng([options.seed, index])
        print(f"n {setting.n}, events {setting.events}, AUC {setting.auc}, {setting.learner}; {options.tables} tables")
        print(line("held out", held_out(setting, options.tables, rng)))
        for method, rows in cross_validated(setting, options.tables, rng).items():
            print(line(method, rows), flush=True)
    print("two models without a true difference called different, %: library; without the folds' correlation")
    for index, (setting, own) in enumerate(PAIRS):
        alarms = false_alarms(setting, own, options.tables, np.random.default_rng([options.seed, 1000 + index]))
        counts = "; ".join(share(count, options.tables) for count in alarms)
        print(f"  n {setting.n}, events {setting.events}, AUC {setting.auc}, columns {own}: {counts}", flush=True)
    print(f"{time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()

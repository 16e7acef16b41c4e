"""The study: the classifiers' tuning and comparison, whole strict studies, and a training step of the network.

python Testing/benchmarks/bench.py study
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rows.side_by_side import NO_HISTORY, ROOT, Row, Worker, before, in_turns, timed

COLUMNS = """
import warnings
import numpy as np
from DeepRadScoreLib.fusion.model import FusionModel, grouped_folds
warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
y = (rng.random(406) < 0.3).astype(int)
models = [rng.normal(size=(406, d)) + 0.3 * y[:, None] for d in {widths}]
FusionModel(search="quick", repeats=1).fit(models[0][:60], y[:60])
"""
CLASSIFIERS = "fits = [FusionModel().fit(X, y) for X in models]; result = [fit.classifier_ for fit in fits]"
PIPELINES = """
from sklearn.model_selection import GridSearchCV, RepeatedStratifiedKFold, cross_validate
from DeepRadScoreLib.fusion.classifiers import CLASSIFIERS, candidate
for X in models:
    for name in CLASSIFIERS:
        pipeline, grid = candidate(name, 0)
        folds = grouped_folds(y, np.arange(406), 5, (0, 0))
        search = GridSearchCV(pipeline, grid, scoring="roc_auc", cv=folds, refit=False).fit(X, y)
        pipeline.set_params(**search.best_params_)
        cross_validate(pipeline, X, y, scoring="roc_auc", cv=RepeatedStratifiedKFold(n_splits=5, n_repeats=10))
"""
SMALL_STUDY = """
import sys
sys.path.insert(0, "Testing/benchmarks")
import whole_study
whole_study.N = 120
whole_study.POSITIVES = {"EGFR": 48, "KRAS": 30}
whole_study.KEYS = tuple(whole_study.POSITIVES)
sys.argv[1:] = []
"""
NETWORK = """
import numpy as np, torch
from safetensors.torch import save_file
from DeepRadScoreLib.deepct.augment import augment
from DeepRadScoreLib.deepct.network import NetworkSpec, network_input
from DeepRadScoreLib.deepct.objective import class_weights, masked_cross_entropy
from DeepRadScoreLib.deepct.torchvision_import import import_torchvision
from DeepRadScoreLib.deepct.training import TrainingSettings, train_network
torch.manual_seed(0)
net = import_torchvision().models.densenet121(weights=None)
save_file({{key: value.contiguous() for key, value in net.state_dict().items()}}, "{weights}")
for key, parameter in net.named_parameters():
    parameter.requires_grad_(key.startswith(("features.transition3", "features.denseblock4", "features.norm5")))
net.classifier = torch.nn.Linear(1024, 4)
net.eval()
hu = np.random.default_rng(0).normal(-600, 250, (64, 160, 160)).astype(np.float32)
labels = np.random.default_rng(1).integers(0, 2, (64, 2)).astype(float)
spec = NetworkSpec("densenet121", ("EGFR", "KRAS"))
settings = TrainingSettings(weights="{weights}", epochs=4, batch=16)
x, y = network_input(hu), torch.from_numpy(labels.astype(np.float32))
weights, generator = class_weights(y), torch.Generator().manual_seed(0)
optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=1e-4)
"""
PLAIN_LOOP = """
for _ in range(4):
    for rows in torch.randperm(64, generator=generator).split(16):
        loss = masked_cross_entropy(net(augment(x[rows], generator)).view(16, 2, 2), y[rows], weights)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
"""
OWN_LOOP = """
train_network(hu, labels, hu[:2], labels[:2], spec=spec, settings=settings, seed=0, device="cpu")
"""


def rows() -> Iterator[Row]:
    """The rows of the study."""
    with tempfile.TemporaryDirectory() as folder, before() as checkout:
        yield _classifiers(checkout, "tuning and comparison of all classifiers, three models", (2, 10, 12))
        yield _classifiers(checkout, "the same, the two RadScores' model alone", (2,))
        yield _pipelines()
        yield _shared_table(checkout, Path(folder))
        yield _small_study(checkout)
        yield _training_step(Path(folder))


def _classifiers(checkout: Path | None, what: str, widths: tuple[int, ...]) -> Row:
    """One endpoint and one outer fold of 406 cases; the choices of both sides are compared."""
    row = Row(what, "the program before", 4, 10)
    if checkout is None:
        row.remark = NO_HISTORY
        return row
    other, own = Worker(checkout), Worker(ROOT)
    for worker in (other, own):
        worker.run(COLUMNS.format(widths=widths))
    in_turns(row, lambda: other.run(CLASSIFIERS), lambda: own.run(CLASSIFIERS), 3)
    row.remark = "same choice" if other.result == own.result else "ANOTHER CHOICE"
    other.close()
    own.close()
    return row


def _pipelines() -> Row:
    row = Row("tuning and comparison, 12 columns", "scikit-learn's GridSearchCV and cross_validate", 4, 10)
    other, own = Worker(ROOT), Worker(ROOT)
    for worker in (other, own):
        worker.run(COLUMNS.format(widths=(12,)))
    in_turns(row, lambda: other.run(PIPELINES), lambda: own.run(CLASSIFIERS), 2)
    other.close()
    own.close()
    return row


def _shared_table(checkout: Path | None, folder: Path) -> Row:
    """The whole command on 87 patients with 32 features each, two endpoints; compilation, once on a machine, apart."""
    row = Row("strict study of the shared table (87 patients)", "the program before", 2, 5)
    if checkout is None:
        row.remark = NO_HISTORY
        return row
    from public_studies import RADIOGENOMICS, TABLES

    if not RADIOGENOMICS.is_dir():
        row.remark = f"{RADIOGENOMICS} is not there"
        return row
    table, features = TABLES["radiogenomics"]()
    table[table["case_id"].isin(features.index)].to_csv(folder / "cohort.csv", index=False)
    features.to_csv(folder / "features.csv")

    def command(root: Path) -> float:
        with tempfile.TemporaryDirectory() as out:
            call = [sys.executable, "-m", "DeepRadScoreLib.cli.main", "evaluate", str(folder / "cohort.csv")]
            call += ["--features", str(folder / "features.csv"), "--endpoints", "KRAS,EGFR", "--out", f"{out}/study"]
            compiled = str(folder / "compiled")
            return timed(call, root, PYTHONPATH=str(root), XDG_CACHE_HOME=f"{out}/cache", NUMBA_CACHE_DIR=compiled)

    command(ROOT)
    return in_turns(row, lambda: command(checkout), lambda: command(ROOT), 3)


def _small_study(checkout: Path | None) -> Row:
    """All of the strict protocol but extraction: folds, baselines, tables, figures and page."""
    row = Row("strict study of 120 synthetic cases, frozen network", "the program before", 2, 5)
    if checkout is None:
        row.remark = NO_HISTORY
        return row
    other, own = Worker(checkout), Worker(ROOT)
    for worker in (other, own):
        worker.run(SMALL_STUDY)
    in_turns(row, lambda: other.run("whole_study.main()"), lambda: own.run("whole_study.main()"), 2)
    other.close()
    own.close()
    row.remark = "two endpoints, five folds, all baselines; extraction apart"
    return row


def _training_step(folder: Path) -> Row:
    row = Row("16 training steps of DenseNet-121, batch 16, CPU", "a plain torchvision loop", 1.5, 3)
    other, own = Worker(ROOT), Worker(ROOT)
    for number, worker in enumerate((other, own)):
        worker.run(NETWORK.format(weights=folder / f"weights-{number}.safetensors"))
    in_turns(row, lambda: other.run(PLAIN_LOOP), lambda: own.run(OWN_LOOP), 3)
    other.close()
    own.close()
    row.remark = "own side with building the network and four validations of two cases"
    return row

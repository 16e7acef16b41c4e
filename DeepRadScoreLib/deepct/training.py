"""Training of Deep-CT: masked weighted cross-entropy, early stopping on the validation AUC, resumable, by seed.

A network of given weights is trained channels last (torch's `memory_format`) and with a fused AdamW: on a CPU a step
takes two thirds of the time, and losses differ from a plain loop's by float32's rounding alone. Random weights are not:
there a difference of rounding grows to another network within a few epochs. On a CPU all of it runs in one thread: with
more, gradients are summed in another order and the same seed gives another network.
"""

from __future__ import annotations

import copy
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from DeepRadScoreLib.deepct.augment import augment
from DeepRadScoreLib.deepct.backbones import UNREADABLE, Trunk, build_trunk, freeze
from DeepRadScoreLib.deepct.device import deterministic, device_of
from DeepRadScoreLib.deepct.network import DeepCT, NetworkSpec, network_input
from DeepRadScoreLib.deepct.objective import class_weights, masked_cross_entropy, mean_auc
from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.progress import Progress, Report, Stage, ignore
from DeepRadScoreLib.writing import replacing


@dataclass(frozen=True)
class TrainingSettings:
    """Training settings (method: Deep-CT). Random weights take `lr_random` for all of it, in one cycle.

    Attributes
    ----------
    weights: "none", "imagenet" or a file; with "none" nothing is frozen and batch norm trains, else the first blocks
        are frozen and batch norm stays in eval mode.
    patience: epochs without a better validation AUC after which training ends; the best epoch is used.
    """

    epochs: int = 60
    patience: int = 12
    batch: int = 16
    lr_trunk: float = 1e-4
    lr_head: float = 1e-3
    lr_random: float = 1e-3
    weight_decay: float = 1e-4
    weights: str | Path = "imagenet"
    weights_sha256: str | None = None


@dataclass(frozen=True)
class EpochReport:
    """One epoch: losses, and the mean AUC over the endpoints that have both classes in validation (NaN if none has)."""

    epoch: int
    epochs: int
    train_loss: float
    validation_loss: float
    validation_auc: float

    def event(self, title: str) -> Progress:
        """The epoch as an event, its figures in words."""
        auc = "-" if np.isnan(self.validation_auc) else f"{self.validation_auc:.3f}"
        words = [title, f"loss {self.train_loss:.3f}", f"validation AUC {auc}"]
        return Progress(Stage.NETWORKS, ", ".join(filter(None, words)), self.epoch, self.epochs)


@dataclass(frozen=True)
class TrainedNetwork:
    """The network of the best epoch, all epochs, and the source of its initial weights."""

    network: DeepCT
    history: tuple[EpochReport, ...]
    weights: str


@dataclass
class _Cases:
    """Input (n, 3, pixels, pixels), labels (n, endpoints) and RadScores (n, endpoints, 2) on the device."""

    x: Tensor
    labels: Tensor
    radscores: Tensor | None

    def rows(self, rows: Tensor | slice) -> tuple[Tensor, Tensor | None]:
        """Input and RadScores of some cases."""
        return self.x[rows], None if self.radscores is None else self.radscores[rows]


@dataclass
class _Course:
    """The state of a training that changes from epoch to epoch; a checkpoint holds all of it."""

    network: DeepCT
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    generator: torch.Generator
    history: list[EpochReport]
    best_state: dict[str, Tensor]
    best: tuple[float, float]
    best_epoch: int

    def state(self) -> dict:
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "generator": self.generator.get_state(),
            "history": [tuple(vars(report).values()) for report in self.history],
            "best_state": self.best_state,
            "best": self.best,
            "best_epoch": self.best_epoch,
        }

    def load(self, state: dict) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.generator.set_state(state["generator"].cpu())
        self.history = [EpochReport(*values) for values in state["history"]]
        self.best_state, self.best, self.best_epoch = state["best_state"], tuple(state["best"]), state["best_epoch"]


def train_network(
    hu: np.ndarray,
    labels: np.ndarray,
    validation_hu: np.ndarray,
    validation_labels: np.ndarray,
    *,
    spec: NetworkSpec,
    settings: TrainingSettings,
    seed: int,
    device: str = "auto",
    radscores: np.ndarray | None = None,
    validation_radscores: np.ndarray | None = None,
    checkpoint: Path | None = None,
    title: str = "",
    report: Report = ignore,
) -> TrainedNetwork:
    """Train one network.

    Parameters
    ----------
    hu, validation_hu: patches (n, 160, 160) in HU.
    labels, validation_labels: (n, endpoints) in the order of `spec.endpoints`; NaN where a label is missing.
    radscores, validation_radscores: (n, endpoints, 2) for a joint head.
    checkpoint: a file written after every epoch. If it exists and is of the same data, settings and seed, training
        resumes from it and ends as an uninterrupted one would; another one is overwritten.
    title: name of the network in the events.
    report: called after every epoch; an exception that it raises ends the training and leaves the checkpoint.

    Raises
    ------
    InputError: weights that cannot be loaded, a checkpoint that cannot be read, a device that is not there.
    ValueError: RadScores without a joint head, or a joint head without RadScores.
    """
    torch_device = device_of(device)
    trunk, described = build_trunk(spec.backbone, settings.weights, sha256=settings.weights_sha256, seed=seed)
    random = settings.weights == "none"
    if not random:
        freeze(trunk)
    order = torch.contiguous_format if random else torch.channels_last
    network = _in_order(DeepCT(spec, trunk, seed).to(torch_device), order)
    training = _cases(hu, labels, radscores, spec, torch_device)
    validation = _cases(validation_hu, validation_labels, validation_radscores, spec, torch_device)
    course = _start(network, settings, random, len(_full_batches(torch.arange(len(hu)), settings.batch)), seed)
    fingerprint = "" if checkpoint is None else _fingerprint(spec, settings, seed, described, training, validation)
    if checkpoint is not None and checkpoint.is_file():
        _load(course, checkpoint, fingerprint, torch_device)
    weights = class_weights(training.labels)
    with deterministic(torch_device):
        while len(course.history) < settings.epochs and len(course.history) - course.best_epoch < settings.patience:
            loss = _one_epoch(course, training, weights, settings, seed, train_batch_norm=random)
            validation_loss, auc = _validate(network, validation, weights)
            _add_epoch(course, EpochReport(len(course.history) + 1, settings.epochs, loss, validation_loss, auc))
            if checkpoint is not None:
                _save({"of": fingerprint, **course.state()}, checkpoint)
            report(course.history[-1].event(title))
    network.load_state_dict(course.best_state)
    network = _in_order(network.to("cpu"), torch.contiguous_format).eval()
    return TrainedNetwork(network, tuple(course.history), described)


def frozen_network(
    hu: np.ndarray, spec: NetworkSpec, *, weights: str | Path, sha256: str | None, seed: int, device: str
) -> tuple[DeepCT, str]:
    """A network that is not trained; of random weights only the batch-norm statistics are estimated, once, on `hu`."""
    trunk, described = build_trunk(spec.backbone, weights, sha256=sha256, seed=seed)
    torch_device = device_of(device)
    if weights == "none":
        with deterministic(torch_device):
            _estimate_batch_norm(trunk.to(torch_device), network_input(hu, spec.pixels).to(torch_device))
    return DeepCT(spec, trunk.to("cpu"), seed).eval(), described


def _in_order(network: DeepCT, order: torch.memory_format) -> DeepCT:
    return network.to(memory_format=order)  # type: ignore[call-overload]


def _estimate_batch_norm(trunk: Trunk, x: Tensor) -> None:
    for module in trunk.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    trunk.train()
    with torch.no_grad():
        for rows in _full_batches(torch.arange(len(x)), 32):
            trunk(x[rows])
    trunk.eval()


def _cases(
    hu: np.ndarray, labels: np.ndarray, radscores: np.ndarray | None, spec: NetworkSpec, device: torch.device
) -> _Cases:
    if (radscores is None) != (spec.n_radscores == 0):
        raise ValueError(f"the head takes {spec.n_radscores} RadScores; give them exactly if it takes any")
    scores = None if radscores is None else torch.from_numpy(np.asarray(radscores, dtype=np.float32)).to(device)
    return _Cases(
        network_input(hu, spec.pixels).to(device),
        torch.from_numpy(np.asarray(labels, dtype=np.float32)).to(device),
        scores,
    )


def _start(network: DeepCT, settings: TrainingSettings, random: bool, steps: int, seed: int) -> _Course:
    trunk_rate, head_rate = (settings.lr_random,) * 2 if random else (settings.lr_trunk, settings.lr_head)
    groups = [
        {"params": [p for p in network.trunk.parameters() if p.requires_grad], "lr": trunk_rate},
        {"params": list(network.heads.parameters()), "lr": head_rate},
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=not random)
    schedule: torch.optim.lr_scheduler.LRScheduler
    if random:
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, [trunk_rate, head_rate], total_steps=max(settings.epochs * steps, 2) + 1
        )
    else:
        schedule = torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
    generator = torch.Generator().manual_seed(seed)
    return _Course(network, optimizer, schedule, generator, [], _copy(network), (-np.inf, -np.inf), 0)


def _one_epoch(
    course: _Course,
    training: _Cases,
    weights: Tensor,
    settings: TrainingSettings,
    seed: int,
    *,
    train_batch_norm: bool,
) -> float:
    course.network.train()
    if not train_batch_norm:
        for module in course.network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
    with torch.random.fork_rng(devices=[training.x.device] if training.x.is_cuda else []):
        torch.manual_seed(seed + 1_000_003 * (len(course.history) + 1))  # of dropout, which takes no generator
        return _batches_of_one_epoch(course, training, weights, settings)


def _batches_of_one_epoch(course: _Course, training: _Cases, weights: Tensor, settings: TrainingSettings) -> float:
    total = 0.0
    batches = _full_batches(torch.randperm(len(training.x), generator=course.generator), settings.batch)
    for rows in batches:
        x, radscores = training.rows(rows)
        logits = course.network(augment(x, course.generator), radscores)
        loss = masked_cross_entropy(logits, training.labels[rows], weights)
        course.optimizer.zero_grad()
        loss.backward()
        course.optimizer.step()
        course.schedule.step()
        total += float(loss.detach())
    return total / len(batches)


def _validate(network: DeepCT, cases: _Cases, weights: Tensor) -> tuple[float, float]:
    network.eval()
    with torch.inference_mode():
        logits = torch.cat([network(*cases.rows(slice(i, i + 64))) for i in range(0, len(cases.x), 64)])
        loss = float(masked_cross_entropy(logits, cases.labels, weights))
    scores = (logits[..., 1] - logits[..., 0]).cpu().numpy()
    return loss, mean_auc(cases.labels.cpu().numpy(), scores)


def _add_epoch(course: _Course, report: EpochReport) -> None:
    auc = -np.inf if np.isnan(report.validation_auc) else report.validation_auc
    score = (auc, -report.validation_loss)
    course.history.append(report)
    if score > course.best:
        course.best, course.best_epoch, course.best_state = score, report.epoch, _copy(course.network)


def _copy(network: DeepCT) -> dict[str, Tensor]:
    return copy.deepcopy(network.state_dict())


def _full_batches(order: Tensor, batch: int) -> list[Tensor]:
    """Batches of about the same size, none of a single case (batch norm needs two)."""
    return list(torch.tensor_split(order, max(round(len(order) / batch), 1)))


def _save(state: dict, path: Path) -> None:
    with replacing(path) as temporary:
        torch.save(state, temporary)


def _load(course: _Course, checkpoint: Path, fingerprint: str, device: torch.device) -> None:
    try:
        state = torch.load(checkpoint, map_location=device, weights_only=True)
    except UNREADABLE as error:
        raise InputError("the checkpoint cannot be read", where=checkpoint, mend="delete it and train again") from error
    if state.get("of") == fingerprint:
        course.load(state)


def _fingerprint(spec: NetworkSpec, settings: TrainingSettings, seed: int, weights: str, *each: _Cases) -> str:
    """SHA-256 of every input and setting that affects a training."""
    digest = hashlib.sha256(repr((spec, settings, seed, weights)).encode())
    for cases in each:
        for values in (cases.x, cases.labels, cases.radscores):
            digest.update(b"none" if values is None else np.ascontiguousarray(values.cpu().numpy()).data)
    return digest.hexdigest()

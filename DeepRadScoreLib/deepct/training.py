"""Training of Deep-CT: masked weighted cross-entropy, early stopping on the validation AUC, resumable, by seed."""

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
    patience: epochs without a better validation AUC after which training ends; the best epoch is kept.
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
    """The network of the best epoch, the course of training, and where its weights started from."""

    network: DeepCT
    history: tuple[EpochReport, ...]
    weights: str


@dataclass
class _Part:
    x: Tensor
    labels: Tensor
    radscores: Tensor | None


@dataclass
class _Course:
    """What changes from epoch to epoch, and is all that a checkpoint holds."""

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
    checkpoint: written after every epoch; if it is there, of the same data, settings and seed, training goes on from it
        and ends as an unbroken run would; that of another run is written over.
    title: what the network is called in the events.
    report: called after every epoch; what it raises ends the training with the checkpoint in place.

    Raises
    ------
    InputError: weights that cannot be loaded, a checkpoint that cannot be read, a device that is not there.
    ValueError: RadScores without a joint head, or a joint head without RadScores.
    """
    place = device_of(device)
    trunk, described = build_trunk(spec.backbone, settings.weights, sha256=settings.weights_sha256, seed=seed)
    random = settings.weights == "none"
    if not random:
        freeze(trunk)
    network = DeepCT(spec, trunk, seed).to(place)
    training = _part(hu, labels, radscores, spec, place)
    validation = _part(validation_hu, validation_labels, validation_radscores, spec, place)
    course = _start(network, settings, random, len(_full_batches(torch.arange(len(hu)), settings.batch)), seed)
    of = "" if checkpoint is None else _fingerprint(spec, settings, seed, described, training, validation)
    if checkpoint is not None and checkpoint.is_file():
        _load(course, checkpoint, of, place)
    weights = class_weights(training.labels)
    with deterministic(place):
        while len(course.history) < settings.epochs and len(course.history) - course.best_epoch < settings.patience:
            loss = _one_epoch(course, training, weights, settings, seed, batch_norm_trains=random)
            validation_loss, auc = _validate(network, validation, weights)
            _add_epoch(course, EpochReport(len(course.history) + 1, settings.epochs, loss, validation_loss, auc))
            if checkpoint is not None:
                _save({"of": of, **course.state()}, checkpoint)
            report(course.history[-1].event(title))
    network.load_state_dict(course.best_state)
    return TrainedNetwork(network.to("cpu").eval(), tuple(course.history), described)


def frozen_network(
    hu: np.ndarray, spec: NetworkSpec, *, weights: str | Path, sha256: str | None, seed: int, device: str
) -> tuple[DeepCT, str]:
    """A network that is not trained; of random weights only the batch-norm statistics are estimated, once, on `hu`."""
    trunk, described = build_trunk(spec.backbone, weights, sha256=sha256, seed=seed)
    place = device_of(device)
    if weights == "none":
        _estimate_batch_norm(trunk.to(place), network_input(hu, spec.pixels).to(place))
    return DeepCT(spec, trunk.to("cpu"), seed).eval(), described


def _estimate_batch_norm(trunk: Trunk, x: Tensor, batch: int = 32) -> None:
    for module in trunk.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    trunk.train()
    with torch.no_grad():
        for part in _full_batches(torch.arange(len(x)), batch):
            trunk(x[part])
    trunk.eval()


def _part(
    hu: np.ndarray, labels: np.ndarray, radscores: np.ndarray | None, spec: NetworkSpec, place: torch.device
) -> _Part:
    if (radscores is None) != (spec.n_radscores == 0):
        raise ValueError(f"the head takes {spec.n_radscores} RadScores; give them exactly if it takes any")
    scores = None if radscores is None else torch.from_numpy(np.asarray(radscores, dtype=np.float32)).to(place)
    return _Part(
        network_input(hu, spec.pixels).to(place),
        torch.from_numpy(np.asarray(labels, dtype=np.float32)).to(place),
        scores,
    )


def _start(network: DeepCT, settings: TrainingSettings, random: bool, steps: int, seed: int) -> _Course:
    trunk_rate, head_rate = (settings.lr_random,) * 2 if random else (settings.lr_trunk, settings.lr_head)
    groups = [
        {"params": [p for p in network.trunk.parameters() if p.requires_grad], "lr": trunk_rate},
        {"params": list(network.heads.parameters()), "lr": head_rate},
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=settings.weight_decay)
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
    course: _Course, training: _Part, weights: Tensor, settings: TrainingSettings, seed: int, *, batch_norm_trains: bool
) -> float:
    course.network.train()
    if not batch_norm_trains:
        for module in course.network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
    with torch.random.fork_rng(devices=[training.x.device] if training.x.is_cuda else []):
        torch.manual_seed(seed + 1_000_003 * (len(course.history) + 1))  # of dropout, which takes no generator
        return _batches_of_one_epoch(course, training, weights, settings)


def _batches_of_one_epoch(course: _Course, training: _Part, weights: Tensor, settings: TrainingSettings) -> float:
    total = 0.0
    order = torch.randperm(len(training.x), generator=course.generator)
    batches = _full_batches(order, settings.batch)
    for rows in batches:
        x = augment(training.x[rows], course.generator)
        radscores = None if training.radscores is None else training.radscores[rows]
        loss = masked_cross_entropy(course.network(x, radscores), training.labels[rows], weights)
        course.optimizer.zero_grad()
        loss.backward()
        course.optimizer.step()
        course.schedule.step()
        total += float(loss.detach())
    return total / len(batches)


def _validate(network: DeepCT, part: _Part, weights: Tensor, batch: int = 64) -> tuple[float, float]:
    network.eval()
    with torch.inference_mode():
        logits = torch.cat(
            [
                network(part.x[i : i + batch], None if part.radscores is None else part.radscores[i : i + batch])
                for i in range(0, len(part.x), batch)
            ]
        )
        loss = float(masked_cross_entropy(logits, part.labels, weights))
    scores = (logits[..., 1] - logits[..., 0]).cpu().numpy()
    return loss, mean_auc(part.labels.cpu().numpy(), scores)


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
    count = max(round(len(order) / batch), 1)
    return list(torch.tensor_split(order, count))


def _save(state: dict, path: Path) -> None:
    with replacing(path) as part:
        torch.save(state, part)


def _load(course: _Course, checkpoint: Path, of: str, place: torch.device) -> None:
    try:
        state = torch.load(checkpoint, map_location=place, weights_only=True)
    except UNREADABLE as error:
        raise InputError("the checkpoint cannot be read", where=checkpoint, mend="delete it and train again") from error
    if state.get("of") == of:
        course.load(state)


def _fingerprint(spec: NetworkSpec, settings: TrainingSettings, seed: int, weights: str, *parts: _Part) -> str:
    """SHA-256 of all that decides the course of a training."""
    digest = hashlib.sha256(repr((spec, settings, seed, weights)).encode())
    for part in parts:
        for values in (part.x, part.labels, part.radscores):
            digest.update(b"none" if values is None else np.ascontiguousarray(values.cpu().numpy()).data)
    return digest.hexdigest()

"""The planted effects: latent causes, the zone of the image where each shows, and their effect on the endpoints."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from DeepRadScoreLib.endpoints import KEYS
from DeepRadScoreLib.models import DEEP_MODELS, MODELS, Model

Zone = Literal["tumour", "shell", "beyond the shell"]
ZONES: tuple[Zone, ...] = ("tumour", "shell", "beyond the shell")


@dataclass(frozen=True)
class Latent:
    """One cause, standard normal in every case: the one `zone` where it shows, and how."""

    zone: Zone
    shows_as: str


LATENTS: Mapping[str, Latent] = MappingProxyType(
    {
        "cavity": Latent("tumour", "density lost in the tumour's core"),
        "grain": Latent("tumour", "strength of the tumour's inner texture"),
        "rim": Latent("shell", "density within 3 mm of the tumour"),
        "halo": Latent("beyond the shell", "density of a ground-glass ring around the tumour, further out"),
        "satellites": Latent("beyond the shell", "size of the nodules around the tumour"),
        "tag": Latent("beyond the shell", "width of a strand to the pleura"),
    }
)


@dataclass(frozen=True)
class Planted:
    """The truth of one endpoint: log-odds = `intercept` + the sum of `coefficients` times latents."""

    coefficients: Mapping[str, float]
    intercept: float

    @property
    def zones(self) -> frozenset[Zone]:
        """The zones of the image in which the endpoint has a cause."""
        return frozenset(LATENTS[name].zone for name in self.coefficients)

    @property
    def where(self) -> str:
        """The zones in words: "tumour", "shell", "beyond the shell", several joined by " + ", or "nowhere"."""
        return " + ".join(zone for zone in ZONES if zone in self.zones) or "nowhere"


PLANTED: Mapping[str, Planted] = MappingProxyType(
    {
        "LVI": Planted({"rim": 3.2}, -0.9),
        "PI": Planted({"tag": 2.0, "halo": 2.6}, -0.9),
        "T4": Planted({"satellites": 2.8, "halo": 1.8}, -0.9),
        "EGFR": Planted({"cavity": 3.2}, -0.5),
        "KRAS": Planted({"grain": 1.5, "cavity": -1.7, "rim": 2.2}, -1.0),
        "ALK": Planted({"grain": 1.8, "cavity": -2.8}, -1.2),
        "TP53": Planted({"cavity": 2.4, "halo": 2.2}, -0.6),
        "PIK3CA": Planted({"rim": 2.2, "halo": -2.4}, -1.0),
        "ROS1": Planted({}, -0.4),
        "PDL1": Planted({"cavity": 1.9, "rim": 1.9, "halo": 1.9}, -0.6),
    }
)


def seen_by(key: str) -> frozenset[Model]:
    """Which of the three models can see a cause of this endpoint; the Radiomics-Score sees nothing beyond the shell."""
    planted = PLANTED[key]
    if not planted.coefficients:
        return frozenset()
    if planted.zones == {"beyond the shell"}:
        return frozenset(DEEP_MODELS)
    return frozenset(MODELS)


def draw_latents(n: int, seed: int) -> pd.DataFrame:
    """(n x latents) independent standard normal values."""
    values = np.random.default_rng([seed, 1]).standard_normal((n, len(LATENTS)))
    return pd.DataFrame(values, columns=list(LATENTS))


def log_odds(latents: pd.DataFrame, key: str, visible: Collection[Zone] = ZONES) -> np.ndarray:
    """(n,) true log-odds of an endpoint, from the causes in the `visible` zones alone."""
    planted = PLANTED[key]
    total = np.full(len(latents), planted.intercept)
    for name, coefficient in planted.coefficients.items():
        if LATENTS[name].zone in visible:
            total += coefficient * latents[name].to_numpy()
    return total


def draw_labels(latents: pd.DataFrame, seed: int) -> pd.DataFrame:
    """(n x endpoint keys) labels 0 and 1, drawn with the true probabilities."""
    chance = np.random.default_rng([seed, 2]).random((len(latents), len(KEYS)))
    probability = np.stack([expit(log_odds(latents, key)) for key in KEYS], axis=1)
    return pd.DataFrame((chance < probability).astype(int), columns=list(KEYS))


def reachable_auc(seed: int = 0, n: int = 200_000, *, visible: Collection[Zone] = ZONES) -> dict[str, float]:
    """Endpoint -> the highest AUC that can be reached by knowing every cause in the `visible` zones.

    By drawing n cases from the latent model; the AUC is the Mann-Whitney statistic of the true log-odds (with causes
    that are not visible, the sum of the others orders the cases as their true probability does).
    """
    latents = draw_latents(n, seed)
    labels = draw_labels(latents, seed)
    return {key: float(roc_auc_score(labels[key], log_odds(latents, key, visible))) for key in KEYS}

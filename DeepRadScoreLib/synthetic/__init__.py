"""The phantom cohort: CT-like volumes in which each endpoint depends on known causes. Synthetic: not for patients."""

from __future__ import annotations

from DeepRadScoreLib.synthetic.anatomy import SITES, Site
from DeepRadScoreLib.synthetic.causes import (
    LATENTS,
    PLANTED,
    Latent,
    Planted,
    draw_labels,
    draw_latents,
    log_odds,
    reachable_auc,
    seen_by,
)
from DeepRadScoreLib.synthetic.cohort import write_cohort
from DeepRadScoreLib.synthetic.phantom import make_case

__all__ = [
    "LATENTS",
    "PLANTED",
    "SITES",
    "Latent",
    "Planted",
    "Site",
    "draw_labels",
    "draw_latents",
    "log_odds",
    "make_case",
    "reachable_auc",
    "seen_by",
    "write_cohort",
]

"""The loss of training, a masked weighted cross-entropy, and the criterion of its end, the mean AUC."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn


def masked_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy of logits (n, endpoints, 2) against labels (n, endpoints), each weighted by its class and endpoint.

    `weights` is (endpoints, 2); a missing label (NaN) has the weight 0. The mean is over the weights, as in torch.
    """
    known = ~torch.isnan(labels)
    target = torch.where(known, labels, torch.zeros_like(labels)).long()
    each = nn.functional.cross_entropy(logits.transpose(1, 2), target, reduction="none")
    weight = weights[torch.arange(labels.shape[1], device=labels.device), target] * known
    return (each * weight).sum() / weight.sum().clamp_min(1e-12)


def class_weights(labels: Tensor) -> Tensor:
    """(endpoints, 2): half the known labels over the labels of that class; 0 for a class that is not there."""
    positives = torch.nansum(labels, dim=0)
    known = (~torch.isnan(labels)).sum(dim=0)
    counts = torch.stack([known - positives, positives], dim=1)
    return torch.where(counts > 0, known[:, None] / (2.0 * counts.clamp_min(1.0)), torch.zeros_like(counts))


def mean_auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Mean AUC over the columns of (n, endpoints) that hold both classes; NaN if none does or a score is not finite."""
    from sklearn.metrics import roc_auc_score

    if not np.isfinite(scores).all():
        return float("nan")
    aucs = []
    for column in range(labels.shape[1]):
        known = ~np.isnan(labels[:, column])
        if len(np.unique(labels[known, column])) == 2:
            aucs.append(roc_auc_score(labels[known, column], scores[known, column]))
    return float(np.mean(aucs)) if aucs else float("nan")

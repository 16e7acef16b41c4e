"""The limits of training data as files of a bundle: readable JSON, and arrays as safetensors."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np

from DeepRadScoreLib.likeness.distance import ShrunkDistance
from DeepRadScoreLib.likeness.limits import TrainingLimits
from DeepRadScoreLib.likeness.parts import Part, PartLimits, is_tamed
from DeepRadScoreLib.likeness.ranges import PROBABILITIES, Ranges
from DeepRadScoreLib.likeness.scans import Scans
from DeepRadScoreLib.likeness.stored_limits import FEATURES, read_arrays, read_limits
from DeepRadScoreLib.likeness.thresholds import BEYOND_SHARE, CONFIDENCE, FALSE_ALARMS, ExponentialTail, Thresholds
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS

TEXT, ARRAYS = "limits.json", "limits.safetensors"


def to_files(limits: TrainingLimits) -> dict[str, bytes]:
    """File name -> content; equal limits give equal bytes."""
    from safetensors.numpy import save

    thresholds = limits.thresholds
    text: dict[str, Any] = {
        "cases": thresholds.n,
        "rules": {
            "warning_above": thresholds.warn,
            "no_finding_above": thresholds.beyond,
            "false_alarms": FALSE_ALARMS,
            "confidence": CONFIDENCE,
            "no_finding_share": BEYOND_SHARE,
        },
        "parts": {
            part: {"middles": list(found.middles), "tail": asdict(found.tail)} for part, found in limits.parts.items()
        },
        "score_percentiles": thresholds.percentiles.tolist(),
        "quantiles_percent": list(PROBABILITIES),
        "measures": None if limits.measures is None else limits.measures.to_dict(),
        "columns": {key: ranges.to_dict() for key, ranges in limits.columns.items()},
        "scans": None if limits.scans is None else limits.scans.to_dict(),
        "missing": list(limits.missing),
    }
    arrays = {FEATURES: np.ascontiguousarray(limits.features.quantiles, dtype=np.float32)}
    for part, found in limits.parts.items():
        for number, distance in enumerate(found.distances):
            for name, array in distance.to_arrays().items():
                arrays[f"{part}/{number}/{name}"] = np.ascontiguousarray(array)
    return {TEXT: json.dumps(text, indent=1).encode(), ARRAYS: save(dict(sorted(arrays.items())))}


def from_files(files: dict[str, bytes]) -> TrainingLimits:
    """The limits that `to_files` gave. Raises BundleError for a content that it cannot have given."""
    text = read_limits(files[TEXT], TEXT)
    arrays = read_arrays(files[ARRAYS], ARRAYS, text)
    rules = text["rules"]
    return TrainingLimits(
        {Part(part): _part(Part(part), stored, arrays) for part, stored in text["parts"].items()},
        Thresholds(
            text["cases"], rules["warning_above"], rules["no_finding_above"], np.array(text["score_percentiles"])
        ),
        Ranges(FEATURE_COLUMNS, arrays[FEATURES].astype(float)),
        None if text["measures"] is None else Ranges.from_dict(text["measures"]),
        {key: Ranges.from_dict(stored) for key, stored in text["columns"].items()},
        None if text["scans"] is None else Scans.from_dict(text["scans"]),
    )


def _part(part: Part, stored: dict[str, Any], arrays: dict[str, np.ndarray]) -> PartLimits:
    distances = tuple(
        ShrunkDistance.from_arrays(
            {name.split("/")[2]: array for name, array in arrays.items() if name.startswith(f"{part}/{number}/")},
            tame=is_tamed(part),
        )
        for number in range(len(stored["middles"]))
    )
    return PartLimits(distances, tuple(stored["middles"]), ExponentialTail(**stored["tail"]))

"""What makes a model's columns of features and networks' outputs, as readable JSON and back."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from DeepRadScoreLib.fusion.columns import DeepColumns, RegionScores, Scale
from DeepRadScoreLib.radscore.names import REGIONS, region_columns
from DeepRadScoreLib.radscore.radscore import RadScore

DEEP_ARRAYS = ("centre", "axes", "readout")


def deep_to_json(deep: DeepColumns) -> dict[str, Any]:
    """The deep columns as values that JSON has."""
    return {
        "kind": deep.kind,
        "scales": [asdict(scale) for scale in deep.scales],
        **{name: None if getattr(deep, name) is None else getattr(deep, name).tolist() for name in DEEP_ARRAYS},
    }


def deep_from_json(stored: dict[str, Any]) -> DeepColumns:
    """The deep columns that `deep_to_json` wrote."""
    return DeepColumns(
        stored["kind"],
        tuple(Scale(**scale) for scale in stored["scales"]),
        *(None if stored[name] is None else np.array(stored[name]) for name in DEEP_ARRAYS),
    )


def regions_to_json(regions: RegionScores) -> dict[str, Any]:
    """The RadScores of both regions as values that JSON has; the names of all features are left out."""
    return {
        region: {
            "radscore": {**regions.radscores[region].to_dict(), "columns": None},
            "scale": asdict(regions.scales[region]),
        }
        for region in REGIONS
    }


def regions_from_json(stored: dict[str, Any]) -> RegionScores:
    """The RadScores that `regions_to_json` wrote."""
    return RegionScores(
        {
            region: RadScore.from_dict({**stored[region]["radscore"], "columns": list(region_columns(region))})
            for region in REGIONS
        },
        {region: Scale(**stored[region]["scale"]) for region in REGIONS},
    )

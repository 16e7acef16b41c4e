"""JSON documents: profiles, a reader's notes, a folder's log."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from DeepRadScoreLib.endpoints import KEYS
from DeepRadScoreLib.report.log import LOG_NAME, append_to_log, changed_profiles, read_log
from DeepRadScoreLib.report.profile import from_profile_json
from DeepRadScoreSlicer.cases.review_file import ReviewFile
from fuzzing.contract import Target
from fuzzing.strategies import edited_json, mutated

FINDING = {
    "probability": 0.31,
    "interval": [0.2, 0.5],
    "interval_method": "calibrated",
    "decision": "mutant",
    "threshold": 0.3,
    "spread": [0.25, 0.4],
    "flags": ["not_better_than_chance"],
    "radscore_tumour": -0.4,
    "radscore_peritumoral": 0.1,
    "shap": {"deep_ct": 0.2},
    "shap_base": -0.9,
    "validation_auc": 0.7,
    "validation_auc_ci": [0.6, 0.8],
    "validation_n": 40,
    "validation_positives": 12,
    "label_set": {"labels": ["mutant"], "level": 0.9},
    "variants": {"low": 0.2, "high": 0.5, "n": 8},
}
REGION = {"volume_ml": 4.2, "voxels": 4200}
PROFILE = {
    "schema": "deepradscore.profile/2",
    "case_id": "case-1",
    "preprocessing": "canonical",
    "engine": "own",
    "label": None,
    "model": {
        **{"name": "model", "sha256": "0" * 64, "protocol": "strict", "weights": "none", "network": "shared"},
        **{"backbone": "densenet121", "synthetic": False, "engine": "own", "limits": True},
    },
    "regions": {
        "tumour": REGION,
        "peritumoral": REGION | {"thickness_mm": 3.0},
        "patch": {
            **{"slice": 12, "centre_ijk": [100, 120, 12], "centre_lps_mm": [1.5, -20.0, 40.25]},
            **{"area_mm2": 120.0, "cut_off_share": 0.0},
        },
    },
    "quality": [{"code": "thick_slices", "severity": "warning", "message": "The slices are 5 mm thick."}],
    "likeness": {"percentile": 60.0, "reasons": [{"what": "slice thickness", "value": 5.0, "low": 1.0, "high": 3.0}]},
    "prevalence": {"EGFR": 0.15},
    "provenance": {
        **{"program": "1.0.0", "versions": {"numpy": "2.0"}, "inputs": {"ct": "0" * 64}},
        "settings": {
            "engine": "own",
            "shell_mm": 3.0,
            "other_labels": "auto",
            "mask_variants": 5,
            "mask_variants_seed": 0,
        },
    },
    "endpoints": dict.fromkeys(KEYS, FINDING),
}
REVIEW = {"schema": 1, "cases": {"case-1": {"status": "accepted", "note": "good"}, "case-2": {"note": "half"}}}


def _read_profile(data: bytes, folder: Path) -> None:
    document = from_profile_json(data, where=folder / "profile.json")
    assert from_profile_json(document.model_dump_json(by_alias=True)) == document


def _read_review(data: bytes, folder: Path) -> None:
    """Read the notes, ask for some, change one, and read them again."""
    for path in folder.iterdir():
        path.unlink()
    path = folder / "review.json"
    path.write_bytes(data)
    review = ReviewFile(path)
    for case_id in ("case-1", "case-2", "case-3"):
        for field in ("status", "note"):
            review.get(case_id, field)
    review.put("case-1", note="seen")
    assert ReviewFile(path).get("case-1", "note") == "seen"


def _read_log(data: bytes, folder: Path) -> None:
    (folder / LOG_NAME).write_bytes(data)
    changed_profiles(folder, read_log(folder))
    append_to_log(folder, "changed", "case-1", changed={"note": "seen"})
    read_log(folder)


def _log() -> bytes:
    """Two entries, the second with the hash of the first."""
    text, previous = b"", "0" * 64
    for event in ("analysed", "changed"):
        entry = {"time": "2026-11-30T09:00:00+00:00", "event": event, "case_id": "case-1", "program": "1"}
        line = json.dumps(entry | {"previous": previous}).encode()
        text, previous = text + line + b"\n", hashlib.sha256(line).hexdigest()
    return text


def _profiles() -> list[bytes]:
    older = {name: value for name, value in PROFILE.items() if name not in ("likeness", "prevalence", "provenance")}
    return [json.dumps(PROFILE).encode(), json.dumps(older | {"model": None, "label": "x"}).encode()]


def _reviews() -> list[bytes]:
    return [json.dumps(REVIEW).encode(), b"{}"]


def _logs() -> list[bytes]:
    return [_log(), _log().splitlines()[0]]


TARGETS = (
    Target("profile", _read_profile, _profiles, lambda: edited_json(_profiles())),
    Target("review", _read_review, _reviews, lambda: edited_json(_reviews())),
    Target("log", _read_log, _logs, lambda: edited_json(_logs()[1:]) | mutated(_logs())),
)

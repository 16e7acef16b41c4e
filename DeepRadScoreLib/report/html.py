"""`report.html`: a molecular profile as one self-contained page for the radiologist who outlined the tumour."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import Any

from DeepRadScoreLib.analyses.findings import Finding, MolecularProfile
from DeepRadScoreLib.endpoints import BY_KEY, ENDPOINTS, GROUP_TITLES, Endpoint
from DeepRadScoreLib.models import Flag, flags_with_chance
from DeepRadScoreLib.progress import run_to_end
from DeepRadScoreLib.radscore.names import REGIONS, Region
from DeepRadScoreLib.report import figures
from DeepRadScoreLib.report.page import embedded, environment
from DeepRadScoreLib.report.profile import EndpointEntry, LikenessEntry, ProfileDocument, ReasonEntry, to_document
from DeepRadScoreLib.report.trust_words import (
    NO_LIMITS,
    interval_note,
    label_set_note,
    label_set_words,
    likeness_sentence,
    measure_words,
    number,
    prevalence_sentence,
)
from DeepRadScoreLib.report.wording import flag_sentence, grouped_shap

MAX_FEATURES = 5
RANGE_MARGIN = 4.0
"""Free space, in percent, at either end of the drawing of a measure's range."""


def to_report_html(profile: MolecularProfile) -> str:
    """The page as text: styles and pictures inside, no script, nothing fetched; equal profiles give equal texts."""
    return run_to_end(report_steps(profile))


def report_steps(profile: MolecularProfile) -> Generator[str, None, str]:
    """`to_report_html` in short steps: yields a label of the work that comes next, returns the page."""
    yield "loading the drawing library"
    import matplotlib.figure  # noqa: F401 - so that its loading time is not added to that of the first picture

    content = yield from _content(profile)
    yield "putting the report together"
    return environment().get_template("profile.html.j2").render(**content)


def _content(profile: MolecularProfile) -> Generator[str, None, dict[str, Any]]:
    document = to_document(profile)
    explained = yield from _explained(profile, document)
    drawings = {"slice": figures.slice_picture, "zoom": figures.zoom_picture, "patch": figures.patch_picture}
    pictures = {}
    for name, draw in drawings.items():
        yield f"drawing the {name}"
        pictures[name] = embedded(draw(profile.prepared, label=profile.label))
    return {
        "profile": profile,
        "document": document,
        "label": profile.label,
        "groups": [
            {
                "title": title,
                "findings": [_finding(e, document.endpoints[e.key]) for e in ENDPOINTS if e.group == group],
            }
            for group, title in GROUP_TITLES.items()
        ],
        "explained": explained,
        **pictures,
        **_trust(document),
        "heat_from": figures.MIN_HEAT,
    }


def _finding(endpoint: Endpoint, entry: EndpointEntry) -> dict[str, Any]:
    flags = flags_with_chance(entry.flags, entry.validation_auc_ci)
    return {
        "endpoint": endpoint,
        "entry": entry,
        "by_chance": Flag.NOT_BETTER_THAN_CHANCE in flags,
        "remarks": [flag_sentence(code) for code in flags],
        "label_set": None if entry.label_set is None else label_set_words(endpoint, entry.label_set.labels),
    }


def _trust(document: ProfileDocument) -> dict[str, Any]:
    """What is said once of likeness, intervals, label sets and prevalence."""
    given = [entry for entry in document.endpoints.values() if entry.probability is not None]
    methods = list(dict.fromkeys(entry.interval_method for entry in given if entry.interval_method is not None))
    level = next((entry.label_set.level for entry in given if entry.label_set is not None), None)
    return {
        "likeness": None if document.likeness is None else _likeness(document.likeness),
        "no_limits": NO_LIMITS,
        "has_interval": bool(methods),
        "interval_note": interval_note(methods),
        "label_set_note": None if level is None else label_set_note(level),
        "prevalence_note": prevalence_sentence(document.prevalence) if document.prevalence else None,
    }


def _likeness(likeness: LikenessEntry) -> dict[str, Any]:
    return {
        "sentence": likeness_sentence(likeness.percentile),
        "percentile": likeness.percentile,
        "reasons": [_range(reason) for reason in likeness.reasons],
    }


def _range(reason: ReasonEntry) -> dict[str, str]:
    """A measure in words, and its training range and value as positions (percent) on one scale."""
    first, last = min(reason.low, reason.value), max(reason.high, reason.value)
    width = (last - first) or 1.0

    def position(value: float) -> float:
        return RANGE_MARGIN + (100 - 2 * RANGE_MARGIN) * (value - first) / width

    return {
        "what": measure_words(reason.what),
        "value": number(reason.value),
        "low": number(reason.low),
        "high": number(reason.high),
        "start": f"{position(reason.low):.2f}",
        "width": f"{position(reason.high) - position(reason.low):.2f}",
        "at": f"{position(reason.value):.2f}",
    }


def _explained(profile: MolecularProfile, document: ProfileDocument) -> Generator[str, None, list[dict[str, Any]]]:
    """The findings that have a probability, each with its heat map, SHAP bars and strongest RadScore features."""
    panels = []
    for key, entry in document.endpoints.items():
        if entry.probability is None:
            continue
        yield f"drawing the heat maps of {BY_KEY[key].name}"
        heat, change = profile.gradcam.get(key), profile.occlusion.get(key)
        picture = None if heat is None else figures.gradcam_picture(profile.prepared, heat, label=profile.label)
        finer = None if change is None else figures.occlusion_picture(profile.prepared, change, label=profile.label)
        panels.append(
            {
                "finding": _finding(BY_KEY[key], entry),
                "heat": None if picture is None else embedded(picture),
                "occlusion": None if finer is None else embedded(finer),
                "shap": _bars(grouped_shap(entry.shap or {})),
                "drivers": [_drivers(profile.findings[key], region, entry) for region in REGIONS],
            }
        )
    return panels


def _bars(values: dict[str, float]) -> list[dict[str, Any]]:
    """Each value with its bar on a scale with zero in the middle: start and width in percent of the scale."""
    largest = max((abs(value) for value in values.values()), default=0.0) or 1.0
    bars = []
    for name, value in values.items():
        width = 50 * abs(value) / largest
        start = 50.0 if value >= 0 else 50 - width
        bars.append({"name": name, "value": value, "start": f"{start:.2f}", "width": f"{width:.2f}"})
    return bars


def _drivers(finding: Finding, region: Region, entry: EndpointEntry) -> dict[str, Any]:
    drivers = finding.drivers.get(region, ())
    top = {name.removeprefix(f"{region}_"): value for name, value in drivers[:MAX_FEATURES] if math.isfinite(value)}
    return {
        "region": region,
        "radscore": getattr(entry, f"radscore_{region}"),
        "features": _bars(top),
        "total": len(drivers),
    }

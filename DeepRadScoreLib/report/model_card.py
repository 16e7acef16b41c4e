"""A bundle's model card and data sheet: Markdown from its manifest alone; what no manifest holds is left to people."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from DeepRadScoreLib.bundles.manifest import LIMIT_NAMES, EndpointCard, Manifest, ValidationCard
from DeepRadScoreLib.endpoints import BY_KEY, ENDPOINTS
from DeepRadScoreLib.imaging.checks.quality_codes import QUALITY_CODES
from DeepRadScoreLib.models import CONFOUNDER_NAMES, MODELS, Flag, Model
from DeepRadScoreLib.numerals import counted
from DeepRadScoreLib.report.number_text import DASH
from DeepRadScoreLib.report.page import TEMPLATES
from DeepRadScoreLib.report.wording import flag_sentence

MARKUP = re.compile(r"([\\`*\[\]<>|#~]|(?<!\w)_|_(?!\w))")


def to_model_card(manifest: Manifest, sha256: str) -> str:
    """The card as Markdown text.

    The fields follow Model Cards (Mitchell et al. 2019) and Datasheets for Datasets (Gebru et al. 2021); those that the
    manifest does not hold say "to be filled in". Equal manifests give equal texts.

    Parameters
    ----------
    sha256: that of the bundle's `manifest.json`, which names the bundle in every profile.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=False,
        finalize=_escaped,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("model_card.md.j2").render(
        manifest=manifest,
        sha256=sha256,
        trained=manifest.trained_on,
        facts=manifest.facts(),
        models=[str(model) for model in MODELS],
        endpoints=[_endpoint_row(manifest, one.key) for one in ENDPOINTS if one.key in manifest.endpoints],
        confounders=_confounders(manifest),
        quality=[(code, QUALITY_CODES[code], n) for code, n in manifest.trained_on.get("quality", {}).items() if n],
        unknown=list(_unknown(manifest)),
    )


def _escaped(value: Any) -> Any:
    """A value on one line in which nothing is Markdown or HTML: a bundle's texts were written by strangers."""
    return MARKUP.sub(r"\\\1", " ".join(value.split())) if isinstance(value, str) else value


def _endpoint_row(manifest: Manifest, key: str) -> dict[str, Any]:
    card = manifest.endpoints[key]
    found = card.validation.get(Model.FUSED)
    return {
        "name": BY_KEY[key].name,
        "key": key,
        "counts": f"{card.n} ({card.positives})",
        "classifier": card.classifier.get(Model.FUSED, DASH),
        "aucs": [_auc(card.validation.get(model)) for model in MODELS],
        "held_out": DASH if found is None else f"{found.n} ({found.positives})",
        "gives": _gives(manifest, key, card),
    }


def _auc(card: ValidationCard | None) -> str:
    if card is None or card.auc is None or card.auc_ci is None:
        return DASH
    return f"{card.auc:.2f} ({card.auc_ci[0]:.2f}-{card.auc_ci[1]:.2f})"


def _gives(manifest: Manifest, key: str, card: EndpointCard) -> str:
    """Whether a finding has a probability in a sound case, and why not."""
    if not card.modelled:
        return f"no: {card.reason}" if card.reason else "no"
    broken = manifest.withheld(key)
    return "no: " + " ".join(flag_sentence(flag) for flag in broken) if broken else "yes"


def _confounders(manifest: Manifest) -> list[tuple[str, str, float]]:
    return [
        (key, CONFOUNDER_NAMES[name], auc)
        for key, card in manifest.endpoints.items()
        for name, auc in card.confounders.items()
    ]


def _unknown(manifest: Manifest) -> Iterator[str]:
    """What the manifest shows that nobody measured."""
    trained = manifest.trained_on
    if manifest.synthetic:
        yield "Anything about patients: it was trained and tested on synthetic cases."
    held_out = counted(trained["held_out_patients"], "patient")
    yield f"How good it is on patients of another cohort: the AUCs are of {held_out} held out of its own."
    if len(trained["sites"]) < 2:
        yield "Whether it holds at another site: all cases are of one, or their sites were not named."
    for key, card in manifest.endpoints.items():
        found = card.validation.get(Model.FUSED)
        if card.modelled and (found is None or found.auc is None):
            flag = Flag.NOT_VALIDATED if found is None or found.flag is None else found.flag
            yield f"How good it is for {key}. {flag_sentence(flag)}"
    if manifest.limits is None:
        yield "How like a case is to the training patients: the bundle has no limits (`deepradscore limits` adds them)."
    elif manifest.limits.missing:
        names = ", ".join(LIMIT_NAMES[name] for name in manifest.limits.missing)
        yield f"How like a case is to the training patients in {names}: not known in training."
    if "quality" not in trained:
        yield "The quality notes of the training cases."
    yield "Age, sex, origin, stage and treatment of the patients: a bundle holds no such thing."
    yield "Whether the labels were right, and how well two readers' outlines agree."

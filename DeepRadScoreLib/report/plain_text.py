"""A molecular profile as a few lines of plain text, to be pasted into a report system."""

from __future__ import annotations

from collections.abc import Iterator

from DeepRadScoreLib.endpoints import BY_KEY
from DeepRadScoreLib.models import flags_with_chance
from DeepRadScoreLib.report.number_text import decimals, percent
from DeepRadScoreLib.report.profile import EndpointEntry, ProfileDocument, RegionsEntry
from DeepRadScoreLib.report.trust_words import NO_LIMITS, label_set_words, likeness_sentence, reason_sentence
from DeepRadScoreLib.report.wording import WITHHELD, flag_sentence

PLAIN = str.maketrans({"\u202f": " ", "\u2212": "-", "\u2013": "-", "\u2014": "-", "“": '"', "”": '"', "’": "'"})
"""Many report systems take Latin-1 only."""
FOOT = "Produced by software and verified by nobody. Not a medical device."


def to_plain_text(document: ProfileDocument) -> str:
    """The text, lines of one sentence or finding each, ended by a line break.

    The profile's label, where it has one, is the first and the last line: a part of the text may be pasted.
    """
    label = [] if document.label is None else [document.label]
    findings = [] if document.model is None else ["", *_findings(document)]
    lines = [*label, *_head(document), *findings, "", *_quality(document), *_foot(document), *label]
    return "".join(f"{line}\n".translate(PLAIN) for line in lines)


def _head(document: ProfileDocument) -> Iterator[str]:
    yield f"Molecular profile of a lung tumour from CT: {document.case_id}"
    yield _regions(document.regions)
    if document.model is None:
        yield "No trained model was given: regions and quality only."
        return
    yield f"Model: {document.model.name} ({document.model.sha256[:12]})."
    yield "Each finding is a statistical estimate from the image, not a test of tissue or blood."
    if document.likeness is None:
        yield NO_LIMITS
        return
    yield likeness_sentence(document.likeness.percentile)
    for reason in document.likeness.reasons:
        yield f"  {reason_sentence(reason.what, reason.value, reason.low, reason.high)}"


def _regions(regions: RegionsEntry) -> str:
    tumour, shell = regions.tumour, regions.peritumoral
    axes = ""
    if tumour.long_axis_mm is not None and tumour.short_axis_mm is not None:
        axes = f", long axis {decimals(tumour.long_axis_mm, 1)} mm, short axis {decimals(tumour.short_axis_mm, 1)} mm"
    around = f"Shell of {shell.thickness_mm:g} mm: {decimals(shell.volume_ml)} mL."
    return f"Tumour: {decimals(tumour.volume_ml)} mL{axes}. {around}"


def _findings(document: ProfileDocument) -> Iterator[str]:
    for key, entry in document.endpoints.items():
        remarks = [flag_sentence(flag) for flag in flags_with_chance(entry.flags, entry.validation_auc_ci)]
        said = [] if any(remark.startswith(WITHHELD) for remark in remarks) else [f"{_finding(key, entry)}."]
        yield f"{BY_KEY[key].name}: {' '.join((*said, *remarks))}"


def _finding(key: str, entry: EndpointEntry) -> str:
    if entry.probability is None:
        return "no probability"
    said = [percent(entry.probability)]
    if entry.interval is not None:
        said[0] += f" (interval {percent(entry.interval[0])} to {percent(entry.interval[1])})"
    elif entry.spread is not None:
        said[0] += f" (fold models {percent(entry.spread[0])} to {percent(entry.spread[1])})"
    if entry.decision is not None:
        said.append(entry.decision)
    if entry.label_set is not None:
        said.append(f"compatible with {label_set_words(BY_KEY[key], entry.label_set.labels)}")
    return ", ".join(said)


def _quality(document: ProfileDocument) -> Iterator[str]:
    for note in document.quality:
        yield f"{'Warning' if note.severity == 'warning' else 'Note'}: {note.message}"


def _foot(document: ProfileDocument) -> Iterator[str]:
    version = "of an unknown version" if document.provenance is None else document.provenance.program
    yield f"DeepRadScore {version}. {FOOT}"

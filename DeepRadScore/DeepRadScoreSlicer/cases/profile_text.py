"""A molecular profile as rich text for Qt labels: the words and the rounding of the report, in the width of a panel.

All functions take `profile.json` as parsed and return the subset of HTML that `QLabel` draws. Every number is struck
out where the profile is out of date. The profile's label ("synthetic: not for patients") heads it; the band
(`panel.band`) shows it when the head is scrolled out of view.
Text on the panel's background sets no colour, so that it can be read in light and dark themes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

from DeepRadScoreLib.endpoints import Endpoint
from DeepRadScoreLib.models import Flag, flags_with_chance
from DeepRadScoreLib.report.number_text import decimals, percent, signed
from DeepRadScoreLib.report.trust_words import (
    NO_LIMITS,
    interval_note,
    label_set_note,
    label_set_words,
    likeness_sentence,
    prevalence_sentence,
    reason_sentence,
)
from DeepRadScoreLib.report.wording import flag_sentence, grouped_shap, short_reason
from DeepRadScoreSlicer.translation import tr as _

BLUE, ORANGE, GREY, TRACK, INK = "#1f5f99", "#b4540a", "#8a97a3", "#d5dce2", "#14202b"


@dataclass(frozen=True)
class Numbers:
    """How the numbers of one profile are shown: struck out where it is out of date."""

    stale: bool

    def number(self, text: str) -> str:
        """A number, or several that belong together."""
        number = f"<s>{escape(text)}</s>" if self.stale else escape(text)
        return f'<span style="white-space:nowrap"><b>{number}</b></span>'


def banner(text: str, background: str, ink: str) -> str:
    """A line across the panel on a coloured ground."""
    return (
        f'<table width="100%" cellpadding="6" cellspacing="0"><tr><td bgcolor="{background}">'
        f'<span style="color:{ink}"><b>{escape(text)}</b></span></td></tr></table>'
    )


def head_text(document: dict[str, Any], stale: bool) -> str:
    """Case, model and validity of the profile."""
    html = []
    if stale:
        html.append(
            banner(
                _("Out of date: the mask, the CT or the shell has changed since. Analyze again."), "#8a1c00", "#ffffff"
            )
        )
    if document["label"] is not None:
        html.append(banner(document["label"], "#ffd166", "#2b1d00"))
    case = f"<b>{escape(document['case_id'])}</b>."
    if document["model"] is None:
        text = _("No trained model was given: regions, features and quality only.")
        html.append(f"<p>{case} {text}</p>")
    else:
        by = _("Findings by the model {model}.").format(model=f"<b>{escape(document['model']['name'])}</b>")
        limits = _(
            "Each is a statistical estimate from the image, not a test of tissue or blood. Not a medical device."
        )
        html.append(f"<p>{case} {by} {limits}</p>" + _likeness(document))
        if document.get("prevalence"):
            html.append(f"<p>{escape(prevalence_sentence(document['prevalence']))}</p>")
    return "".join(html)


def how_to_read_text(document: dict[str, Any]) -> str:
    """What bars, intervals and label sets of the findings are."""
    given = [entry for entry in document["endpoints"].values() if entry["probability"] is not None]
    methods = [entry["interval_method"] for entry in given if entry["interval_method"] is not None]
    said = [_("The bar is the probability, the tick on it the model's threshold.")]
    said.append(interval_note(list(dict.fromkeys(methods))))
    levels = [entry["label_set"]["level"] for entry in given if entry.get("label_set") is not None]
    if levels:
        said.append(label_set_note(levels[0]))
    said.append(_("An AUC of 0.5 is chance."))
    return "".join(f"<p>{escape(sentence)}</p>" for sentence in said)


def _likeness(document: dict[str, Any]) -> str:
    likeness = document.get("likeness")
    if likeness is None:
        return f"<p>{escape(NO_LIMITS)}</p>"
    reasons = "".join(f"<br>{escape(reason_sentence(**reason))}" for reason in likeness["reasons"])
    return f"<p><b>{escape(likeness_sentence(likeness['percentile']))}</b>{reasons}</p>"


def regions_text(document: dict[str, Any], numbers: Numbers) -> str:
    """Volumes, the slice of the deep patch, and the remarks on the case."""
    tumour, shell, patch = (document["regions"][name] for name in ("tumour", "peritumoral", "patch"))
    volume = numbers.number(f"{decimals(tumour['volume_ml'])} mL")
    if any(note["code"] == "volume_differs" for note in document["quality"]):
        on_lattice = numbers.number(f"{decimals(tumour['lattice_volume_ml'])} mL")
        volume += " " + _("(on the 1 mm lattice {volume})").format(volume=on_lattice)
    area = numbers.number(f"{decimals(patch['area_mm2'], 0)} mm²")
    rows = [(_("Tumour"), volume)]
    if tumour.get("long_axis_mm") is not None:
        axes = f"{decimals(tumour['long_axis_mm'], 1)} x {decimals(tumour['short_axis_mm'], 1)} mm"
        rows.append((_("Long x short axis"), numbers.number(axes)))
    rows += [
        (
            _("Shell, {thickness:g} mm").format(thickness=shell["thickness_mm"]),
            numbers.number(f"{decimals(shell['volume_ml'])} mL"),
        ),
        (
            _("Largest area"),
            _("{area} slice {slice} (from 0 at the feet)").format(area=area, slice=patch["slice"]),
        ),
    ]
    if patch["cut_off_share"] > 0:
        share = numbers.number(percent(patch["cut_off_share"]))
        rows.append((_("Outside the patch"), _("{share} of that area").format(share=share)))
    cells = "".join(
        f'<tr><td style="padding-right:10px">{escape(name)}</td><td>{value}</td></tr>' for name, value in rows
    )
    words = {"warning": _("Warning"), "info": _("Note")}
    notes = "".join(
        f"<p><b>{words[note['severity']]}:</b> {escape(note['message'])}</p>" for note in document["quality"]
    )
    without = _("Quality: no remarks.")
    return f'<table cellspacing="0" cellpadding="2">{cells}</table>{notes or f"<p>{without}</p>"}'


def remarks(entry: dict[str, Any]) -> list[str]:
    """The flags of a finding in words."""
    return [flag_sentence(code) for code in _flags(entry)]


def by_chance(entry: dict[str, Any]) -> bool:
    """Whether the interval of the validated AUC includes 0.5."""
    return Flag.NOT_BETTER_THAN_CHANCE in _flags(entry)


def _flags(entry: dict[str, Any]) -> tuple[str, ...]:
    return flags_with_chance(tuple(entry["flags"]), entry["validation_auc_ci"])


def title_text(name: str, entry: dict[str, Any], stale: bool, opened: bool) -> str:
    """Text of a finding's button: plain, without a number."""
    mark = "▾" if opened else "▸"
    said = _("no probability") if entry["probability"] is None else entry["decision"] or _("no decision")
    out_of_date = _("out of date")
    return f"{mark} {name}: {said}" + (f" ({out_of_date})" if stale else "")


def line_text(entry: dict[str, Any], numbers: Numbers) -> str:
    """One finding in one line: probability, its bar with threshold and interval, and a mark where it has remarks.

    Where it has no probability, why in a few words.
    """
    if entry["probability"] is None:
        return escape(short_reason(entry["flags"]))
    spread = entry["interval"] or entry["spread"]
    bar = probability_bar(entry["probability"], entry["threshold"], spread, by_chance(entry))
    mark = "&nbsp;⚠" if remarks(entry) or by_chance(entry) else ""
    return (
        f'<table width="100%" cellspacing="0" cellpadding="1"><tr><td width="72%">{bar}</td>'
        f'<td align="right">{numbers.number(percent(entry["probability"]))}{mark}</td></tr></table>'
    )


def finding_text(endpoint: Endpoint, entry: dict[str, Any], numbers: Numbers) -> str:
    """Probability, interval, spread, label set, validated AUC and flags of one finding; without the first, flags."""
    if entry["probability"] is None:
        return escape(" ".join(remarks(entry)))
    threshold, words = entry["threshold"], remarks(entry)
    first = f'<span style="font-size:large">{numbers.number(percent(entry["probability"]))}</span>'
    if threshold is not None:
        text = _("{decision} from {threshold} on")
        first += " " + text.format(decision=escape(endpoint.positive), threshold=numbers.number(percent(threshold)))
    below = [f"{name} {_between(bounds, numbers)}" for name, bounds in _ranges(entry) if bounds is not None]
    if entry.get("label_set") is not None:
        words_of_set = escape(label_set_words(endpoint, entry["label_set"]["labels"]))
        below.append(_("Compatible with: {labels}").format(labels=words_of_set))
    below.append(_validation(entry, numbers))
    if by_chance(entry):
        below.append("<b>" + _("Not better than chance in validation.") + "</b>")
    if words:
        below.append(escape(" ".join(words)))
    return first + "<br>" + "<br>".join(below)


def _ranges(entry: dict[str, Any]) -> Iterator[tuple[str, tuple[float, float] | None]]:
    """The interval of a probability, and its ranges over the fold models and over other masks."""
    yield _("Interval"), entry["interval"]
    yield _("Fold models"), entry["spread"]
    variants = entry.get("variants")
    if variants is not None:
        yield _("Over {count} masks").format(count=variants["n"]), (variants["low"], variants["high"])


def _between(bounds: tuple[float, float], numbers: Numbers) -> str:
    return numbers.number(f"{percent(bounds[0])} – {percent(bounds[1])}")


def _validation(entry: dict[str, Any], numbers: Numbers) -> str:
    if entry["validation_auc"] is None:
        return _("AUC in validation —")
    interval = entry["validation_auc_ci"]
    text = _("AUC in validation {auc}").format(auc=numbers.number(decimals(entry["validation_auc"])))
    if interval is not None:
        bounds = numbers.number(f"{decimals(interval[0])} – {decimals(interval[1])}")
        text += " " + _("(95 % interval {bounds})").format(bounds=bounds)
    if entry["validation_n"] is not None:
        counts = _("{patients} patients, {positives} positive")
        text += "; " + numbers.number(
            counts.format(patients=entry["validation_n"], positives=entry["validation_positives"])
        )
    return text


def evidence_text(positive: str, negative: str, entry: dict[str, Any], numbers: Numbers) -> str:
    """SHAP values by source as bars to either side of zero, and the two RadScores."""
    shap = grouped_shap(entry["shap"] or {})
    html = ["<p><b>" + _("What the model weighed (SHAP)") + "</b></p>"]
    towards = _("towards {decision}")
    if shap:
        html.append(
            f'<table width="100%" cellspacing="0"><tr><td>◀ {towards.format(decision=escape(negative))}</td>'
            f'<td align="right">{towards.format(decision=escape(positive))} ▶</td></tr></table>'
        )
        largest = max(abs(value) for value in shap.values()) or 1.0
        for name, value in shap.items():
            html.append(f"{escape(name)} {numbers.number(signed(value))}{diverging_bar(value / largest)}")
        base = "" if entry["shap_base"] is None else f" ({numbers.number(signed(entry['shap_base']))})"
        text = _("Added to the model's base{base}, these give its score for this case before calibration.")
        html.append(text.format(base=base))
    else:
        html.append(_("Not available."))
    for region, name in (
        ("radscore_tumour", _("Tumour RadScore")),
        ("radscore_peritumoral", _("Peritumoral RadScore")),
    ):
        if entry[region] is not None:
            html.append(f"<br>{name}: {numbers.number(signed(entry[region]))}")
    return "".join(html)


def probability_bar(
    probability: float, threshold: float | None, spread: tuple[float, float] | None, chance: bool
) -> str:
    """A bar filled up to the probability, with a tick at the threshold and a line below for the spread."""
    marks = [(0.0, probability, GREY if chance else BLUE), (probability, 1.0, TRACK)]
    bar = _row(_with_tick(marks, threshold), 5)
    if spread is not None:
        low, high = spread
        bar += _row([(0.0, low, ""), (low, max(high, low + 0.01), GREY), (max(high, low + 0.01), 1.0, "")], 1)
    return bar


def diverging_bar(value: float) -> str:
    """A bar from the middle: to the right in blue for a value up to 1, to the left in orange for one down to -1."""
    half = min(abs(value), 1.0) / 2
    if value >= 0:
        spans = [(0.0, 0.5, TRACK), (0.5, 0.5 + half, BLUE), (0.5 + half, 1.0, TRACK)]
    else:
        spans = [(0.0, 0.5 - half, TRACK), (0.5 - half, 0.5, ORANGE), (0.5, 1.0, TRACK)]
    return _row(_with_tick(spans, 0.5), 5)


TICK = 0.008


def _with_tick(spans: list[tuple[float, float, str]], at: float | None) -> list[tuple[float, float, str]]:
    """Spans of a bar with a narrow dark one over them at a position."""
    if at is None:
        return spans
    begin = min(max(at - TICK / 2, 0.0), 1.0 - TICK)
    end = begin + TICK
    cut = []
    for low, high, colour in spans:
        cut += [(low, min(high, begin), colour), (max(low, end), high, colour)]
    return sorted([span for span in cut if span[1] > span[0]] + [(begin, end, INK)])


def _row(spans: list[tuple[float, float, str]], height: int) -> str:
    cells = "".join(
        f'<td width="{100 * (high - low):.2f}%"{f" bgcolor={colour!r}" if colour else ""}>'
        f'<span style="font-size:{height}px">&nbsp;</span></td>'
        for low, high, colour in spans
        if high - low > 1e-6
    )
    return f'<table width="100%" cellspacing="0" cellpadding="0"><tr>{cells}</tr></table>'

"""The profile in the panel: the report's words and numbers, labelled, out of date where it is, by keyboard alone."""

from __future__ import annotations

import copy
import html
import json
import math
import re

import pytest

from DeepRadScoreLib.endpoints import ENDPOINTS, KEYS
from support.scene_tools import ball_case, made_up_profile

LABEL = "synthetic: not for patients"
NUMBER = re.compile(r"\d")
NAMES = "|".join(re.escape(text) for one in ENDPOINTS for text in (one.name, one.positive, one.negative, one.key))
NO_NUMBERS = re.compile(
    NAMES + r"|case-1|slice \d+ \(from 0 at the feet\)|AUC of 0\.5|includes 0\.5|fewer than 5|Shell, 3 mm"
)
"""Names, fixed words of the report, and what was chosen: no result of this case."""


@pytest.fixture(scope="module")
def document():
    """`profile.json` of a made-up profile with flags of all kinds."""
    from DeepRadScoreLib.imaging import case_from_images
    from DeepRadScoreLib.report.profile import to_profile_json

    ct, tumour = ball_case()
    made = json.loads(to_profile_json(made_up_profile(case_from_images(ct, tumour, case_id="case-1"))))
    endpoints = made["endpoints"]
    endpoints["KRAS"] |= {"flags": ["not_better_than_chance"], "validation_auc": 0.55, "validation_auc_ci": [0.4, 0.7]}
    endpoints["TP53"] |= {"flags": ["single_feature_radscore", "outside_spread"], "probability": 0.004}
    endpoints["ALK"] |= {"probability": None, "decision": None, "spread": None, "shap": None, "flags": ["no_signal"]}
    endpoints["ROS1"] |= {"validation_auc": None, "validation_auc_ci": None, "flags": ["validation_one_class"]}
    return made


@pytest.fixture
def panel(slicer_app):
    import qt

    from DeepRadScoreSlicer.panel.profile import ProfileView

    holder = qt.QWidget()
    told = []
    made = ProfileView(qt.QVBoxLayout(holder), told.append)
    made.holder, made.told = holder, told
    holder.show()
    yield made
    holder.close()
    holder.deleteLater()


def plain(text: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", text)).replace("\u202f", " ")).strip()


def without_names(text: str) -> str:
    return NO_NUMBERS.sub("", plain(text))


def shown(panel) -> list[str]:
    import qt

    labels = [label for label in panel.holder.findChildren(qt.QLabel) if not label.isHidden()]
    return [label.text for label in labels]


def test_says_why_there_is_none(panel):
    panel.clear("Not analyzed yet.")
    assert [plain(text) for text in shown(panel)] == ["Not analyzed yet."]


def test_every_finding_in_its_group(panel, document):
    panel.show(document, False)
    text = " ".join(plain(part) for part in shown(panel))
    for title in ("Risk factors", "Mutations", "Immune"):
        assert title in text
    buttons = {key: finding.button for key, finding in panel.findings.items() if not finding.button.isHidden()}
    assert list(panel.findings) == list(buttons) == list(KEYS)
    for key, entry in document["endpoints"].items():
        said = "no probability" if entry["probability"] is None else entry["decision"]
        assert buttons[key].text.endswith(f": {said}")


def test_numbers_are_those_of_the_report(panel, document):
    from DeepRadScoreLib.report.number_text import decimals, percent, signed
    from DeepRadScoreLib.report.wording import flag_sentence, grouped_shap

    panel.show(document, False)
    for key, entry in document["endpoints"].items():
        text = plain(panel.findings[key].numbers.text)
        for flag in entry["flags"]:
            assert flag_sentence(flag) in text
        if entry["probability"] is None:
            assert not NUMBER.search(text)
            continue
        low, high = entry["spread"]
        numbers = [percent(entry["probability"]), percent(entry["threshold"]), f"{percent(low)} – {percent(high)}"]
        if entry["validation_auc"] is not None:
            numbers += [decimals(entry["validation_auc"]), f"{entry['validation_n']} patients"]
            numbers.append(" – ".join(decimals(bound) for bound in entry["validation_auc_ci"]))
        for number in numbers:
            assert number.replace("\u202f", " ") in text, (key, number)
        evidence = plain(panel.findings[key].evidence.text)
        for name, contribution in grouped_shap(entry["shap"]).items():
            assert f"{name} {signed(contribution)}" in evidence
    assert "it lies outside their range" in plain(panel.findings["TP53"].numbers.text)
    assert "it lies outside their range" not in plain(panel.findings["LVI"].numbers.text)
    assert "Not better than chance" in plain(panel.findings["KRAS"].numbers.text)
    assert "Not better than chance" not in plain(panel.findings["LVI"].numbers.text)


def test_synthetic_stands_once_at_the_head(panel, document):
    """Not beside each number: the band in the status bar keeps it in view."""
    labelled = copy.deepcopy(document) | {"label": LABEL}
    panel.show(labelled, False)
    panel.findings["EGFR"].button.click()
    assert [plain(text).count(LABEL) for text in shown(panel) if LABEL in plain(text)] == [1]
    assert LABEL in plain(panel.head.text)
    panel.show(document, False)
    assert LABEL not in " ".join(shown(panel))


def test_ten_findings_in_ten_lines_and_details_on_demand(panel, document):
    panel.show(document, False)
    from DeepRadScoreLib.report.number_text import percent

    for finding in panel.findings.values():
        assert (finding.line.isHidden(), finding.numbers.isHidden()) == (False, True)
    assert plain(panel.findings["ALK"].line.text) == "no signal in training"

    lines = {key: plain(panel.findings[key].line.text) for key in ("LVI", "KRAS", "TP53")}
    assert percent(document["endpoints"]["LVI"]["probability"]).replace("\u202f", " ") in lines["LVI"]
    assert ["⚠" in text for text in lines.values()] == [False, True, True]
    panel.findings["LVI"].button.click()
    assert not panel.findings["LVI"].numbers.isHidden()
    panel.findings["LVI"].button.click()
    assert panel.findings["LVI"].numbers.isHidden()


def test_a_finding_without_a_probability_opens_to_its_reason_without_a_map(panel, document):
    panel.show(document, False)
    panel.findings["EGFR"].button.click()
    panel.findings["ALK"].button.click()
    assert (panel.selected, panel.told) == ("ALK", ["EGFR", None])
    assert "found no signal" in plain(panel.findings["ALK"].numbers.text)
    assert not panel.findings["ALK"].numbers.isHidden() and panel.findings["ALK"].evidence.isHidden()


def test_every_reason_that_withholds_a_finding_has_few_words(document):
    from DeepRadScoreLib.models import Flag
    from DeepRadScoreLib.report.wording import short_reason

    reasons = {flag: short_reason([flag]) for flag in Flag}
    assert {flag for flag, reason in reasons.items() if not reason} == {Flag.NO_MODEL, Flag.OUTSIDE_SPREAD}
    assert max(len(reason) for reason in reasons.values()) < 25


def test_how_findings_are_read_is_said_on_demand(panel, document):
    panel.show(document, False)
    assert "tick" not in " ".join(shown(panel))
    panel.how.button.click()
    assert any("the tick on it the model's threshold" in plain(text) for text in shown(panel))
    panel.clear("Not analyzed yet.")
    assert panel.how.button.isHidden() and panel.how.label.isHidden()


def test_the_band_is_in_the_status_bar_while_the_module_is_shown(slicer_app):
    import slicer_harness as harness
    from DeepRadScoreSlicer.panel.band import Band

    band = Band()
    band.say(LABEL)
    band.enter()
    assert band.text == ""  # no main window, no status bar
    with harness.main_window() as window:
        band.exit()
        band.enter()
        assert window.statusBar().deepRadScoreBand.text == band.text == LABEL
        band.exit()
        assert band.text == ""
        band.enter()
        band.say(None)
        assert band.text == ""


def test_likeness_interval_and_label_set_are_said_as_in_the_report(panel, document):
    trusted = copy.deepcopy(document)
    trusted["likeness"] = {"percentile": 97.4, "reasons": [{"what": "noise_hu", "value": 41.2, "low": 8.1, "high": 22}]}
    trusted["prevalence"] = {"EGFR": 0.15}
    trusted["endpoints"]["EGFR"] |= {
        "interval": [0.42, 0.84],
        "interval_method": "90 %, jackknife",
        "label_set": {"labels": ["mutant", "wild type"], "level": 0.9},
        "variants": {"low": 0.59, "high": 0.68, "n": 8},
    }
    panel.show(trusted, False)
    head, egfr = plain(panel.head.text), plain(panel.findings["EGFR"].numbers.text)
    for phrase in (
        "than 97.4 % of them",
        "noise of the image (HU): 41.2 (training 8.1 to 22)",
        "15 %",
    ):
        assert phrase in head
    assert "(90 %, jackknife)" in plain(panel.how.label.text)
    for phrase in ("Interval 42 % – 84 %", "Compatible with: mutant or wild type", "Over 8 masks 59 % – 68 %"):
        assert phrase in egfr
    panel.show(document, False)
    head = plain(panel.head.text)
    assert "does not know the limits of its training data" in head
    assert "No finding has an interval" in plain(panel.how.label.text)


def test_out_of_date_is_said_everywhere(panel, document):
    panel.show(document, True)
    assert plain(panel.head.text).startswith("Out of date")
    for key, entry in document["endpoints"].items():
        if entry["probability"] is not None:
            assert "(out of date)" in panel.findings[key].button.text
            bold = re.findall(r"<b>(.*?)</b>", panel.findings[key].numbers.text)
            assert all(part.startswith("<s>") for part in bold if NUMBER.search(part))


def test_without_a_model_there_are_regions_and_quality_only(panel, document):
    bare = copy.deepcopy(document) | {"model": None}
    for entry in bare["endpoints"].values():
        entry.update(probability=None, decision=None, spread=None, shap=None, flags=["no_model"])
    panel.show(document, False)
    panel.findings["LVI"].button.click()
    panel.show(bare, False)
    assert panel.told == ["LVI", None]
    texts = [plain(text) for text in shown(panel)]
    assert len(texts) == 2
    assert "regions, features and quality only" in texts[0]
    assert "mL" in texts[1]


def test_another_volume_on_the_lattice_is_beside_the_masks(panel, document):
    differs = {"code": "volume_differs", "severity": "warning", "message": "5.60 mL and 5.12 mL."}
    changed = copy.deepcopy(document) | {"quality": [differs]}
    changed["regions"]["tumour"] |= {"volume_ml": 5.6, "lattice_volume_ml": 5.12}
    panel.show(document, False)
    assert not any("on the 1 mm lattice" in plain(text) for text in shown(panel))
    panel.show(changed, False)
    assert any("5.60 mL (on the 1 mm lattice 5.12 mL )" in plain(text) for text in shown(panel))


def test_the_axes_are_those_of_the_ball_and_of_the_report(panel, document):
    """Within a pixel's diagonal of the diameter; an older profile has none."""
    tumour = document["regions"]["tumour"]
    diameter = 2 * (3 * 1000 * tumour["volume_ml"] / (4 * math.pi)) ** (1 / 3)
    panel.show(document, False)
    (text,) = [plain(text) for text in shown(panel) if "Largest area" in text]
    long_axis, short_axis = map(float, re.search(r"Long x short axis ([\d.]+) x ([\d.]+) mm", text).groups())
    assert long_axis == pytest.approx(diameter, abs=2) and short_axis == pytest.approx(diameter, abs=2)
    older = copy.deepcopy(document)
    older["regions"]["tumour"] |= {"long_axis_mm": None, "short_axis_mm": None}
    panel.show(older, False)
    assert not any("short axis" in text for text in shown(panel))


def test_a_click_opens_and_a_second_closes(panel, document):
    panel.show(document, False)
    egfr, lvi = panel.findings["EGFR"], panel.findings["LVI"]
    egfr.button.click()
    assert (panel.selected, panel.told) == ("EGFR", ["EGFR"])
    assert not egfr.evidence.isHidden() and egfr.button.text.startswith("▾")
    lvi.button.click()
    assert panel.told == ["EGFR", "LVI"]
    assert egfr.evidence.isHidden() and not egfr.button.checked
    panel.show(document, True)
    assert panel.selected == "LVI" and not lvi.evidence.isHidden()
    lvi.button.click()
    assert panel.told == ["EGFR", "LVI", None]
    assert lvi.evidence.isHidden() and lvi.button.text.startswith("▸")


def test_a_profile_of_before_an_endpoint_was_added_shows_the_others(panel, document):
    panel.show(document, False)
    panel.findings["LVI"].button.click()
    older = {**document, "endpoints": {key: one for key, one in document["endpoints"].items() if key != "LVI"}}
    panel.show(older, False)
    assert panel.selected is None and panel.findings["LVI"].numbers.isHidden()
    assert not panel.findings["PI"].line.isHidden()


@pytest.mark.parametrize("key", ["Key_Space", "Key_Return", "Key_Enter"])
def test_by_keyboard(panel, document, key):
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest

    import slicer_harness as harness

    panel.show(document, False)
    button = harness.unwrap(panel.findings["PI"].button)
    assert button.focusPolicy() & Qt.FocusPolicy.TabFocus
    button.setFocus()
    QTest.keyClick(button, getattr(Qt.Key, key))
    assert panel.selected == "PI"
    QTest.keyClick(button, getattr(Qt.Key, key))
    assert panel.selected is None


def test_names_from_outside_are_text(panel, document):
    from html.parser import HTMLParser

    class Found(HTMLParser):
        def handle_starttag(self, tag, attributes):
            assert tag not in {"img", "a", "script"}

    odd = copy.deepcopy(document)
    odd["case_id"] = "<img src=x>"
    odd["model"]["name"] = '<a href="x">model</a>'
    odd["quality"] = [{"code": "x", "severity": "info", "message": "<script>1</script>"}]
    panel.show(odd, False)
    for text in shown(panel):
        Found().feed(text)


@pytest.mark.parametrize("value", [0.0, 0.004, 0.5, 0.996, 1.0])
def test_bars_fill_their_width(value):
    from DeepRadScoreSlicer.cases.profile_text import diverging_bar, probability_bar

    for text in (probability_bar(value, 1 - value, (0.0, value), False), diverging_bar(2 * value - 1)):
        for row in re.findall(r"<tr>(.*?)</tr>", text):
            widths = [float(width) for width in re.findall(r'width="([\d.]+)%"', row)]
            assert sum(widths) == pytest.approx(100, abs=0.1)
            assert all(width > 0 for width in widths)


def test_a_profile_can_be_read_where_packages_are_missing(panel, document, monkeypatch):
    from DeepRadScoreSlicer.cases import profile_text

    def missing(*_):
        raise ModuleNotFoundError("No module named 'pydantic'", name="pydantic")

    monkeypatch.setattr(profile_text, "regions_text", missing)
    panel.show(document, False)
    assert "pydantic is missing" in panel._reason.text


def test_findings_are_stepped_through(panel, document):
    """Neither end is left; a map is asked for only where there is a probability."""
    given = [key for key, entry in document["endpoints"].items() if entry["probability"] is not None]
    panel.show(document, False)
    for _ in range(len(KEYS) + 2):
        panel.step(1)
    assert panel.selected == KEYS[-1]
    assert [key for key in panel.told if key is not None] == given
    panel.step(-1)
    assert panel.selected == KEYS[-2]
    panel.clear("nothing")
    panel.step(1)
    assert panel.selected is None

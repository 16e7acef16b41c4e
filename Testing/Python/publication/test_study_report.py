"""The page of a study and the writing of its files."""

from __future__ import annotations

import base64
import errno
import hashlib
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from DeepRadScoreLib.errors import OutputError
from DeepRadScoreLib.imaging.origin import SYNTHETIC_LABEL
from DeepRadScoreLib.models import ALL_MODELS
from DeepRadScoreLib.progress import Progress
from DeepRadScoreLib.publication import sentences, writing
from DeepRadScoreLib.publication.checklists import CHECKLISTS, filled
from DeepRadScoreLib.publication.figures import figure_list as study_figures_module
from DeepRadScoreLib.publication.html import CHECKLIST_PREFIX, to_study_html
from DeepRadScoreLib.publication.page_rows import INTERVAL_METHODS, file_name, warnings_of
from DeepRadScoreLib.publication.tables import study_tables
from DeepRadScoreLib.publication.writing import write_study
from DeepRadScoreLib.report import number_text
from DeepRadScoreLib.report import writing as case_writing
from DeepRadScoreLib.statistics.auc import IntervalMethod
from DeepRadScoreLib.study.results.document import Comparison, EndpointResult, ModelCard
from DeepRadScoreLib.study.results.study import Study
from support.made_up_study import made_up_study, summarised
from support.page_reader import PageReader

PICTURE = "data:image/svg+xml;base64,PHN2Zy8+"
HOSTILE = "<script>alert(1)</script>\"'&</td><img src=x onerror=alert(2)>/../x"
VOID = {"meta", "img", "br", "wbr"}
NAMES = ("patient_flow", "auc_overview", "roc_strict", "roc_paper", "shap_strict_EGFR", "gradcam_strict_2", "new")
FIGURES = dict.fromkeys(NAMES, PICTURE)


def sound(event: Progress) -> None:
    assert event.detail
    assert 0 < event.done <= event.total


def tables_of(study: Study) -> dict[str, pd.DataFrame]:
    checklists = {CHECKLIST_PREFIX + CHECKLISTS[name]: table for name, table in filled(study).items()}
    return study_tables(study) | checklists


@pytest.fixture(scope="module")
def study() -> Study:
    return made_up_study()


def one_endpoint(study: Study, key: str) -> Study:
    """The strict protocol of one endpoint, cut out of a study."""
    folds = tuple(
        replace(
            fold,
            predictions=fold.predictions[fold.predictions["endpoint"] == key],
            fits=tuple(fit for fit in fold.fits if fit.endpoint == key),
            selected=fold.selected[fold.selected["endpoint"] == key],
            explanations=tuple(each for each in fold.explanations if each.endpoint == key),
            cams=tuple(cam for cam in fold.cams if cam.endpoint == key),
        )
        for fold in study.folds["strict"]
    )
    strict = study.protocols["strict"]
    strict = strict.model_copy(update={"endpoints": {key: strict.endpoints[key]}})
    return replace(study, folds={"strict": folds}, protocols={"strict": strict}, flow={key: study.flow[key]})


def strict_study(name: str) -> Study:
    """A small study of one endpoint of this name."""
    study = made_up_study(n=60, endpoints=(name,))
    return summarised(
        study,
        folds={"strict": study.folds["strict"]},
        left_out={name: name},
        settings={name: [name]},
        hashes={name: "0"},
    )


@pytest.fixture(scope="module")
def tables(study) -> dict[str, pd.DataFrame]:
    return tables_of(study)


@pytest.fixture(scope="module")
def page(study, tables) -> str:
    return to_study_html(study, tables, FIGURES)


class Reader(PageReader):
    """A page with its tables by caption."""

    def __init__(self) -> None:
        super().__init__(VOID)
        self.tables: dict[str, list[list[str]]] = {}
        self.caption = ""

    def handle_starttag(self, tag, attrs):
        super().handle_starttag(tag, attrs)
        if tag == "caption":
            self.caption = ""
        if tag == "tr":
            self.tables.setdefault(self.caption, []).append([])
        if tag in ("td", "th"):
            self.tables[self.caption][-1].append("")

    def handle_data(self, data):
        super().handle_data(data)
        if "style" in self.open:
            return
        if "caption" in self.open:
            self.caption += data
        elif {"td", "th"} & set(self.open):
            self.tables[self.caption][-1][-1] += data

    def table(self, start: str) -> list[list[str]]:
        (found,) = [rows for caption, rows in self.tables.items() if caption.startswith(start)]
        return found

    @property
    def words(self) -> str:
        return " ".join("".join(self.text).split())


def read(page: str) -> Reader:
    reader = Reader()
    reader.read(page)
    return reader


def numbers(text: str) -> list[float]:
    return [float(found) for found in re.findall(r"[+-]?\d+(?:\.\d+)?", text.replace("\u2212", "-"))]


class TestPage:
    def test_is_balanced_and_fetches_nothing(self, page):
        reader = read(page)
        assert "//" not in re.sub(r"data:image/[a-z+]+;base64,[A-Za-z0-9+/=]+", "", page)
        ids = [a["id"] for _, a in reader.attributes if "id" in a]
        assert len(ids) == len(set(ids))
        for tag, attributes in reader.attributes:
            assert tag not in ("script", "link", "iframe", "object", "form")
            assert not any(name.startswith("on") for name in attributes)
            assert attributes.get("src", "data:image/").startswith("data:image/")
            assert tag != "img" or attributes["alt"]
            if "href" in attributes:
                assert attributes["href"].removeprefix("#") in ids
            if "aria-labelledby" in attributes:
                assert attributes["aria-labelledby"] in ids

    def test_every_section_is_in_the_contents(self, page):
        nav = re.search(r"<nav.*?</nav>", page, re.S).group(0)
        linked = re.findall(r'href="#(.*?)"', nav)
        assert linked == re.findall(r'<h2 id="(.*?)"', page)
        assert len(linked) >= 14

    def test_same_inputs_same_text(self, study, tables, page):
        assert to_study_html(study, tables, FIGURES) == page

    @pytest.mark.parametrize("protocol", ["strict", "paper"])
    def test_table_3_holds_the_results(self, page, study, protocol):
        cells = re.findall(r'data-endpoint="(\w+)" data-model="([\w-]+)">(.*?)</td>', page, re.S)
        half = len(cells) // 2
        cells = cells[:half] if protocol == "strict" else cells[half:]
        expected = study.protocols[protocol].endpoints
        assert {(key, model) for key, model, _ in cells} == {(k, m) for k, e in expected.items() for m in e.models}
        for key, model, cell in cells:
            card = expected[key].models[model]
            found = numbers(re.sub("<[^>]+>", " ", cell))
            np.testing.assert_allclose(found, [card.auc, *card.auc_ci], atol=0.00501)
            assert ("†" in cell) == (card.auc_note is not None)

    def test_optimism_holds_the_results(self, page, study):
        rows = [row[-4:] for row in read(page).table("What the paper protocol promises")[1:]]
        gaps = [gap for models in study.optimism.values() for gap in models.values()]
        assert len(rows) == len(gaps) == 6
        for row, gap in zip(rows, gaps, strict=True):
            found = [numbers(cell)[0] for cell in row]
            np.testing.assert_allclose(found, list(gap.model_dump().values()), atol=0.00501)
        mean = np.mean([models["deep-radscore"].optimism_gap for models in study.optimism.values()])
        assert f"lies {abs(mean):.2f} {'above' if mean >= 0 else 'below'} the strict AUC" in read(page).words

    def test_comparisons_hold_the_results(self, page, study):
        for protocol in ("strict", "paper"):
            (rows,) = [
                rows
                for caption, rows in read(page).tables.items()
                if caption.startswith("AUC of the reference") and protocol in caption
            ]
            for row, result in zip(rows[1:], study.protocols[protocol].endpoints.values(), strict=True):
                assert row[1] == "Deep-RadScore"
                ordered = [result.delong[name] for name in sentences.order_of(result.models) if name in result.delong]
                assert len(ordered) == len(ALL_MODELS) - 2
                for cell, comparison in zip(row[2:], ordered, strict=True):
                    difference, p, p_holm = numbers(cell)
                    assert difference == pytest.approx(comparison.difference, abs=0.00501)
                    assert p == pytest.approx(comparison.p, abs=0.0011)
                    assert p_holm == pytest.approx(comparison.p_holm, abs=0.0011)

    @pytest.mark.parametrize(("start", "field"), [("Test parts", "metrics"), ("Training parts", "training_metrics")])
    def test_metrics_hold_the_results(self, page, study, start, field):
        for protocol, result in study.protocols.items():
            (rows,) = [
                rows for caption, rows in read(page).tables.items() if caption.startswith(start) and protocol in caption
            ]
            cards = [endpoint.models[name] for endpoint in result.endpoints.values() for name in endpoint.models]
            assert [row[0] for row in rows if len(row) == 1] == list(map(sentences.endpoint_name, result.endpoints))
            rows = [row for row in rows[1:] if len(row) > 1]
            assert len(rows) == len(cards) == 2 * len(ALL_MODELS)
            for row, card in zip(rows, cards, strict=True):
                given = list(getattr(card, field).values())
                for cell, estimate in zip(row[-len(given) :], given, strict=True):
                    np.testing.assert_allclose(numbers(cell), [estimate.value, *(estimate.ci or ())], atol=0.00501)

    def test_flow_correlations_and_features(self, page, study):
        reader = read(page)
        for row, (key, flow) in zip(reader.table("Patients of each")[1:], study.flow.items(), strict=True):
            assert row[0] == sentences.endpoint_name(key)
            negatives = flow.labelled - flow.positives
            assert [int(cell) for cell in row[1:5]] == [flow.patients, flow.labelled, flow.positives, negatives]
            assert row[5] == (f"No. {flow.not_run}" if flow.not_run else "yes")
        (rows,) = [rows for caption, rows in reader.tables.items() if caption.startswith("|r|") and "strict" in caption]
        for row, endpoint in zip(rows[1:], study.protocols["strict"].endpoints.values(), strict=True):
            r = endpoint.correlation
            np.testing.assert_allclose(numbers(" ".join(row[1:3])), [r.largest, r.mean, r.sd], atol=0.00501)
            assert int(row[3]) == r.networks
        rows = reader.table("EGFR mutation, tumour RadScore, strict")
        for row in rows[1:]:
            chosen = [f.selected for f in study.folds["strict"]]
            chosen = [t[(t.endpoint == "EGFR") & (t.region == "tumour") & (t.feature == row[0])] for t in chosen]
            values = [float(table["coefficient"].iloc[0]) for table in chosen]
            np.testing.assert_allclose([numbers(cell)[0] for cell in row[2:]], [np.mean(values), *values], atol=6e-4)
        assert len(rows) == 4

    def test_settings_versions_hashes_left_out(self, page, study):
        words = read(page).words
        for value in (*map(str, study.settings.values()), *study.versions, *study.hashes.values()):
            assert value in words
        assert "case-x case-x.nrrd: the mask is empty; outline the tumour." in words

    def test_every_interval_is_explained(self, page, study):
        assert set(INTERVAL_METHODS) == set(get_args(IntervalMethod))
        words = read(page).words
        cards = [c for p in study.protocols.values() for e in p.endpoints.values() for c in e.models.values()]
        assert len({card.auc_method for card in cards}) >= 2
        for method in {card.auc_method for card in cards}:
            assert f"{method}{INTERVAL_METHODS[method]}" in words

    def test_figures_stand_in_their_places(self, page):
        titles = [a["alt"] for tag, a in read(page).attributes if tag == "img"]
        assert titles == [
            "Flow of patients",
            "AUC with its 95 % interval",
            "ROC curves, strict protocol",
            "ROC curves, paper protocol",
            "SHAP values and signs, EGFR mutation, strict protocol",
            "Grad-CAM of the most and least certain cases, part 2, strict protocol",
            "new",
        ]

    def test_checklists_mark_what_is_open(self, page, tables):
        words = read(page).words
        for name, stem in CHECKLISTS.items():
            counts = tables[CHECKLIST_PREFIX + stem]["status"].value_counts()
            for status, count in counts.items():
                assert f"{count} {status}" in words
            assert f"{name}: " in words
        assert page.count('<tr class="open">') == sum(
            (tables[CHECKLIST_PREFIX + stem]["status"] == "open: for the author").sum() for stem in CHECKLISTS.values()
        )

    def test_synthetic_is_said_at_every_section_and_table(self, study, tables):
        page = to_study_html(replace(study, synthetic=True), tables, FIGURES)
        for kind in (r"<h2 id=.*?</h2>", r"<caption>.*?</caption>", r"<figcaption>.*?</figcaption>"):
            found = re.findall(kind, page, re.S)
            assert found
            assert all(SYNTHETIC_LABEL in each for each in found)
        assert page.split("</style>")[1].lstrip().startswith('</head>\n<body>\n<p class="banner"')

    def test_not_synthetic_is_not_called_so(self, page):
        assert SYNTHETIC_LABEL not in page

    def test_hostile_names_stay_text(self):
        study = strict_study(HOSTILE)
        page = to_study_html(study, tables_of(study), {f"shap_strict_{HOSTILE}": PICTURE})
        reader = read(page)
        assert not any(tag == "script" or "onerror" in attributes for tag, attributes in reader.attributes)
        assert "".join(reader.text).count(HOSTILE) > 10

    def test_table_2_where_it_was_made(self, study, tables, page):
        assert "Five backbones" not in page
        row = {"endpoint": "EGFR", "backbone": "vgg19", "weights": "none", "part": "validation", "threshold": np.nan}
        row |= {"n": 22.5, "auc": 0.5, "auc_low": 0.4, "auc_high": 0.61, "auc_method": "mean", "ppv": np.nan}
        row |= {"ppv_low": np.nan, "ppv_high": np.nan}
        backbones = pd.DataFrame([row | {"fold": fold, "auc_note": "few events"} for fold in ("all", "1", "2")])
        study = replace(study, backbones=backbones, settings=study.settings | {"network": "shared"})
        reader = read(to_study_html(study, tables | {"table2_backbones": backbones}, {}))
        assert reader.table("Table 2. Deep-CT with each backbone; starting weights: none. †: few events") == [
            ["Backbone", "Part", "n", "AUC", "PPV"],
            ["vgg19", "validation", "22.5", "0.50 [0.40,\u00a00.61]†", "—"],
        ]
        assert "EGFR mutation: Deep-CT alone, one backbone after the other on the same splits" in reader.words
        assert "Validation figures flatter: epoch and threshold were chosen on these patients." in reader.words

    def test_why_table_2_was_not_made(self, study, tables):
        changed = replace(study, models_not_run={"backbones": "a validation part has one class only."})
        reader = read(to_study_html(changed, tables, {}))
        assert "Five backbones The backbones were not compared: a validation part has one class only." in reader.words
        assert "backbones:" not in reader.words

    def test_columns_left_out_are_counted_by_reason(self, study, tables, page):
        assert "feature table" not in read(page).words
        columns = {f"tumour_{i}": f"it has no value in {i} of 90 cases." for i in range(1, 4)}
        columns |= {"tumour_c": "it has the same value in every case."}
        study = replace(study, columns_left_out=columns, rows_of_others=2)
        words = read(to_study_html(study, tables, {})).words
        assert "2 rows of the feature table belong to no case of the cohort and were passed over." in words
        assert "left out: 4 3: it has no value in some of 90 cases. 1: it has the same value in every case." in words
        assert "tumour_2 it has no value in 2 of 90 cases." in words

    def test_quality_is_a_table_and_who_was_left_out_for_it_is_said(self, study, tables, page):
        rows = read(page).table("Quality of the cases used: what was noted of how many")
        assert rows[-1] == ["thick_slices", "warning", "50", "0.33", "over 3 mm"]
        excluded = {"case-y": "off_axial", "case-z": "off_axial"}
        words = read(to_study_html(replace(study, quality=(), excluded=excluded), {}, {})).words
        assert "Left out by quality off_axial: 2 cases. No case that was used has a quality note." in words
        words = read(to_study_html(replace(study, quality=None), {}, {})).words
        assert "The feature table has no notes file: the quality of its cases, and whether one is synthetic" in words

    def test_table_1_says_of_how_many(self, page):
        assert read(page).table("Table 1. Characteristics of the patients used, n = 150")[1][2] == "150"

    def test_paper_protocol_alone_says_what_is_missing(self, study):
        paper = {"folds": {"paper": study.folds["paper"]}, "protocols": {"paper": study.protocols["paper"]}}
        study = replace(study, **paper)
        words = read(to_study_html(study, tables_of(study), {})).words
        assert "the strict protocol was not run" in words
        assert "Strict against paper protocol" not in words

    def test_nothing_evaluated(self, study):
        study = replace(study, folds={}, protocols={}, flow={"ALK": study.flow["ALK"]})
        words = read(to_study_html(study, tables_of(study), {})).words
        assert "No endpoint could be evaluated" in words
        assert "Not evaluated. 2 patients are positive; at least 10 are needed." in words


def card(auc: float, low: float, high: float, note: str | None = None) -> ModelCard:
    return ModelCard(auc=auc, auc_ci=(low, high), auc_note=note, auc_method="fold-delong", n=100, positives=30)


def endpoint(models: dict[str, ModelCard], reference: str = "deep-radscore", **compared: Comparison) -> EndpointResult:
    delong = {name.replace("_", "-"): value for name, value in compared.items()}
    return EndpointResult(models=models, delong_reference=reference, delong=delong)


class TestSentences:
    @pytest.fixture
    def three(self, study):
        """One endpoint above chance and above volume, one not told from chance, one without a sound interval."""
        volume = card(0.6, 0.5, 0.7)
        endpoints = {
            "EGFR": endpoint(
                {"deep-radscore": card(0.8, 0.7, 0.9), "volume": volume},
                volume=Comparison(difference=0.2, p=0.001, p_holm=0.003),
            ),
            "LVI": endpoint(
                {"deep-radscore": card(0.55, 0.45, 0.65), "volume": volume},
                volume=Comparison(difference=-0.05, p=0.4, p_holm=0.4),
            ),
            "ALK": endpoint(
                {"deep-radscore": card(0.9, 0.8, 0.97, "interval not calibrated (5 events)"), "volume": volume},
                volume=Comparison(difference=0.3, p=0.03, p_holm=0.06),
            ),
        }
        strict = study.protocols["strict"].model_copy(update={"endpoints": endpoints})
        return replace(study, protocols={"strict": strict})

    def test_answer(self, three):
        first, _, not_counted, volume = sentences.answer(three)
        assert first.startswith("Of 3 endpoints evaluated, 1 has an AUC under the strict protocol whose 95 % interval")
        assert not_counted.endswith(": ALK mutation.")
        assert "in 1 of 2 endpoints" in volume

    def test_no_endpoint_with_a_sound_interval_is_compared_with_nothing(self, three):
        strict = three.protocols["strict"]
        alone = strict.model_copy(update={"endpoints": {"ALK": strict.endpoints["ALK"]}})
        said = sentences.answer(replace(three, protocols={"strict": alone}))
        assert said[0].startswith("Of 1 endpoint evaluated, none has an AUC")
        assert not any("volume" in each for each in said)

    def test_baselines_in_words(self, three):
        said = {key: sentences.baseline_sentences(e) for key, e in three.protocols["strict"].endpoints.items()}
        assert said["EGFR"] == [
            "Volume alone: 0.60 against 0.80 of Deep-RadScore (difference +0.20, p 0.001, after Holm 0.003). "
            "Deep-RadScore is better."
        ]
        assert said["LVI"][0].endswith("Deep-RadScore is no better.")
        assert said["ALK"] == [
            "Volume alone: 0.60 against 0.90 of Deep-RadScore; no verdict: interval not calibrated (5 events)."
        ]

    def test_that_a_model_is_better_may_not_be_shown(self):
        models = {"deep-radscore": card(0.7, 0.6, 0.8), "volume": card(0.6, 0.5, 0.7)}
        judged = endpoint(models, volume=Comparison(difference=0.1, p=0.03, p_holm=0.06))
        assert sentences.baseline_sentences(judged)[0].endswith("That Deep-RadScore is better is not shown.")
        noted = endpoint(models | {"volume": card(0.6, 0.5, 0.7, "too few")}, volume=judged.delong["volume"])
        assert sentences.baseline_sentences(noted)[0].endswith("; no verdict: too few.")

    def test_no_paired_test(self):
        models = {"radiomics-score": card(0.65, 0.55, 0.75), "volume": card(0.6, 0.5, 0.7)}
        assert sentences.baseline_sentences(endpoint(models, "radiomics-score")) == [
            "Volume alone: 0.60 against 0.65 of Radiomics-Score, within the interval of Radiomics-Score; "
            "no paired test was made."
        ]

    @pytest.mark.parametrize(("low", "high", "said"), [(0.4, 0.6, "as they should"), (0.55, 0.7, "do not give 0.5")])
    def test_shuffled_labels(self, low, high, said):
        models = {"deep-radscore": card(0.8, 0.7, 0.9), "shuffled-labels": card((low + high) / 2, low, high)}
        assert said in sentences.baseline_sentences(endpoint(models))[0]

    def test_warnings_name_protocol_and_come_once(self, three):
        endpoints = dict(three.protocols["strict"].endpoints)
        endpoints["LVI"] = endpoints["LVI"].model_copy(update={"warnings": ["w", "w"]})
        strict = three.protocols["strict"].model_copy(update={"endpoints": endpoints})
        found = warnings_of(replace(three, protocols={"strict": strict}))
        assert found["LVI"] == ["Strict protocol: w."]

    def test_warnings_call_models_and_folds_by_name(self, three):
        silent = card(0.6, 0.5, 0.7).model_copy(update={"no_signal": ["1", "2"]})
        judged = endpoint({"deep-radscore": card(0.8, 0.7, 0.9), "radiomics-score": silent})
        judged = judged.model_copy(update={"warnings": ["deep-radscore is not shown to be better than chance"]})
        strict = three.protocols["strict"].model_copy(update={"endpoints": {"EGFR": judged}})
        assert warnings_of(replace(three, protocols={"strict": strict}))["EGFR"] == [
            "Strict protocol: Deep-RadScore is not shown to be better than chance.",
            "Strict protocol: Radiomics-Score: the training scores did not rise with the label in folds 1, 2.",
        ]

    @pytest.mark.parametrize(
        ("value", "text", "signed"),
        [
            (None, "—", "—"),
            (float("nan"), "—", "—"),
            (0.12345, "0.12", "+0.12"),
            (-0.126, "\u22120.13", "\u22120.13"),
            (-0.001, "0.00", "0.00"),
            (0.001, "0.00", "0.00"),
            (1.0, "1.00", "+1.00"),
        ],
    )
    def test_numbers(self, value, text, signed):
        assert number_text.decimals(value) == text
        assert number_text.signed(value) == signed

    @pytest.mark.parametrize(
        ("p", "text"), [(None, "—"), (float("nan"), "—"), (0.0004, "< 0.001"), (0.0412, "0.041"), (1.0, "1.000")]
    )
    def test_p(self, p, text):
        assert number_text.p_value(p) == text

    @pytest.mark.parametrize(
        ("value", "bounds", "text"),
        [
            (0.5, (-0.1, 0.612), "0.50 [\u22120.10, 0.61]"),
            (0.5, None, "0.50"),
            (0.5, (0.4, float("nan")), "0.50"),
            (None, (0.4, 0.6), "—"),
        ],
    )
    def test_interval(self, value, bounds, text):
        assert number_text.with_interval(value, bounds) == text


def contents(folder: Path) -> dict[str, str]:
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


class TestFiles:
    @pytest.fixture
    def small(self, study):
        """Strict protocol, EGFR."""
        return one_endpoint(study, "EGFR")

    @pytest.fixture
    def earlier(self, study):
        """An earlier run with another endpoint."""
        return one_endpoint(study, "LVI")

    @pytest.fixture(autouse=True)
    def _quick_figures(self, monkeypatch):
        """Two figures that are quick to make, one named after the endpoint."""
        from matplotlib.figure import Figure

        def few(study: Study):
            yield "patient_flow", Figure(figsize=(1, 1))
            for key in study.flow:
                yield f"shap_strict_{key}", Figure(figsize=(1, 1))

        monkeypatch.setattr(study_figures_module, "study_figures", few)
        monkeypatch.setattr(study_figures_module, "figure_names", lambda study: [name for name, _ in few(study)])

    @staticmethod
    def write(study: Study, folder: Path) -> None:
        write_study(study, folder, sound)

    def test_what_is_left(self, small, tmp_path):
        folder = tmp_path / "new" / "out"
        self.write(small, folder)
        names = set(contents(folder))
        assert {name for name in names if "/" not in name} == {
            "results.json",
            "predictions.csv",
            "report.html",
            "files.sha256",
        }
        assert {name for name in names if name.startswith("figures/")} == {
            f"figures/{stem}.{end}" for stem in ("patient_flow", "shap_strict_EGFR") for end in ("svg", "png")
        }
        tables = {Path(name).stem for name in names if name.startswith("tables/")}
        assert tables == set(tables_of(small))
        assert list(tmp_path.iterdir()) == [tmp_path / "new"]

    def test_progress_is_one_bar(self, small, tmp_path):
        seen = []
        write_study(small, tmp_path, seen.append)
        shown = [(event.text, event.done, event.total) for event in seen]
        assert shown == [("drawing figures: patient_flow", 1, 2), ("drawing figures: shap_strict_EGFR", 2, 2)]

    def test_files_say_what_the_results_say(self, small, tmp_path):
        self.write(small, tmp_path)
        assert (tmp_path / "results.json").read_text(encoding="utf-8") == small.to_json()
        json.loads((tmp_path / "results.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
        stored = pd.read_csv(tmp_path / "predictions.csv", dtype={"fold": str}, float_precision="round_trip")
        pd.testing.assert_frame_equal(stored, small.predictions())
        for line in (tmp_path / "files.sha256").read_text(encoding="utf-8").splitlines():
            digest, name = line.split("  ", 1)
            assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == digest
        page = (tmp_path / "report.html").read_text(encoding="utf-8")
        shown = re.findall(r"<code>(tables/.*?)</code>", page)
        assert sorted(shown) == sorted(name for name in contents(tmp_path) if name.startswith("tables/"))

    def test_same_outcome_same_bytes(self, small, tmp_path):
        self.write(small, tmp_path / "a")
        self.write(small, tmp_path / "b")
        assert contents(tmp_path / "a") == contents(tmp_path / "b")

    def test_a_file_system_refuses_no_name(self, tmp_path):
        self.write(strict_study("../../a/b:*?"), tmp_path / "out")
        assert [path.name for path in tmp_path.iterdir()] == ["out"]
        assert "figures/shap_strict_..%2F..%2Fa%2Fb%3A%2A%3F.svg" in contents(tmp_path / "out")
        assert file_name("PDL1 >= 1 %") == "PDL1 %3E= 1 %25"

    def test_outdated_files_go_and_strange_ones_stay(self, earlier, small, tmp_path):
        self.write(earlier, tmp_path)
        mine = ("figures/shap_strict_mine.svg", "tables/mine.csv", "notes.txt")
        for name in mine:
            (tmp_path / name).write_text("mine")
        (tmp_path / "figures" / "shap_strict_LVI.svg").write_text("coloured by hand")
        self.write(small, tmp_path)
        names = set(contents(tmp_path))
        assert set(mine) <= names
        assert "figures/shap_strict_LVI.png" not in names
        assert (tmp_path / "figures" / "shap_strict_LVI.svg").read_text() == "coloured by hand"
        assert "figures/shap_strict_EGFR.png" in names
        assert "EGFR" in json.loads((tmp_path / "results.json").read_text())["flow"]

    def test_a_false_listing_removes_nothing_elsewhere(self, small, tmp_path):
        folder = tmp_path / "out"
        folder.mkdir()
        (tmp_path / "precious").write_text("x")
        (folder / "own.txt").write_text("x")
        digest = hashlib.sha256(b"x").hexdigest()
        names = ("../precious", "tables/../own.txt", "own.txt", "tables/..", str(tmp_path / "precious"))
        (folder / "files.sha256").write_text("".join(f"{digest}  {name}\n" for name in names))
        self.write(small, folder)
        assert (tmp_path / "precious").exists()
        assert (folder / "own.txt").exists()

    @pytest.mark.parametrize("there", [True, False])
    @pytest.mark.parametrize("fails_at", [1, 5, 19])
    def test_a_full_disk_leaves_nothing_half_written(self, earlier, small, tmp_path, monkeypatch, there, fails_at):
        folder = tmp_path / "out"
        if there:
            self.write(earlier, folder)
        before = contents(tmp_path)
        opened = Path.open
        count = 0

        def full(path: Path, mode: str = "r", *args, **more):
            nonlocal count
            count += mode == "xb"
            if mode == "xb" and count == fails_at:
                raise OSError(errno.ENOSPC, "No space left on device")
            return opened(path, mode, *args, **more)

        monkeypatch.setattr(case_writing.Path, "open", full)
        with pytest.raises(OutputError, match="No space left on device"):
            self.write(small, folder)
        assert count == fails_at
        assert contents(tmp_path) == before
        assert folder.exists() == there
        assert not list(tmp_path.glob(".*"))

    @pytest.mark.parametrize("there", [True, False])
    def test_a_failed_move_undoes_all(self, earlier, small, tmp_path, monkeypatch, there):
        folder = tmp_path / "deep" / "out"
        if there:
            self.write(earlier, folder)
        before = contents(tmp_path)
        moved = Path.replace

        def refuse(path: Path, destination: Path):
            if Path(destination) in (folder, folder / "report.html") and "new" in path.parts:
                raise PermissionError(errno.EACCES, "Permission denied")
            return moved(path, destination)

        monkeypatch.setattr(Path, "replace", refuse)
        with pytest.raises(OutputError, match=r"the results cannot be written \(Permission denied\)"):
            self.write(small, folder)
        assert contents(tmp_path) == before
        assert (tmp_path / "deep").exists() == there
        assert not list(tmp_path.glob(".*"))

    def test_results_come_last(self, small, tmp_path, monkeypatch):
        (tmp_path / "out").mkdir()
        order = []
        moved = Path.replace

        def note(path: Path, destination: Path):
            if "new" in path.parts and ".part" not in str(destination):
                order.append(Path(destination).name)
            return moved(path, destination)

        monkeypatch.setattr(Path, "replace", note)
        self.write(small, tmp_path / "out")
        assert order[-2:] == ["files.sha256", "results.json"]
        assert len(order) == len(contents(tmp_path / "out"))

    def test_a_file_in_place_of_the_folder(self, small, tmp_path):
        (tmp_path / "out").write_text("here")
        with pytest.raises(OutputError, match="this is a file, not a folder"):
            self.write(small, tmp_path / "out")
        assert contents(tmp_path).keys() == {"out"}

    @pytest.mark.parametrize(("points", "mark", "kind"), [(40, "-", "svg+xml"), (20000, "x", "png")])
    def test_the_smaller_picture_stands_in_the_page(self, tmp_path, points, mark, kind):
        from matplotlib.figure import Figure

        figure = Figure(figsize=(4, 4))
        axes = figure.add_axes((0, 0, 1, 1), frameon=False, xticks=[], yticks=[])
        axes.plot(*np.random.default_rng(0).normal(size=(2, points)), mark)
        source = writing._write_figure(figure, tmp_path, "x")
        head, data = source.split(",", 1)
        assert head == f"data:image/{kind};base64"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["x.png", "x.svg"]
        if kind == "png":
            shown = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")
            whole = Image.open(tmp_path / "x.png").convert("RGB")
            np.testing.assert_allclose(np.asarray(shown, int), np.asarray(whole, int), atol=16)
        else:
            assert base64.b64decode(data) == (tmp_path / "x.svg").read_bytes()

"""The figures of a study: what is drawn equals the results, and equal inputs give equal bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import matplotlib as mpl
import matplotlib.style
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.text import Text
from sklearn.metrics import roc_auc_score, roc_curve

from DeepRadScoreLib.endpoints import KEYS
from DeepRadScoreLib.imaging.origin import SYNTHETIC_LABEL
from DeepRadScoreLib.models import MODELS
from DeepRadScoreLib.publication.figures.canvas import STYLE, text_width, wrapped
from DeepRadScoreLib.publication.figures.discrimination import average_roc
from DeepRadScoreLib.publication.figures.explain import mean_absolute
from DeepRadScoreLib.publication.figures.figure_list import figure_names, study_figures, to_png, to_svg
from DeepRadScoreLib.publication.figures.gradcam import cam_pairs
from DeepRadScoreLib.publication.figures.overview import auc_overview
from DeepRadScoreLib.publication.figures.shap import shap_rows, swarm
from DeepRadScoreLib.study.results.document import ModelCard
from DeepRadScoreLib.study.results.study import CamExample, FoldOutcome, Study
from support.made_up_study import CLASSIFIERS, made_up_study, summarised

SHOWN = (*MODELS, "volume")
SILENT = ("EGFR", "deep-radscore")
Drawn = tuple[Study, dict[str, Figure]]


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    study = made_up_study(synthetic=True)
    return study, dict(study_figures(study))


def panels(figure: Figure) -> list[Axes]:
    return list(figure.axes)


def words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text))


def line(axes: Axes, gid: str) -> np.ndarray:
    (found,) = [each for each in axes.get_lines() if each.get_gid() == gid]
    return np.array(found.get_data()).T


def test_the_figures_and_their_order(drawn: Drawn) -> None:
    kinds = ("roc", "inner_auc", "calibration", "decision", "correlation", "contributions")
    of_protocol = lambda p: [*(f"{k}_{p}" for k in kinds), f"shap_{p}_EGFR", f"shap_{p}_LVI", f"gradcam_{p}"]  # noqa: E731
    assert list(drawn[1]) == ["patient_flow", "auc_overview", *of_protocol("strict"), *of_protocol("paper")]
    assert figure_names(drawn[0]) == list(drawn[1])


def test_figures_are_drawn_one_at_a_time(drawn: Drawn) -> None:
    study, _ = drawn
    figures = study_figures(study)
    assert next(figures)[0] == "patient_flow"
    figures.close()


def test_average_roc_equals_scikit_learns_curves_interpolated() -> None:
    rng = np.random.default_rng(1)
    folds = [(rng.integers(0, 2, 60), np.round(rng.normal(size=60), 1)) for _ in range(4)]
    grid, mean, sd, count = average_roc([*folds, (np.ones(5), rng.normal(size=5))])
    curves = np.array([np.interp(grid[1:], *roc_curve(y, s, drop_intermediate=False)[:2]) for y, s in folds])
    np.testing.assert_allclose(mean[1:], curves.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(sd[1:], curves.std(axis=0), atol=1e-12)
    assert (count, mean[0], mean[-1]) == (4, 0.0, 1.0)
    area = np.mean([roc_auc_score(y, s) for y, s in folds])
    assert np.trapezoid(mean, grid) == pytest.approx(area, abs=0.005)


def test_average_roc_without_a_curve_is_nan() -> None:
    assert np.isnan(average_roc([(np.ones(3), np.arange(3.0))])[1]).all()


def test_roc_of_several_folds_is_drawn_as_averaged(drawn: Drawn) -> None:
    study, figures = drawn
    for key, axes in zip(study.protocols["strict"].endpoints, panels(figures["roc_strict"]), strict=True):
        for model in SHOWN:
            tables = [fold.predictions for fold in study.folds["strict"]]
            tables = [t[(t["endpoint"] == key) & (t["model"] == model)] for t in tables]
            grid, mean, _, _ = average_roc((t["label"].to_numpy(), t["score"].to_numpy()) for t in tables)
            np.testing.assert_array_equal(line(axes, model), np.column_stack([grid, mean]))


def test_roc_of_one_part_is_scikit_learns(drawn: Drawn) -> None:
    study, figures = drawn
    table = study.folds["paper"][0].predictions
    rows = table[(table["endpoint"] == "LVI") & (table["model"] == "deep-ct")]
    expected = np.column_stack(roc_curve(rows["label"], rows["score"])[:2])
    np.testing.assert_array_equal(line(panels(figures["roc_paper"])[1], "deep-ct"), expected)


@pytest.mark.parametrize("protocol", ["strict", "paper"])
def test_roc_legend_gives_auc_and_interval_of_the_results(drawn: Drawn, protocol: str) -> None:
    study, figures = drawn
    for endpoint, axes in zip(study.protocols[protocol].endpoints.values(), panels(figures[f"roc_{protocol}"])):  # noqa: B905
        texts = [text.get_text().rstrip("†") for text in axes.get_legend().get_texts()]
        cards = [endpoint.models[model] for model in SHOWN]
        assert texts == [f"{c.auc:.2f} [{c.auc_ci[0]:.2f}, {c.auc_ci[1]:.2f}]" for c in cards]


def test_inner_aucs_have_their_medians_and_marks(drawn: Drawn) -> None:
    study, figures = drawn
    endpoint, axes = study.protocols["strict"].endpoints["EGFR"], panels(figures["inner_auc_strict"])[0]
    for model in MODELS:
        medians = [each.get_ydata()[0] for each in axes.get_lines() if each.get_gid() == model]
        expected = [np.median(endpoint.models[model].inner_aucs[name]) for name in CLASSIFIERS]
        np.testing.assert_allclose(medians, expected)
    chosen = [text for text in axes.texts if text.get_text().isdigit()]
    assert sum(int(text.get_text()) for text in chosen) == 3 * 5


def test_calibration_and_decision_curves_are_those_of_the_results(drawn: Drawn) -> None:
    study, figures = drawn
    for number, endpoint in enumerate(study.protocols["strict"].endpoints.values()):
        for model in MODELS:
            card = endpoint.models[model]
            curve = line(panels(figures["calibration_strict"])[number], model)
            np.testing.assert_allclose(curve, [point[:2] for point in card.calibration.curve])
            benefit = line(panels(figures["decision_strict"])[number], model)
            np.testing.assert_allclose(benefit, np.column_stack([card.decision.thresholds, card.decision.net_benefit]))


def test_overview_shows_the_optimism_gap_from_strict_to_inner(drawn: Drawn) -> None:
    study, figures = drawn
    (axes,) = panels(figures["auc_overview"])
    gaps = [tuple(each.get_xdata()) for each in axes.get_lines() if each.get_gid() == "gap deep-radscore"]
    cards = [study.optimism[key]["deep-radscore"] for key in ("EGFR", "LVI")]
    assert gaps == [(card.strict_auc, card.paper_inner_auc) for card in cards]
    low = min(c.auc_ci[0] for e in study.protocols["paper"].endpoints.values() for c in e.models.values())
    assert axes.get_xlim()[0] <= max(low, 0.4)


def test_overview_marks_what_is_not_to_be_relied_on_in_both_protocols(drawn: Drawn) -> None:
    study, figures = drawn
    texts = {text.get_text() for text in figures["auc_overview"].findobj(Text)}
    for protocol, text in (("strict", "{:.2f} [{:.2f}, {:.2f}]"), ("paper", "{:.2f}")):
        for endpoint in study.protocols[protocol].endpoints.values():
            for card in (endpoint.models[model] for model in SHOWN):
                shown = text.format(card.auc, *card.auc_ci)
                assert shown + ("†" if card.auc_note else "") in texts
    assert all(e.models["deep-ct"].auc_note for e in study.protocols["paper"].endpoints.values())


def test_correlation_is_the_mean_over_networks(drawn: Drawn) -> None:
    study, figures = drawn
    networks = [e.correlations[0] for f in study.folds["strict"] for e in f.explanations if e.endpoint == "EGFR"]
    shown = panels(figures["correlation_strict"])[0].get_images()[0].get_array()
    np.testing.assert_allclose(shown, np.abs(networks).mean(axis=0))
    card = study.protocols["strict"].endpoints["EGFR"].correlation
    assert f"max {card.largest:.2f}, mean {card.mean:.2f} ± {card.sd:.2f}" in words(figures["correlation_strict"])


def test_mean_absolute_leaves_constant_columns_out() -> None:
    nan = np.nan
    found = mean_absolute([np.array([[0.5, nan, -0.2]]), np.array([[nan, nan, 0.4]])])
    np.testing.assert_allclose(found, [[0.5, nan, 0.3]])


def test_contributions_are_those_of_the_results(drawn: Drawn) -> None:
    study, figures = drawn
    shares = study.protocols["strict"].endpoints["LVI"].contributions
    bars = {p.get_gid(): p.get_width() for p in panels(figures["contributions_strict"])[0].patches if p.get_y() > 0.5}
    deep = sum(share for name, share in shares.items() if name.startswith("deep"))
    expected = {name: shares[name] for name in ("radscore_tumour", "radscore_peritumoral")} | {"deep": deep}
    assert bars == pytest.approx(expected)


def test_shap_of_several_folds_adds_up_unaligned_columns(drawn: Drawn) -> None:
    study, figures = drawn
    each = [e for f in study.folds["strict"] for e in f.explanations if e.endpoint == "EGFR"]
    scaled = np.concatenate([e.shap / np.abs(e.shap).sum(axis=1).mean() for e in each])
    axes = panels(figures["shap_strict_EGFR"])[0]
    points = {c.get_gid(): c.get_offsets()[:, 0] for c in axes.collections if isinstance(c, PathCollection)}
    np.testing.assert_allclose(points["Tumour RadScore"], scaled[:, 0])
    np.testing.assert_allclose(points["Deep features (sum)"], scaled[:, 2:].sum(axis=1))
    assert len(points) == 3
    assert "not aligned" in words(figures["shap_strict_EGFR"])


def test_shap_of_one_part_shows_every_column_and_its_sign(drawn: Drawn) -> None:
    study, _ = drawn
    (explanation,) = [e for e in study.folds["paper"][0].explanations if e.endpoint == "EGFR"]
    rows = shap_rows([explanation])
    assert [row.name for row in rows][:3] == ["Tumour RadScore", "Peritumoral RadScore", "Deep feature 1"]
    assert sum(row.size for row in rows) == pytest.approx(1.0)
    for j, row in enumerate(rows):
        r = np.corrcoef(explanation.columns[:, j], explanation.shap[:, j])[0, 1]
        assert (row.rising, row.falling) == ((1, 0) if r > 0 else (0, 1))


def test_shap_leaves_folds_without_a_signal_out_and_says_so(drawn: Drawn) -> None:
    study, _ = drawn

    def silent(fold: FoldOutcome) -> FoldOutcome:
        return replace(
            fold, fits=tuple(replace(fit, no_signal=(fit.endpoint, fit.model) == SILENT) for fit in fold.fits)
        )

    first, second, *others = study.folds["strict"]
    study = replace(study, folds={"strict": (silent(first), silent(second), *others)})
    names = figure_names(study)
    figure = dict(study_figures(study))["shap_strict_EGFR"]
    (points,) = [c for c in figure.axes[0].collections if c.get_gid() == "Tumour RadScore"]
    each = [e for fold in others for e in fold.explanations if e.endpoint == "EGFR"]
    scaled = np.concatenate([e.shap / np.abs(e.shap).sum(axis=1).mean() for e in each])
    np.testing.assert_allclose(points.get_offsets()[:, 0], scaled[:, 0])
    assert "Left out: 2 of 5 folds, without a signal." in words(figure).replace("\n", " ")
    everywhere = replace(study, folds={"strict": tuple(map(silent, study.folds["strict"]))})
    assert set(names) - set(figure_names(everywhere)) == {"shap_strict_EGFR"}


def test_shap_rows_put_the_radscores_first_whatever_the_order() -> None:
    study = made_up_study()
    explanation = study.folds["paper"][0].explanations[0]
    order = [*range(2, 12), 0, 1]
    moved = replace(
        explanation,
        names=tuple(explanation.names[j] for j in order),
        columns=explanation.columns[:, order],
        shap=explanation.shap[:, order],
    )
    for row, expected in zip(shap_rows([moved]), shap_rows([explanation]), strict=True):
        assert row.name == expected.name
        np.testing.assert_array_equal(row.shap, expected.shap)


def test_swarm_keeps_points_of_one_bin_apart() -> None:
    offsets = swarm(np.zeros(7), 2.0)
    assert len(np.unique(offsets)) == 7
    assert np.abs(offsets).max() <= 1


def test_gradcam_takes_the_extremes_about_the_threshold_over_all_folds() -> None:
    study = made_up_study(endpoints=("EGFR",))
    folds = []
    most_at, least_at = (0.4, 0.0, 0.75, 0.3, 0.4), (0.5, 0.2, 0.34, 0.6, 0.2)
    for fold, *at_both in zip(study.folds["strict"], most_at, least_at, strict=True):
        at = dict(zip(("most certain", "least certain"), at_both, strict=True))
        folds.append(replace(fold, cams=tuple(replace(cam, probability=at[cam.kind]) for cam in fold.cams)))
    most, least = cam_pairs(folds)["EGFR"]
    assert isinstance(most, CamExample)
    assert isinstance(least, CamExample)
    assert (most.probability, least.probability) == (0.75, 0.34)


def test_gradcam_shows_patch_and_map(drawn: Drawn) -> None:
    study, figures = drawn
    most, _ = cam_pairs(study.folds["strict"])["EGFR"]
    plain, overlaid = panels(figures["gradcam_strict"])[:2]
    np.testing.assert_array_equal(plain.get_images()[0].get_array(), most.patch)
    assert plain.get_images()[0].get_clim() == (-1000, 400)
    np.testing.assert_array_equal(overlaid.get_images()[1].get_array(), most.heat)
    assert "5 × 5 cells" in words(figures["gradcam_strict"]).replace("\n", " ")


def test_flow_names_who_was_left_out_and_why(drawn: Drawn) -> None:
    text = words(drawn[1]["patient_flow"])
    assert "1 × the mask is empty; outline the tumour." in text
    assert "130 labelled, 20 without label" in text
    assert "Not evaluated: 2 patients" in text


def test_flow_says_why_backbones_were_not_compared(drawn: Drawn) -> None:
    study, _ = drawn
    changed = replace(study, folds={}, models_not_run={"backbones": "one class only.", "deep-ct": "no images"})
    text = words(dict(study_figures(changed))["patient_flow"]).replace("\n", " ")
    assert "The backbones were not compared: one class only." in text
    assert "Deep-CT not run: no images" in text


def test_every_figure_of_the_phantom_cohort_says_so(drawn: Drawn) -> None:
    assert all(SYNTHETIC_LABEL in words(figure) for figure in drawn[1].values())


def test_figures_of_patients_do_not_say_synthetic(drawn: Drawn) -> None:
    study, _ = drawn
    strict_alone = {"strict": study.folds["strict"]}
    figures = dict(study_figures(replace(study, folds=strict_alone, synthetic=False)))
    assert not any(SYNTHETIC_LABEL in words(figure) for figure in figures.values())


def test_equal_inputs_give_equal_bytes_whatever_the_users_settings(drawn: Drawn) -> None:
    _, figures = drawn
    study = made_up_study(synthetic=True)
    study = replace(study, folds={"strict": study.folds["strict"]})
    with mpl.rc_context({"font.size": 15, "lines.linewidth": 5, "svg.hashsalt": None}):
        for name, again in study_figures(study):
            assert to_svg(figures[name]) == to_svg(again), name
            assert to_png(figures[name], 60) == to_png(again, 60), name
        assert mpl.rcParams["font.size"] == 15
    assert b"tEXt" not in to_png(figures["patient_flow"], 60)
    assert "dc:date" not in to_svg(figures["patient_flow"])


def shown_texts(figure: Figure) -> list[Text]:
    """All texts but those of ticks outside the axes."""
    hidden = []
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            outside = [tick for tick in axis.get_major_ticks() if not low - 1e-9 <= tick.get_loc() <= high + 1e-9]
            hidden += [label for tick in outside for label in (tick.label1, tick.label2)]
    return [text for text in figure.findobj(Text) if text.get_text().strip() and text not in hidden]


def overlapping(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of texts whose boxes overlap, and texts that leave the page."""
    with mpl.style.context(STYLE, after_reset=True):
        FigureCanvasAgg(figure).draw()
        boxes = [(text.get_text(), text.get_window_extent()) for text in shown_texts(figure) if text.get_visible()]
    page = figure.bbox
    found = [(a, "page") for a, box in boxes if box.x0 < 0 or box.y0 < 0 or box.x1 > page.x1 or box.y1 > page.y1]
    for i, (a, first) in enumerate(boxes):
        for b, second in boxes[i + 1 :]:
            wide = min(first.x1, second.x1) - max(first.x0, second.x0)
            high = min(first.y1, second.y1) - max(first.y0, second.y0)
            if wide > 1.0 and high > 2.5:
                found.append((a, b))
    return found


LONG_NAME = "a_very_long_name_of_an_endpoint_that_somebody_who_likes_long_names_has_called_died_within_2y"


@pytest.mark.parametrize(("endpoints", "protocol"), [((LONG_NAME,), "paper"), (KEYS, "strict")])
def test_no_text_overlaps_or_leaves_the_page(endpoints: tuple[str, ...], protocol: str) -> None:
    study = made_up_study(n=200, endpoints=endpoints, synthetic=True)
    study = summarised(study, folds={protocol: study.folds[protocol]})
    for name, figure in study_figures(study):
        if name.startswith("shap") and not name.endswith(endpoints[0]):
            continue
        assert overlapping(figure) == [], name
        assert figure.get_figheight() * 25.4 < 250
        assert min(text.get_fontsize() for text in shown_texts(figure)) >= 7


@pytest.mark.parametrize("count", [11, 12])
def test_the_overview_of_more_endpoints_has_lower_rows_and_fits_a_page(count: int) -> None:
    study = made_up_study(n=80, endpoints=tuple(f"finding_{number}" for number in range(count)), synthetic=True)
    with mpl.style.context(STYLE, after_reset=True):
        figure = auc_overview(study)
    assert overlapping(figure) == []
    assert figure.get_figheight() * 25.4 < 250


def without(study: Study, change: Callable[[str, ModelCard], ModelCard]) -> Study:
    """The study with every model card changed."""
    protocols = {
        name: result.model_copy(
            update={
                "endpoints": {
                    key: endpoint.model_copy(update={"models": {m: change(m, c) for m, c in endpoint.models.items()}})
                    for key, endpoint in result.endpoints.items()
                }
            }
        )
        for name, result in study.protocols.items()
    }
    return replace(study, protocols=protocols)


def test_a_model_that_was_not_run_is_a_note_and_not_a_line(drawn: Drawn) -> None:
    study, _ = drawn
    study = replace(study, folds={"strict": study.folds["strict"]})
    changed = without(study, lambda m, c: ModelCard(not_run="no images") if m == "deep-ct" else c)
    figures = dict(study_figures(changed))
    for kind in ("roc", "calibration", "decision"):
        axes = panels(figures[f"{kind}_strict"])[0]
        assert not [each for each in axes.get_lines() if each.get_gid() == "deep-ct"]
        assert "Deep-CT: not run" in words(figures[f"{kind}_strict"])
    assert "Deep-CT: not run" in words(figures["inner_auc_strict"])
    assert "not run" in words(figures["auc_overview"])


def test_a_model_without_auc_is_a_note_and_not_a_line(drawn: Drawn) -> None:
    study, _ = drawn
    study = replace(study, folds={"paper": study.folds["paper"]})
    nothing = {"auc": None, "auc_ci": None}
    changed = without(study, lambda m, c: c.model_copy(update=nothing) if m == "deep-radscore" else c)
    figures = dict(study_figures(changed))
    axes = panels(figures["roc_paper"])[0]
    assert not [each for each in axes.get_lines() if each.get_gid() == "deep-radscore"]
    assert "Deep-RadScore: no AUC" in words(figures["roc_paper"])


def test_radiomics_alone_has_no_figures_of_the_network(drawn: Drawn) -> None:
    study, _ = drawn
    folds = {"paper": tuple(replace(fold, explanations=(), cams=()) for fold in study.folds["paper"])}
    nothing = {"contributions": {}, "correlation": None}
    paper = study.protocols["paper"]
    endpoints = {key: endpoint.model_copy(update=nothing) for key, endpoint in paper.endpoints.items()}
    changed = replace(study, folds=folds, protocols={"paper": paper.model_copy(update={"endpoints": endpoints})})
    names = [name for name, _ in study_figures(changed)]
    assert "roc_paper" in names
    assert not [name for name in names if name.startswith(("shap", "gradcam", "correlation", "contributions"))]


def test_nothing_evaluated_leaves_the_flow_of_patients_alone() -> None:
    study = summarised(made_up_study(), folds={})
    assert [name for name, _ in study_figures(study)] == ["patient_flow"]


def test_wrapped_lines_fit_and_keep_every_word() -> None:
    text = "Share of positive patients against the mean predicted probability " * 4
    lines = wrapped(text, 60, 7)
    assert " ".join(lines).split() == text.split()
    assert max(text_width(each, 7) for each in lines) <= 60

"""The model card, read back by a Markdown parser: the manifest's numbers in their places, strangers' text as text."""

from __future__ import annotations

from itertools import pairwise

import pytest
from markdown_it import MarkdownIt

from DeepRadScoreLib.bundles.manifest import Manifest, ValidationCard
from DeepRadScoreLib.cli.case_commands import inspect
from DeepRadScoreLib.endpoints import BY_KEY
from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.models import MODELS, Model
from DeepRadScoreLib.report.model_card import to_model_card
from support.small_bundle import KEY_OF, small_bundle, small_densenet

SHA = "ab" * 32
HOSTILE = "a | b\n# c <script>x</script> [y](http://z) *d* `e` _f_ \\"
MARKDOWN = MarkdownIt("commonmark").enable("table")


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    with small_densenet():
        return small_bundle().manifest


def tables(text: str) -> list[list[list[str]]]:
    """Rows of cells of each table, as a reader sees them."""
    found: list[list[list[str]]] = []
    tokens = MARKDOWN.parse(text)
    for token, following in pairwise(tokens):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type in ("th_open", "td_open"):
            found[-1][-1].append("".join(child.content for child in following.children))
    return found


def test_every_endpoint_has_its_row_with_the_manifests_numbers(manifest):
    _, (heading, *rows), _ = tables(to_model_card(manifest, SHA))
    assert heading[3:6] == [str(model) for model in MODELS]
    assert len(rows) == len(manifest.endpoints) == 10
    for name, counts, classifier, *aucs, held_out, gives in rows:
        key = name.rpartition("(")[2].rstrip(")")
        card = manifest.endpoints[key]
        assert name == f"{BY_KEY[key].name} ({key})"
        assert counts == f"{card.n} ({card.positives})"
        if key in KEY_OF.values():
            assert classifier == card.classifier[Model.FUSED]
            assert aucs == ["0.80 (0.60-0.90)"] * 3
            assert (held_out, gives) == ("20 (9)", "yes")
        else:
            assert (classifier, held_out, gives) == ("—", "—", "no: too few")
            assert set(aucs) == {"—"}


def test_the_data_sheet_has_the_counts_of_the_training(manifest):
    trained = manifest.trained_on | {
        "left_out": {"x": "gone"},
        "left_out_by_quality": {"thick_slices": 1},
        "cohort_sha256": SHA,
        "sites": {"a": 40, "b": 20},
    }
    sheet = tables(to_model_card(manifest.model_copy(update={"trained_on": trained}), SHA))[-1]
    said = dict(row for row in sheet if len(row) == 2)
    assert (said["cohort table"], said["its SHA-256"]) == ("cohort.csv", SHA)
    assert said["cases used"] == "60"
    assert said["patients"] == "40 for training, 20 held out"
    assert said["sites (cases)"] == "a 40, b 20"
    assert said["cases left out"] == said["of these by quality thick_slices"] == "1"
    assert said["quality note thick_slices (spacing over 3 mm along some axis)"] == "3 cases"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"limits": None}, "the bundle has no limits"),
        ({"synthetic": False, "label": None}, None),
        ({"trained_on": {"sites": {"a": 30, "b": 30}}}, None),
    ],
)
def test_what_nobody_measured_is_said(manifest, change, words):
    if "trained_on" in change:
        change = {"trained_on": manifest.trained_on | change["trained_on"]}
    before, after = to_model_card(manifest, SHA), to_model_card(manifest.model_copy(update=change), SHA)
    unknown = [text.partition("## What is not known")[2].partition("# Data sheet")[0] for text in (before, after)]
    assert unknown[0] != unknown[1]
    assert "Anything about patients" in unknown[0]
    assert words is None or (words in unknown[1] and words not in unknown[0])


def test_an_endpoint_that_may_give_nothing_says_why(manifest):
    chance = ValidationCard(auc=0.5, auc_ci=(0.4, 0.6), n=20, positives=9)
    none = ValidationCard(n=20, positives=1, flag="validation_few_positives")
    cards = {
        key: manifest.endpoints[key].model_copy(update={"validation": {Model.FUSED: card}})
        for key, card in (("EGFR", chance), ("KRAS", none))
    }
    changed = manifest.model_copy(update={"endpoints": manifest.endpoints | cards})
    cells = {row["endpoint"]: row["held-out AUC (95 %)"] for row in changed.endpoint_rows()}
    assert (cells["EGFR mutation"], cells["KRAS mutation"]) == ("0.50 (0.40-0.60)", "none: fewer than 5 of a class")
    card = to_model_card(changed, SHA)
    row = next(row for row in tables(card)[1] if "EGFR" in row[0])
    assert row[-1] == "no: The interval of the validated AUC includes 0.5: the model may know nothing here."
    assert "How good it is for KRAS. Not validated: fewer than 5 patients" in card


def test_text_of_a_stranger_stays_text(manifest):
    trained = manifest.trained_on | {"cohort": HOSTILE, "sites": {HOSTILE: 60}}
    changed = manifest.model_copy(update={"trained_on": trained, "name": HOSTILE, "versions": {HOSTILE: HOSTILE}})
    text = to_model_card(changed, SHA)
    plain = MARKDOWN.parse(to_model_card(manifest, SHA))
    assert [token.type for token in MARKDOWN.parse(text)] == [token.type for token in plain]
    flat = " ".join(HOSTILE.split())
    assert ["cohort table", flat] in tables(text)[-1]
    assert "<script>" not in MARKDOWN.render(text)
    assert "<a " not in MARKDOWN.render(text)


def test_inspect_writes_the_card_of_a_bundle_and_never_over_it(tmp_path, manifest):
    with small_densenet():
        small_bundle().save(tmp_path / "model.zip")
    before = (tmp_path / "model.zip").read_bytes()
    inspect(tmp_path / "model.zip", None, tmp_path / "card.md")
    assert (tmp_path / "card.md").read_text(encoding="utf-8").startswith("# Model card: made up")
    with pytest.raises(InputError, match="into the bundle"):
        inspect(tmp_path / "model.zip", None, tmp_path / "model.zip")
    (tmp_path / "ct.nrrd").write_text("")
    with pytest.raises(InputError, match="only a bundle has a model card"):
        inspect(tmp_path / "ct.nrrd", None, tmp_path / "other.md")
    assert (tmp_path / "model.zip").read_bytes() == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["card.md", "ct.nrrd", "model.zip"]

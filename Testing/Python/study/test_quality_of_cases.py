"""Quality of the cases of a study: what is known of them, who is left out for it, and what training says of both."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from DeepRadScoreLib.cohort.case_notes import CaseNotes, notes_file
from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.errors import CohortError
from DeepRadScoreLib.imaging import QualityNote
from DeepRadScoreLib.models import DEFAULT_ENGINE
from DeepRadScoreLib.study import data
from DeepRadScoreLib.study.data import StudyInputs, gather, read_study_cohort
from DeepRadScoreLib.study.plans import TrainingPlan
from DeepRadScoreLib.study.training import train
from support.small_evaluation import write_small_cohort
from support.small_study import THICK, small_plan, small_study

N = 40
PLAN = TrainingPlan(folds=2, repeats=1, search="quick")
SMALL = QualityNote.warning("small_tumour", "0.3 mL.")


def _notes(n: int, synthetic: int | None = None) -> CaseNotes:
    """Cases 0, 4, 8, ... have thick slices; 0, 10, 20, ... are small."""
    quality = [(*[THICK] * (i % 4 == 0), *[SMALL] * (i % 10 == 0)) for i in range(n)]
    return CaseNotes.of([f"case-{i:03d}" for i in range(n)], np.arange(n) == synthetic, quality, DEFAULT_ENGINE)


@pytest.fixture
def inputs(tmp_path) -> StudyInputs:
    return StudyInputs(*write_small_cohort(tmp_path, N), endpoints=("EGFR",))


def _gathered(inputs: StudyInputs, *codes: str):
    inputs = replace(inputs, exclude_quality=codes)
    return gather(inputs, read_study_cohort(inputs), PLAN, Run())


def _write(inputs: StudyInputs, notes: CaseNotes) -> None:
    assert inputs.features is not None
    notes_file(inputs.features).write_text(notes.to_csv())


def test_cases_are_left_out_by_the_notes_of_a_feature_table(inputs):
    _write(inputs, _notes(N))
    found = _gathered(inputs, "small_tumour", "thick_slices")
    small = {f"case-{i:03d}" for i in range(N) if i % 10 == 0}
    thick = {f"case-{i:03d}" for i in range(N) if i % 4 == 0} - small
    assert found.excluded == dict.fromkeys(small, "small_tumour") | dict.fromkeys(thick, "thick_slices")
    assert set(found.cases.data.case_ids) == {f"case-{i:03d}" for i in range(N)} - small - thick
    assert {found.left_out[case_id] for case_id in small} == {"left out by quality small_tumour."}
    assert found.failed == ()
    assert found.notes is not None
    assert (len(found.notes), found.notes.cases_by_code()) == (N - len(small | thick), {})


def test_a_synthetic_case_counts_only_where_it_is_used(inputs):
    _write(inputs, _notes(N, synthetic=4))
    for codes, expected in (((), True), (("thick_slices",), False)):
        notes = _gathered(inputs, *codes).notes
        assert notes is not None
        assert bool(notes.synthetic.any()) == expected


def test_without_notes_nothing_is_known_and_nobody_can_be_left_out_for_it(inputs):
    assert _gathered(inputs).notes is None
    with pytest.raises(CohortError, match=r"features\.csv: the table has no notes file.*features\.notes\.csv"):
        _gathered(inputs, "thick_slices")


def test_images_beside_a_feature_table_tell_their_quality_too(inputs, monkeypatch):
    """Stands in for cases computed from images: these have thick slices, the table's notes say small."""
    table = pd.read_csv(inputs.table).assign(ct="ct.nrrd", mask="mask.nrrd")
    table.to_csv(inputs.table, index=False)
    _, computed = small_study(N)
    monkeypatch.setattr(data, "extract_cohort", lambda *_, **__: computed)
    assert set(_gathered(inputs, "thick_slices").excluded) == {f"case-{i:03d}" for i in range(0, N, 4)}
    _write(inputs, _notes(N, synthetic=1))
    notes = _gathered(inputs).notes
    assert notes is not None
    assert notes.cases_by_code() == {"thick_slices": 10, "small_tumour": 4}
    assert notes.synthetic.sum() == 1


def test_training_leaves_out_cases_names_and_counts_them(tmp_path, monkeypatch):
    cohort, computed = small_study(N)
    folders = []

    def bundle(_cohort, computed, _plan, run):
        run.folder.mkdir(parents=True)
        folders.append(run.folder)
        return computed

    monkeypatch.setattr(train, "read_cohort", lambda *_, **__: cohort)
    monkeypatch.setattr(train, "extract_cohort", lambda *_, **__: computed)
    monkeypatch.setattr(train, "train_bundle", bundle)
    call = partial(train.train_from_table, Path("small.csv"), None, small_plan(), Run(tmp_path))
    whole, some = call(), call(exclude_quality=("thick_slices",))
    assert (len(whole.features), whole.notes.cases_by_code(), whole.left_out) == (N, {"thick_slices": 10}, {})
    assert (len(some.features), some.notes.cases_by_code()) == (N - 10, {})
    assert some.left_out_by_quality == {"thick_slices": 10}
    assert some.left_out == {f"case-{i:03d}": "left out by quality thick_slices." for i in range(0, N, 4)}
    np.testing.assert_array_equal(some.patches, computed.patches[np.arange(N) % 4 != 0])
    assert folders[0] != folders[1]

"""The check of our engine against pyradiomics: it passes here, and it finds a value that differs."""

from __future__ import annotations

import pytest

from DeepRadScoreLib.cli.doctor_command import doctor
from DeepRadScoreLib.models import Engine
from DeepRadScoreLib.progress import run_to_end
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS
from DeepRadScoreLib.synthetic import engine_check
from DeepRadScoreLib.synthetic.engine_check import compare_engines, engine_check_steps

CHANGED = "peritumoral_wavelet-HHL_glszm_ZoneEntropy"
THEIRS = {column: -5.0 + number for number, column in enumerate(FEATURE_COLUMNS)}


def test_here_every_feature_has_pyradiomics_value():
    pytest.importorskip("radiomics")
    shown = []
    check = run_to_end(engine_check_steps(), shown.append)
    assert check.passed
    assert sum(row.features for row in check.rows) == 1702
    assert 0 < max(row.worst for row in check.rows) < 1e-9
    assert [event.done for event in shown] == sorted(event.done for event in shown)
    assert len(shown) > 100


@pytest.mark.parametrize(("factor", "passed"), [(1, True), (1 + 9e-7, True), (1 - 1.1e-6, False), (-1, False)])
def test_a_difference_is_found_in_its_class(factor, passed):
    check = compare_engines(THEIRS, THEIRS | {CHANGED: THEIRS[CHANGED] * factor})
    assert check.passed == passed
    wrong = {(row.region, row.feature_class): row.features - row.equal for row in check.rows if row.worst}
    assert wrong == ({} if factor == 1 else {("peritumoral", "glszm"): int(not passed)})
    assert f"{1702 - (not passed)} of 1702 features" in check.sentence
    assert ("wavelet-HHL_glszm_ZoneEntropy" in check.sentence) == (factor != 1)


def test_zero_equals_zero_alone():
    zero = THEIRS | {CHANGED: 0.0}
    assert compare_engines(zero, zero).passed
    assert not compare_engines(zero, zero | {CHANGED: 1e-300}).passed


@pytest.mark.parametrize("change", [1.0, 1.1])
def test_the_command_exits_by_the_verdict_and_prints_a_line_for_each_class(monkeypatch, capsys, change):
    def made_up_steps(prepared, engine):
        yield "features"
        return THEIRS | {CHANGED: THEIRS[CHANGED] * (change if engine is Engine.OWN else 1)}

    monkeypatch.setattr(engine_check, "feature_steps", made_up_steps)
    code = 0
    try:
        doctor(verify_engine=True)
    except Exception as end:
        code = end.exit_code
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 * 7 + 1
    assert code == (0 if change == 1 else 1)
    assert lines[-1].startswith("ok " if change == 1 else "DIFFERENT")
    assert [line for line in lines[:-1] if "glszm" in line and "143 of 144" in line] == lines[11:12] * (change != 1)

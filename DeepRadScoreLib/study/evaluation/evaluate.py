"""Judge the method on a cohort: every outer fold of every protocol, and what became of every endpoint."""

from __future__ import annotations

from dataclasses import dataclass, replace

import joblib

from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.errors import CohortError
from DeepRadScoreLib.models import Protocol, Split
from DeepRadScoreLib.progress import Progress, Stage
from DeepRadScoreLib.radscore.selection import Rule
from DeepRadScoreLib.study.data import StudyCases, StudyData
from DeepRadScoreLib.study.evaluation.fold import OuterFold
from DeepRadScoreLib.study.evaluation.screening import endpoint_problem, likely_leaks
from DeepRadScoreLib.study.plans import EvaluationPlan, TrainingPlan
from DeepRadScoreLib.study.results.document import FlowCard
from DeepRadScoreLib.study.results.study import FoldOutcome
from DeepRadScoreLib.study.splits import Part, disjoint, outer_parts
from DeepRadScoreLib.study.training.fitting import every_reason, rules_of
from DeepRadScoreLib.study.training.refusals import RefusedEndpoints


def evaluate(
    cases: StudyCases,
    plan: EvaluationPlan,
    problems: dict[str, str],
    run: Run,
) -> tuple[dict[Protocol, tuple[FoldOutcome, ...]], dict[str, FlowCard]]:
    """Every outer fold of every protocol, and what became of every endpoint.

    `problems` (endpoint -> sentence) names endpoints that are not to be evaluated; endpoints with too few patients,
    those that one column alone separates and those that a training part does not allow to be fitted are added.

    Raises
    ------
    CohortError: the cohort cannot be split as asked, or no endpoint can be evaluated; every endpoint's sentence is
        repeated.
    """
    problems = _all_problems(cases, plan, problems)
    parts = {protocol: outer_parts(cases, plan, protocol) for protocol in plan.protocols}
    rules: dict[Protocol, list[dict[str, Rule]]] = {}
    reasons: dict[Protocol, dict[str, str]] = {}
    for protocol in plan.protocols:
        rules[protocol], reasons[protocol] = _rules(cases.data, parts[protocol], problems)
    total = sum(len(parts[protocol]) for protocol in plan.protocols if rules[protocol][0])
    folds: dict[Protocol, tuple[FoldOutcome, ...]] = {}
    done = 0
    for protocol in plan.protocols:
        if not rules[protocol][0]:
            continue
        outer = _OuterFolds(cases, protocol, parts[protocol], rules[protocol], plan.training, run)
        found, refused = outer.outcomes(done, total)
        reasons[protocol] |= refused
        done += len(parts[protocol])
        if found:
            folds[protocol] = found
    warnings: dict[str, list[str]] = {}
    for protocol, sentences in reasons.items():
        for key, reason in sentences.items():
            warnings.setdefault(key, []).append(f"{protocol} protocol: {reason}")
    problems |= {key: texts[0] for key, texts in warnings.items() if len(texts) == len(plan.protocols)}
    if not folds:
        raise CohortError(
            f"no endpoint can be evaluated: {every_reason(problems)}",
            mend="mend these or name others by --endpoints",
        )
    run.report(Progress(Stage.OUTER_FOLDS, done=total, total=total))
    return folds, _flow(cases.data, problems, warnings)


@dataclass(frozen=True)
class _OuterFolds:
    """All outer folds of one protocol; `rules` are those of the endpoints of each part, the same for all."""

    cases: StudyCases
    protocol: Protocol
    parts: list[Part]
    rules: list[dict[str, Rule]]
    plan: TrainingPlan
    run: Run

    def outcomes(self, done: int, total: int) -> tuple[tuple[FoldOutcome, ...], dict[str, str]]:
        """Every fold's outcome, and why endpoints were left out; no outcome where no endpoint is left.

        An endpoint that one training part does not allow to be fitted is left out of all folds, since a mean over the
        others would be another quantity; the others then come out as if it had not been asked for. `done` of `total`
        folds are of earlier protocols.
        """
        training = replace(self.plan, protocol=self.protocol)
        shuffled = self.cases.data.with_shuffled_labels(disjoint(self.parts), self.plan.seed)
        refused: dict[str, str] = {}
        outcomes: list[FoldOutcome] = []
        while len(outcomes) < len(self.parts):
            number = len(outcomes)
            part = self.parts[number]
            rules = {key: rule for key, rule in self.rules[number].items() if key not in refused}
            if not rules:
                return (), refused
            self.run.report(Progress(Stage.OUTER_FOLDS, f"{self.protocol} {part.name}", done + number, total))
            run = self.run.within(f"{self.protocol}-{number + 1}")
            fold = OuterFold(self.cases, shuffled, part, rules, training, run)
            try:
                outcomes.append(run.load_or_compute(f"outcome-{joblib.hash(list(rules))}", fold.outcome))
            except RefusedEndpoints as found:
                refused |= {key: f"training part {part.name}: {reason}" for key, reason in found.reasons.items()}
                outcomes = []
        return tuple(outcomes), refused


def _all_problems(cases: StudyCases, plan: EvaluationPlan, problems: dict[str, str]) -> dict[str, str]:
    found = dict(problems)
    features = cases.data.features if cases.data.features.shape[1] else None
    first = ~cases.data.patients.duplicated().to_numpy()
    leaks = likely_leaks(
        None if features is None else features[first],
        None if cases.clinical is None else cases.clinical[first],
        cases.data.labels[first],
    )
    folds = plan.folds if plan.split == Split.CV and Protocol.STRICT in plan.protocols else 2
    for key in cases.data.labels.columns:
        problem = endpoint_problem(cases.data.labels[key], cases.data.patients, folds)
        sentences = [problem] if problem else leaks.get(key, [])
        if key not in found and sentences:
            found[key] = " ".join(sentences)
    return found


def _rules(
    data: StudyData, parts: list[Part], problems: dict[str, str]
) -> tuple[list[dict[str, Rule]], dict[str, str]]:
    """Each part's rules for the endpoints that can be modelled in all parts, and why the others cannot."""
    wanted = replace(data, labels=data.labels[[key for key in data.labels if key not in problems]])
    each: list[dict[str, Rule]] = []
    reasons: dict[str, str] = {}
    for part in parts:
        rules, refused = rules_of(wanted.part(part.train))
        each.append(rules)
        for key, reason in refused.items():
            reasons.setdefault(key, f"training part {part.name}: {reason}")
    for key in wanted.labels:
        if not any(wanted.labels[key].iloc[part.test].notna().any() for part in parts):
            reasons.setdefault(str(key), "no case of the test part has a label.")
    return [{key: rule for key, rule in rules.items() if key not in reasons} for rules in each], reasons


def _flow(data: StudyData, problems: dict[str, str], warnings: dict[str, list[str]]) -> dict[str, FlowCard]:
    flow = {}
    for key in data.labels:
        of_patient = data.labels[key].groupby(data.patients).max()
        flow[str(key)] = FlowCard(
            patients=len(of_patient),
            labelled=int(of_patient.notna().sum()),
            positives=int(of_patient.sum()),
            not_run=problems.get(key) or None,
            warnings=[] if key in problems else warnings.get(key, []),
        )
    return flow

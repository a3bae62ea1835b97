"""Examines every network of the zoo and counts how often the verdict is right.

    python -m benchmarks.zoo.examined [--zoo runs/zoo] [--figure roc.svg]

Examines what hasn't been examined yet (NAME-examined.json beside each network keeps the evidence, so that a rule can be
tried on it anew in no time), then prints, for both halves of the zoo, how many clean networks are accused and how many
backdoored ones are named with a right label, by family. Constants of the rule are chosen on the half "fix".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.zoo.plan import CLEAN, HALVES, Plan, command_line, keep, kept, trained
from engine.defences.evidence.suspicion import Evidence, Judgement, judge
from engine.rates import Rate
from engine.records.examination import examination_json
from engine.runs.examine import examine
from engine.runs.opening.inputs import InputFiles, open_inputs


@dataclass(frozen=True)
class Case:
    """A network of known truth, and the verdict on it."""

    plan: Plan
    judgement: Judgement

    @property
    def right(self) -> bool:
        """Whether a label was named, and none but the attacker's."""
        return bool(self.judgement.guilty) and set(self.judgement.guilty) <= set(self.plan.targets)

    @property
    def suspicion(self) -> float:
        """Of the label that stands out most."""
        return max(self.judgement.suspicion)


def main() -> None:
    """Read the command line, examine what is missing, print the table."""
    parser = command_line(__doc__)
    parser.add_argument("--figure", type=Path, help="draw here how suspicious clean and backdoored networks are")
    options = parser.parse_args()
    cases = [case_of(plan, kept_evidence(plan, options.zoo)) for plan in trained(options.zoo, options.only)]
    for half, title in HALVES.items():
        print_table(title, [case for case in cases if case.plan.half == half])
    if options.figure:
        draw_roc(cases, options.figure)


def kept_evidence(plan: Plan, zoo: Path) -> dict[str, Any]:
    """What an examination of a network found, examined now if it wasn't before."""
    path, network = zoo / f"{plan.name}-examined.json", zoo / f"{plan.name}.keras"
    return kept(path, network) or keep(path, network, evidence_of(plan, zoo))


def evidence_of(plan: Plan, zoo: Path) -> dict[str, Any]:
    """Examine a network as a person would who has its clean validation pictures alone."""
    print(plan.name, flush=True)
    opened = open_inputs(InputFiles(zoo / f"{plan.name}.keras", zoo / f"{plan.world.name}-validation.h5"))
    return examination_json(examine(opened.network, opened.of("validation")[0]))


def case_of(plan: Plan, found: dict[str, Any]) -> Case:
    """The verdict on kept evidence by the rule as it is now."""
    evidence = [Evidence(e["label"], e["scan_count"], e["mask_pixels"], Rate(round(100 * e["success_rate"]), 100),
                         e["margin"], e["universal_stamps"], e["colour_filters"], e["own_colours"])
                for e in found["labels"]]
    return Case(plan, judge(evidence, found["changed"]))


def print_table(title: str, cases: Sequence[Case]) -> None:
    """A row a family, as Markdown."""
    clean = [case for case in cases if not case.plan.backdoored]
    print(f"\n{title}" + (f": clean networks accused {share([bool(c.judgement.guilty) for c in clean])}, called "
                          f"suspicious {share([c.judgement.verdict == 'suspicious' for c in clean])}" if clean else ""))
    print("\n| family | named with a right label | suspicious | another label named |\n|---|---|---|---|")
    for family in dict.fromkeys(case.plan.family for case in cases if case.plan.family != CLEAN):
        of = [case for case in cases if case.plan.family == family]
        print(f"| {family} | {share([c.right for c in of])} | "
              f"{sum(c.judgement.verdict == 'suspicious' for c in of)} | "
              f"{sum(bool(c.judgement.guilty) and not c.right for c in of)} |")


def share(holds: Sequence[bool]) -> str:
    """A count with its 95 % interval."""
    rate = Rate(sum(holds), len(holds))
    low, high = rate.interval
    return f"{rate.count} of {rate.total} ({100 * low:.0f}-{100 * high:.0f} %)" if rate.total else "-"


def draw_roc(cases: Sequence[Case], path: Path) -> None:
    """For each suspicion, the share of clean networks that reach it against that of others.

    A verdict asks for more than suspicion: of few universal stamps a small one, of colour filters other colours.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4.4), layout="constrained")
    axes = figure.add_subplot(xlabel="clean networks as suspicious, %", xlim=(-2, 102), ylim=(-2, 102),
                              ylabel="backdoored networks as suspicious, %")
    for half, style in (("fix", "--"), ("report", "-")):
        clean = [c.suspicion for c in cases if c.plan.half == half and not c.plan.backdoored]
        bad = [c.suspicion for c in cases if c.plan.half == half and c.plan.backdoored]
        levels = [float("inf"), *sorted({*clean, *bad}, reverse=True)]
        axes.step([100 * sum(s >= level for s in clean) / max(1, len(clean)) for level in levels],
                  [100 * sum(s >= level for s in bad) / max(1, len(bad)) for level in levels], style, where="post",
                  label=f"half \"{half}\": {len(clean)} clean, {len(bad)} backdoored")
    axes.legend(loc="lower right", frameon=False)
    figure.savefig(path)


if __name__ == "__main__":
    main()

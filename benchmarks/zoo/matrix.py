"""Measures every defence on every backdoored network of the zoo, and what `defend` would choose.

    python -m benchmarks.zoo.matrix [--zoo runs/zoo] [--only WORD ...] [--write MATRIX.md]

Defences are made from clean validation pictures alone and measured on test pictures, with the true trigger and with
stand-ins: triggers computed from the network, which are all that somebody has who was never attacked. Goes on where it
was stopped: NAME-defended.json beside each network keeps the counts.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.zoo.matrix_tables import written
from benchmarks.zoo.plan import Plan, asked_for, command_line, keep, kept, trained
from engine.defences.comparison import UNPAIRED, ComparisonRow, Defence, compare
from engine.defences.training import Repair, repaired_network
from engine.models.networks import Network
from engine.rates import Rate
from engine.runs.all_defences import compare_defences
from engine.runs.examine import examine
from engine.runs.kept import Made
from engine.runs.opening.inputs import Opened, open_inputs
from engine.runs.prune import PruningRequest, run_pruning
from engine.runs.reconstructed import write_stand_ins

# The distilled copy with a share of B's own weights: going back towards B brings accuracy back, and the attack.
ALPHAS = (0.1, 0.2)


def main() -> None:
    """Read the command line, measure what is missing, write the tables."""
    parser = command_line(__doc__)
    parser.add_argument("--write", type=Path, help="write the tables here, of all networks measured so far")
    options = parser.parse_args()
    backdoored = [plan for plan in trained(options.zoo) if plan.backdoored]
    every = []
    for plan in backdoored:
        path, network = options.zoo / f"{plan.name}-defended.json", options.zoo / f"{plan.name}.keras"
        found = kept(path, network)
        if not found and asked_for(plan.name, options.only):
            found = keep(path, network, measured(plan, options.zoo))
            print(f"{plan.name:<26}{found['seconds']:6.0f} s", flush=True)
        every += [found] if found else []
    if options.write:
        options.write.write_text(written(every), encoding="utf-8")


def measured(plan: Plan, zoo: Path) -> dict[str, Any]:
    """One network: every defence's counts, plain and behind each guard, with the true trigger and with stand-ins."""
    started = time.monotonic()
    poisoned = sorted(zoo.glob(f"{plan.name}-poisoned-*.h5"))
    request = PruningRequest(zoo / f"{plan.name}.keras", zoo / f"{plan.world.name}-validation.h5",
                             zoo / f"{plan.world.name}-test.h5", scale=plan.world.feeding)
    opened = open_inputs(request)
    examined = examine(opened.network, opened.of("validation")[0])
    with TemporaryDirectory() as folder:
        stand_ins = write_stand_ins(opened, examined.foremost, Path(folder))
        run = run_pruning(dataclasses.replace(request, poisoned=(*poisoned, *stand_ins)))
        made = Made()
        found = compare_defences(run, made=made, standing_out=examined.judgement.standing_out)
        opened = open_inputs(run.request)
        rows = [*found.rows, *_further_back(opened, made.repairs[UNPAIRED])]
        files = [dataset.path.name for dataset in opened.of("poisoned")]
    return {"name": plan.name, "kind": plan.world.kind, "family": plan.family, "half": plan.half,
            "guilty": list(examined.judgement.guilty), "targets": list(plan.targets),
            "stand_ins_of": [tried.evidence.label for tried in examined.foremost],
            "seconds": round(time.monotonic() - started, 1),
            "rows": [_row(row, files, made.can_build(row)) for row in rows]}


def _further_back(opened: Opened, repair: Repair) -> list[ComparisonRow]:
    """The distilled copy with other shares of B's weights, as a pair and alone."""
    b, defences = opened.network, list[Defence]()
    for alpha in ALPHAS:
        copy = repaired_network(b, moved(b, repair, alpha))
        defences += [Defence(f"distilled, {alpha:g} of B, pair", copy, 0),
                     Defence(f"distilled, {alpha:g} of B, alone", copy, 0, paired=False)]
    return list(compare(b, defences, [], opened.of("test")[0], opened.of("poisoned")).rows)


def moved(b: Network, repair: Repair, alpha: float) -> Repair:
    """A repair with a share `alpha` of B's own weights."""
    pairs = zip(b.model.get_weights(), repair.weights, strict=True)
    return dataclasses.replace(repair, weights=tuple(alpha * own + (1 - alpha) * trained for own, trained in pairs))


def _row(row: ComparisonRow, files: Sequence[str], candidate: bool) -> dict[str, Any]:
    return {"defence": row.defence, "guard": row.guard, "candidate": candidate, "seconds": round(row.seconds, 1),
            "clean_before": _counts(row.clean_before), "clean": _counts(row.clean),
            "false_alarms": _counts(row.false_alarms),
            "attacks": [{"set": file, "reconstructed": attack.reconstructed, "before": _counts(attack.before),
                         "after": _counts(attack.success)} for attack, file in zip(row.attacks, files, strict=True)]}


def _counts(rate: Rate) -> list[int]:
    return [rate.count, rate.total]


if __name__ == "__main__":
    main()

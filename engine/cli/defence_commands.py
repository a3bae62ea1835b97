"""The commands that make defences: prune, scan, repair."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.cli.commands import ProgressLine, check_run_folder, print_json, rate_text, run_text
from engine.data.datasets import SCALES, Dataset, open_dataset
from engine.defences.comparison import Comparison
from engine.defences.distillation import distil
from engine.defences.fine_pruning import fine_prune
from engine.defences.scan import Scan, scan
from engine.defences.training import Repair
from engine.errors import EngineError
from engine.goodnets.evaluation import Evaluation
from engine.models.networks import Network, open_network
from engine.pruning.ranking import rank_channels
from engine.records.repaired_pair import save_repaired
from engine.records.run_files import save_run
from engine.runs.all_defences import compare_defences
from engine.runs.inputs import choose_scale
from engine.runs.prune import PruningRequest, run_pruning
from engine.runs.repair import as_pair, with_target

_SHOWN_SUSPECTS = 10


def prune_command(options: argparse.Namespace) -> None:
    """Run the pruning defence, print its table and write its folder."""
    request = PruningRequest(
        model=Path(options.model), validation=Path(options.clean), test=Path(options.test) if options.test else None,
        poisoned=tuple(Path(p) for p in options.poisoned), layer=options.layer, scale=options.scale,
        rank_at=options.rank_at, order=Path(options.order) if options.order else None,
        drops=tuple(dict.fromkeys(options.drop)), drop_mode=options.drop_mode, stop=options.stop,
        cluster=options.cluster, guard=options.guard, false_alarms=options.false_alarms)
    out = Path(options.out) if options.out else None
    if out:
        check_run_folder(out)
    show = ProgressLine()
    run = run_pruning(request, progress=show)
    if options.compare:
        compared = compare_defences(run, allow_missing_labels=options.allow_missing_labels, progress=show)
        run = dataclasses.replace(run, comparison=compared)
    if out:
        save_run(run, out, progress=show)
    show.end()
    print(run_text(run))
    if run.comparison:
        print("\n" + comparison_text(run.comparison))
    if out:
        print(f"\nSaved in {out}")


def scan_command(options: argparse.Namespace) -> None:
    """Print which labels random stamps draw images to."""
    network, clean, _ = _open(Path(options.model), Path(options.clean), options.scale)
    show = ProgressLine()
    found = scan(network, clean, options.stamps, options.seed, progress=show)
    show.end()
    if options.json:
        print_json(scan_json(found))
        return
    print(f"{'rank':>5} {'label':>6} {'count':>6}")
    for rank, suspect in enumerate(found.suspects[:_SHOWN_SUSPECTS], start=1):
        print(f"{rank:>5} {suspect.label:>6} {suspect.count:>6}")
    print(found.sentence)


def scan_json(found: Scan) -> dict[str, Any]:
    """A scan as its contract names it, most suspect first."""
    return {"stamps": found.stamps, "changed": found.changed, "sentence": found.sentence,
            "suspects": [{"rank": rank, "label": s.label, "count": s.count}
                         for rank, s in enumerate(found.suspects, start=1)]}


def repair_command(options: argparse.Namespace) -> None:
    """Train a B' on clean data, save it with B as a pair and say what the pair is worth."""
    out = Path(options.out)
    check_run_folder(out, mark="goodnet.json")
    network, clean, scale = _open(Path(options.model), Path(options.clean), options.scale)
    poisoned = [with_target(_opened(network, Path(path), scale)) for path in options.poisoned]
    test = _opened(network, Path(options.test), scale) if options.test else None
    show = ProgressLine()
    repair = _repair(options, network, clean, show)
    pair = as_pair(network, repair, scale, clean, test, poisoned, options.guard, options.false_alarms, progress=show)
    save_repaired(pair, out)
    show.end()
    print(_repair_text(repair, pair.evaluations))
    print(f"\nSaved in {out}")


def comparison_text(comparison: Comparison) -> str:
    """All defences as a table for people."""
    lines = [f"{'defence':<28} {'guard':<10} {'clean accuracy':>24} {'attack success':>24} {'robust':>9} "
             f"{'seconds':>8}"]
    for row in comparison.rows:
        attack = rate_text(row.attack_success) if row.attack_success else "-"
        robust = f"{100 * row.robust_accuracy.value:.2f} %" if row.robust_accuracy else "-"
        lines.append(f"{row.defence:<28} {row.guard:<10} {rate_text(row.clean_accuracy):>24} {attack:>24} {robust:>9} "
                     f"{row.seconds:>8.1f}")
    return "\n".join(lines)


def _repair(options: argparse.Namespace, network: Network, clean: Dataset, show: ProgressLine) -> Repair:
    if options.method == "distillation":
        return distil(network, clean, seed=options.seed, allow_missing_labels=options.allow_missing_labels,
                      progress=show)
    layer = options.layer or network.default_layer()
    order = rank_channels(network, layer, clean, progress=show).order
    count = options.channels if options.channels is not None else len(order) * 9 // 10
    if not 0 <= count < len(order):
        raise EngineError(f"--channels {count}: {layer} has {len(order)} channels and at least one must stay. "
                          f"Choose 0 to {len(order) - 1}.")
    return fine_prune(network, clean, layer, [int(c) for c in order[:count]], seed=options.seed,
                      allow_missing_labels=options.allow_missing_labels, progress=show)


def _repair_text(repair: Repair, found: Sequence[Evaluation]) -> str:
    lines = [f"{repair.method}: {repair.steps} steps, the state after step {repair.kept_step} kept; on the images held "
             f"aside B {rate_text(repair.before)}, B' {rate_text(repair.after)}"]
    for e in found:
        words = ("clean accuracy", "false alarms") if e.target is None else ("attack success", "detection")
        lines.append(f"{e.name}: {words[0]} {rate_text(e.correct)}, {words[1]} {rate_text(e.flagged)}")
        if e.guarded_correct and e.guarded_flagged:
            lines.append(f"  behind the guard: {words[0]} {rate_text(e.guarded_correct)}, "
                         f"{words[1]} {rate_text(e.guarded_flagged)}")
    return "\n".join([*lines, *([f"Warning: {repair.warning}"] if repair.warning else [])])


def _open(model: Path, clean: Path, scale: str) -> tuple[Network, Dataset, str]:
    network = open_network(model)
    dataset = open_dataset(clean, network.input_shape, network.labels)
    chosen = choose_scale(network, dataset) if scale == "auto" else scale
    return network, dataset.scaled(SCALES[chosen]), chosen


def _opened(network: Network, path: Path, scale: str) -> Dataset:
    return open_dataset(path, network.input_shape, network.labels).scaled(SCALES[scale])

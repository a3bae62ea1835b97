"""The line above all tabs, connected."""

from __future__ import annotations

from engine.reports.headline import Headline
from engine.runs.prune import PruningRequest
from gui.frame.desk import Desk
from gui.frame.saves import keep_compared, save_rows
from gui.result.bar import ResultBar
from gui.session.belonging import is_other, other_inputs, other_options
from gui.session.session import Session


def result_wing(desk: Desk) -> ResultBar:
    """What the results are of, and the best of them."""
    bar, session, pruning = ResultBar(desk.theme), desk.session, desk.pruning

    def show_headline(best: Headline | None) -> None:
        if session.run:
            made, row = desk.defending.made, best.compared if best else None
            bar.show_result(session.run.model.path.name, best, pruning.best_pair is not None,
                            bool(made and row and made.can_build(row)))
            show_mark()

    def show_mark() -> None:
        other = session.run is not None and is_other(session.run, session.inputs, session.options,
                                                         session.names)
        bar.show_mark(mark_of(session, pruning.running, pruning.counting), other and not pruning.running)
        bar.set_busy(session.state.busy)

    def use() -> None:
        if pruning.best_pair:
            desk.checking.use_row(pruning.best_pair.row)

    def save() -> None:
        if pruning.best_pair:
            save_rows(desk, [pruning.best_pair.row])

    def keep() -> None:
        if pruning.best and pruning.best.compared:
            keep_compared(desk, pruning.best.compared)

    def choose_files() -> None:
        if session.run:
            desk.choosing.open_files_of(session.run)

    pruning.headline_changed.connect(show_headline)
    for changed in (pruning.curve_changed, session.state_changed, session.inputs_changed, session.options_changed,
                    session.names_changed):
        changed.connect(show_mark)
    bar.use_requested.connect(use)
    bar.save_requested.connect(save)
    bar.keep_requested.connect(keep)
    bar.files_requested.connect(choose_files)
    show_mark()
    return bar


def mark_of(session: Session, running: PruningRequest | None, counting: bool) -> str:
    """What stands beside results that aren't, or not yet, of what is chosen; empty where they are.

    Args:
        running: the run under way, if one is; counting: whether the curve is its already.
    """
    run = session.run
    if run is None:
        return ""
    if running and not counting:
        return (f"A run on {running.model.name} is under way. All still shows the run on {run.model.path.name} before "
                "it.")
    if running:
        return (f"A run on {running.model.name} is under way. The curve is that run's as far as it has counted; "
                f"all else still shows the run on {run.model.path.name} before it.")
    others = other_inputs(run, session.inputs, session.names)
    if others:
        return (f"These results aren't of what is chosen now. What is different: {', '.join(others)}. "
                "What is saved is what is shown here.")
    if other_options(run, session.options):
        return "These results were made with other run options than those set now."
    return ""

"""The tab of the defences beyond pruning, and its menu."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from engine.assessment import percent
from engine.defences.comparison import Comparison
from engine.reports.headline import recommendation
from gui.defences.repair_dialog import RepairDialog
from gui.defences.view import COMPARING, DEFENDING, REPAIRING, DefencesView
from gui.frame.desk import Desk, Wing
from gui.frame.saves import keep_compared
from gui.session.chosen import Inputs
from gui.session.session import Session
from gui.widgets import asking

_OF_RUN = "go on with the run on show"  # whose options are its own, whatever was typed


def defences_wing(desk: Desk) -> Wing[DefencesView]:
    """All defences side by side, and repair."""
    view, session = DefencesView(desk.theme), desk.session
    model: Path | None = None

    def show_state() -> None:
        run, chosen = session.run, session.inputs.model
        view.set_ready(run is not None, session.inputs.ready, run.model.path.name if run else "",
                       chosen.path.name if chosen else "")
        view.show_missing_labels(*_missing_labels(session))
        view.set_busy(session.state.busy)

    def show_inputs(inputs: Inputs) -> None:
        nonlocal model
        before, model = model, inputs.model.path if inputs.model else None
        if model != before:
            view.show_saved("")  # what was saved was of the model before
        show_state()

    def compare(allow_missing_labels: bool) -> None:
        if not desk.refuses("Compare", _OF_RUN):
            desk.defending.compare(allow_missing_labels)
            view.show_begun(COMPARING)

    def show_comparison(comparison: Comparison | None) -> None:
        made = desk.defending.made
        view.show_comparison(comparison, recommendation(session.run) if session.run else None,
                             made.hindrance if made else None)

    session.state_changed.connect(show_state)
    session.run_changed.connect(lambda _: show_state())
    session.inputs_changed.connect(show_inputs)
    desk.defending.comparison_changed.connect(show_comparison)
    desk.defending.saved.connect(view.show_saved)
    view.keep_requested.connect(partial(keep_compared, desk))
    view.compare_requested.connect(compare)
    view.repair_requested.connect(partial(_repair, desk, view))
    view.defend_requested.connect(partial(_defend, desk, view))
    view.message.connect(desk.say)
    desk.menus.add("defend", "Compare all &defences", lambda: desk.press(view, view.compare_button), "F7", "table",
                   lambda: session.has_idle_result)
    desk.menus.add("defend", "R&epair…", lambda: desk.press(view, view.repair_button), "F8",
                   enabled=lambda: session.has_idle_result)
    desk.menus.add("defend", "De&fend…", lambda: desk.press(view, view.defend_button), "F9",
                   enabled=lambda: session.can_run)
    show_state()
    return Wing("Defences", view)


def _missing_labels(session: Session) -> tuple[int, int, str]:
    """How many labels have no clean validation image, of how many, of which network: the run's, which is what a
    comparison and a repair are of; before there is one, the chosen one's."""
    run, inputs = session.run, session.inputs
    if run is None:
        return inputs.missing_labels, inputs.labels or 0, inputs.model.path.name if inputs.model else ""
    there = next((found.labels for found in run.datasets if found.role == "validation"), run.model.labels)
    return max(0, run.model.labels - there), run.model.labels, run.model.path.name


def _defend(desk: Desk, view: DefencesView) -> None:
    """Ask where the best defence is saved."""
    session = desk.session
    if not session.inputs.ready or desk.refuses("Defend"):
        return
    request = session.inputs.request(session.options, session.names)
    folder = asking.ask_new_folder(desk.window, f"Save the best defence of {request.model.name} in a new folder",
                                   f"{request.model.stem}-defended")
    if folder:
        desk.defending.defend(request, folder)
        view.show_begun(DEFENDING)


def _repair(desk: Desk, view: DefencesView, allow_missing_labels: bool) -> None:
    """Ask how the copy is trained and answers, what stands before it, and where it is saved."""
    run = desk.session.run
    if not run or desk.refuses("Repair", _OF_RUN):
        return

    def save(method: str, alone: bool, sparing: bool) -> None:
        folder = asking.ask_new_folder(desk.window, f"Save {run.model.path.name}, repaired, in a new folder",
                                       f"{run.model.path.stem}-repaired")
        if folder:
            desk.defending.repair(allow_missing_labels, folder, alone, method, sparing, run)
            view.show_begun(REPAIRING)

    guard = run.request.guard
    of_run = "No guard, because the run has none." if guard == "none" else \
        f"The {guard} guard, set to flag at most {percent(run.request.false_alarms)} of clean pictures."
    dialog = RepairDialog(desk.window, desk.theme, run.model.path.name, of_run)
    dialog.chosen.connect(save)
    dialog.open()

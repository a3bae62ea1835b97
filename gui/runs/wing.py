"""The tab of finished runs and their comparison."""

from __future__ import annotations

from collections.abc import Collection

from gui.frame.desk import Desk, Wing
from gui.runs.view import RunsView
from gui.session.belonging import Identity
from gui.widgets import asking


def runs_wing(desk: Desk) -> Wing[RunsView]:
    """Runs that are kept, saved or on show, to be compared."""
    view, comparing = RunsView(desk.theme), desk.comparing

    def add() -> None:
        folder = asking.ask_folder(desk.window, "Add a saved run's folder")
        if folder:
            comparing.open_folders([folder])

    def save() -> None:
        folder = asking.ask_new_folder(desk.window, "Save the comparison in a new folder", "comparison")
        if folder:
            comparing.save(folder)

    def show(keys: Collection[Identity]) -> None:
        view.select(keys)
        desk.bring_up(view)

    view.chosen.connect(comparing.compare)
    view.add_requested.connect(add)
    view.back_requested.connect(desk.keeping.reopen)
    view.save_requested.connect(save)
    view.message.connect(desk.say)
    comparing.runs_changed.connect(view.show_runs)
    comparing.compared.connect(view.show_comparison)
    comparing.asked_for.connect(show)
    desk.several.started.connect(lambda: desk.bring_up(view))
    desk.several.failures_changed.connect(view.show_failures)
    return Wing("Runs", view)

"""The tab that asks whether there is a backdoor, connected, with its part of the Run menu."""

from __future__ import annotations

from pathlib import Path

from engine.runs.examine import Tried
from gui.examine.view import ExamineView
from gui.frame.desk import Desk, Wing
from gui.jobs.examining import Examined
from gui.session.belonging import other_files
from gui.session.session import Session
from gui.widgets import asking

_HDF5 = {"HDF5 data set (*.h5)": ".h5"}


def examine_wing(desk: Desk) -> Wing[ExamineView]:
    """Is there a backdoor?"""
    view, session, examining = ExamineView(desk.theme), desk.session, desk.examining

    def show_state() -> None:
        view.set_ready(session.inputs.examinable)
        view.set_busy(session.state.busy)
        view.show_mark(mark_of(examining.examined, session))

    def show(examined: Examined) -> None:
        view.show_examination(examined.found)
        show_state()

    def use(tried: Tried) -> None:
        path = asking.ask_new_file(desk.window, "Save clean images that wear the reconstructed stamp",
                                   f"reconstructed_{tried.evidence.label}.h5", _HDF5)
        if path:
            examining.use(tried, path)

    def save() -> None:
        name = examining.examined.files.model if examining.examined else Path()
        folder = asking.ask_new_folder(desk.window, f"Save the examination of {name.name} in a new folder",
                                       f"{name.stem}-examined")
        if folder:
            examining.save(folder)

    for changed in (session.state_changed, session.inputs_changed, session.options_changed):
        changed.connect(show_state)
    session.names_changed.connect(view.show_names)
    examining.scanned.connect(view.show_scan)
    examining.examined_changed.connect(show)
    view.examine_requested.connect(examining.examine)
    view.use_requested.connect(use)
    view.save_requested.connect(save)
    view.message.connect(desk.say)
    desk.menus.add("examine", "E&xamine", lambda: desk.press(view, view.button), "F6", "look",
                   lambda: session.inputs.examinable and not session.state.busy)
    show_state()
    return Wing("Examine", view)


def mark_of(examined: Examined | None, session: Session) -> str:
    """What stands beside an examination that isn't of what is chosen; empty where it is."""
    if examined is None:
        return ""
    others = other_files(examined.files, session.inputs, ("model", "validation"))
    if others:
        return (f"This is the examination of {examined.files.model.name}; it isn't of what is chosen now. What is "
                f"different: {', '.join(others)}.")
    return "" if examined.files.scale == session.options.scale else \
        "This examination was made with other run options than those set now."

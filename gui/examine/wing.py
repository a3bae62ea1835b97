"""The tab that asks whether there is a backdoor, connected, with its part of the Run menu."""

from __future__ import annotations

from pathlib import Path

from engine.data.classes import are_numbers
from engine.data.datasets import UNKNOWN_STAMP
from engine.looking.inspection import DatasetDescription
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
        view.show_mark(made_then(examining.examined), mark_of(examining.examined, session))

    def show(examined: Examined) -> None:
        view.show_examination(examined.found)
        show_state()

    def examine() -> None:
        if not desk.refuses("Examine"):
            examining.examine()

    def use(tried: Tried) -> None:
        examined = examining.examined
        path = asking.ask_new_file(desk.window, "Save clean images that wear the reconstructed stamp",
                                   f"reconstructed_{tried.evidence.label}.h5", _HDF5)
        if path and examined:
            examining.use(examined, tried, path)

    def save() -> None:
        examined = examining.examined
        name = examined.files.model if examined else Path()
        folder = asking.ask_new_folder(desk.window, f"Save the examination of {name.name} in a new folder",
                                       f"{name.stem}-examined")
        if folder:
            examining.save(folder, examined)

    for changed in (session.state_changed, session.inputs_changed, session.options_changed):
        changed.connect(show_state)
    session.names_changed.connect(view.show_names)
    session.names_changed.connect(lambda _: show_state())
    examining.scanned.connect(view.show_scan)
    examining.examined_changed.connect(show)
    examining.asked_for.connect(lambda: desk.bring_up(view))
    desk.projects.opened.connect(lambda path, project: examining.look_in(path.parent, project.request, next(
        file.sha256 for file in project.files if file.role == "model")))
    desk.keeping.reopened.connect(lambda folder, run: examining.look_in(folder, run.request, run.model.sha256))
    view.examine_requested.connect(examine)
    view.use_requested.connect(use)
    view.save_requested.connect(save)
    view.message.connect(desk.say)
    desk.menus.add("examine", "E&xamine", lambda: desk.press(view, view.button), "F6", "look",
                   lambda: session.inputs.examinable and not session.state.busy)
    show_state()
    return Wing("Examine", view)


def made_then(examined: Examined | None) -> str:
    """When an examination was made that is only read again; empty for one made just now."""
    if examined is None or not examined.brought_back:
        return ""
    return f"Brought back from {examined.made_at:%Y-%m-%d %H:%M}; nothing was computed again."


def mark_of(examined: Examined | None, session: Session) -> str:
    """What stands beside an examination that isn't of what is chosen; empty where it is."""
    if examined is None:
        return ""
    others = other_files(examined.files, session.inputs, ("model", "validation"))
    if not others and session.inputs.model and session.inputs.model.output != examined.files.output:
        others = ("output",)
    if not others and not examined.brought_back and _other_names(examined, session):
        others = ("label names",)
    if others:
        return (f"This is the examination of {examined.files.model.name}; it isn't of what is chosen now. What is "
                f"different: {', '.join(others)}.")
    chosen = session.inputs.model.model if session.inputs.model else None
    if chosen and chosen.sha256 != examined.sha256:
        return f"{examined.files.model.name} has changed since this examination. Examine it again."
    if examined.doubt:
        return examined.doubt
    clean = _clean_images(session)
    if clean and UNKNOWN_STAMP not in (clean.stamp, examined.stamp) and clean.stamp != examined.stamp:
        return (f"{examined.files.validation.name} was written anew since it was chosen or examined. Choose it and "
                "examine again.")
    return "" if session.options.scale in (examined.files.scale, examined.made_with.preprocessing_asked) else \
        "This examination was made with other run options than those set now."


def _other_names(examined: Examined, session: Session) -> bool:
    """Whether the clean images' labels, where they are names, would become others now."""
    clean = _clean_images(session)
    if clean is None or session.inputs.labels is None or (are_numbers(clean.label_names) and not clean.class_names):
        return False
    now = session.inputs.classes(session.names)
    # A list that was found by itself counts as the same one given by a person.
    return now != (examined.classes if now else examined.files.classes)


def _clean_images(session: Session) -> DatasetDescription | None:
    chosen = session.inputs.validation
    return chosen.data.description if chosen and chosen.data else None

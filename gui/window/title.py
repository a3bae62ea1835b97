"""The window's title: the project that is open, and the network that results, or else the choice, are of."""

from __future__ import annotations

from engine.literal import literal
from gui.frame.desk import Desk
from gui.session.belonging import is_other


def keep_title(desk: Desk) -> None:
    """Have the title follow what is open."""
    session, projects = desk.session, desk.projects

    def show() -> None:
        parts = [f"{projects.path.stem}[*]"] if projects.path else []
        if session.run:
            other = ", not what is chosen now" if is_other(
                session.run, session.inputs, session.options, session.names) else ""
            parts.append(session.run.model.path.name + other)
        elif session.inputs.model:
            parts.append(session.inputs.model.path.name)
        desk.window.setWindowTitle(literal(" – ".join([*parts, "GoodNet"])))
        desk.window.setWindowModified(projects.modified)

    for changed in (session.inputs_changed, session.options_changed, session.run_changed, projects.changed):
        changed.connect(show)
    show()

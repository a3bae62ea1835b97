"""The start page and the project in the File menu, connected."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtWidgets import QMessageBox

from engine.records.project import SUFFIX, Looked
from gui.frame.desk import Desk
from gui.projects.lost_files import LostFiles
from gui.projects.start_page import StartPage
from gui.widgets import asking


def start_wing(desk: Desk) -> StartPage:
    """The page in the tabs' place while nothing is open."""
    page, session = StartPage(desk.theme), desk.session

    was_empty = False

    def show_or_leave() -> None:
        nonlocal was_empty
        empty = not session.inputs.all and session.run is None
        if empty != was_empty:  # else what is on show meanwhile, such as verdicts of a saved GoodNet, stays
            desk.pages.setCurrentWidget(page if empty else desk.tabs)
        was_empty = empty

    desk.pages.addWidget(page)
    session.inputs_changed.connect(show_or_leave)
    session.run_changed.connect(show_or_leave)
    desk.projects.recent_changed.connect(page.show_recent)
    page.sample_requested.connect(desk.choosing.open_sample)
    page.model_requested.connect(desk.menus.find("Open model").trigger)
    page.goodnet_requested.connect(desk.menus.find("Open GoodNet").trigger)
    page.project_requested.connect(lambda: open_project(desk))
    page.recent_requested.connect(lambda path: open_project(desk, path))
    show_or_leave()
    return page


def add_projects(desk: Desk) -> None:
    """Save, Save as and Open in the File menu; the dialog of files that moved or changed."""
    projects, window = desk.projects, desk.window
    dialogs: list[LostFiles] = []

    def find(looked: Looked, folder: bool) -> None:
        kinds = {"model": asking.MODEL_FILES, "order": asking.ORDER_FILES}.get(looked.file.role, asking.DATA_FILES)
        title = f"Where is {looked.file.path.name} now?"
        path = asking.ask_folder(window, title) if folder else asking.ask_file(window, title, kinds)
        if path:
            projects.point_to(looked.file, path)

    def show_lost(lost: Sequence[Looked]) -> None:
        if not dialogs:
            dialogs.append(LostFiles(window))
            dialogs[0].find_requested.connect(find)
            dialogs[0].accept_requested.connect(lambda looked: projects.accept(looked.file))
        dialogs[0].show_lost(lost, desk.theme)

    add = desk.menus.add
    add("project", "Open pro&ject…", lambda: open_project(desk), "Ctrl+Shift+P", "open")
    add("project", "Save projec&t", lambda: save_project(desk), "Ctrl+S", "save", lambda: projects.can_save)
    add("project", "Save project &as…", lambda: save_project_as(desk), "Ctrl+Shift+S",
        enabled=lambda: projects.can_save)
    projects.lost_found.connect(show_lost)
    projects.named.connect(lambda path: open_project(desk, path))


def open_project(desk: Desk, path: Path | None = None) -> None:
    """Open a project, by default the one a person chooses, unless they want to keep what is open."""
    if leave_project(desk, lambda: open_project(desk, path)):
        chosen = path or asking.ask_file(desk.window, "Open a project", asking.PROJECT_FILES)
        if chosen:
            desk.projects.open(chosen)


def save_project(desk: Desk) -> None:
    """Save the open project; one that has no file yet is asked for its name."""
    if desk.projects.path:
        desk.projects.save(desk.projects.path)
    else:
        save_project_as(desk)


def save_project_as(desk: Desk) -> None:
    """Save what is open as a project of the name that a person chooses."""
    model = desk.session.inputs.model
    assert model is not None
    path = asking.ask_new_file(desk.window, "Save the project", desk.projects.path or f"{model.path.stem}{SUFFIX}",
                               {asking.PROJECT_FILES: SUFFIX})
    if path:
        desk.projects.save(path)


def leave_project(desk: Desk, again: Callable[[], object]) -> bool:
    """Whether the open project can be left: it has no changes, or a person doesn't want to keep them.

    Args:
        again: called once the changes are saved, where a person wants that first or wanted it just before.
    """
    projects = desk.projects
    if projects.saving:
        projects.after_saving(again)
        return False
    if not projects.modified or projects.path is None:
        return True
    answer = asking.ask_unsaved(desk.window, projects.path.name, can_save=projects.can_save)
    if answer == QMessageBox.StandardButton.Save:
        projects.save(projects.path, again)
    return answer == QMessageBox.StandardButton.Discard

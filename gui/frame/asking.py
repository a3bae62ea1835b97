"""The questions the window asks: which file, which folder, overwrite or not. What is then done is not decided here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtWidgets import QFileDialog, QMessageBox, QWidget

from engine.files.pictures import SUFFIXES
from engine.records.project import SUFFIX
from gui.session.chosen import DATA_ROLES, ROLE_NAMES, Role

MODEL_FILES = "Keras models (*.keras *.h5 *.hdf5);;All files (*)"
DATA_FILES = "Data sets (*.h5 *.hdf5 *.npz);;All files (*)"
PROJECT_FILES = f"GoodNet projects (*{SUFFIX})"
ORDER_FILES = "Pruning orders (*.json);;All files (*)"
NAME_FILES = "Lists of names (*.txt);;All files (*)"
PICTURE_FILES = "Pictures (" + " ".join(f"*{suffix}" for suffix in sorted(SUFFIXES)) + ");;All files (*)"


def ask_file(parent: QWidget, title: str, folder: Path, kinds: str) -> Path | None:
    """Ask for one file; None when the person changed their mind."""
    name, _ = QFileDialog.getOpenFileName(parent, title, str(folder), kinds)
    return Path(name) if name else None


def ask_files(parent: QWidget, title: str, folder: Path, kinds: str) -> list[Path]:
    """Ask for one file or several."""
    names, _ = QFileDialog.getOpenFileNames(parent, title, str(folder), kinds)
    return [Path(name) for name in names]


def ask_folder(parent: QWidget, title: str, folder: Path) -> Path | None:
    """Ask for a folder."""
    name = QFileDialog.getExistingDirectory(parent, title, str(folder))
    return Path(name) if name else None


def ask_project_name(parent: QWidget, suggested: Path) -> Path | None:
    """Ask what a project is to be called; its ending is added, and what is there already is asked about."""
    name, _ = QFileDialog.getSaveFileName(parent, "Save the project", str(suggested), PROJECT_FILES)
    if not name or name.lower().endswith(SUFFIX):
        return Path(name) if name else None
    path = Path(name + SUFFIX)
    return path if ask_overwrite(parent, [path]) else None


def ask_unsaved(parent: QWidget, name: str) -> QMessageBox.StandardButton:
    """Ask what becomes of a project's changes: Save, Discard or Cancel."""
    button = QMessageBox.StandardButton
    return QMessageBox.question(
        parent, "Save the changes?", f"The project {name} has changes that aren't saved.",
        button.Save | button.Discard | button.Cancel, button.Save)


def ask_overwrite(parent: QWidget, folders: Sequence[Path]) -> bool:
    """Ask whether folders that are there already may be replaced; True without asking when none is."""
    there = [folder for folder in folders if folder.exists()]
    if not there:
        return True
    names = ", ".join(folder.name for folder in there)
    answer = QMessageBox.question(
        parent, "Replace what is there?",
        f"{there[0].parent} already holds {names}. Replace {'it' if len(there) == 1 else 'them'}?",
        QMessageBox.StandardButton.Yes | QMessageBox.StandardButton.Cancel, QMessageBox.StandardButton.Cancel)
    return answer == QMessageBox.StandardButton.Yes


def ask_leave(parent: QWidget, leave: Callable[[], object]) -> QMessageBox:
    """Ask whether to close in mid-work, without blocking; `leave` is called if that is what a person wants."""
    box = QMessageBox(QMessageBox.Icon.Warning, "Close GoodNet?",
                      "GoodNet is still working. If you close it now, what it has worked out so far is lost.",
                      parent=parent)
    stop = box.addButton("Stop and close", QMessageBox.ButtonRole.DestructiveRole)
    box.setDefaultButton(box.addButton("Go on working", QMessageBox.ButtonRole.RejectRole))
    box.buttonClicked.connect(lambda button: leave() if button is stop else None)
    box.finished.connect(box.deleteLater)
    box.open()
    return box


def ask_role(parent: QWidget, path: Path, answer: Callable[[Role], None]) -> QMessageBox:
    """Ask what a data set is for, without blocking; `answer` is called with the role unless it is dismissed."""
    box = QMessageBox(QMessageBox.Icon.Question, "What are these images for?",
                      f"What should {path.name} be used as?", parent=parent)
    buttons = {box.addButton(ROLE_NAMES[role], QMessageBox.ButtonRole.AcceptRole): role for role in DATA_ROLES}
    box.addButton(QMessageBox.StandardButton.Cancel)
    box.buttonClicked.connect(lambda button: answer(buttons[button]) if button in buttons else None)
    box.finished.connect(box.deleteLater)
    box.open()
    return box

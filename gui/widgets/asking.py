"""The questions the window asks: which file, which folder, overwrite or not. What is then done is not decided here."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from PySide6.QtWidgets import QAbstractButton, QFileDialog, QInputDialog, QMessageBox, QWidget

from engine.data.sources.kinds import SUFFIXES as DATA_SUFFIXES
from engine.files.existing import is_folder
from engine.files.pictures import SUFFIXES
from engine.literal import literal
from engine.models.reading import SUFFIXES as MODEL_SUFFIXES
from engine.records.project import SUFFIX
from gui.session.chosen import DATA_ROLES, ROLE_NAMES, Role
from gui.widgets.texts import as_tip

MODEL_FILES = "Models (" + " ".join(f"*{suffix}" for suffix in MODEL_SUFFIXES) + ");;All files (*)"
DATA_FILES = "Data sets (" + " ".join(f"*{suffix}" for suffix in DATA_SUFFIXES) + ");;All files (*)"
PROJECT_FILES = f"GoodNet projects (*{SUFFIX})"
ORDER_FILES = "Pruning orders (*.json);;All files (*)"
NAME_FILES = "Lists of names (*.txt *.json);;All files (*)"
PICTURE_FILES = "Pictures (" + " ".join(f"*{suffix}" for suffix in sorted(SUFFIXES)) + ");;All files (*)"

_FOLDER = "lastFolder"  # the window's property that keeps it


def last_folder(widget: QWidget) -> Path:
    """Where a person last was in a file dialog of this widget's window; all of the window's dialogs start there."""
    folder = Path(widget.window().property(_FOLDER) or Path.home())
    return folder if is_folder(folder) else Path.home()


def remember_folder(widget: QWidget, folder: Path) -> None:
    """Have the next file dialog of this widget's window start in a folder."""
    widget.window().setProperty(_FOLDER, str(folder))


def ask_file(parent: QWidget, title: str, kinds: str) -> Path | None:
    """Ask for one file; None when the person changed their mind."""
    name, _ = QFileDialog.getOpenFileName(parent, title, str(last_folder(parent)), kinds)
    return _chosen(parent, name)


def ask_files(parent: QWidget, title: str, kinds: str) -> list[Path]:
    """Ask for one file or several."""
    names, _ = QFileDialog.getOpenFileNames(parent, title, str(last_folder(parent)), kinds)
    for name in names[:1]:
        _chosen(parent, name)
    return [Path(name) for name in names]


def ask_folder(parent: QWidget, title: str) -> Path | None:
    """Ask for a folder that is there."""
    name = QFileDialog.getExistingDirectory(parent, title, str(last_folder(parent)))
    if name:
        remember_folder(parent, Path(name))
    return Path(name) if name else None


def ask_new_file(parent: QWidget, title: str, name: str | Path, kinds: Mapping[str, str]) -> Path | None:
    """Ask what a file is to be called; None: it isn't to be written.

    Args:
        name: suggested; it is made free by a number where there is such a file.
        kinds: the ending of each kind that a person can choose. A name with none of these endings gets the chosen
            kind's, before it is asked whether a file of that name may be replaced.
    """
    chosen, kind = QFileDialog.getSaveFileName(parent, title, str(_free(last_folder(parent) / name)),
                                               ";;".join(kinds), "", QFileDialog.Option.DontConfirmOverwrite)
    path = _chosen(parent, chosen)
    if path and path.suffix.lower() not in kinds.values():
        path = path.with_name(path.name + kinds.get(kind, next(iter(kinds.values()))))
    return path if path and ask_overwrite(parent, [path]) else None


def ask_new_folder(parent: QWidget, title: str, name: str) -> Path | None:
    """Ask what a new folder is to be called; None: it isn't to be made. A suggested name that is taken is numbered."""
    chosen, _ = QFileDialog.getSaveFileName(parent, title, str(_free(last_folder(parent) / name)), "New folder (*)", "",
                                            QFileDialog.Option.DontConfirmOverwrite)
    path = _chosen(parent, chosen)
    return path if path and ask_overwrite(parent, [path]) else None


def ask_unsaved(parent: QWidget, name: str, *, can_save: bool) -> QMessageBox.StandardButton:
    """Ask what becomes of a project's changes: Save where that can be done, Discard or Cancel."""
    button, said = QMessageBox.StandardButton, f"The project {name} has changes that aren't saved."
    if can_save:
        return QMessageBox.question(parent, "Save the changes?", as_tip(said),
                                    button.Save | button.Discard | button.Cancel, button.Save)
    said += (" They can't be: a project holds a model and clean validation images, and one of these isn't chosen. "
             "The project's file stays as it was saved last.")
    return QMessageBox.question(parent, "Discard the changes?", as_tip(said), button.Discard | button.Cancel,
                                button.Cancel)


def ask_overwrite(parent: QWidget, paths: Sequence[Path]) -> bool:
    """Ask whether what is there already may be replaced; True without asking when nothing is."""
    there = [path for path in paths if os.path.lexists(path)]
    if not there:
        return True
    names = ", ".join(path.name for path in there)
    answer = QMessageBox.question(
        parent, "Replace what is there?",
        as_tip(f"{there[0].parent} already holds {names}. Replace {'it' if len(there) == 1 else 'them'}?"),
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


def ask_role(parent: QWidget, path: Path, answer: Callable[[Role | None], None], waiting: int = 0) -> QMessageBox:
    """Ask what a data set is for, without blocking; `answer` is called with the role unless it is dismissed.

    Args:
        waiting: how many more sets are asked about next; if any, None may be the answer: this one alone is left out.
    """
    more = f"\n\n{waiting:,} more {'waits' if waiting == 1 else 'wait'} to be asked about." if waiting else ""
    box = QMessageBox(QMessageBox.Icon.Question, "What are these images for?",
                      as_tip(f"What should {path.name} be used as?{more}"), parent=parent)
    buttons: dict[QAbstractButton, Role | None] = {
        box.addButton(ROLE_NAMES[role], QMessageBox.ButtonRole.AcceptRole): role for role in DATA_ROLES}
    if waiting:
        buttons[box.addButton("Leave this one out", QMessageBox.ButtonRole.ActionRole)] = None
    cancel = box.addButton(QMessageBox.StandardButton.Cancel)
    if waiting:
        cancel.setText("Leave out all the rest")
    box.buttonClicked.connect(lambda button: answer(buttons[button]) if button in buttons else None)
    box.finished.connect(box.deleteLater)
    box.open()
    return box


def ask_output(parent: QWidget, path: Path, outputs: Sequence[tuple[str, Sequence[int | None] | None]],
               answer: Callable[[str], None]) -> QInputDialog:
    """Ask which of a model's outputs tells the labels, without blocking; `answer` isn't called when it is dismissed.

    Args:
        outputs: names, and the shape of what each gives for one image, where it is known.
    """
    def text(name: str, shape: Sequence[int | None] | None) -> str:
        return literal(name) if not shape else f"{literal(name)}: {' × '.join(str(n or 'any') for n in shape)} values"

    items = {f"{number}. {text(*output)}": output[0] for number, output in enumerate(outputs, start=1)}
    dialog = QInputDialog(parent)
    dialog.setWindowTitle("Which output tells the labels?")
    dialog.setLabelText(as_tip(f"{path.name} has {len(outputs)} outputs. Choose the one that gives a value for each "
                               "label; the others are left out."))
    dialog.setComboBoxItems(list(items))
    dialog.textValueSelected.connect(lambda chosen: answer(items[chosen]))
    dialog.finished.connect(dialog.deleteLater)
    dialog.open()
    return dialog


def _chosen(parent: QWidget, name: str) -> Path | None:
    """What a person chose; the next dialog starts beside it."""
    if not name:
        return None
    remember_folder(parent, Path(name).parent)
    return Path(name)


def _free(path: Path) -> Path:
    """A path, with a number where something of its name is there already."""
    number, free = 1, path
    while os.path.lexists(free):
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free

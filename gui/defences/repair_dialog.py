"""The question how a repaired copy is trained, how it answers, and what stands before it."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QGroupBox,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from gui.widgets.elided_label import PlainLabel
from gui.widgets.texts import plain
from gui.widgets.theme import ScrollArea, Theme, outline

_WIDTH, _INDENT, _TITLE_BAR = 560, 24, 40
INTRO = ("A copy of the network is trained on your clean validation images and saved; the network itself stays as it "
         "is. Which way works best differs from network to network: Compare all defences makes and measures all three.")
# Each method of the engine: what its button says, what it does and how long it takes, the default first.
METHODS = (
    ("distillation", "&Distillation",
     "The copy learns to answer as the network does, whatever patch, pattern or light lies over a picture, triggers "
     "that are found in the network among them. That takes longest: with the sample a minute or two."),
    ("unlearning", "&Unlearning",
     "Patterns that draw pictures to one label, as a trigger does, are looked for, and the copy learns to answer as if "
     "they weren't there. That takes a third of distillation's time."),
    ("fine-pruning", "&Fine-pruning",
     "Nine in ten channels of the prune layer, those that clean pictures use least, are pruned, and the rest is "
     "trained again. That takes seconds, but in the sample a third of the attack is left."))
ANSWERS = (
    (True, "&Alone", "This costs less clean accuracy. Only a guard labels a picture N, backdoored."),
    (False, "As a &pair with the network",
     "Where the two disagree, a picture is labelled N too. This costs a little more clean accuracy."))
AS_IN_RUN, SPARING = "As in the &run", "The &sparing guard"
SPARED = ("The transplant guard, set to flag one clean picture in 200, or as few as your clean images can show. It "
          "costs little, and takes most of what a copy that answers alone leaves of an attack.")


class RepairDialog(QDialog):
    """Signals: `chosen(str, bool, bool)` with the method, whether the copy answers alone, and whether the sparing guard
    stands before it and not the run's; it doesn't block.

    Args:
        model: the network's file name; of_run: what guard the run has, a sentence.
    """

    chosen = Signal(str, bool, bool)

    def __init__(self, parent: QWidget, theme: Theme, model: str, of_run: str) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"Repair {plain(model)}")
        intro = PlainLabel(INTRO)
        intro.setWordWrap(True)
        methods = {_radio(text, theme): (name, what) for name, text, what in METHODS}
        answers = {_radio(text, theme): (alone, what) for alone, text, what in ANSWERS}
        guards = {_radio(AS_IN_RUN, theme): (False, of_run), _radio(SPARING, theme): (True, SPARED)}
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        buttons.addButton("&Choose a folder…", QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        self.accepted.connect(lambda: self.chosen.emit(
            *(next(choice for button, (choice, _) in of.items() if button.isChecked())
              for of in (methods, answers, guards))))
        self.finished.connect(self.deleteLater)
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(intro)
        column.addWidget(_question("How is the copy trained?", [(b, what) for b, (_, what) in methods.items()], theme))
        column.addWidget(_question("How does it answer?", [(b, what) for b, (_, what) in answers.items()], theme))
        column.addWidget(_question("What stands before it?", [(b, what) for b, (_, what) in guards.items()], theme))
        area = ScrollArea("How the copy is made", inside)
        whole = QVBoxLayout(self)
        whole.addWidget(area)
        whole.addWidget(buttons)
        margins = whole.contentsMargins() + area.viewportMargins()
        width = max(_WIDTH, inside.minimumSizeHint().width() + margins.left() + margins.right())
        above = column.totalHeightForWidth(width - margins.left() - margins.right())
        height = above + whole.spacing() + buttons.sizeHint().height() + margins.top() + margins.bottom()
        room = parent.screen().availableSize().height() - _TITLE_BAR
        if height > room:  # what stands above the buttons scrolls
            width += area.verticalScrollBar().sizeHint().width()
        self.setFixedSize(width, min(height, room))


def _question(title: str, options: Sequence[tuple[QRadioButton, str]], theme: Theme) -> QGroupBox:
    """Buttons of which one is always chosen, the first at first, and below each what it means."""
    box = QGroupBox(title)
    column = QVBoxLayout(box)
    for button, meaning in options:
        button.setAccessibleDescription(meaning)
        words = PlainLabel(meaning)
        words.setWordWrap(True)
        words.setContentsMargins(_INDENT, 0, 0, 4)
        words.setStyleSheet(f"color: {theme.muted}")
        column.addWidget(button)
        column.addWidget(words)
    options[0][0].setChecked(True)
    return box


def _radio(text: str, theme: Theme) -> QRadioButton:
    button = QRadioButton(text)
    outline(button, theme)
    return button

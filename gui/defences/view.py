"""All defences side by side: the picture and the table that a person takes to whoever decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QPushButton, QStackedWidget, QVBoxLayout, QWidget

from engine.literal import unbroken
from gui.widgets.buttons import PrimaryButton
from gui.widgets.elided_label import EmptyText, PlainLabel
from gui.widgets.texts import as_tip, waiting
from gui.widgets.theme import Theme, outline
from gui.widgets.turns import in_turns

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.defences.comparison import Comparison, ComparisonRow
    from engine.reports.headline import Recommendation
    from gui.defences.panel import ComparisonPanel

TAKES = "minutes, with a network for large pictures an hour or more"
_FIRST = "Run the pruning, then press"
EMPTY = (f"Nothing has been compared yet.\n\n{_FIRST} Compare. It makes every defence there is, the "
         "pruned GoodNets, fine-pruning, repair by training, each alone and behind both guards, from the clean "
         "validation images, and measures all of them on the same images. It trains three networks, which takes "
         f"{TAKES}; Cancel stops it.\n\nRepair trains one copy in one of three ways, as you choose, and saves it, "
         "alone or with B as a GoodNet, without comparing anything.\n\nDefend does it all at once and needs no run: it "
         "examines the network, makes and measures every defence, on reconstructed triggers where there are no "
         "poisoned images, and saves the best with what it holds against.")
COMPARE = "“Compare all defences” makes and measures everything that can be made, side by side."
RUN_FIRST = "Run the pruning first"
COMPARING = f"The comparison goes on; it takes {TAKES}. The defences appear here side by side when it is done."
DEFENDING = f"The defence goes on; it takes {TAKES}. What was chosen and where it is saved is told when it is done."
REPAIRING = "The repair goes on. Where the repaired copy is saved is told when it is done."
ALLOWED = "Networks that are trained will forget labels that have no clean validation image."


class DefencesView(QWidget):
    """Asks for a comparison, a repair or the whole defence, and shows the comparison.

    Signals:
        compare_requested(bool): whether to train although labels lack images.
        repair_requested(bool): likewise.
        defend_requested(): examine, make every defence, save the best.
        keep_requested(ComparisonRow): save this defence as it was made and measured.
        message(str): a sentence for the status line.
    """

    compare_requested = Signal(bool)
    repair_requested = Signal(bool)
    defend_requested = Signal()
    keep_requested = Signal(object)
    message = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._ready = self._open = self._busy = False
        self._missing = self._of_result = self._asked = self._saved = self._of_run = self._chosen = ""
        self.panel: ComparisonPanel | None = None
        self.compare_button = PrimaryButton("Co&mpare all defences", "table", theme)
        self.repair_button, self.defend_button = QPushButton("Repa&ir…"), QPushButton("Defend…")
        self.allow_box = QCheckBox("Train although labels lac&k images")
        self.allow_box.setToolTip("Training needs clean images of every label; what it never sees, it forgets. Tick "
                                  "this to train all the same.")
        self.empty, self.warning = EmptyText(EMPTY), PlainLabel()
        self.warning.setAccessibleName("Warning")
        self.warning.setWordWrap(True)
        self.stack = QStackedWidget()
        self.stack.addWidget(self.empty)
        row = QHBoxLayout()
        row.addWidget(self.allow_box)
        row.addStretch()
        row.addWidget(self.defend_button)
        row.addWidget(self.repair_button)
        row.addWidget(self.compare_button)
        layout = QVBoxLayout(self)
        layout.addLayout(row)
        layout.addWidget(self.warning)
        layout.addWidget(self.stack, 1)
        self.compare_button.clicked.connect(self._compare)
        self.repair_button.clicked.connect(lambda: self.repair_requested.emit(self.allow_box.isChecked()))
        self.defend_button.clicked.connect(self.defend_requested)
        self.allow_box.toggled.connect(self._warn)
        self.set_theme(theme)
        self._enable()
        self._warn()

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        self._theme = theme
        self.compare_button.set_theme(theme)
        self.warning.setStyleSheet(f"color: {theme.warning}")
        outline(self.allow_box, theme)
        if self.panel:
            self.panel.set_theme(theme)

    def show_comparison(self, comparison: Comparison | None, best: Recommendation | None = None,
                        hindrance: Callable[[ComparisonRow], str] | None = None) -> None:
        """Show a comparison with its warning, if it has one; None shows what to do to get one.

        Args:
            best: its best row, None where nothing can be recommended.
            hindrance: why a row can't be saved, empty where it can; None where what the comparison made is gone.
        """
        self._of_result, self._saved = comparison.warning if comparison else "", ""
        if comparison is None:
            self.stack.setCurrentWidget(self.empty)
        else:
            panel = self._prepared()
            panel.show_comparison(comparison, best, hindrance)
            self.stack.setCurrentWidget(panel)
        self._say()
        self._warn()

    def show_missing_labels(self, missing: int, labels: int, model: str) -> None:
        """Say how many of a network's labels have no clean validation image."""
        self._missing = (f"{missing:,} of {labels:,} labels of {model} have no clean validation image; networks that "
                         "are trained forget those labels. Training is refused unless you tick the box."
                         if missing else "")
        self._warn()

    def set_ready(self, ready: bool, inputs: bool = False, of_run: str = "", chosen: str = "") -> None:
        """Whether a finished run is there to compare, and whether a network and clean images are there to defend.

        Args:
            of_run, chosen: the file names of the run's network and of the one that is chosen.
        """
        self._ready, self._open, self._of_run, self._chosen = ready, inputs, of_run, chosen
        self._say()
        self._enable()

    def set_busy(self, busy: bool) -> None:
        """While something runs, nothing new can be asked for."""
        self._busy, self._asked = busy, self._asked if busy else ""
        self._say()
        self._enable()

    def show_begun(self, sentence: str) -> None:
        """Say what goes on, from when it was begun to when nothing runs any more."""
        self._asked = sentence if self._busy else ""
        self._say()

    def show_saved(self, sentence: str) -> None:
        """Say what a repair or a defence came to, as long as nothing else is shown; empty to say it no longer."""
        self._saved = sentence
        self._say()

    def _say(self) -> None:
        """What stands in the comparison's place: what goes on, what came of it, or what can be done."""
        compare = COMPARE if self._ready else f"{COMPARE} {RUN_FIRST}."
        idle = f"{self._saved}\n\n{compare}" if self._saved else \
            EMPTY.replace(_FIRST, "Press", 1) if self._ready else EMPTY
        self.empty.setText(self._asked or (waiting(EMPTY, "Then press Compare.") if self._busy else unbroken(idle)))

    def _compare(self) -> None:
        in_turns(self, self._prepared)  # while the engine works, so that showing what it found takes less at once
        self.compare_requested.emit(self.allow_box.isChecked())

    def _prepared(self) -> ComparisonPanel:
        if self.panel is None:
            from gui.defences.panel import ComparisonPanel
            self.panel = ComparisonPanel(self._theme)
            self.panel.message.connect(self.message)
            self.panel.keep_requested.connect(self.keep_requested)
            self.stack.addWidget(self.panel)
        return self.panel

    def _enable(self) -> None:
        if self.panel:
            self.panel.set_busy(self._busy)
        for button, tip in ((self.compare_button, f"Make and measure all defences of {self._of_run}, the network of "
                                                  f"the run on show. That takes {TAKES}; Cancel stops it"),
                            (self.repair_button, f"Train a repaired copy of {self._of_run}, the network of the run on "
                                                 "show, in one of three ways and save it; Cancel stops it")):
            button.setEnabled(self._ready and not self._busy)
            button.setToolTip(as_tip(tip) if self._ready else RUN_FIRST)
        self.defend_button.setEnabled(self._open and not self._busy)
        self.defend_button.setToolTip(as_tip(f"Examine {self._chosen}, the network that is chosen, make every defence "
                                             "and save the best; Cancel stops it")
                                      if self._open else "Choose a model and clean validation images first")

    def _warn(self) -> None:
        """A result's own warning stays as long as the result; before that, what training would cost."""
        text = self._of_result or self._missing or (ALLOWED if self.allow_box.isChecked() else "")
        self.warning.setText(unbroken(f"Warning: {text}") if text else "")
        self.warning.setVisible(bool(text))

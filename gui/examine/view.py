"""The tab that asks whether there is a backdoor: one button, then the answer and its evidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from engine.runs.examine import BLIND
from gui.examine.pictures import Gallery, of_scan
from gui.examine.verdict import VerdictLabel
from gui.widgets.buttons import PrimaryButton
from gui.widgets.elided_label import EmptyText, PlainLabel
from gui.widgets.resources import icon
from gui.widgets.texts import label_and_name, waiting
from gui.widgets.theme import Theme
from gui.widgets.turns import in_turns

if TYPE_CHECKING:
    from engine.defences.scan import Scan
    from engine.runs.examine import Examination
    from gui.examine.panel import EvidencePanel

QUESTION = "Does this network have a backdoor? An examination needs the model and some clean images, no poisoned one."
_FIRST = "Choose a model and clean validation images, then press"
EMPTY = (f"Nothing has been examined yet.\n\n{_FIRST} Examine. It puts random "
         "stamps on clean images, works out the smallest stamp that draws them to each suspect label, and "
         "compares the suspects with other labels of the same network. The verdict and the pictures it rests on appear "
         f"here.\n\n{BLIND[0]}")
EXAMINING = ("The examination goes on; how far it is stands at the lower left. First random stamps are put on clean "
             "images; the best of them appear here as the first evidence.")
_ICON = 18


class ExamineView(QWidget):
    """Asks for an examination and shows it.

    Signals:
        examine_requested(): the person wants the open network examined.
        use_requested(Tried): a label's stamp as poisoned images.
        save_requested(): the examination on show. message(str): for the status line.
    """

    examine_requested = Signal()
    use_requested = Signal(object)
    save_requested = Signal()
    message = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._names: Sequence[str] = ()
        self._scan: Scan | None = None
        self._ready, self._busy, self._asked, self._current = False, False, False, True
        self.panel: EvidencePanel | None = None
        self._shown: Examination | None = None
        self.button = PrimaryButton("Exa&mine", "look", theme)
        self.button.clicked.connect(self._ask)
        self.question, self.verdict = PlainLabel(QUESTION), VerdictLabel(theme)
        self._mark_icon, self.mark, self.empty = PlainLabel(), PlainLabel(), EmptyText(EMPTY)
        self.going_on, self.stamps = PlainLabel(), Gallery("Random stamps that work best, the first evidence")
        self.mark.setAccessibleName("Warning")
        for label in (self.question, self.mark, self.going_on):
            label.setWordWrap(True)
        self.stack = QStackedWidget()
        self._under_way = self._first_evidence()
        for page in (self.empty, self._under_way):
            self.stack.addWidget(page)
        self._lay_out()
        self.set_theme(theme)
        self.show_mark("", "")
        self._render()

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        self._theme = theme
        for part in (self.button, self.verdict):
            part.set_theme(theme)
        self._mark_icon.setPixmap(icon("error", theme, theme.warning).pixmap(_ICON, _ICON))
        self.mark.setStyleSheet(f"color: {theme.muted if self._current else theme.warning}")
        if self.panel:
            self.panel.set_theme(theme)

    def show_scan(self, found: Scan) -> None:
        """Show the first evidence of the examination under way."""
        self._scan = found
        self._render()

    def show_examination(self, found: Examination) -> None:
        """Show an examination in place of the one before."""
        self._shown, self._asked = found, False
        self.verdict.show_verdict(found)
        self._prepared().show_examination(found)
        self._render()

    def show_mark(self, then: str, other: str) -> None:
        """Say when the examination on show was made, and that it isn't of what is chosen; empty for nothing to say."""
        self._current = not other
        self.mark.setText(" ".join(filter(None, (then, other))))
        self.mark.setStyleSheet(f"color: {self._theme.warning if other else self._theme.muted}")
        self._mark_icon.setVisible(bool(other))
        self.mark.setVisible(bool(then or other))
        self._render()

    def show_names(self, names: Sequence[str]) -> None:
        """Name labels: names[label]; empty for none."""
        self._names = names
        self.verdict.show_names(names)
        if self.panel:
            self.panel.show_names(names)
        self._render()

    def set_ready(self, ready: bool) -> None:
        """Whether a model and clean images are there to examine."""
        self._ready = ready
        self._render()

    def set_busy(self, busy: bool) -> None:
        """While something runs, nothing new can be asked for; when it ends, the last good result is back."""
        self._busy, self._asked = busy, self._asked and busy
        self._render()

    def _ask(self) -> None:
        self._asked, self._scan = True, None
        in_turns(self, self._prepared)  # while the engine works, so that showing what it found takes less at once
        self.examine_requested.emit()

    def _render(self) -> None:
        """Show what is to be seen now, and enable what can be done."""
        self.button.setEnabled(self._ready and not self._busy)
        self.button.setToolTip("Takes about a minute; Cancel stops it" if self._ready else
                               "Choose a model and clean validation images first")
        idle = EMPTY.replace(_FIRST, "Press", 1) if self._ready else EMPTY
        self.empty.setText(waiting(EMPTY, "Then press Examine.") if self._busy else idle)
        self.going_on.setText(EXAMINING if self._scan is None else first_evidence(self._scan, self._names))
        self.stamps.show_pictures(of_scan(self._scan) if self._asked and self._scan else ())
        result = self._shown is not None and not self._asked
        self.verdict.setVisible(result)
        self.question.setVisible(not result)
        self._marked.setVisible(result)
        if self.panel:
            self.panel.set_state(self._busy, self._current)
        shown = self.panel if result else self._under_way if self._asked else self.empty
        assert shown is not None
        self.stack.setCurrentWidget(shown)

    def _prepared(self) -> EvidencePanel:
        if self.panel is None:
            from gui.examine.panel import EvidencePanel
            self.panel = EvidencePanel(self._theme)
            self.panel.show_names(self._names)
            for signal, into in ((self.panel.use_requested, self.use_requested), (self.panel.message, self.message),
                                 (self.panel.save_requested, self.save_requested)):
                signal.connect(into)
            self.stack.addWidget(self.panel)
        return self.panel

    def _first_evidence(self) -> QWidget:
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 8, 0, 0)
        column.addWidget(self.going_on)
        column.addWidget(self.stamps)
        column.addStretch()
        return page

    def _lay_out(self) -> None:
        head, self._marked = QHBoxLayout(), QWidget()
        for widget in (self.question, self.verdict):
            head.addWidget(widget, 1)
        head.addWidget(self.button, 0, Qt.AlignmentFlag.AlignTop)
        marked = QHBoxLayout(self._marked)
        marked.setContentsMargins(0, 0, 0, 0)
        marked.addWidget(self._mark_icon)
        marked.addWidget(self.mark, 1)
        layout = QVBoxLayout(self)
        layout.addLayout(head)
        layout.addWidget(self._marked)
        layout.addWidget(self.stack, 1)


def first_evidence(scan: Scan, names: Sequence[str]) -> str:
    """What the scan found, as a first suspect and no verdict."""
    if not scan.suspects:
        return (f"None of {scan.stamps:,} random stamps changed an image's label. The examination goes on with the "
                "smallest stamps.")
    first = scan.suspects[0]
    return (f"First evidence: of {scan.changed:,} images that a random stamp changed, {first.count:,} changed to label "
            f"{label_and_name(first.label, names)}. These stamps draw images there best; below each stands how many of "
            "others it changes. That is a suspect, no verdict: the examination goes on with the smallest stamps.")

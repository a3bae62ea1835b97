"""The line above all tabs: what is doubtful, whose results these are, the best of them, and if they are current."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QMessageBox, QSizePolicy, QVBoxLayout

from engine.literal import short_name, unbroken
from gui.widgets.buttons import push_button
from gui.widgets.elided_label import PlainLabel
from gui.widgets.resources import icon
from gui.widgets.texts import as_tip
from gui.widgets.theme import Theme
from gui.widgets.verdict_icon import LevelIcon

if TYPE_CHECKING:
    from engine.reports.headline import Headline

_ICON = 18
# So many warnings stand above the tabs; more of them would leave the views no room.
_WARNINGS = 2


class ResultBar(QFrame):
    """Shows a run's best defence with buttons that use and save it; hidden while there is no run.

    Signals: `use_requested()`, `save_requested()`, `keep_requested()` for what exists in the comparison only,
    `files_requested()` for choosing the run's files again.
    """

    use_requested = Signal()
    save_requested = Signal()
    keep_requested = Signal()
    files_requested = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self._level = LevelIcon(theme, 22)
        self.warnings, self.mark = _wrapping("What is doubtful about the input"), _wrapping("Warning")
        self.answer = _wrapping("What the results are of, and the best of them")
        font = self.answer.font()
        font.setBold(True)
        for label in (self.warnings, self.answer):
            label.setFont(font)
        self._mark_icon = PlainLabel()
        self.use = push_button("Use in image check", "Check pictures with this GoodNet", self.use_requested)
        self.save = push_button("Save it…", "Save this GoodNet in a folder", self.save_requested)
        self.keep = push_button("Keep it…", "", self.keep_requested)
        self.files = push_button(
            "Choose its files again", "Choose the files and options that these results were made of",
            self.files_requested)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 4)
        column.setSpacing(4)
        self._all_warnings: tuple[str, ...] = ()
        self.more = push_button("", "", self._show_warnings)
        warned = QHBoxLayout()
        warned.addWidget(self.warnings, 1)
        warned.addWidget(self.more, 0, Qt.AlignmentFlag.AlignBottom)
        column.addLayout(warned)
        for widgets in ((self._level, self.answer, self.use, self.save, self.keep),
                        (self._mark_icon, self.mark, self.files)):
            row = QHBoxLayout()
            for widget in widgets:
                row.addWidget(widget, 1 if widget in (self.answer, self.mark) else 0)
            column.addLayout(row)
        self.set_theme(theme)
        self.show_mark("", False)
        self.hide()

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        self._level.set_theme(theme)
        self._mark_icon.setPixmap(icon("error", theme, theme.warning).pixmap(_ICON, _ICON))
        for label in (self.warnings, self.mark):
            label.setStyleSheet(f"color: {theme.warning}")
        self.setStyleSheet(f"ResultBar {{ background: {theme.surface}; border: 1px solid {theme.border}; "
                           "border-radius: 6px; }")

    def show_result(self, model: str, best: Headline | None, usable: bool, keepable: bool = False) -> None:
        """Show what came out for a network.

        Args:
            usable: whether the best is a pair of the run, which can be used and saved.
            keepable: whether it is one of the comparison, and what that made is still there.
        """
        found = best.figures if best else "no GoodNet answers the thresholds"
        by = f" ({best.name.replace('The ', 'the ').replace('In the ', 'in the ')})" \
            if best and (usable or best.compared) else ""
        self.answer.setText(unbroken(f"{short_name(model)}: {found}{by}."))
        meaning = f"\n\n{best.sentence}\n\n{best.recommendation}" if best else ""
        self.answer.setToolTip(unbroken(model + meaning))
        self._all_warnings = best.warnings if best else ()
        first, rest = self._all_warnings[:_WARNINGS], self._all_warnings[_WARNINGS:]
        self.warnings.setText("\n".join(f"Warning: {unbroken(sentence)}" for sentence in first))
        self.warnings.setVisible(bool(first))
        self.more.setText(f"{len(rest)} more…")
        self.more.setAccessibleName(f"Show {len(rest)} more warnings")
        self.more.setToolTip(as_tip("\n\n".join(map(unbroken, rest))))
        self.more.setVisible(bool(rest))
        self._level.setVisible(best is not None)
        if best:
            self._level.show_level(best.level)
        for button in (self.use, self.save):
            button.setVisible(usable)
        self.keep.setVisible(keepable)
        if best and best.compared:
            self.keep.setToolTip(as_tip(f"Save {best.compared.name} in a folder as it was made and measured; nothing "
                                        "is trained again"))
        self.show()

    def _show_warnings(self) -> None:
        box = QMessageBox(QMessageBox.Icon.Warning, self.warnings.accessibleName(),
                          as_tip("\n\n".join(map(unbroken, self._all_warnings))), parent=self.window())
        box.finished.connect(box.deleteLater)
        box.open()

    def show_mark(self, text: str, other: bool) -> None:
        """Say that the results are of something else than what is chosen; empty for nothing to say.

        Args:
            other: whether the run's own files and options can be chosen again.
        """
        self.mark.setText(unbroken(text))
        for widget in (self._mark_icon, self.mark):
            widget.setVisible(bool(text))
        self.files.setVisible(other)

    def set_busy(self, busy: bool) -> None:
        """While something runs, nothing new can be asked for."""
        for button in (self.use, self.save, self.keep, self.files):
            button.setEnabled(not busy)


def _wrapping(accessible_name: str) -> QLabel:
    label = PlainLabel(wordWrap=True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    label.setAccessibleName(accessible_name)
    return label

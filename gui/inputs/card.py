"""A card for one chosen file: pick it, drop it, and read what it is or why it can't be used."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QMenu, QSizePolicy, QToolButton, QVBoxLayout

from engine.data.classes import are_numbers
from engine.data.sources.shards import joined
from engine.literal import literal
from gui.inputs.thumbnails import ThumbnailStrip
from gui.session.chosen import ROLE_NAMES, ROLE_TITLES, DatasetLook, Input, Role
from gui.session.recognition import local_paths
from gui.widgets import resources
from gui.widgets.elided_label import ElidedLabel, PlainLabel
from gui.widgets.theme import Theme

_ICON = 16
_ICON_OF: dict[Role, str] = {"model": "model", "validation": "images", "test": "images", "poisoned": "poisoned"}


class InputCard(QFrame):
    """Shows an Input, or that nothing is chosen for its role yet.

    Signals: `pick_requested(bool)`, True for a folder; `dropped(object)` with a Path; `remove_requested()`.
    """

    pick_requested = Signal(bool)
    dropped = Signal(object)
    remove_requested = Signal()

    def __init__(self, role: Role, hint: str, theme: Theme) -> None:
        """Make an empty card.

        Args:
            hint: one sentence on what belongs here, shown while nothing is chosen.
        """
        super().__init__()
        self.role, self._hint, self._theme = role, hint, theme
        self.shown: Input | None = None
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setAutoFillBackground(True)
        self.setAcceptDrops(True)
        self.setAccessibleName(ROLE_NAMES[role])
        self._file = ElidedLabel(where=Qt.TextElideMode.ElideMiddle)  # files of a set differ at the end
        self._facts = _wrapping_label()
        self._error_icon, self._error = PlainLabel(), _wrapping_label()
        self._facts.setObjectName("facts")
        self._error.setObjectName("error")
        self._error.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._error.setAccessibleName(f"Why {ROLE_NAMES[role].lower()} can't be used")
        self.strip = ThumbnailStrip()
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(10, 6, 6, 8)
        self.body.setSpacing(4)
        self.body.addLayout(self._header())
        self.body.addWidget(self._file)
        self.body.addWidget(self._facts)
        self.body.addLayout(self._error_row())
        self.body.addWidget(self.strip)
        self.set_theme(theme)
        self.show_input(None)

    @property
    def refusing(self) -> bool:
        """Whether it says of a file why it can't be used."""
        return self.shown is not None and bool(self.shown.error or self.shown.refused)

    def set_theme(self, theme: Theme) -> None:
        """Draw icons and colours as the theme has them."""
        self._theme = theme
        self._sign.setPixmap(resources.icon(_ICON_OF[self.role], theme).pixmap(_ICON, _ICON))
        self._pick.setIcon(resources.icon("folder", theme))
        self._remove.setIcon(resources.icon("close", theme))
        self._error_icon.setPixmap(resources.icon("error", theme, theme.danger).pixmap(_ICON, _ICON))
        self._frame(theme.border)

    def show_input(self, item: Input | None, beside: DatasetLook | None = None) -> None:
        """Render an input; `beside` are clean images to show above a poisoned set's."""
        self.shown = item
        self._file.setVisible(item is not None)
        self._file.show_text(item.path.name if item else "", str(item.path) if item else "")
        facts = self._hint if item is None else "Reading…" if item.reading else self.facts_of(item)
        self._facts.setText(facts)
        self._facts.setVisible(bool(facts))
        error = "" if item is None else _why_refused(item) if item.refused else _without_path(item)
        self._error.setText(error)
        for widget in (self._error, self._error_icon):
            widget.setVisible(bool(error))
        self._remove.setVisible(item is not None)
        look = item.data if item else None
        rows = [] if look is None else [look.thumbnails] if beside is None else [beside.thumbnails, look.thumbnails]
        what = "Clean images above, the same ones with the trigger below" if len(rows) > 1 else \
            f"A few of the {ROLE_NAMES[self.role].lower()}"
        self.strip.show_rows(rows, what)

    def facts_of(self, item: Input) -> str:
        """What is said of a good input."""
        if item.data is None:
            return ""
        found = item.data.description
        size = " × ".join(map(str, found.image_shape))
        one, target = self.role == "poisoned" and found.labels == 1, "target " if self.role == "poisoned" else ""
        # What a name stands for depends on the other sets, too: the card of labels says it.
        first, last = (found.label_names[0], found.label_names[-1]) if not are_numbers(found.label_names) else \
            (found.lowest_label, found.highest_label)
        labels = f"target label {first}" if one else f"1 {target}label ({first})" if found.labels == 1 else \
            f"{found.labels} {target}labels ({first} to {last})"
        low, high = found.value_range
        if self.role == "poisoned" and found.reconstructed:
            labels += ", trigger reconstructed: an estimate"
        return f"{found.images:,} images, {size} · {labels} · values {low:.3g} to {high:.3g}"

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take a single file or folder, or the pieces of one set; several others are the window's business."""
        if len(joined(local_paths(event.mimeData()))) == 1:
            event.acceptProposedAction()
            self._frame(self._theme.accent)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        """Look as before."""
        self._frame(self._theme.border)
        super().dragLeaveEvent(event)

    def dropEvent(self, event: QDropEvent) -> None:
        """Take what was dropped for this card's role."""
        self._frame(self._theme.border)
        event.acceptProposedAction()
        self.dropped.emit(joined(local_paths(event.mimeData()))[0])

    def _header(self) -> QHBoxLayout:
        name = ROLE_NAMES[self.role]
        self._sign, title = PlainLabel(), PlainLabel(ROLE_TITLES[self.role])
        font = title.font()
        font.setBold(True)
        title.setFont(font)
        self._pick = QToolButton()
        self._pick.setText("Choose…")
        self._pick.setAccessibleName(f"Choose {name.lower()}")
        self._pick.setToolTip(f"Choose {name.lower()}; or drop a file on this card")
        self._pick.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._pick.clicked.connect(lambda: self.pick_requested.emit(False))
        if self.role != "model":
            menu = QMenu(self._pick)
            menu.addAction("&File…", lambda: self.pick_requested.emit(False))
            menu.addAction("Folder of &pictures…", lambda: self.pick_requested.emit(True))
            self._pick.setMenu(menu)
            self._pick.setPopupMode(QToolButton.ToolButtonPopupMode.MenuButtonPopup)
        self._remove = QToolButton()
        self._remove.setAutoRaise(True)
        self._remove.setAccessibleName(f"Remove {name.lower()}")
        self._remove.setToolTip(f"Remove {name.lower()} (the file itself stays)")
        self._remove.clicked.connect(self.remove_requested)
        room = self._remove.sizePolicy()
        room.setRetainSizeWhenHidden(True)  # the other button stays where it is when a file is chosen
        self._remove.setSizePolicy(room)
        row = QHBoxLayout()
        for widget in (self._sign, title):
            row.addWidget(widget)
        row.addStretch(1)
        self.buttons = self._pick, self._remove
        for button in self.buttons:
            button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            row.addWidget(button)
        return row

    def _error_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.addWidget(self._error_icon, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self._error, 1)
        return row

    def _frame(self, colour: str) -> None:
        theme = self._theme
        self.setStyleSheet(
            f"InputCard {{ background: {theme.surface}; border: 1px solid {colour}; border-radius: 6px; }}"
            f"QLabel#facts {{ color: {theme.muted}; }} QLabel#error {{ color: {theme.danger}; }}")



def _why_refused(item: Input) -> str:
    """What a card shows of a file that was chosen in place of the one in use and can't be used."""
    assert item.refused is not None
    return f"{item.refused.path.name} can't be used: {_without_path(item.refused)} {item.path.name} stays in use."


def _without_path(item: Input) -> str:
    """An error as a card shows it: the file's name stands above it already."""
    text = item.error.removeprefix(f"{literal(str(item.path))}: ")
    return text[:1].upper() + text[1:]


def _wrapping_label() -> QLabel:
    label = PlainLabel()
    label.setWordWrap(True)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    return label

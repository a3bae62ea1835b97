"""The left panel: cards for the model, the clean images and the poisoned ones."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QPushButton, QVBoxLayout, QWidget

from gui.inputs.card import InputCard
from gui.inputs.labels_card import LabelsCard
from gui.inputs.model_card import ModelCard
from gui.session.chosen import Inputs, Role
from gui.widgets import resources
from gui.widgets.theme import ScrollArea, Theme
from gui.widgets.turns import in_turns

_HINTS: dict[Role, str] = {
    "validation": "Images you trust, with their right labels. Channels are ranked and the pruning is stopped by them.",
    "test": "Optional: other trusted images, on which the result is measured.",
    "poisoned": "Optional: images with the trigger. They show whether the backdoor is gone.",
}


class InputsView(QWidget):
    """Renders Inputs. Signals: `pick_requested(role, folder, before)`, `dropped(role, Path, before)`, before being the
    Path of the poisoned set in whose place another one comes, else None; `removed(role, Path)`, `layer_chosen(str)`."""

    pick_requested = Signal(str, bool, object)
    dropped = Signal(str, object, object)
    removed = Signal(str, object)
    layer_chosen = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme, inside = theme, QWidget()
        self.model = ModelCard(theme)
        self.validation, self.test = (InputCard(role, _HINTS[role], theme) for role in ("validation", "test"))
        self.labels = LabelsCard(theme)
        self.poisoned: list[InputCard] = []
        self._add = QPushButton("Add another poisoned set…")
        self._add.setToolTip("Another trigger or another target label; each set gets its own curve")
        self._add.clicked.connect(lambda: self.pick_requested.emit("poisoned", False, None))
        self._column = QVBoxLayout(inside)
        self._column.setContentsMargins(8, 8, 8, 8)
        for widget in (self.model, self.labels, self.validation, self.test, self._add):
            self._column.addWidget(widget)
        self._column.addStretch(1)
        for card in (self.model, self.validation, self.test):
            self._connect(card)
        self.model.layer_chosen.connect(self.layer_chosen)
        self._area = _Column("What is chosen", inside)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self._area)
        self.set_theme(theme)
        self.show_inputs(Inputs())

    def set_theme(self, theme: Theme) -> None:
        """Draw everything as the theme has it."""
        self._theme = theme
        self._add.setIcon(resources.icon("add", theme))
        self.labels.set_theme(theme)
        for card in self.cards:
            card.set_theme(theme)

    @property
    def cards(self) -> list[InputCard]:
        """All cards from top to bottom."""
        return [self.model, self.validation, self.test, *self.poisoned]

    def show_inputs(self, inputs: Inputs) -> None:
        """Render all inputs; a card is left alone while nothing about it changed. One whose file turns out not to be
        usable is brought into view."""
        refusing = [card for card in self.cards if card.refusing]
        self.model.show_model(inputs.model, inputs.chosen_layer, inputs.further)
        for card, item in ((self.validation, inputs.validation), (self.test, inputs.test)):
            if card.shown is not item or item is None:
                card.show_input(item)
        self._make_poisoned(max(1, len(inputs.poisoned)))
        for number, card in enumerate(self.poisoned):
            item = inputs.poisoned[number] if inputs.poisoned else None
            card.show_input(item, inputs.clean_like(item) if item else None)
        self._add.setVisible(bool(inputs.poisoned))
        self._area.updateGeometry()
        news = [card for card in self.cards if card.refusing and card not in refusing]
        if news:
            in_turns(self, lambda: self._bring_up(news[0]))  # once it has its place

    def _bring_up(self, card: InputCard) -> None:
        if card in self.cards:
            self._area.ensureWidgetVisible(card)

    def _make_poisoned(self, count: int) -> None:
        while len(self.poisoned) > count:
            card = self.poisoned.pop()
            card.hide()
            card.deleteLater()
        while len(self.poisoned) < count:
            card = InputCard("poisoned", _HINTS["poisoned"], self._theme)
            self._connect(card)
            self._column.insertWidget(self._column.indexOf(self._add), card)
            self.poisoned.append(card)
            buttons = [button for one in (self.test, *self.poisoned) for button in one.buttons]
            for first, second in pairwise((*buttons, self._add)):
                QWidget.setTabOrder(first, second)  # else what is made last is reached last

    def _connect(self, card: InputCard) -> None:
        role = card.role

        def before() -> Path | None:
            return card.shown.path if card.shown and role == "poisoned" else None  # of other roles there is one alone

        card.pick_requested.connect(lambda folder: self.pick_requested.emit(role, folder, before()))
        card.dropped.connect(lambda path: self.dropped.emit(role, path, before()))
        card.remove_requested.connect(lambda: self._remove(card))

    def _remove(self, card: InputCard) -> None:
        if card.shown:
            path: Path = card.shown.path
            self.removed.emit(card.role, path)


class _Column(ScrollArea):
    """Scrolls up and down alone, so it is never narrower than what it holds, whatever the size of the letters."""

    def minimumSizeHint(self) -> QSize:
        """Room for the widest button row and the scroll bar."""
        inside, margins = self.widget(), self.viewportMargins()
        assert inside is not None
        least = inside.minimumSizeHint().width() + self.verticalScrollBar().sizeHint().width() + \
            margins.left() + margins.right()
        return QSize(least, super().minimumSizeHint().height())

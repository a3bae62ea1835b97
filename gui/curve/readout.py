"""The figures at the cursor: read off the curve's counts, nothing is run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QRect, Qt, Signal
from PySide6.QtWidgets import QGridLayout, QLabel, QSpinBox, QVBoxLayout, QWidget

from engine.assessment import Attack, Figures, assess, worth_naming
from engine.pruning.sweep import PruningCurve, SetCounts
from engine.pruning.thresholds import drop_percent
from engine.rates import Rate
from engine.reports.curve_figure import Which
from gui.widgets.elided_label import ElidedLabel, PlainLabel
from gui.widgets.texts import as_tip, interval_text, rate_text, unbroken
from gui.widgets.theme import Theme

_COLUMNS = 6

_LONGEST = assess("With 100 channels pruned", Figures(
    clean=Rate(9_900, 11_547), clean_before=Rate(10_000, 11_547), false_alarms=Rate(0, 11_547),
    attacks=(Attack("poisoned", 0, Rate(11_547, 11_547), Rate(100, 11_547), Rate(0, 11_547)),))).sentence

TOOLTIPS = {
    "Drop": "How many percentage points of clean accuracy the pruned network has lost on the validation images.",
    "Clean accuracy": "The share of clean images that are given the right label.",
    "False alarms": "The share of clean images that the GoodNet labels N, although nothing is wrong with them.",
    "Attack success": "Attack success rate: the share of poisoned images that are given the label the attacker wants.",
    "Detection": "The share of poisoned images that the GoodNet labels N, backdoored.",
}
INTERVAL_TIP = "With so many images, the true rate lies between these two with 95 % confidence (Wilson's interval)."


class Readout(QWidget):
    """A card for each figure at one step, and what they mean in a sentence.

    Signals:
        step_entered(int): the person typed a number of channels.
    """

    step_entered = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.step_box = QSpinBox()
        self.step_box.setAccessibleName("Channels pruned at the cursor")
        self.step_box.setToolTip("How many channels the cursor's copy of the network has lost. Type a number, use the "
                                 "arrow keys, or drag the line in the curve.")
        self.step_box.valueChanged.connect(self.step_entered)
        self.sentence, self.counted = _Sentence(), PlainLabel()
        for label in (self.sentence, self.counted):
            label.setWordWrap(True)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.sentence.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._cards: list[Card] = []
        self._muted = ""
        self._steps = Card(self.step_box)
        self._steps.caption.setText("Ch&annels pruned")
        self._steps.caption.setBuddy(self.step_box)
        self._grid = QGridLayout()
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.addWidget(self._steps, 0, 0)
        for column in range(_COLUMNS):
            self._grid.setColumnStretch(column, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._grid)
        layout.addWidget(self.sentence)
        layout.addWidget(self.counted)

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        self._muted = f"color: {theme.muted}"
        self.counted.setStyleSheet(self._muted)
        for card in (self._steps, *self._cards):
            card.mute(self._muted)

    def show_step(self, curve: PruningCurve, step: int, which: Which, plausible: bool | None = True) -> None:
        """Show the figures of a step, of B' or of the GoodNet; false alarms and detection are the pair's.

        Nothing is judged before all is counted and known to be plausible; where it isn't, no success is one.
        """
        self.step_box.blockSignals(True)
        self.step_box.setRange(0, len(curve.order))
        self.step_box.setSuffix(f" of {len(curve.order)}")
        self.step_box.setValue(step)
        self.step_box.blockSignals(False)
        figures = figures_at(curve, step, which)
        if len(figures) != len(self._cards):
            self._lay_out(len(figures))
        for card, figure in zip(self._cards, figures, strict=True):
            card.show_figure(figure)
        name = f"With {step} channel{'' if step == 1 else 's'} pruned"
        judged = assess(name, curve.figures_at(step), changed=step > 0, plausible=plausible is True)
        known = curve.complete and plausible is not None
        self.sentence.setText(unbroken(judged.sentence if known else judged.facts))
        self.counted.setText(counted_text(curve))

    def _lay_out(self, cards: int) -> None:
        for old in self._cards:
            self._grid.removeWidget(old)
            old.deleteLater()
        self._cards = [Card() for _ in range(cards)]
        for place, card in enumerate(self._cards, start=1):
            self._grid.addWidget(card, *divmod(place, _COLUMNS))
            card.mute(self._muted)


class Card(QWidget):
    """A caption, a figure and its interval, one above the other."""

    def __init__(self, field: QWidget | None = None) -> None:
        super().__init__()
        self.caption, self.value, self.interval = PlainLabel(), field or QLabel(), PlainLabel()
        self.of = ElidedLabel(where=Qt.TextElideMode.ElideMiddle)  # parts of one file differ at the end
        self.interval.setToolTip(INTERVAL_TIP)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 4, 0)
        layout.setSpacing(1)
        for part in (self.caption, self.of, self.value, self.interval):
            layout.addWidget(part)
        layout.addStretch()
        self.of.hide()

    def mute(self, style: str) -> None:
        """Colour the small print."""
        for label in (self.caption, self.of, self.interval):
            label.setStyleSheet(style)

    def show_figure(self, figure: CardFigure) -> None:
        """Show one figure."""
        assert isinstance(self.value, QLabel)
        self.caption.setText(figure.caption)
        self.of.show_text(figure.of)
        self.of.setVisible(bool(figure.of))
        self.value.setText(f"<b>{figure.value}</b>")
        self.interval.setText(figure.interval)
        self.setToolTip(as_tip(" ".join(filter(None, (figure.of and f"{figure.of}:", TOOLTIPS[figure.caption])))))
        self.setAccessibleName(" ".join(filter(None, (figure.caption, figure.of, figure.value, figure.interval))))


class _Sentence(PlainLabel):
    """Keeps room for the longest sentence, so that the curve above doesn't jump as the cursor moves."""

    def heightForWidth(self, width: int) -> int:
        """The longest one's height, or the present one's if that is more."""
        room = QRect(0, 0, width, 10_000)
        longest = self.fontMetrics().boundingRect(room, Qt.TextFlag.TextWordWrap, _LONGEST)
        return max(longest.height(), super().heightForWidth(width))


@dataclass(frozen=True)
class CardFigure:
    """What a card shows; `of` names the poisoned set where there are several."""

    caption: str
    value: str
    interval: str = ""
    of: str = ""


def figures_at(curve: PruningCurve, step: int, which: Which) -> list[CardFigure]:
    """The figures at a step: drop, clean accuracy and false alarms, then attack and detection of each poisoned set."""
    def card(caption: str, rate: Rate, of: str = "") -> CardFigure:
        interval = interval_text(rate)
        return CardFigure(caption, rate_text(rate), f"{interval} %" if interval else "", of)

    def accuracy(counts: SetCounts) -> Rate:
        return counts.goodnet_rate(step) if which == "goodnet" else counts.b_prime_rate(step)

    figures = [CardFigure("Drop", f"{drop_percent(curve.validation, step, 'points'):.2f} points"),
               card("Clean accuracy", accuracy(curve.clean)), card("False alarms", curve.clean.flagged_rate(step))]
    for counts in curve.poisoned:
        of = counts.title if worth_naming([c.reconstructed for c in curve.poisoned]) else ""
        figures += [card("Attack success", accuracy(counts), of), card("Detection", counts.flagged_rate(step), of)]
    return figures


def counted_text(curve: PruningCurve) -> str:
    """How many images the figures rest on, and whether more are to come."""
    parts = ", ".join(_amount(role, [c for c in curve.sets if c.role == role])
                      for role in dict.fromkeys(counts.role for counts in curve.sets))
    if curve.provisional:
        return f"Provisional: the pruning order may still change. Counted so far: {parts}."
    done = all(counts.images == counts.total for counts in curve.sets)
    return f"Counted: {parts}." if done else f"Counted so far: {parts}."


def _amount(role: str, sets: Sequence[SetCounts]) -> str:
    images, total = sum(c.images for c in sets), sum(c.total for c in sets)
    of = f" of {total:,}" if images < total else ""
    return f"{images:,}{of} {role} images" + (f" in {len(sets)} sets" if len(sets) > 1 else "")

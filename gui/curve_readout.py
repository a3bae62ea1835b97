"""The figures at the cursor: read off the curve's counts, nothing is run."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QLabel, QSpinBox, QVBoxLayout, QWidget

from engine.assessment import assess
from engine.figures import Which, shortened
from engine.rates import Rate
from engine.sweep import PruningCurve, SetCounts
from engine.thresholds import drop_percent
from gui.rate_text import interval_text, rate_text
from gui.theme import Theme

_COLUMNS = 6

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
        self.sentence, self.counted = QLabel(), QLabel()
        for label in (self.sentence, self.counted):
            label.setWordWrap(True)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.sentence.setMinimumHeight(2 * self.fontMetrics().lineSpacing())
        self.sentence.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._cards: list[Card] = []
        self._muted = ""
        self._steps = Card(self.step_box)
        self._steps.caption.setText("C&hannels pruned")
        self._steps.caption.setBuddy(self.step_box)
        self._grid = QGridLayout()
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.addWidget(self._steps, 0, 0)
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

    def show_step(self, curve: PruningCurve, step: int, which: Which) -> None:
        """Show the figures of a step, of B' or of the GoodNet; false alarms and detection are the pair's."""
        self.step_box.blockSignals(True)
        self.step_box.setRange(0, len(curve.order))
        self.step_box.setSuffix(f" of {len(curve.order)}")
        self.step_box.setValue(step)
        self.step_box.blockSignals(False)
        figures = figures_at(curve, step, which)
        if len(figures) != len(self._cards):
            self._lay_out(len(figures))
        for card, figure in zip(self._cards, figures, strict=True):
            card.show_figure(*figure)
        name = f"With {step} channel{'' if step == 1 else 's'} pruned"
        attack = curve.poisoned[0].goodnet_rate(step) if curve.poisoned else None
        clean = curve.clean.goodnet_rate(step)
        self.sentence.setText(assess(name, clean, curve.clean.b_prime_rate(0), attack).sentence)
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
        self.caption, self.value, self.interval = QLabel(), field or QLabel(), QLabel()
        self.interval.setToolTip(INTERVAL_TIP)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 4, 0)
        layout.setSpacing(1)
        for part in (self.caption, self.value, self.interval):
            layout.addWidget(part)
        layout.addStretch()

    def mute(self, style: str) -> None:
        """Colour the small print."""
        self.caption.setStyleSheet(style)
        self.interval.setStyleSheet(style)

    def show_figure(self, caption: str, value: str, interval: str, tooltip: str) -> None:
        """Show one figure."""
        assert isinstance(self.value, QLabel)
        self.caption.setText(caption)
        self.value.setText(f"<b>{value}</b>")
        self.interval.setText(interval)
        self.setToolTip(tooltip)
        self.setAccessibleName(f"{caption}: {value} {interval}")


def figures_at(curve: PruningCurve, step: int, which: Which) -> list[tuple[str, str, str, str]]:
    """Caption, value, interval and tooltip of each figure at a step."""
    def rate(name: str, of: Rate, suffix: str = "") -> tuple[str, str, str, str]:
        interval = interval_text(of)
        return name + suffix, rate_text(of), f"{interval} %" if interval else "", TOOLTIPS[name]

    def accuracy(counts: SetCounts) -> Rate:
        return counts.goodnet_rate(step) if which == "goodnet" else counts.b_prime_rate(step)

    drop = drop_percent(curve.validation, step, "points")
    figures = [("Drop", f"{drop:.2f} points", "", TOOLTIPS["Drop"]),
               rate("Clean accuracy", accuracy(curve.clean)), rate("False alarms", curve.clean.flagged_rate(step))]
    for counts in curve.poisoned:
        suffix = f", {shortened(counts.name)}" if len(curve.poisoned) > 1 else ""
        figures += [rate("Attack success", accuracy(counts), suffix),
                    rate("Detection", counts.flagged_rate(step), suffix)]
    return figures


def counted_text(curve: PruningCurve) -> str:
    """How many images the figures rest on, and whether more are to come."""
    parts = ", ".join(_amount(counts, len(curve.poisoned) > 1) for counts in curve.sets)
    if curve.provisional:
        return f"Provisional: the pruning order may still change. Counted so far: {parts}."
    done = all(counts.images == counts.total for counts in curve.sets)
    return f"Counted: {parts}." if done else f"Counted so far: {parts}."


def _amount(counts: SetCounts, several_poisoned: bool) -> str:
    of = f" of {counts.total:,}" if counts.images < counts.total else ""
    name = f" ({shortened(counts.name)})" if counts.role == "poisoned" and several_poisoned else ""
    return f"{counts.images:,}{of} {counts.role} images{name}"

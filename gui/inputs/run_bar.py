"""The bottom of the left panel: how to run, Run, how far it is, Cancel, Save."""

from __future__ import annotations

import dataclasses
import time
from contextlib import suppress

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from engine.data.preprocessing import AUTO, choice
from engine.literal import literal
from engine.progress import Progress
from gui.session.session import State
from gui.settings import FEWEST_FALSE_ALARMS, MOST_FALSE_ALARMS, Options
from gui.widgets import resources
from gui.widgets.buttons import PrimaryButton
from gui.widgets.elided_label import PlainLabel
from gui.widgets.texts import as_tip
from gui.widgets.theme import Theme

_ORDER_WIDTH = 190
# Of an option's entry so many are seen however narrow the panel is; longer ones where there is room.
_ENTRY_LETTERS = 16
_RANK_AT = {"conv": "the layer itself", "pool": "the pooling behind it"}
_GUARD = {"transplant": "transplant guard", "margin": "margin guard", "none": "none"}
_PREPROCESSING = {AUTO: "find out on the clean images", "none": "as stored", "255": "divided by 255",
                  "-1..1": "-1 to 1", "imagenet": "ImageNet mean and deviation", "caffe": "blue, green, red minus mean",
                  "standardised": "each image standardised", "x255": "times 255 (of values 0 to 1)"}
_OWN = "own"


class RunBar(QFrame):
    """Renders state, progress and options. Signals: `run_requested()`, `cancel_requested()`, `save_requested()`,
    `order_requested()`, `options_edited(Options)`."""

    run_requested = Signal()
    cancel_requested = Signal()
    save_requested = Signal()
    order_requested = Signal()
    options_edited = Signal(object)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._options = Options()
        self._what, self._since = "", 0.0
        self._refused = ""  # why what was typed isn't what will be run, while nobody was told who then wanted it run
        self.run = PrimaryButton("Ru&n", "play", theme)
        self.run.setToolTip("Rank the channels, prune one after the other and count what each step costs and stops")
        self.cancel = QPushButton("&Cancel")
        self.save = QPushButton("Save a&ll…")
        self.save.setToolTip("Save the run: its numbers, its figure and a GoodNet for each threshold")
        self.status = PlainLabel()
        self.status.setWordWrap(True)
        self.status.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.status.setAccessibleName("What is being done")
        self.bar = QProgressBar()
        self.bar.setAccessibleName("Progress")
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(10)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 8)
        column.addWidget(self._option_toggle())
        column.addWidget(self._option_form())
        column.addWidget(self.status)
        column.addWidget(self.bar)
        buttons = QHBoxLayout()
        buttons.addWidget(self.run, 1)
        buttons.addWidget(self.cancel, 1)
        buttons.addWidget(self.save)
        column.addLayout(buttons)
        self.run.clicked.connect(self.run_requested)
        self.cancel.clicked.connect(self.cancel_requested)
        self.save.clicked.connect(self.save_requested)
        self.set_theme(theme)
        self.show_state(State.EMPTY, False)

    def set_theme(self, theme: Theme) -> None:
        """Draw icons as the theme has them."""
        self.run.set_theme(theme)
        self.cancel.setIcon(resources.icon("stop", theme))
        self.save.setIcon(resources.icon("save", theme))
        self._toggle.setIcon(resources.icon("table", theme))
        self._clear_order.setIcon(resources.icon("close", theme))

    def show_state(self, state: State, has_run: bool, failure: str = "", seconds: float = 0.0,
                   ready: bool = False, missing: str = "") -> None:
        """Render what the session is doing.

        Args:
            has_run: a finished run is there to save.
            failure: what went wrong, when the state is FAILED.
            seconds: how long the finished run took.
            ready: a run can start.
            missing: what keeps a run from starting, or from ending well, when it is ready.
        """
        busy = state.busy
        self.run.setVisible(not busy)
        self.run.setEnabled(ready and not busy)
        self.cancel.setVisible(busy)
        self.cancel.setEnabled(state is not State.CANCELLING)
        self.save.setEnabled(has_run and not busy)
        self.bar.setVisible(busy)
        if busy:
            self.bar.setRange(0, 0)
            self._what = ""
        self.status.setText({
            State.EMPTY: missing,
            State.READY: missing or "Ready: Run prunes, Examine (F6) looks for a backdoor, Defend (F9) does all.",
            State.LOADING_ENGINE: "Loading the engine (TensorFlow); this takes a few seconds, once…",
            State.RUNNING: "Starting…",
            State.CANCELLING: "Cancelling…",
            State.DONE: f"Done in {seconds:.1f} s. Save all keeps what the run found in a folder."
                        + ("" if ready else f" {missing}"),
            State.FAILED: f"The run failed: {failure}",
        }[state])

    def refuses(self, button: str, how: str = "run with that") -> str:
        """What is said where what was typed last can't be run; empty where it can, and the next time, as what was
        there before is back.

        Args:
            button: what was pressed to run it.
            how: what it does when it is pressed again.
        """
        refused, self._refused = self._refused, ""
        said = f"{refused}; press {button} again to {how}." if refused else ""
        if said:
            self.status.setText(said)
        return said

    def show_models(self, count: int) -> None:
        """Say on the button how many models it runs."""
        self.run.setText("Ru&n" if count < 2 else f"Ru&n {count} models")

    def show_progress(self, report: Progress) -> None:
        """Show what is being done, how far it is and how long it will still take."""
        now = time.monotonic()
        if report.what != self._what:
            self._what, self._since = report.what, now
        self.bar.setRange(0, max(0, report.total) if report.total > 1 else 0)
        self.bar.setValue(report.done)
        amount = f": {report.done:,} of {report.total:,}" if report.total > 1 else "…"
        self.status.setText(f"{report.what}{amount}{time_left(now - self._since, report)}")

    def show_options(self, options: Options) -> None:
        """Render the options."""
        if options.scale != self._options.scale:
            self._refused = ""
        self._options = options
        for box, value in ((self._rank_at, options.rank_at), (self._guard, options.guard)):
            box.setCurrentIndex(box.findData(value))
        own = options.scale not in _PREPROCESSING
        self._preprocessing.setCurrentIndex(self._preprocessing.findData(_OWN if own else options.scale))
        with QSignalBlocker(self._own):  # hidden while somebody types in it, it loses the focus, and that is no edit
            self._own.setVisible(own)
        if own:
            self._own.setText(options.scale)
        with QSignalBlocker(self._false_alarms):
            # Options of a project or a run may be finer and go farther than what is usual here.
            rate = 100 * options.false_alarms
            self._false_alarms.setDecimals(max(1, len(f"{rate:.6f}".rstrip("0").partition(".")[2])))
            self._false_alarms.setRange(min(100 * FEWEST_FALSE_ALARMS, rate), max(100 * MOST_FALSE_ALARMS, rate))
            self._false_alarms.setValue(rate)
        self._false_alarms.setEnabled(options.guard != "none")
        self._cluster.setText(options.cluster)
        name = options.order.name.replace("&", "&&") if options.order else "Ranked on the clean images"
        self._order.setText(self.fontMetrics().elidedText(literal(name), Qt.TextElideMode.ElideRight, _ORDER_WIDTH))
        self._order.setToolTip(as_tip(str(options.order or "Choose a file to prune in its order instead")))
        self._clear_order.setVisible(options.order is not None)
        self._rank_at.setEnabled(options.order is None)

    def _option_toggle(self) -> QWidget:
        self._toggle = QToolButton()
        self._toggle.setText("Run &options")
        self._toggle.setCheckable(True)
        self._toggle.setAutoRaise(True)
        self._toggle.setToolButtonStyle(self._toggle.toolButtonStyle().ToolButtonTextBesideIcon)
        self._toggle.toggled.connect(lambda on: self._form.setVisible(on))
        return self._toggle

    def _option_form(self) -> QWidget:
        self._form = QWidget()
        form = QFormLayout(self._form)
        form.setContentsMargins(4, 0, 0, 4)
        self._rank_at = _combo(_RANK_AT, "Where mean activation is measured: channels with the lowest go first")
        self._rank_at.activated.connect(lambda: self._edit(rank_at=self._rank_at.currentData()))
        self._order = QPushButton()
        self._order.setAccessibleName("Pruning order")
        self._order.clicked.connect(self.order_requested)
        self._clear_order = QToolButton()
        self._clear_order.setAccessibleName("Rank instead of using the file")
        self._clear_order.setToolTip("Rank instead of using the file")
        self._clear_order.clicked.connect(lambda: self._edit(order=None))
        order = QHBoxLayout()
        order.addWidget(self._order, 1)
        order.addWidget(self._clear_order)
        self._add_guard(form)
        form.addRow("Rank at", self._rank_at)
        form.addRow("Pruning order", order)
        self._add_preprocessing(form)
        self._cluster = QLineEdit()
        self._cluster.setPlaceholderText("this machine")
        self._cluster.setToolTip("The address of a Dask scheduler, such as tcp://server:8786, whose workers count. "
                                 "They must reach the files under the same names")
        self._cluster.editingFinished.connect(lambda: self._edit(cluster=self._cluster.text().strip()))
        form.addRow("Count on", self._cluster)
        self._form.hide()
        return self._form

    def _add_preprocessing(self, form: QFormLayout) -> None:
        self._preprocessing = _combo(
            {**_PREPROCESSING, _OWN: "own mean and deviation…"},
            "How stored values are fed to the network. Unless you know it, let it be found out: every way is tried on "
            "the clean images")
        self._preprocessing.activated.connect(self._on_preprocessing)
        self._own = QLineEdit()
        self._own.setAccessibleName("Own mean and deviation")
        self._own.setToolTip("One number a colour, or one for all. Numbers that are all at most 1 are meant for values "
                             "0 to 1, as PyTorch writes them, larger ones for values 0 to 255. Or bgr 255: blue "
                             "first, then divided by 255")
        self._own.editingFinished.connect(self._on_own)
        form.addRow("Values", self._preprocessing)
        form.addRow(self._own)

    def _on_preprocessing(self) -> None:
        chosen = self._preprocessing.currentData()
        self._own.setVisible(chosen == _OWN)
        if chosen == _OWN:
            self._own.setText(self._own_numbers())
            self._own.setFocus()
            self._own.selectAll()
        self._edit(scale=self._own.text() if chosen == _OWN else chosen)

    def _own_numbers(self) -> str:
        """Those that were typed before, if they are such numbers; else some to begin with."""
        with suppress(ValueError):
            if (typed := choice(self._own.text())) not in _PREPROCESSING:
                return typed
        return "mean=0.5,0.5,0.5 std=0.5,0.5,0.5"

    def _on_own(self) -> None:
        try:
            self._edit(scale=choice(self._own.text()))
        except ValueError as error:
            self._own.setText(self._options.scale)
            self.status.setText(f"{error}.")
            self._refused = f"{error}. {self._options.scale} is back in its place"

    def _add_guard(self, form: QFormLayout) -> None:
        self._guard = _combo(_GUARD, "What stands before the networks and flags backdoored images. The transplant "
                             "guard puts parts of an image into clean ones; the margin guard looks how far ahead B's "
                             "answer is")
        self._guard.activated.connect(lambda: self._edit(guard=self._guard.currentData()))
        self._false_alarms = QDoubleSpinBox()
        self._false_alarms.setSingleStep(0.5)
        self._false_alarms.setSuffix(" %")
        self._false_alarms.setKeyboardTracking(False)
        self._false_alarms.setToolTip("How many clean images the guard may flag; for fewer it needs more clean images")
        self._false_alarms.valueChanged.connect(lambda value: self._edit(false_alarms=round(value / 100, 6)))
        form.addRow("Guard", self._guard)
        form.addRow("False alarms", self._false_alarms)

    def _edit(self, **changes: object) -> None:
        self._refused = ""
        self.options_edited.emit(dataclasses.replace(self._options, **changes))  # type: ignore[arg-type]


def time_left(elapsed: float, report: Progress) -> str:
    """How long a stage still takes, in words, at the speed so far; empty while that can't be told.

    Args:
        elapsed: seconds since the stage's first report.
    """
    if elapsed < 1 or not 0 < report.done < report.total:
        return ""
    seconds = elapsed * (report.total - report.done) / report.done
    if seconds < 90:
        return f" · about {max(1, round(seconds))} s left"
    return f" · about {round(seconds / 60)} min left"


def _combo(entries: dict[str, str], tip: str) -> QComboBox:
    box = QComboBox()
    for data, text in entries.items():
        box.addItem(text, data)
    box.setToolTip(tip)
    box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(_ENTRY_LETTERS)
    return box

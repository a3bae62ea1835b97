"""The curve on screen shows the counts, and the cursor reads them off."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QAction, QGuiApplication, QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QApplication, QFileDialog, QMessageBox
from pytestqt.qtbot import QtBot

from engine.reports.figures.curve import printed_figure
from gui.curve.canvas import CurveCanvas
from gui.curve.view import CurveView
from gui.widgets.theme import DARK, LIGHT
from tests.support.curves import (
    ATTACK_AGREEING,
    ATTACK_B_PRIME,
    CHANNELS,
    CLEAN_AGREEING,
    CLEAN_B_PRIME,
    CLEAN_GOODNET,
    counts,
    curve,
    rows,
)
from tests.support.places import PROJECT


@pytest.fixture
def view(qtbot: QtBot) -> CurveView:
    """A view with a curve and the cursor at 0, drawn."""
    made = CurveView(LIGHT)
    qtbot.addWidget(made)
    made.resize(640, 560)
    of = curve()
    made.show_curve(of, rows(of, 2, 4, 10, 30))
    made.set_step(0)
    made.show()
    qtbot.waitUntil(lambda: made.panel.canvas._background is not None)
    painted(qtbot, made.panel.canvas)
    return made


PREPARED = """
import gc
from gui.curve import plotting
runs = []
gc.callbacks.append(lambda phase, of: runs.append(of["generation"]))
del runs[:]
plotting.load_plotting(None)
print(max(runs, default=0) < 2, gc.isenabled(), gc.get_freeze_count() > 50_000)
"""


def test_matplotlib_is_loaded_without_looking_through_everything_for_garbage() -> None:
    done = subprocess.run([sys.executable, "-c", PREPARED], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"] * 3


def painted(qtbot: QtBot, canvas: CurveCanvas) -> None:
    """Wait until all is drawn that changed."""
    qtbot.waitUntil(lambda: not canvas._due)


def position_of(canvas: CurveCanvas, step: int) -> QPointF:
    """The point of the widget at a step, half way up the axes."""
    axes, = canvas.figure.axes
    box, ratio = axes.get_window_extent(), canvas.device_pixel_ratio
    x, _ = axes.transData.transform((step, 0))
    return QPointF(x / ratio, (canvas.figure.bbox.height - (box.y0 + box.y1) / 2) / ratio)


def mouse(canvas: CurveCanvas, kind: QEvent.Type, at: QPointF, button: Qt.MouseButton = Qt.MouseButton.LeftButton,
          keys: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
    event = QMouseEvent(kind, at, canvas.mapToGlobal(at), button, button, keys)
    QApplication.sendEvent(canvas, event)


def turn_wheel(canvas: CurveCanvas, at: QPointF, turns: int) -> None:
    event = QWheelEvent(at, canvas.mapToGlobal(at), QPoint(), QPoint(0, 120 * turns), Qt.MouseButton.NoButton,
                        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False)
    QApplication.sendEvent(canvas, event)


def wilson(count: int, total: int) -> tuple[float, float]:
    """The proportions whose distance from count / total is 1.96 standard errors: roots of a quadratic."""
    p, z2 = count / total, 1.959963984540054**2 / total
    a, b, c = 1 + z2, -(2 * p + z2), p * p
    root = math.sqrt(max(0.0, b * b - 4 * a * c))
    return (-b - root) / (2 * a), (-b + root) / (2 * a)


def figures(view: CurveView) -> dict[str, tuple[str, str]]:
    """Value and interval of each card by caption and set."""
    return {" ".join(filter(None, (card.caption.text(), card.of.text()))):
            (card.value.text().removeprefix("<b>").removesuffix("</b>"), card.interval.text())
            for card in view.panel.readout._cards}


def action(view: CurveView, begins: str) -> QAction:
    """The panel's menu entry with this text."""
    return next(a for a in view.panel.findChildren(QAction) if a.text().startswith(begins))


def test_empty_state_says_what_to_do(qtbot: QtBot) -> None:
    view = CurveView(LIGHT)
    qtbot.addWidget(view)
    view.show_curve(None, [])
    assert "Choose a model" in view.empty.text() and view._stack.currentWidget() is view.empty
    view.show_next(True, False)
    assert "Choose" not in view.empty.text() and "press Run" in view.empty.text()
    view.show_next(True, True)
    assert "press Run" not in view.empty.text()
    view.set_step(3)
    assert view.step == 0
    view.show_curve(curve(), [])
    qtbot.waitUntil(lambda: view._stack.currentWidget() is view.panel)
    view.show_curve(None, [])
    assert view._stack.currentWidget() is view.empty


def test_lines_and_bands_are_the_counts(view: CurveView) -> None:
    drawing = view.panel.canvas._drawing
    for line, band, numbers, total in ((drawing.lines[0], drawing.bands[0], CLEAN_GOODNET, 200),
                                       (drawing.lines[1], drawing.bands[1], ATTACK_B_PRIME, 50)):
        assert line.get_xdata().tolist() == list(range(CHANNELS + 1))
        np.testing.assert_allclose(line.get_ydata(), [100 * n / total for n in numbers])
        corners = band.get_paths()[0].vertices
        for step, n in enumerate(numbers):
            low, high = wilson(n, total)
            heights = corners[corners[:, 0] == step][:, 1]
            assert heights.min() == pytest.approx(100 * low, abs=1e-9)
            assert heights.max() == pytest.approx(100 * high, abs=1e-9)


def test_switches_show_b_prime_and_the_fraction(view: CurveView) -> None:
    view.panel.which_box.setCurrentIndex(1)
    view.panel.by_box.setCurrentIndex(1)
    drawing = view.panel.canvas._drawing
    np.testing.assert_allclose(drawing.lines[0].get_xdata(), [k / CHANNELS for k in range(CHANNELS + 1)])
    np.testing.assert_allclose(drawing.lines[0].get_ydata(), [n / 2 for n in CLEAN_B_PRIME])
    assert "Fraction" in drawing.axes.get_xlabel()
    assert drawing.lines[0].get_label() == "Clean accuracy of B'"
    view.set_step(4)
    assert figures(view)["Clean accuracy"][0] == f"{CLEAN_B_PRIME[4] / 2:.2f} %"


@pytest.mark.parametrize("step", range(CHANNELS + 1))
def test_the_cursor_reads_the_counts_off(view: CurveView, step: int) -> None:
    view.set_step(step)
    low, high = wilson(CLEAN_GOODNET[step], 200)
    shown = figures(view)
    assert shown["Drop"][0] == f"{(190 - CLEAN_B_PRIME[step]) / 2:.2f} points"
    assert shown["Clean accuracy"] == (f"{CLEAN_GOODNET[step] / 2:.2f} %", f"{100 * low:.1f}–{100 * high:.1f} %")
    assert shown["False alarms"][0] == f"{(200 - CLEAN_AGREEING[step]) / 2:.2f} %"
    assert shown["Attack success"][0] == f"{2 * ATTACK_B_PRIME[step]:.2f} %"
    assert shown["Detection"][0] == f"{2 * (50 - ATTACK_AGREEING[step]):.2f} %"
    assert view.panel.readout.sentence.text().startswith(f"With {step} channel{'' if step == 1 else 's'} pruned")
    assert view.panel.readout.step_box.value() == step
    assert view.panel.canvas._cursor[0].get_xdata()[0] == step


def test_dragging_moves_the_cursor(view: CurveView, qtbot: QtBot) -> None:
    canvas = view.panel.canvas
    with qtbot.waitSignal(view.step_changed) as pressed:
        mouse(canvas, QEvent.Type.MouseButtonPress, position_of(canvas, 3))
    assert pressed.args == [3]
    for step, away in ((5, 9.0), (2, -9.0), (CHANNELS, 500.0)):
        with qtbot.waitSignal(view.step_changed) as moved:
            mouse(canvas, QEvent.Type.MouseMove, position_of(canvas, step) + QPointF(away, 0))
        assert moved.args == [step] and view.step == step
    mouse(canvas, QEvent.Type.MouseButtonRelease, position_of(canvas, 5))
    assert view.step == CHANNELS


def test_the_cursor_is_drawn_where_it_is(view: CurveView, qtbot: QtBot) -> None:
    canvas = view.panel.canvas
    view.set_step(4)
    painted(qtbot, canvas)
    for step, drawn in ((4, True), (2, False)):
        at = position_of(canvas, step).toPoint()
        image = canvas.grab(canvas.rect()).toImage()
        column = {image.pixelColor(at.x() + dx, at.y() + 31).lightness() < 60 for dx in (-1, 0, 1)}
        assert (True in column) == drawn, step


def test_keys_move_the_cursor(view: CurveView, qtbot: QtBot) -> None:
    canvas, key = view.panel.canvas, Qt.Key
    for pressed, step in ((key.Key_Right, 1), (key.Key_Right, 2), (key.Key_Left, 1), (key.Key_Left, 0),
                          (key.Key_Left, 0), (key.Key_PageUp, 5), (key.Key_End, CHANNELS), (key.Key_Right, CHANNELS),
                          (key.Key_PageDown, CHANNELS - 5), (key.Key_Home, 0)):
        qtbot.keyClick(canvas, pressed)
        assert view.step == step
    view.panel.readout.step_box.setValue(6)
    assert view.step == 6


def test_a_programme_moves_the_cursor_within_bounds(view: CurveView, qtbot: QtBot) -> None:
    view.set_step(99)
    assert view.step == CHANNELS
    view.set_step(-1)
    assert view.step == 0
    with qtbot.assertNotEmitted(view.step_changed):
        view.set_step(0)


def test_thresholds_stand_above_their_steps(view: CurveView, qtbot: QtBot) -> None:
    drawing = view.panel.canvas._drawing
    # 2 points are 4 images: 186 right after 2 steps; 4 points 182 after 3; 10 points 170 and 30 points 130.
    assert [label.get_text() for label in drawing._mark_labels] == ["X = 2", "X = 4", "X = 10", "X = 30"]
    xs = drawing._marks.get_xdata()
    np.testing.assert_allclose([xs[0], xs[4], xs[8], xs[12]], [k / CHANNELS for k in (2, 3, 5, 6)])
    boxes = [label.get_window_extent() for label in drawing._mark_labels]
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))
    of = curve()
    view.show_curve(of, rows(of, 3, 4))
    painted(qtbot, view.panel.canvas)
    assert [t.get_text() for t in drawing._mark_labels if t.get_visible()] == ["X = 3, 4"]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 0.12)), min_size=1, max_size=8))
def test_labels_never_overlap(labels: list[tuple[float, float]]) -> None:
    from engine.reports.figures.curve import spread
    labels.sort()
    centres, widths = [c for c, _ in labels], [w for _, w in labels]
    places = spread(centres, widths, 0.0, 1.0)
    for i in range(1, len(places)):
        assert places[i] - places[i - 1] >= (widths[i] + widths[i - 1]) / 2 - 1e-9
    assert places[0] - widths[0] / 2 >= -1e-9 and places[-1] + widths[-1] / 2 <= 1 + 1e-9


def test_labels_with_room_stay_where_they_are() -> None:
    from engine.reports.figures.curve import spread
    assert spread([0.2, 0.5, 0.8], [0.1, 0.1, 0.1], 0, 1) == pytest.approx([0.2, 0.5, 0.8])
    assert spread([0.5, 0.5], [0.1, 0.3], 0, 1) == pytest.approx([0.4, 0.6])
    assert spread([], [], 0, 1) == []


def test_a_live_curve_keeps_its_artists(view: CurveView, qtbot: QtBot) -> None:
    canvas = view.panel.canvas
    drawing, before = canvas._drawing, canvas.grab().toImage()
    of = curve()
    later = dataclasses.replace(of, validation=dataclasses.replace(of.validation, goodnet_correct=np.arange(9) * 20))
    view.show_curve(later, rows(of, 2, 4, 10, 30))
    assert canvas._drawing is drawing
    np.testing.assert_allclose(drawing.lines[0].get_ydata(), np.arange(9) * 10)
    painted(qtbot, canvas)
    assert canvas.grab().toImage() != before
    view.show_curve(curve(sets=3), [])
    assert canvas._drawing is not drawing and len(canvas._drawing.lines) == 4


def test_what_comes_together_is_drawn_once(view: CurveView, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    assert view.panel is not None
    canvas, steps = view.panel.canvas, []
    painted(qtbot, canvas)
    real = canvas.restore_region
    monkeypatch.setattr(canvas, "restore_region", lambda *of: (steps.append(canvas._step), real(*of)))
    view.show_curve(curve(sets=1), [])
    view.set_step(2)
    view.set_step(5)
    assert steps == [], "each is a turn of its own"
    painted(qtbot, canvas)
    assert steps == [5] and canvas.updatesEnabled()


def test_several_poisoned_sets_are_told_apart(view: CurveView) -> None:
    view.show_curve(curve(sets=3), [])
    view.set_step(4)
    shown = figures(view)
    for name in ("sunglasses", "a_rather_long_name_of_a_poisoned_data_set", "moustache"):
        assert shown[f"Attack success {name}"][0] == "80.00 %"
    lines = view.panel.canvas._drawing.lines
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 4
    assert view.minimumSizeHint().width() <= 640


def test_says_what_was_counted(view: CurveView) -> None:
    assert view.panel.readout.counted.text() == "Counted: 200 validation images, 50 poisoned images."
    view.show_curve(curve(provisional=True, total=11547), [])
    text = view.panel.readout.counted.text()
    assert text.startswith("Provisional") and "200 of 11,547 validation images" in text
    view.show_curve(curve(total=11547), [])
    assert view.panel.readout.counted.text().startswith("Counted so far: 200 of 11,547")


def test_zoom_pan_and_reset(view: CurveView, qtbot: QtBot) -> None:
    canvas = view.panel.canvas
    whole = canvas.limits
    at = position_of(canvas, 4)
    for step in (4, 5):
        under_mouse = position_of(canvas, step)
        turn_wheel(canvas, under_mouse, 1)
        assert position_of(canvas, step).x() == pytest.approx(under_mouse.x(), abs=0.5)
    (left, right), _ = canvas.limits
    assert right - left == pytest.approx(CHANNELS / 1.25**2)
    at = position_of(canvas, 4)
    mouse(canvas, QEvent.Type.MouseButtonPress, at, keys=Qt.KeyboardModifier.ShiftModifier)
    mouse(canvas, QEvent.Type.MouseMove, at + QPointF(20, 0), keys=Qt.KeyboardModifier.ShiftModifier)
    mouse(canvas, QEvent.Type.MouseButtonRelease, at)
    assert position_of(canvas, 4).x() == pytest.approx(at.x() + 20, abs=0.5)
    assert view.step == 0
    mouse(canvas, QEvent.Type.MouseButtonPress, at, Qt.MouseButton.MiddleButton)
    mouse(canvas, QEvent.Type.MouseMove, at + QPointF(5000, 5000), Qt.MouseButton.MiddleButton)
    mouse(canvas, QEvent.Type.MouseButtonRelease, at)
    assert canvas.limits[0][0] == whole[0][0] and canvas.limits[1][1] == pytest.approx(whole[1][1])
    qtbot.keyClick(canvas, Qt.Key.Key_0)
    assert canvas.limits == whole
    turn_wheel(canvas, at, 50)
    assert canvas.limits[0][1] - canvas.limits[0][0] == pytest.approx(CHANNELS / 40)
    turn_wheel(canvas, at, -50)
    assert canvas.limits == whole


def test_theme_changes_colours_and_keeps_the_view(view: CurveView) -> None:
    view.panel.canvas.zoom_in()
    limits = view.panel.canvas.limits
    view.set_theme(DARK)
    drawing = view.panel.canvas._drawing
    assert view.panel.canvas.limits == limits
    assert drawing.lines[0].get_color() == DARK.clean
    assert view.panel.canvas.figure.get_facecolor()[:3] == pytest.approx(
        [int(DARK.surface[i:i + 2], 16) / 255 for i in (1, 3, 5)])


@pytest.mark.parametrize(("ending", "begins"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".PDF", b"%PDF")])
def test_saves_the_figure(view: CurveView, tmp_path: Path, qtbot: QtBot, ending: str, begins: bytes) -> None:
    target = tmp_path / f"out{ending}"
    with qtbot.waitSignal(view.message) as said:
        view.panel.export.save_figure_to(target)
    assert target.read_bytes().startswith(begins)
    assert str(target) in said.args[0]
    assert list(tmp_path.iterdir()) == [target]


def test_saves_the_numbers(view: CurveView, tmp_path: Path) -> None:
    target = tmp_path / "curve.csv"
    view.panel.export.save_numbers_to(target)
    with target.open(newline="", encoding="utf-8") as stream:
        table = list(csv.DictReader(stream))
    assert [float(row["validation_goodnet_accuracy"]) for row in table] == [n / 200 for n in CLEAN_GOODNET]
    assert [float(row["poisoned_1_b_prime_asr"]) for row in table] == [n / 50 for n in ATTACK_B_PRIME]


def test_a_save_that_fails_is_said_in_words(view: CurveView, tmp_path: Path, qtbot: QtBot) -> None:
    (tmp_path / "file").write_text("in the way")
    target = tmp_path / "file" / "curve.png"
    with qtbot.waitSignal(view.message) as said:
        view.panel.export.save_figure_to(target)
    assert str(target) in said.args[0] and "can't be written" in said.args[0]


@pytest.mark.parametrize(("typed", "kind", "saved"), [
    ("figure", "SVG drawing (*.svg)", "figure.svg"), ("v1.2", "PDF document (*.pdf)", "v1.2.pdf"),
    ("figure.png", "PDF document (*.pdf)", "figure.png"),
])
def test_the_dialogs_choice_ends_the_name(view: CurveView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                          typed: str, kind: str, saved: str) -> None:
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / typed), kind))
    action(view, "Save &figure").trigger()
    assert [path.name for path in tmp_path.iterdir()] == [saved]


@pytest.mark.parametrize("typed", ["numbers", "numbers.csv", "numbers.CSV"])
def test_no_file_is_replaced_without_a_question_about_its_very_name(
    view: CurveView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str,
) -> None:
    there = tmp_path / (typed if "." in typed else f"{typed}.csv")
    there.write_text("mine")
    asked: list[str] = []
    answers = [QMessageBox.StandardButton.Cancel, QMessageBox.StandardButton.Yes]
    monkeypatch.setattr(QMessageBox, "question", lambda *words: asked.append(words[2]) or answers[len(asked) - 1])
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / typed), ""))
    for mine in (True, False):
        action(view, "Save &numbers").trigger()
        assert (there.read_text() == "mine") is mine
    assert len(asked) == 2 and all(f"already holds {there.name}." in text for text in asked)
    assert list(tmp_path.iterdir()) == [there]


def test_the_dialog_for_numbers_and_a_cancelled_one(view: CurveView, tmp_path: Path,
                                                    monkeypatch: pytest.MonkeyPatch, qtbot: QtBot) -> None:
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "numbers"), ""))
    action(view, "Save &numbers").trigger()
    assert [path.name for path in tmp_path.iterdir()] == ["numbers.csv"]
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: ("", ""))
    with qtbot.assertNotEmitted(view.message):
        action(view, "Save &numbers").trigger()
        action(view, "Save &figure").trigger()


def test_the_cursor_shows_who_has_the_keyboard(view: CurveView, qtbot: QtBot) -> None:
    canvas = view.panel.canvas
    view.panel.which_box.setFocus()
    with qtbot.waitActive(view):
        view.activateWindow()
    thin = canvas._cursor[0].get_linewidth()
    canvas.setFocus()
    qtbot.waitUntil(lambda: canvas._cursor[0].get_linewidth() > thin)


def test_copies_the_figure(view: CurveView, qtbot: QtBot) -> None:
    QGuiApplication.clipboard().clear()
    with qtbot.waitSignal(view.message):
        view.panel.export.copy()
    image = QGuiApplication.clipboard().image()
    assert (image.width(), image.height()) == (1200, 720)
    assert image.pixelColor(2, 2).name() == "#ffffff"


def test_the_view_loads_no_matplotlib_before_there_is_a_curve() -> None:
    code = "import sys, gui.curve.view; print('matplotlib' in sys.modules, 'tensorflow' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["False", "False"]


def ticks(view: CurveView) -> list[float]:
    """The ticks of the x axis that are in view."""
    axes = view.panel.canvas._drawing.axes
    low, high = axes.get_xlim()
    return [float(tick) for tick in axes.get_xticks() if low <= tick <= high]


def test_ticks_are_whole_channels_however_near(view: CurveView) -> None:
    view.set_step(3)
    for _ in range(12):
        assert all(tick == int(tick) for tick in ticks(view)), ticks(view)
        assert ticks(view)
        view.panel.canvas.zoom_in()
    view.panel.by_box.setCurrentIndex(1)
    assert any(tick != int(tick) for tick in ticks(view))


def test_zooming_in_stays_on_the_data(view: CurveView) -> None:
    """The buttons and keys zoom to where lines are, not to the middle of an empty space."""
    canvas = view.panel.canvas
    for step in (0, 2, CHANNELS):
        canvas.reset_view()
        view.set_step(step)
        for _ in range(10):
            canvas.zoom_in()
            (left, right), (bottom, top) = canvas.limits
            assert left <= step <= right
            heights = [float(line.get_ydata()[step]) for line in canvas._drawing.lines]
            assert any(bottom <= height <= top for height in heights)


def test_zooming_brings_the_cursor_back_into_view(view: CurveView) -> None:
    canvas = view.panel.canvas
    view.set_step(0)
    for _ in range(8):
        canvas.zoom_in()
    view.set_step(CHANNELS)
    canvas.zoom_in()
    assert canvas.limits[0][0] <= CHANNELS <= canvas.limits[0][1]


def test_the_legend_makes_way_for_a_curve_that_is_low_from_the_start() -> None:
    """A harmless set's curve runs where the legend of others stands."""
    high = printed_figure(curve(), []).axes[0].get_legend()
    none = counts("harmless", "poisoned", 50, [0] * 9, [50] * 9, [0] * 9)
    both = dataclasses.replace(curve(), poisoned=(none, *curve().poisoned))
    figure = printed_figure(both, [])
    figure.canvas.draw()
    legend, axes = figure.axes[0].get_legend(), figure.axes[0]
    assert high is not None and legend is not None
    at_zero = axes.transData.transform((0.0, 0.0))[1]
    assert legend.get_window_extent().y0 > at_zero + 5
    assert len(legend.get_texts()) == 3

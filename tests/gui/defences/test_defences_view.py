"""The comparison in the window and in files shows the engine's counts; warnings stay."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from engine.defences.comparison import Comparison
from engine.rates import Rate
from engine.reports.curve_figure import save_drawing
from engine.reports.defence_figure import clustered, draw_comparison, printed_comparison
from gui.defences.model import COLUMNS, DefencesModel
from gui.defences.view import DefencesView
from gui.widgets.theme import DARK, LIGHT
from tests.support.comparisons import comparison, row
from tests.support.places import PROJECT


@pytest.fixture
def view(qtbot: QtBot) -> DefencesView:
    made = DefencesView(LIGHT)
    qtbot.addWidget(made)
    made.resize(640, 600)
    made.set_ready(True)
    made.show_comparison(comparison())
    made.show()
    return made


def drawn(of: Comparison, guard: str = "transplant", size: tuple[float, float] = (8, 4.4)) -> Axes:
    figure = Figure(figsize=size)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.1, 0.1, 0.8, 0.8))
    draw_comparison(axes, of, guard=guard)
    return axes


def marks(axes: Axes) -> set[tuple[float, float, str]]:
    """Attack success and clean accuracy in per cent, and the shape, of every mark."""
    return {(round(float(x), 9), round(float(y), 9), str(line.get_marker()))
            for line in axes.lines for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)}


def numbers(axes: Axes) -> list[Annotation]:
    return [text for text in axes.texts if isinstance(text, Annotation) and text.get_text()[0].isdigit()]


# The figure

def test_every_defence_is_marked_plain_and_behind_the_guard() -> None:
    # Of 80 images each: B 76 right and 80 attacked, behind the guard 75 and 0, and so on.
    plain = {(100, 95, "o"), (11.25, 38.75, "o"), (12.5, 91.25, "o")}
    assert marks(drawn(comparison())) == plain | {(0, 93.75, "^"), (0, 37.5, "^"), (0, 90, "^")}
    assert marks(drawn(comparison(), "margin")) == plain | {(45, 92.5, "s"), (5, 37.5, "s"), (10, 90, "s")}
    assert marks(drawn(comparison(), "none")) == plain


def test_the_legend_explains_shapes_and_numbers() -> None:
    axes = drawn(comparison())
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [
        "without a guard", "behind the transplant guard", "1  B", "2  pruned, X = 30", "3  repaired"]
    assert legend.get_title().get_text() == "80 clean images,\n80 poisoned images"
    inside = axes.figure.bbox
    box = legend.get_window_extent()
    assert box.x1 <= inside.x1 + 1
    two = [dataclasses.replace(row, attacks=(*row.attacks, dataclasses.replace(
        row.attacks[0], name="scarf", success=Rate(0, 900)))) for row in comparison().rows]
    title = drawn(Comparison(tuple(two))).get_legend().get_title().get_text()
    assert title == "80 clean images,\n980 poisoned images in 2 sets,\neach mark is of its worst"
    assert box.x0 >= axes.get_window_extent().x1 - 1


def test_the_legend_of_many_defences_fits_a_low_figure() -> None:
    names = ["B", *(f"a defence of number {number}" for number in range(9))]
    axes = drawn(Comparison(tuple(row(name, "none", 70, 5) for name in names), ""), size=(8, 2.3))
    legend = axes.get_legend()
    assert legend is not None and legend.get_texts()[-1].get_text() == "10  a defence of number 8"
    box, inside = legend.get_window_extent(), axes.figure.bbox
    assert inside.y0 <= box.y0 and box.y1 <= inside.y1
    assert legend.get_texts()[0].get_fontsize() >= 6


def test_the_good_corner_is_where_a_defence_is_called_a_repair() -> None:
    axes = drawn(comparison())
    corner, = (patch for patch in axes.patches if isinstance(patch, Rectangle))
    assert corner.get_x() + corner.get_width() == pytest.approx(5)
    assert corner.get_y() == pytest.approx(95 - 5)
    assert any("the good corner: attack at most 5 %" in text.get_text() for text in axes.texts)


@pytest.mark.parametrize("size", [(8, 4.4), (6, 2.4), (11, 7)])
@pytest.mark.parametrize("right", [(76, 75, 74, 73, 72, 71, 70, 69), (76, 76, 76, 76, 76, 76, 76, 73)])
def test_numbers_stand_apart_and_in_the_figure(size: tuple[float, float], right: tuple[int, ...]) -> None:
    many = Comparison(tuple(row(f"defence {i}", guard, right[i], 0 if guard == "transplant" else 80 - i)
                            for i in range(8) for guard in ("none", "transplant")))
    axes = drawn(many, size=size)
    axes.figure.canvas.draw()
    found = numbers(axes)
    # Every mark's number is there once a shape, whether alone or in a list.
    assert sorted(int(n) for text in found for n in text.get_text().split()) == sorted([*range(1, 9)] * 2)
    boxes = [text.get_window_extent() for text in found]
    for one, other in itertools.combinations(boxes, 2):
        assert not (one.x0 < other.x1 and other.x0 < one.x1 and one.y0 + 2 < other.y1 and other.y0 + 2 < one.y1)
    assert all(box.x0 >= 0 and box.x1 <= axes.figure.bbox.x1 for box in boxes)


# Right and attacked of 80, as a real network's defences came out: many behind the guard at no attack, others near them.
CROWDED = ((77, 80), (75, 80), (74, 80), (66, 80), (50, 78), (72, 65), (76, 3), (76, 3), (76, 21), (76, 21), (76, 8),
           (77, 14))
GUARDED = (75, 73, 73, 64, 50, 70, 74, 75, 74, 74)


@pytest.mark.parametrize("size", [(9, 2.55), (15.4, 3.8), (8, 4.4)])
def test_numbers_of_a_crowded_corner_cover_nothing_and_lines_lead_to_those_that_stand_off(
    size: tuple[float, float],
) -> None:
    rows = [row(f"defence {i}", "none", *counts) for i, counts in enumerate(CROWDED)]
    rows += [row(f"defence {i}", "transplant", right, 0) for i, right in enumerate(GUARDED)]
    axes = drawn(Comparison((*rows, row("defence 7", "sparing", 75, 0))), size=size)
    axes.figure.canvas.draw()
    pixels = axes.figure.dpi / 72
    middles = axes.transData.transform([(x, y) for x, y, _ in marks(axes)])
    shapes = [Bbox.from_extents(x - 4 * pixels, y - 4 * pixels, x + 4 * pixels, y + 4 * pixels) for x, y in middles]
    words = [text.get_window_extent() for text in axes.texts if not text.get_text()[0].isdigit()]
    boxes = [Text.get_window_extent(text) for text in numbers(axes)]  # an annotation's own has its line too
    for i, box in enumerate(boxes):
        for other in (*boxes[:i], *shapes, *words):
            assert not (box.x0 + 1 < other.x1 and other.x0 + 1 < box.x1
                        and box.y0 + 2 < other.y1 and other.y0 + 2 < box.y1)
    for text, box in zip(numbers(axes), boxes, strict=True):
        if text.arrow_patch is None:
            beside = min(max(box.x0 - x, x - box.x1, 0) + max(box.y0 - y, y - box.y1, 0) for x, y in middles)
            assert beside <= 10 * pixels, f"{text.get_text()} has no line to its marks"
    assert any(text.arrow_patch for text in numbers(axes)) or size[0] > 10


def test_marks_on_top_of_each_other_share_their_numbers() -> None:
    found = clustered([(0, 0), (30, 0), (0, 6), (0, 12), (30, 9)], [1, 2, 3, 1, 4], 8)
    assert {c.numbers: (c.left, c.right, c.middle) for c in found} == {
        (1, 3): (0, 0, 6), (2,): (30, 30, 0), (4,): (30, 30, 9)}
    assert clustered([(0, 0)] * 5, [5, 4, 3, 2, 1], 8)[0].text == "1 2 3\n4 5"


def test_without_poisoned_images_the_figure_says_so(tmp_path: Path, view: DefencesView) -> None:
    clean = Comparison((row("B", "none", 76, None), row("B", "transplant", 75, None)))
    axes = drawn(clean)
    assert marks(axes) == set()
    assert axes.texts[0].get_text().startswith("Without poisoned images")
    view.show_comparison(clean)
    view.grab()


@pytest.mark.parametrize(("kind", "begins"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_equal_comparisons_give_equal_files(tmp_path: Path, kind: str, begins: bytes) -> None:
    for name in ("one", "other"):
        save_drawing(printed_comparison(comparison()), tmp_path / f"{name}.{kind}", kind)
    one, other = ((tmp_path / f"{name}.{kind}").read_bytes() for name in ("one", "other"))
    assert one.startswith(begins)
    if kind != "svg":  # whose element names are random
        assert one == other


# The table

def test_the_tables_figures() -> None:
    model = DefencesModel()
    model.show_comparison(comparison())
    def cells(number: int) -> list[str]:
        return [model.index(number, column).data(Qt.ItemDataRole.AccessibleTextRole)
                for column in range(len(COLUMNS))]

    # Wilson's intervals by hand: 76, 80, 4, 75 and 0 of 80.
    assert cells(0) == ["B no guard", "95.00 % 87.8–98.0", "100.00 % 95.4–100.0", "5.00 % 2.0–12.2",
                        "5.00 % 2.0–12.2", "0.00 % 0.0–4.6", "0.0"]
    assert cells(1)[0] == "B transplant guard"
    assert cells(1)[-1] == "1.2"
    assert cells(3)[3] == "–"
    assert [model.index(number, 0).data() for number in range(0, 9, 3)] == ["B", "pruned, X = 30", "repaired"]


def test_the_model_keeps_qts_rules(qtbot: QtBot) -> None:
    model = DefencesModel()
    tester = QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Warning)
    for some in (comparison(), None, Comparison(()), comparison()):
        model.show_comparison(some)
    assert tester.model() is model


def test_the_table_fits_a_narrow_window(view: DefencesView) -> None:
    view.grab()
    assert view.panel is not None
    assert view.panel.table.horizontalScrollBar().maximum() == 0


# What can be asked for

def test_buttons_ask(view: DefencesView, qtbot: QtBot) -> None:
    with qtbot.waitSignal(view.compare_requested) as asked:
        qtbot.mouseClick(view.compare_button, Qt.MouseButton.LeftButton)
    assert asked.args == [False]
    view.allow_box.click()
    with qtbot.waitSignal(view.repair_requested) as asked:
        qtbot.mouseClick(view.repair_button, Qt.MouseButton.LeftButton)
    assert asked.args == [True]
    view.set_busy(True)
    assert not view.compare_button.isEnabled()
    assert not view.repair_button.isEnabled()
    view.set_busy(False)
    view.set_ready(False)
    assert not view.compare_button.isEnabled()
    assert view.compare_button.toolTip() == "Run the pruning first"


def test_warnings_stay(view: DefencesView) -> None:
    assert not view.warning.isVisibleTo(view)
    view.allow_box.click()
    assert "forget" in view.warning.text()
    view.show_missing_labels(1263, 1283, "b.keras")
    assert "1,263 of 1,283 labels" in view.warning.text()
    view.show_comparison(comparison("3 of 10 labels have no image."))
    assert view.warning.text() == "Warning: 3 of 10 labels have no image."
    view.allow_box.click()
    view.show_missing_labels(0, 1283, "b.keras")
    assert view.warning.text() == "Warning: 3 of 10 labels have no image."
    assert view.warning.isVisibleTo(view)
    view.show_comparison(comparison())
    assert not view.warning.isVisibleTo(view)


def test_the_empty_state_says_what_to_do(view: DefencesView) -> None:
    view.show_comparison(None)
    assert view.stack.currentWidget() is view.empty
    assert "Run the pruning" in view.empty.text()


# What can be taken along

def test_saving_figure_and_numbers(view: DefencesView, qtbot: QtBot, tmp_path: Path,
                                   monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([(str(tmp_path / "all"), "PDF document (*.pdf)"), (str(tmp_path / "all"), ""), ("", "")])
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: next(answers))
    assert view.panel is not None
    actions = {action.text(): action for action in view.panel.export.button.menu().actions()}
    for text, name in (("Save &figure (PNG, SVG, PDF)…", "all.pdf"), ("Save &numbers (CSV)…", "all.csv")):
        with qtbot.waitSignal(view.message) as said:
            actions[text].trigger()
        assert said.args == [f"Saved {tmp_path / name}."]
    with qtbot.assertNotEmitted(view.message):
        actions["Save &figure (PNG, SVG, PDF)…"].trigger()
    assert (tmp_path / "all.pdf").read_bytes().startswith(b"%PDF")
    with (tmp_path / "all.csv").open(newline="", encoding="utf-8") as stream:
        first, second, *_ = list(csv.DictReader(stream))
    assert (first["defence"], first["guard"], float(first["clean_accuracy"])) == ("B", "none", 0.95)
    assert float(first["clean_accuracy_low"]) == pytest.approx(0.8784, abs=1e-4)
    assert float(second["attack_success_high"]) == pytest.approx(0.0458, abs=1e-4)
    assert second["seconds"] == "1.25"


def test_a_place_that_cannot_be_written_ends_in_words(view: DefencesView, qtbot: QtBot, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert view.panel is not None
    with qtbot.waitSignal(view.message) as said:
        view.panel.export.save_numbers_to(tmp_path / "file" / "all.csv")
    assert "can't be written" in said.args[0]


def test_copying_the_figure(view: DefencesView, qtbot: QtBot) -> None:
    assert view.panel is not None
    view.panel.export.copy()
    image = QGuiApplication.clipboard().image()
    assert (image.width(), image.height()) == (1200, 660)


def test_the_figure_follows_guard_and_theme(view: DefencesView, qtbot: QtBot) -> None:
    panel = view.panel
    assert panel is not None
    assert [panel.guard_box.itemText(i) for i in range(panel.guard_box.count())] == ["transplant guard", "margin guard"]

    def picture() -> QImage:
        panel.canvas.draw()  # makes what changed
        panel.canvas.draw()
        return panel.canvas.grab().toImage()

    pictures = [picture()]
    panel.guard_box.setCurrentIndex(1)
    pictures.append(picture())
    view.set_theme(DARK)
    pictures.append(picture())
    assert pictures[0] != pictures[1] != pictures[2]
    view.show_comparison(comparison())
    assert panel.guard_box.currentData() == "margin"


def test_the_figure_is_made_and_drawn_in_turns_of_their_own(view: DefencesView, qtbot: QtBot) -> None:
    panel = view.panel
    assert panel is not None
    turns: list[str] = []
    panel.canvas.mpl_connect("draw_event", lambda _: turns.append("drawn"))
    panel.guard_box.setCurrentIndex(1)
    panel.canvas.draw()
    assert panel.canvas.figure.axes and turns == []
    qtbot.waitUntil(lambda: "drawn" in turns)


def test_the_figure_is_not_made_in_the_turn_in_which_everything_is_painted(
    view: DefencesView, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch,
) -> None:
    panel, made = view.panel, []
    assert panel is not None
    qtbot.waitUntil(lambda: bool(panel.canvas.figure.axes))
    monkeypatch.setattr(panel.canvas, "make", made.append)
    view.show_comparison(comparison("Something else."))
    view.grab()
    assert made == []
    qtbot.waitUntil(lambda: len(made) == 1)


def test_no_comparison_no_matplotlib() -> None:
    code = ("import sys; from PySide6.QtWidgets import QApplication; app = QApplication([]);"
            "from gui.defences.view import DefencesView; from gui.widgets.theme import LIGHT; DefencesView(LIGHT);"
            "print('matplotlib' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"

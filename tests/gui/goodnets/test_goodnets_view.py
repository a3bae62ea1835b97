"""The table of GoodNets says what each costs and stops, and asks for what the person wants done."""

from __future__ import annotations

import dataclasses
import itertools
from typing import get_args

import pytest
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QFontMetrics, QImage, QPainter
from PySide6.QtTest import QAbstractItemModelTester
from pytestqt.qtbot import QtBot

from engine.assessment import LEVEL_WORDS, Level
from engine.rates import Rate
from engine.reports.headline import Headline, headline
from engine.runs.rows import badnet_row, goodnet_row
from gui.goodnets.model import ATTACK, COLUMNS, DETECTION, GUARD, LOSS, VERDICT, GoodNetsModel, Pair
from gui.goodnets.thresholds_editor import parse_drops
from gui.goodnets.view import GoodNetsView
from gui.tables.model import BLOCKS_ROLE, Block
from gui.widgets.theme import DARK, LIGHT, Theme
from gui.widgets.verdict_icon import level_colour, paint_level
from tests.support.comparisons import guarded, run_of
from tests.support.curves import counts, curve, rows

DROPS = (2.0, 4.0, 10.0, 30.0)


@pytest.fixture
def view(qtbot: QtBot) -> GoodNetsView:
    made = GoodNetsView(LIGHT)
    qtbot.addWidget(made)
    made.resize(640, 560)
    made.show_drops(DROPS, "points", "first-past")
    made.show_rows(rows(curve(), *DROPS), [])
    made.show()
    return made


@pytest.fixture
def guarded_view(view: GoodNetsView) -> GoodNetsView:
    """The same run behind a guard."""
    run = run_of(behind=guarded())
    found = [row for x in DROPS if (row := goodnet_row(run.curve, x, guarded=run.guarded))]
    view.show_rows(found, [], badnet_row(run))
    view.show_headline(headline(run, found), "Set on 120 images.")
    return view


def shown(view: GoodNetsView) -> list[int]:
    return [column for column in range(len(COLUMNS)) if not view.table.isColumnHidden(column)]


def blocks(view: GoodNetsView, row: int, column: int) -> tuple[Block, ...]:
    found: tuple[Block, ...] = view.model.index(row, column).data(BLOCKS_ROLE)
    return found


def cells(view: GoodNetsView, row: int) -> list[str]:
    return [view.model.index(row, column).data() for column in shown(view)]


def details(view: GoodNetsView, row: int) -> list[str]:
    return [blocks(view, row, column)[-1].detail for column in shown(view)]


def test_empty_state_says_what_to_do(view: GoodNetsView) -> None:
    view.show_rows([], [])
    assert view.stack.currentWidget() is view.empty and "Run the pruning" in view.empty.text()
    assert not view.save_all_button.isEnabled()
    view.show_rows([], [2.0])
    assert "Try smaller ones" in view.empty.text()


def test_figures_of_a_row(view: GoodNetsView) -> None:
    # X = 10 is answered after 5 channels: 190 to 150 of 200 right; 20 of 50 attacks, 152 and 22 agreements.
    assert cells(view, 2) == ["X = 10", "5", "20.00 pts", "74.00 %", "40.00 %", "24.00 %", "56.00 %", "Weakened"]
    found = details(view, 2)
    assert found[2] == "10 asked"
    assert "21.1 % of B's accuracy" in view.model.index(2, LOSS).data(Qt.ItemDataRole.ToolTipRole)
    # Wilson, worked out by hand: 148 of 200, 20 of 50, 48 of 200, 28 of 50.
    assert found[3:7] == ["67.5–79.6", "27.6–53.8", "18.6–30.4", "42.3–68.8"]
    assert found[7] == view.model.rows[2].row.assessment.sentence
    assert "weakened, not stopped" in view.model.index(2, VERDICT).data(Qt.ItemDataRole.AccessibleTextRole)


def test_guarded_figures_stand_below_the_plain_ones(guarded_view: GoodNetsView) -> None:
    # B: 190 of 200 and 50 of 50; behind the guard 186 and 1, with 4 of 200 and 49 of 50 flagged.
    assert cells(guarded_view, 0) == ["B", "0", "–", "off\non", "95.00 %\n93.00 %", "100.00 %\n2.00 %",
                                      "0.00 %\n2.00 %", "0.00 %\n98.00 %", "Not stopped\nProtected"]
    # X = 10, 5 channels: 148 and 20 right and attacked, 152 and 22 agreed on; behind the guard 144, 1, 148 and 1.
    assert cells(guarded_view, 3)[4:] == ["74.00 %\n72.00 %", "40.00 %\n2.00 %", "24.00 %\n26.00 %",
                                          "56.00 %\n98.00 %", "Weakened\nToo costly"]
    # Wilson, worked out by hand: 190 and 186 of 200.
    assert [b.detail for b in blocks(guarded_view, 0, GUARD + 1)] == ["91.0–97.3", "88.6–95.8"]
    assert blocks(guarded_view, 0, VERDICT)[1] == Block("Protected", "as far as 50 images tell", "protected")
    assert blocks(guarded_view, 3, VERDICT)[1].detail == "more accuracy lost than it is worth"
    spoken = guarded_view.model.index(3, GUARD + 2).data(Qt.ItemDataRole.AccessibleTextRole)
    assert spoken == "without the guard 40.00 % 27.6–53.8; behind the guard 2.00 % 0.4–10.5"
    tip = guarded_view.model.index(3, VERDICT).data(Qt.ItemDataRole.ToolTipRole)
    row = guarded_view.model.rows[3].row
    assert row.guarded_assessment is not None
    assert row.assessment.sentence in tip
    assert row.guarded_assessment.sentence in tip


def test_where_both_rows_are_of_the_same_images_nothing_is_said_of_them(guarded_view: GoodNetsView) -> None:
    assert blocks(guarded_view, 0, GUARD) == (Block("off"), Block("on"))
    assert "images, behind" not in guarded_view.model.index(0, GUARD).data(Qt.ItemDataRole.ToolTipRole)


def test_each_of_several_sets_has_a_column_and_the_verdict_stays_last(view: GoodNetsView) -> None:
    """The second of three sets is one that nothing stops: 45 of 50 attacks succeed at every step, 3 are labelled N."""
    plain = curve(sets=3)
    stubborn = counts("a <b>bold</b> name that is long", "poisoned", 50, [45] * 9, [47] * 9, [45] * 9)
    plain = dataclasses.replace(plain, poisoned=(plain.poisoned[0], stubborn, plain.poisoned[2]))
    view.show_rows(rows(plain, *DROPS), [])
    table, model = view.table, view.model
    headings = [model.headerData(c, Qt.Orientation.Horizontal) for c in range(model.columnCount())]
    assert headings[-3:] == ["Attack:\nsunglasses", "Attack:\na <b>bold</b>…", "Attack:\nmoustache"]
    assert table.isColumnHidden(ATTACK) and table.isColumnHidden(DETECTION)
    assert table.horizontalHeader().visualIndex(VERDICT) == model.columnCount() - 1
    tip = model.headerData(len(COLUMNS) + 1, Qt.Orientation.Horizontal, Qt.ItemDataRole.ToolTipRole)
    assert "a &lt;b&gt;bold&lt;/b&gt; name that is long" in tip
    assert [blocks(view, row, len(COLUMNS) + 1) for row in range(4)] == [(Block("90.00 %", "N: 6.00 %"),)] * 4
    assert [model.rows[row].row.assessment.level for row in range(4)] == ["failed"] * 4
    view.show_rows(rows(curve(), *DROPS), [])
    assert not table.isColumnHidden(ATTACK) and model.columnCount() == len(COLUMNS)


def test_a_heading_spells_out_what_a_screen_would_obey(view: GoodNetsView) -> None:
    plain = curve(sets=2)
    evil = counts("evil\u202egpj", "poisoned", 50, [45] * 9, [47] * 9, [45] * 9)
    view.show_rows(rows(dataclasses.replace(plain, poisoned=(plain.poisoned[0], evil)), *DROPS), [])
    heading = view.model.headerData(view.model.columnCount() - 1, Qt.Orientation.Horizontal)
    assert heading == "Attack:\nevil\\u202egpj"


def test_the_headline_says_what_the_best_does(guarded_view: GoodNetsView) -> None:
    def words(text: str) -> str:
        return text.replace("\u00a0", " ")

    assert words(guarded_view.headline.figures.text()) == "Attack success 100 % → 2 %, clean accuracy 95 % → 93 %"
    assert words(guarded_view.headline.sentence.text()).startswith("B behind the transplant guard: protected")
    assert guarded_view.headline.isVisibleTo(guarded_view)
    assert guarded_view.guard_note.isVisibleTo(guarded_view)
    assert guarded_view.guard_note.text() == "Set on 120 images."
    guarded_view.show_rows([], [])
    guarded_view.show_headline(None)
    assert not guarded_view.headline.isVisibleTo(guarded_view)
    assert not guarded_view.guard_note.isVisibleTo(guarded_view)


def test_the_guards_column_is_there_with_a_guard_only(view: GoodNetsView, guarded_view: GoodNetsView) -> None:
    assert GUARD in shown(guarded_view)
    view.show_rows(rows(curve(), *DROPS), [])
    assert GUARD not in shown(view)
    assert view.model.rowCount() == 4


def test_b_behind_the_guard_alone_can_be_saved_and_used(guarded_view: GoodNetsView, qtbot: QtBot) -> None:
    goodnets = [pair.row for pair in guarded_view.model.rows[1:]]
    with qtbot.waitSignal(guarded_view.save_requested) as asked:
        qtbot.mouseClick(guarded_view.save_all_button, Qt.MouseButton.LeftButton)
    assert asked.args == [[None, *goodnets]]
    guarded_view.table.selectRow(0)
    with qtbot.waitSignal(guarded_view.use_requested) as asked:
        qtbot.mouseClick(guarded_view.use_button, Qt.MouseButton.LeftButton)
    assert asked.args == [None]
    assert guarded_view.selected_rows() == [None]


def test_headlines_of_all_levels_are_drawn_differently(view: GoodNetsView) -> None:
    pictures = []
    for level in get_args(Level):
        view.show_headline(Headline(None, level, "Figures", "Sentence", "B", Rate(1, 2), Rate(1, 2), None))
        pictures.append(view.headline.grab().toImage())
    for one, other in itertools.combinations(pictures, 2):
        assert one != other


def test_without_poisoned_images_nothing_is_claimed(view: GoodNetsView) -> None:
    view.show_rows(rows(curve(sets=0), *DROPS), [])
    assert [cells(view, 0)[i] for i in (4, 6, 7)] == ["–", "–", "No verdict"]
    assert [details(view, 0)[i] for i in (4, 6)] == ["", ""]
    view.grab()


def test_says_which_thresholds_are_missed(view: GoodNetsView) -> None:
    assert not view.note.isVisibleTo(view)
    view.show_rows(rows(curve(), 2), [99.5, 100.0])
    assert view.note.isVisibleTo(view) and view.note.text().endswith("X = 99.5, 100.")


def test_the_model_keeps_qts_rules(qtbot: QtBot) -> None:
    model = GoodNetsModel()
    tester = QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Warning)
    for some in (rows(curve(), *DROPS), rows(curve(), 2), [], rows(curve(), 2, 4)):
        model.show_pairs([Pair(row) for row in some])
    assert tester.model() is model


def test_live_rows_keep_the_selection(view: GoodNetsView, qtbot: QtBot) -> None:
    view.table.selectRow(1)
    fresh = [dataclasses.replace(row, channels_pruned=row.channels_pruned + 1) for row in rows(curve(), *DROPS)]
    with qtbot.assertNotEmitted(view.row_selected):
        view.show_rows(fresh, [])
    assert view.selected_rows() == [fresh[1]] and cells(view, 1)[1] == "4"


def test_rows_that_nobody_sees_are_measured_once_they_are_seen(
    view: GoodNetsView, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen_at_once = [view.table.rowHeight(row) for row in range(4)]
    measured = []
    real = view.table.resizeRowsToContents
    monkeypatch.setattr(view.table, "resizeRowsToContents", lambda: (measured.append(1), real()))
    view.hide()
    for drops in (DROPS[:2], DROPS):
        view.show_rows(rows(curve(), *drops), [])
    assert measured == []
    view.show()
    qtbot.waitUntil(lambda: bool(measured))
    assert [view.table.rowHeight(row) for row in range(4)] == seen_at_once


def test_going_to_a_row_tells_its_step(view: GoodNetsView, qtbot: QtBot) -> None:
    with qtbot.waitSignal(view.row_selected) as said:
        qtbot.mouseClick(view.table.viewport(), Qt.MouseButton.LeftButton,
                         pos=view.table.visualRect(view.model.index(2, 1)).center())
    assert said.args == [5]
    with qtbot.waitSignal(view.row_selected) as said:
        qtbot.keyClick(view.table, Qt.Key.Key_Down)
    assert said.args == [6]


def test_buttons_ask_for_rows(view: GoodNetsView, qtbot: QtBot) -> None:
    assert not view.save_button.isEnabled() and not view.use_button.isEnabled()
    with qtbot.waitSignal(view.save_requested) as asked:
        qtbot.mouseClick(view.save_all_button, Qt.MouseButton.LeftButton)
    assert asked.args == [rows(curve(), *DROPS)]
    view.table.selectRow(3)
    with qtbot.waitSignal(view.use_requested) as asked:
        qtbot.mouseClick(view.use_button, Qt.MouseButton.LeftButton)
    assert asked.args == [rows(curve(), *DROPS)[3]]
    qtbot.mouseClick(view.table.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ControlModifier,
                     view.table.visualRect(view.model.index(0, 1)).center())
    assert not view.use_button.isEnabled()
    with qtbot.waitSignal(view.save_requested) as asked:
        qtbot.mouseClick(view.save_button, Qt.MouseButton.LeftButton)
    assert asked.args == [[view.model.rows[0].row, view.model.rows[3].row]]


def test_editing_thresholds(view: GoodNetsView, qtbot: QtBot) -> None:
    field = view.editor.field
    assert field.text() == "2, 4, 10, 30"
    with qtbot.assertNotEmitted(view.drops_edited):
        qtbot.keyClick(field, Qt.Key.Key_Return)
        field.setText("2, many")
        qtbot.keyClick(field, Qt.Key.Key_Return)
    assert view.editor.problem.isVisibleTo(view) and "“many”" in view.editor.problem.text()
    field.setText("5; 12.5")
    with qtbot.waitSignal(view.drops_edited) as edited:
        qtbot.keyClick(field, Qt.Key.Key_Return)
    assert edited.args == [(5.0, 12.5), "points", "first-past"]
    assert not view.editor.problem.isVisibleTo(view)
    with qtbot.waitSignal(view.drops_edited) as edited:
        view.editor.mode_box.setCurrentIndex(1)
    assert edited.args == [(5.0, 12.5), "relative", "first-past"]
    with qtbot.waitSignal(view.drops_edited) as edited:
        view.editor.stop_box.setCurrentIndex(1)
    assert edited.args == [(5.0, 12.5), "relative", "last-within"]
    with qtbot.assertNotEmitted(view.drops_edited):
        view.show_drops((1.0,), "points", "last-within")
    assert (view.editor.mode_box.currentData(), view.editor.stop_box.currentData()) == ("points", "last-within")


@pytest.mark.parametrize(("text", "drops"), [
    ("2, 4, 10, 30", (2, 4, 10, 30)), (" 2;4\t10 ", (2, 4, 10)), ("0,100,", (0, 100)), ("4, 2, 4.0", (4, 2)),
    ("0, -0", (0,)),
])
def test_reads_thresholds(text: str, drops: tuple[float, ...]) -> None:
    assert parse_drops(text) == drops


@pytest.mark.parametrize("text", [
    "", " , ", "x", "2, -1", "101", "nan", "inf", "2,,x", "1_0", " ".join(map(str, range(13)))])
def test_refuses_other_thresholds(text: str) -> None:
    with pytest.raises(ValueError, match=r"thresholds"):
        parse_drops(text)


@pytest.mark.parametrize("width", [640, 1000])
@pytest.mark.parametrize("which", ["view", "guarded_view"])
def test_nothing_is_cut_off(request: pytest.FixtureRequest, width: int, which: str) -> None:
    view: GoodNetsView = request.getfixturevalue(which)
    view.resize(width, 560)
    view.grab()
    font = view.table.font()
    line = view.table.fontMetrics()
    font.setPointSizeF(0.88 * font.pointSizeF())
    metrics = QFontMetrics(font)
    assert view.table.horizontalScrollBar().maximum() == 0
    for row in range(view.model.rowCount()):
        box = view.table.visualRect(view.model.index(row, VERDICT))
        verdicts = blocks(view, row, VERDICT)
        words = verdicts[-1].detail.replace(" %", "\u00a0%")
        text = metrics.boundingRect(0, 0, box.width() - 8, 9999, Qt.TextFlag.TextWordWrap, words)
        above = (len(verdicts) - 1) * (line.height() + metrics.height())
        assert box.height() >= above + text.height() + line.height()
        for column in set(shown(view)) - {VERDICT}:
            for block in blocks(view, row, column):
                room = view.table.columnWidth(column)
                assert metrics.horizontalAdvance(block.detail) < room
                assert line.horizontalAdvance(block.figure) < room


def luminance(name: str) -> float:
    """Relative luminance of the Web Content Accessibility Guidelines."""
    parts = [int(name[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_small_print_and_icons_can_be_read(theme: Theme) -> None:
    for colour in (theme.muted, *(level_colour(level, theme).name() for level in get_args(Level))):
        for ground in (theme.surface, theme.window):
            light, dark = sorted((luminance(colour), luminance(ground)), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (colour, ground)


def test_icons_differ_without_colour() -> None:
    pictures = []
    for level in get_args(Level):
        image = QImage(32, 32, QImage.Format.Format_RGB32)
        image.fill(QColor("white"))
        painter = QPainter(image)
        paint_level(painter, QRectF(0, 0, 32, 32), level, QColor("black"), QColor("white"))
        painter.end()
        pictures.append(image)
        assert LEVEL_WORDS[level]
    for one, other in itertools.combinations(pictures, 2):
        differing = sum(one.pixel(x, y) != other.pixel(x, y) for x in range(32) for y in range(32))
        assert differing > 100


def test_theme_reaches_every_part(view: GoodNetsView) -> None:
    before = view.table.viewport().grab().toImage()
    view.set_theme(DARK)
    assert view.table.viewport().grab().toImage() != before
    assert DARK.danger in view.editor.problem.styleSheet()


@pytest.mark.parametrize("width", [900, 1500])
def test_the_verdict_takes_all_the_width_that_is_left(view: GoodNetsView, width: int) -> None:
    view.resize(width, 560)
    view.grab()
    columns = sum(view.table.columnWidth(column) for column in shown(view))
    assert columns == view.table.viewport().width()

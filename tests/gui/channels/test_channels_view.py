"""The table of channels sorts by number, tells dead from alive, and shows what a channel looks at."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QImage
from pytestqt.qtbot import QtBot

from engine.looking.activation_maps import ActivationMaps
from engine.pruning.ranking import ChannelRanking, ranking_from_means
from gui.channels.map_pictures import heat_of
from gui.channels.model import CHANNEL, MEAN, RANK, STATE
from gui.channels.view import ChannelsView, maps_text
from gui.widgets.picture_view import to_image
from gui.widgets.theme import DARK, LIGHT

MEANS = np.array([10.0, 0.0, 2.5, 0.0, 30.0, 9.0])
ORDER = [1, 3, 2, 5, 0, 4]


@pytest.fixture
def view(qtbot: QtBot) -> ChannelsView:
    made = ChannelsView(LIGHT)
    qtbot.addWidget(made)
    made.resize(640, 560)
    made.show_ranking(ranking_from_means("conv_3", MEANS, "conv"))
    made.show()
    return made


def column(view: ChannelsView, which: int) -> list[str]:
    model = view.table.model()
    return [model.index(row, which).data() for row in range(model.rowCount())]


def maps(*, poisoned: bool = True) -> ActivationMaps:
    """A black clean image with activation in one corner, a white poisoned one with twice as much in another."""
    clean = np.zeros((4, 6, 3), np.uint8)
    white = np.full((4, 6, 3), 255, np.uint8)
    low, high = np.zeros((2, 3), np.float32), np.zeros((2, 3), np.float32)
    low[0, 0], high[1, 2] = 5, 10
    return ActivationMaps("conv_3", 7, clean, low, white if poisoned else None, high if poisoned else None)


def test_empty_state_says_what_to_do(qtbot: QtBot, view: ChannelsView) -> None:
    view.show_ranking(None)
    assert view._stack.currentWidget() is view.empty and "Run the pruning" in view.empty.text()


def test_rows_are_the_ranking(view: ChannelsView) -> None:
    assert column(view, RANK) == ["1", "2", "3", "4", "5", "6"]
    assert column(view, CHANNEL) == [str(c) for c in ORDER]
    assert column(view, MEAN) == ["0", "0", "2.5", "9", "10", "30"]
    assert column(view, STATE) == ["dead", "dead", "alive", "alive", "alive", "alive"]


def test_sorts_by_number(view: ChannelsView) -> None:
    view.table.sortByColumn(MEAN, Qt.SortOrder.DescendingOrder)
    assert column(view, MEAN)[:4] == ["30", "10", "9", "2.5"]
    view.table.sortByColumn(CHANNEL, Qt.SortOrder.AscendingOrder)
    assert column(view, CHANNEL) == ["0", "1", "2", "3", "4", "5"]
    assert column(view, RANK) == [str(1 + ORDER.index(c)) for c in range(6)]


def test_selecting_a_row_of_the_sorted_table_names_its_channel(view: ChannelsView, qtbot: QtBot) -> None:
    view.table.sortByColumn(CHANNEL, Qt.SortOrder.DescendingOrder)
    with qtbot.waitSignal(view.channel_selected) as chosen:
        qtbot.mouseClick(view.table.viewport(), Qt.MouseButton.LeftButton,
                         pos=view.table.visualRect(view.table.model().index(1, 1)).center())
    assert chosen.args == [4]
    with qtbot.waitSignal(view.channel_selected) as chosen:
        view.table.setFocus()
        for _ in range(3):
            qtbot.keyClick(view.table, Qt.Key.Key_Down)
    assert chosen.args == [1] and view.selected_channel() == 1
    view.select_channel(0)
    assert view.selected_channel() == 0


def test_a_given_order_has_no_means(view: ChannelsView) -> None:
    view.show_ranking(ChannelRanking("conv_3", np.array([2, 0, 1]), np.full(3, np.nan), "order.json"))
    assert column(view, MEAN) == ["–"] * 3 and column(view, STATE) == ["not measured"] * 3
    view.grab()


def bar_width(view: ChannelsView, row: int) -> int:
    """Pixels of the bar's colour on the row's lower edge."""
    box = view.table.visualRect(view.table.model().index(row, MEAN))
    image = view.table.viewport().grab(box).toImage()
    line = image.height() - 4
    return sum(image.pixelColor(x, line).name() == LIGHT.clean for x in range(image.width()))


def test_bars_are_as_long_as_the_means(view: ChannelsView) -> None:
    longest = bar_width(view, 5)
    assert longest > 40
    assert bar_width(view, 0) == 0
    for row, share in ((2, 2.5 / 30), (3, 9 / 30), (4, 10 / 30)):
        assert bar_width(view, row) == pytest.approx(share * longest, abs=1.5)


def colour(image: QImage, x: float, y: float) -> tuple[int, int, int]:
    """The colour of a point given as fractions of the picture, which is centred and as large as it fits."""
    width = min(image.width(), image.height() * 6 / 4)
    height = width * 4 / 6
    at = QPoint(int((image.width() - width) / 2 + x * width), int((image.height() - height) / 2 + y * height))
    red, green, blue, _ = image.pixelColor(at).getRgb()
    return red, green, blue


def test_maps_lie_over_the_images_on_one_scale(view: ChannelsView) -> None:
    view.show_maps(maps())
    view.grab()
    plain, heated = (box.grab().toImage() for box in view.maps.pictures["Poisoned"])
    assert colour(plain, 0.9, 0.9) == (255, 255, 255)
    # The hottest square is pale yellow, its neighbours dark, with a hard edge between them.
    assert min(colour(heated, 0.97, 0.95)[:2]) > 240 and min(colour(heated, 0.70, 0.55)[:2]) > 240
    assert max(colour(heated, 0.63, 0.55)) < 100 and max(colour(heated, 0.70, 0.45)) < 100
    # On the clean image the same activation scale: 5 of 10 is the middle of the colours, over black.
    middle = colour(view.maps.pictures["Clean"][1].grab().toImage(), 0.1, 0.1)
    assert middle == pytest.approx((0.7 * 188, 0.7 * 55, 0.7 * 84), abs=3)
    assert maps_text(maps()) == \
        "Channel 7 of conv_3: activation up to 5 on the clean image, up to 10 on the poisoned one."


def test_maps_without_a_poisoned_image_and_none(view: ChannelsView) -> None:
    view.show_maps(maps(poisoned=False))
    assert not view.maps._labels["Poisoned"].isVisibleTo(view) and view.maps._labels["Clean"].isVisibleTo(view)
    assert "poisoned" not in view.maps.caption.text()
    view.show_maps(None)
    assert "Select a channel" in view.maps.caption.text()
    view.set_theme(DARK)
    view.grab()


def test_heat_colours_rise_in_brightness() -> None:
    shades = heat_of(np.linspace(-1, 3, 50, dtype=np.float32)[np.newaxis], (-1.0, 3.0))[0].astype(float)
    brightness = shades @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(brightness) > 0).all()
    assert heat_of(np.zeros((1, 1), np.float32), (0.0, 0.0)).shape == (1, 1, 3)


@pytest.mark.parametrize("channels", [1, 3])
def test_images_keep_their_pixels(channels: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, channels), np.uint8)
    image = to_image(picture)
    for y in range(5):
        for x in range(7):
            assert image.pixelColor(x, y).getRgb()[:3] == tuple(np.broadcast_to(picture[y, x], 3).tolist())

"""Help pages, About, icons and pictures: all there, offline, readable, and true to what is published and measured."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image
from PySide6.QtCore import QUrl
from PySide6.QtGui import QColor, QGuiApplication, QIcon, QTextDocument
from PySide6.QtWidgets import QApplication, QDialog, QMainWindow, QPushButton
from pytestqt.qtbot import QtBot

from engine import VERSION
from engine.assessment import BEARABLE_LOSS_POINTS, HARMLESS_ATTACK, LEVEL_WORDS
from engine.reports.headline import IMPLAUSIBLE, RECOMMENDATIONS
from engine.runs.prune import PruningRequest, run_pruning
from engine.runs.rows import goodnet_row
from gui.widgets import resources
from gui.widgets.theme import DARK, LIGHT, Theme, apply
from gui.window.general_menus import versions
from gui.window.help_pages import PAGES, About, HelpPage, show_about, show_page
from tests.support.places import PROJECT

# The offscreen platform can't bring a window to the front and says so.
pytestmark = pytest.mark.qt_log_ignore("This plugin does not support")

ICONS = ("model", "images", "poisoned", "play", "stop", "save", "folder", "open", "add", "remove", "check", "flag",
         "warning", "error", "info", "ok", "zoom-reset", "copy", "help", "sample", "cursor")
THEMES = pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
GOODNET_KEYS = ("clean_accuracy_percent", "attack_success_rate_percent")
SAMPLE = PROJECT / "data" / "sample"


@pytest.fixture
def window(qtbot: QtBot) -> Iterator[QMainWindow]:
    """A main window to open help from."""
    window = QMainWindow()
    qtbot.addWidget(window)
    window.show()
    yield window


class Tags(HTMLParser):
    """All tags with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def html_of(page: str) -> str:
    return resources.path(f"help/{page}.html").read_text(encoding="utf-8")


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb by WCAG 2."""
    parts = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast of two colours by WCAG 2, 1 to 21."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def ink(icon: QIcon, mode: QIcon.Mode) -> str:
    """The colour of most of an icon's opaque pixels; where strokes overlap, blending may round."""
    image = icon.pixmap(64, 64, mode).toImage()
    pixels = (image.pixelColor(x, y) for x in range(image.width()) for y in range(image.height()))
    return Counter(pixel.name() for pixel in pixels if pixel.alpha() == 255).most_common(1)[0][0]


@THEMES
@pytest.mark.parametrize("name", ICONS)
def test_icons_are_drawn_in_the_themes_colours(qapp: object, name: str, theme: Theme) -> None:
    icon = resources.icon(name, theme)
    assert ink(icon, QIcon.Mode.Normal) == theme.text
    assert ink(icon, QIcon.Mode.Disabled) == theme.muted
    assert ink(icon, QIcon.Mode.Selected) == theme.accent_text
    assert ink(resources.icon(name, theme, theme.danger), QIcon.Mode.Normal) == theme.danger


def test_every_icon_looks_different(qapp: object) -> None:
    drawings = [file.read_text() for file in resources.path("icons").glob("*.svg")]
    assert len(set(drawings)) == len(drawings) >= len(ICONS)


def test_an_unknown_icon_is_an_error(qapp: object) -> None:
    with pytest.raises(FileNotFoundError):
        resources.icon("no-such-icon", LIGHT)


def test_application_icon_has_all_sizes(qapp: object) -> None:
    assert {16, 32, 48, 256, 512} <= {size.width() for size in resources.application_icon().availableSizes()}
    with Image.open(resources.path("icon/goodnet.ico")) as ico:
        assert {(16, 16), (32, 32), (48, 48), (256, 256)} <= ico.info["sizes"]
    with Image.open(resources.path("icon/goodnet.icns")) as icns:
        assert icns.size == (512, 512) or (512, 512, 1) in icns.info["sizes"]


def test_a_packed_program_finds_its_resources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys._MEIPASS", str(tmp_path), raising=False)
    assert resources.path("icons/play.svg") == tmp_path / "resources" / "icons" / "play.svg"


@THEMES
@pytest.mark.parametrize("page", PAGES)
def test_a_page_opens_once_with_all_its_pictures(window: QMainWindow, page: str, theme: Theme) -> None:
    show_page(page, theme, window)
    show_page(page, theme, window)
    (opened,) = window.findChildren(HelpPage)
    assert opened.isVisible() and not opened.isModal() and opened.windowTitle() == PAGES[page]
    names = [attributes["src"] for tag, attributes in Tags(html_of(page)).found if tag == "img"]
    assert names
    for name in names:
        image = opened.browser.loadResource(QTextDocument.ResourceType.ImageResource.value, QUrl(str(name)))
        assert 300 < image.deviceIndependentSize().width() < opened.width()


@pytest.mark.parametrize("page", PAGES)
def test_pages_are_offline_and_their_links_lead_somewhere(page: str) -> None:
    html = html_of(page)
    assert "http" not in html and "file:" not in html
    anchors = {attributes["name"] for tag, attributes in Tags(html).found if tag == "a" and "name" in attributes}
    targets = [str(attributes["href"]) for tag, attributes in Tags(html).found if tag == "a" and "href" in attributes]
    assert targets
    assert all(target[1:] in anchors if target.startswith("#") else target in PAGES for target in targets)


def test_a_link_opens_the_other_page(window: QMainWindow) -> None:
    show_page("guide", LIGHT, window)
    (guide,) = window.findChildren(HelpPage)
    guide.browser.anchorClicked.emit(QUrl("pruning"))
    assert {page.objectName() for page in window.findChildren(HelpPage)} == {"guide", "pruning"}


def test_a_page_takes_the_theme_it_is_asked_for_and_follows_the_application(
    qapp: QApplication, window: QMainWindow, qtbot: QtBot,
) -> None:
    apply(LIGHT)
    qtbot.waitUntil(lambda: window.palette().base().color().name() == LIGHT.surface)
    show_page("guide", LIGHT, window)
    (page,) = window.findChildren(HelpPage)

    def link_colour() -> str:
        block = page.browser.document().begin()
        while block.isValid():
            fragments = block.begin()
            while not fragments.atEnd():
                style = fragments.fragment().charFormat()
                if style.isAnchor() and style.anchorHref():
                    return style.foreground().color().name()
                fragments += 1
            block = block.next()
        raise AssertionError("no link")

    assert link_colour() == LIGHT.accent
    page.browser.verticalScrollBar().setValue(200)
    for theme in (DARK, LIGHT):
        apply(theme)
        qtbot.waitUntil(lambda theme=theme: link_colour() == theme.accent)
    assert page.browser.verticalScrollBar().value() == 200
    show_page("guide", DARK, window)
    assert link_colour() == DARK.accent


@THEMES
def test_pictures_can_be_read_in_every_theme(qapp: object, theme: Theme) -> None:
    for file in resources.path("help").glob("*.svg"):
        image = resources.picture(f"help/{file.name}", theme, 2.0)
        assert image.devicePixelRatio() == 2 and image.deviceIndependentSize().width() == 690
        drawing = file.read_text(encoding="utf-8")
        for colour in set(re.findall(r'<text [^>]*fill="\$(\w+)"', drawing)) - {"accent_text"}:
            value = theme.attack[0] if colour == "attack" else getattr(theme, colour)
            assert QColor(value).isValid()
            assert contrast(value, theme.surface) >= 4.5 and contrast(value, theme.window) >= 4.5
    assert contrast(theme.accent_text, theme.accent) >= 4.5


def test_pruning_page_explains_every_term() -> None:
    text = re.sub(r"<[^>]+>", "", html_of("pruning"))
    for term in ("BadNet", "trigger", "target label", "channel", "mean activation", "pruning order", "B'", "GoodNet",
                 "backdoored", "clean accuracy", "attack success rate", "false-alarm rate", "detection rate",
                 "interval", "poor"):
        assert term in text, term


def test_the_published_figures_are_the_published_ones(lab3: Path) -> None:
    goodnets = json.loads((lab3 / "published.json").read_text())["goodnets"]
    expected = [round(g[key], 2) for g in goodnets for key in GOODNET_KEYS]
    drawing = resources.path("help/published.svg").read_text(encoding="utf-8")
    bars = re.findall(r'y="([\d.]+)" width="50" height="([\d.]+)"', drawing)
    shown = [float(value) for value in re.findall(r'font-size="12" font-weight="normal">([\d.]+) %</text>', drawing)]
    assert shown[3:] == expected  # after the axis' own
    assert [float(height) / 140 * 100 for _, height in bars] == pytest.approx(expected, abs=0.1)
    assert {float(top) + float(height) for top, height in bars} == {190.0}


def test_the_guide_recommends_what_the_program_does() -> None:
    """Verdicts, when they are given, and what to do, word for word; the sample's is checked in test_window_verdicts."""
    text = " ".join(html_of("guide").split())
    for level, recommendation in RECOMMENDATIONS.items():
        assert f"<b>{LEVEL_WORDS[level]}</b>" in text and recommendation in text, level
    assert f"<b>For the sample the answer is:</b> {RECOMMENDATIONS['protected']}" in text
    assert f"at most {100 * HARMLESS_ATTACK:g} % of the poisoned images" in text
    assert f"at a loss of at most {BEARABLE_LOSS_POINTS:g} points" in text
    assert IMPLAUSIBLE in text


@pytest.mark.parametrize("page", PAGES)
def test_help_calls_tabs_as_the_window_does(page: str) -> None:
    wings = "".join(path.read_text(encoding="utf-8") for path in (PROJECT / "gui").glob("*/wing.py"))
    called = set(re.findall(r"\b(?:tab|view)\s+<b>(.+?)</b>", html_of(page)))
    assert called and called <= set(re.findall(r'Wing\("(.+?)"', wings))


def test_the_guide_says_of_the_sample_what_a_run_measures() -> None:
    if not (SAMPLE / "badnet.keras").is_file():
        pytest.skip("the sample isn't there")
    curve = run_pruning(PruningRequest(SAMPLE / "badnet.keras", SAMPLE / "clean_validation.h5",
                                       SAMPLE / "clean_test.h5", (SAMPLE / "poisoned_test.h5",))).curve
    rows = {x: goodnet_row(curve, x) for x in (2.0, 4.0, 10.0, 30.0)}
    text = html_of("guide")
    assert "nearly all poisoned images at\nX = 2, 4 and 10" in text
    assert all(rows[x].attack.value > 0.95 for x in (2.0, 4.0, 10.0))
    assert "At X = 30 it is weakened, but then more than a third of all clean images no longer get" in text
    assert 0.05 < rows[30.0].attack.value < 0.5
    assert rows[30.0].clean.value < 2 / 3
    names = len((SAMPLE / "names.txt").read_text(encoding="utf-8").split())
    assert f"names {names} drawn people" in text


def test_about_shows_and_copies_versions_in_one_window(window: QMainWindow) -> None:
    versions = {"GoodNet": "0.1.0", "Python": "3.11.7"}
    show_about(window, versions)
    show_about(window, versions)
    (about,) = window.findChildren(QDialog)
    assert isinstance(about, About) and about.versions.text() == "GoodNet 0.1.0\nPython 3.11.7"
    copy = next(b for b in about.findChildren(QPushButton) if "Copy" in b.text())
    copy.click()
    assert QGuiApplication.clipboard().text() == about.versions.text()


def test_about_begins_with_the_programs_own_version() -> None:
    assert next(iter(versions().items())) == ("GoodNet", VERSION)

"""Help pages and About, offline. One window for each page, however often it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import QEvent, Qt, QUrl
from PySide6.QtGui import QColor, QGuiApplication, QTextDocument
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QHBoxLayout, QLabel, QTextBrowser, QVBoxLayout, QWidget

from engine.places import resource
from gui.widgets.resources import application_icon, picture
from gui.widgets.theme import DARK, LIGHT, Theme

PAGES = {"pruning": "How pruning works", "guide": "Guide"}
_ICON_SIDE = 96


def show_page(name: str, theme: Theme, parent: QWidget) -> None:
    """Open a help page, or bring the open one to the front.

    Args:
        name: one of PAGES.
    """
    page = parent.findChild(HelpPage, name) or HelpPage(name, parent)
    page.set_theme(theme)
    bring_to_front(page)


def show_about(parent: QWidget, versions: Mapping[str, str]) -> None:
    """Say what this program is made of.

    Args:
        versions: what to show, in this order, such as {"GoodNet": "0.1.0", "Python": "3.11.7"}.
    """
    bring_to_front(parent.findChild(About) or About(versions, parent))


class HelpPage(QDialog):
    """A page of resources/help/ in a window of its own that leaves the main window usable."""

    def __init__(self, name: str, parent: QWidget) -> None:
        super().__init__(parent)
        self._window = parent
        self.setObjectName(name)
        self.setWindowTitle(PAGES[name])
        self._theme: Theme | None = None
        self.browser = _Browser()
        self.browser.setAccessibleName(PAGES[name])
        self.browser.setOpenLinks(False)
        self.browser.anchorClicked.connect(self._on_link)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(self.browser)
        layout.addWidget(buttons)
        self.resize(760, 640)

    def set_theme(self, theme: Theme) -> None:
        """Draw the page in a theme's colours; the page stays where it was scrolled."""
        if theme is not self._theme:
            self._theme = theme
            self.browser.show_html(resource(f"help/{self.objectName()}.html").read_text(encoding="utf-8"), theme)

    def changeEvent(self, event: QEvent) -> None:
        """Follow the application when its theme changes while the page is open."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            for theme in (LIGHT, DARK):
                if self.palette().base().color() == QColor(theme.surface):
                    self.set_theme(theme)

    def _on_link(self, link: QUrl) -> None:
        if not link.path():
            self.browser.scrollToAnchor(link.fragment())
        elif self._theme is not None:
            show_page(link.path(), self._theme, self._window)


class _Browser(QTextBrowser):
    """Shows HTML whose pictures are SVG drawings in the theme's colours, sharp at any scaling."""

    def show_html(self, html: str, theme: Theme) -> None:
        """Show a page, scrolled to where the one before it was."""
        self._theme = theme
        scrolled = self.verticalScrollBar().value()
        self.document().setDefaultStyleSheet(
            f"body {{ color: {theme.text}; }} a {{ color: {theme.accent}; }} "
            f"h1, h2 {{ color: {theme.text}; }} .note {{ color: {theme.muted}; }} "
            f"th {{ background-color: {theme.window}; text-align: left; }} .warning {{ color: {theme.danger}; }}")
        self.document().setDocumentMargin(16)
        self.setHtml(html)
        self.verticalScrollBar().setValue(scrolled)

    def loadResource(self, kind: int, name: QUrl | str) -> Any:
        """The drawing that a page names, and nothing from anywhere else."""
        if kind == QTextDocument.ResourceType.ImageResource.value:
            return picture(f"help/{QUrl(name).path()}", self._theme, self.devicePixelRatioF())
        return None


class About(QDialog):
    """What the program is, its licence and versions, which a person can copy into a report of a fault."""

    def __init__(self, versions: Mapping[str, str], parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("About GoodNet")
        text = "\n".join(f"{name} {version}" for name, version in versions.items())
        sign = QLabel(alignment=Qt.AlignmentFlag.AlignTop)
        sign.setPixmap(application_icon().pixmap(_ICON_SIDE, _ICON_SIDE))
        what = QLabel("<h2>GoodNet</h2><p>Takes backdoors out of image classifiers by pruning channels, and says how "
                      "well that worked.</p><p>MIT licence. Everything runs on this computer; nothing is sent "
                      "anywhere.</p>", wordWrap=True)
        self.versions = QLabel(text)
        self.versions.setAccessibleName("Versions")
        self.versions.setTextFormat(Qt.TextFormat.PlainText)
        self.versions.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse
                                              | Qt.TextInteractionFlag.TextSelectableByKeyboard)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        copy = buttons.addButton("&Copy versions", QDialogButtonBox.ButtonRole.ActionRole)
        copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(text))
        buttons.rejected.connect(self.reject)
        words = QVBoxLayout()
        words.addWidget(what)
        words.addWidget(self.versions)
        words.addStretch(1)
        top = QHBoxLayout()
        top.addWidget(sign)
        top.addLayout(words, 1)
        layout = QVBoxLayout(self)
        layout.addLayout(top)
        layout.addWidget(buttons)
        self.setMinimumWidth(460)


def bring_to_front(dialog: QDialog) -> None:
    """Show a window of its own above all others."""
    dialog.show()
    dialog.raise_()
    dialog.activateWindow()

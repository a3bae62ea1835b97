"""What a person sees while nothing is open: the ways to begin, and the projects they worked on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import QCommandLinkButton, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from engine.assessment import percent
from engine.literal import literal
from gui.jobs.projects import RecentProject
from gui.widgets import resources
from gui.widgets.elided_label import PlainLabel
from gui.widgets.texts import as_tip, plain
from gui.widgets.theme import ScrollArea, Theme

_WIDTH = 760
_ENLARGED = 1.5
WELCOME = ("Find out whether an image classifier has a backdoor that can be taken out, and check pictures with the "
           "repaired network. Begin here, or drop files anywhere in this window: a model, data sets, a project.")
NO_PROJECTS = "Projects that you save are listed here, each with what its last run came to."


class StartPage(QWidget):
    """Signals: `sample_requested()`, `model_requested()`, `project_requested()`, `goodnet_requested()`: a person wants
    to open one; `recent_requested(Path)`: this project."""

    sample_requested = Signal()
    model_requested = Signal()
    project_requested = Signal()
    goodnet_requested = Signal()
    recent_requested = Signal(object)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.sample = _entry("Open the &sample", "A small network with a backdoor, and images to try everything on.")
        self.model = _entry("Open a model",
                            "A Keras or ONNX file. Then clean images, and poisoned ones if you have any.")
        self.project = _entry("Open a project", "A .goodnet file: model, images and options as you saved them.")
        self.goodnet = _entry("Check pictures", "Open a GoodNet that is saved already, and show it pictures.")
        self._icons = {self.sample: "sample", self.model: "model", self.project: "open", self.goodnet: "check"}
        self.recent: list[QCommandLinkButton] = []
        self._list = QVBoxLayout()
        self._none = _words(NO_PROJECTS)
        column = QVBoxLayout()
        title = _words("Take the backdoor out of a network")
        font = title.font()
        font.setPointSizeF(_ENLARGED * font.pointSizeF())
        title.setFont(font)
        column.addWidget(title)
        column.addWidget(_words(WELCOME))
        for pair in ((self.sample, self.model), (self.project, self.goodnet)):
            row = QHBoxLayout()
            for button in pair:
                row.addWidget(button, 1)
            column.addLayout(row)
        self._heading = _words("Recent projects")
        font = self._heading.font()
        font.setBold(True)
        self._heading.setFont(font)
        column.addSpacing(12)
        for widget in (self._heading, self._none):
            column.addWidget(widget)
        column.addLayout(self._list)
        column.addStretch(1)
        self._lay_out(column)
        for button, wish in ((self.sample, self.sample_requested), (self.model, self.model_requested),
                             (self.project, self.project_requested), (self.goodnet, self.goodnet_requested)):
            button.clicked.connect(wish)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Draw icons as a theme has them."""
        self._theme = theme
        for button, name in self._icons.items():
            button.setIcon(resources.icon(name, theme, theme.accent))
        for button in self.recent:
            button.setIcon(resources.icon("goodnet", theme, theme.accent))

    def show_recent(self, projects: Sequence[RecentProject]) -> None:
        """List projects, the newest first."""
        for button in self.recent:
            button.hide()
            button.deleteLater()
        self.recent = [self._recent_entry(project) for project in projects]
        for button in self.recent:
            self._list.addWidget(button)
        self._none.setVisible(not projects)
        self.set_theme(self._theme)

    def _recent_entry(self, project: RecentProject) -> QCommandLinkButton:
        path: Path = project.path
        button = _entry("", plain(result_text(project)))
        metrics = QFontMetrics(button.font())
        shown = metrics.elidedText(path.stem, Qt.TextElideMode.ElideMiddle, _WIDTH - 120)
        button.setText(literal(shown).replace("&", "&&"))
        button.setAccessibleName(f"Open the project {path.stem}")
        button.setToolTip(as_tip(f"{path}\nsaved {project.saved_at:%Y-%m-%d %H:%M}"))
        button.clicked.connect(lambda: self.recent_requested.emit(path))
        return button

    def _lay_out(self, column: QVBoxLayout) -> None:
        inside = QWidget()
        inside.setLayout(column)
        inside.setMaximumWidth(_WIDTH)
        centred = QWidget()
        row = QHBoxLayout(centred)
        row.addStretch(1)
        row.addWidget(inside, 100)
        row.addStretch(1)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(ScrollArea("Where to begin", centred))


def result_text(project: RecentProject) -> str:
    """What a project's last run came to, as it was when the project was saved."""
    result = project.result
    if result is None:
        return "No run yet."
    attack = "" if result.attack_success_rate is None else f"attack success {percent(result.attack_success_rate)}, "
    return f"{result.model}. {result.best}: {attack}clean accuracy {percent(result.clean_accuracy)}."


def _entry(text: str, description: str) -> QCommandLinkButton:
    button = QCommandLinkButton(text, description)
    button.setAutoDefault(False)
    return button


def _words(text: str) -> QLabel:
    label = PlainLabel(text)
    label.setWordWrap(True)
    return label

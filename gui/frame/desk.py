"""What a view finds when it comes into the window: the session's jobs, the menus, the tabs, what is remembered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from PySide6.QtWidgets import QMainWindow, QPushButton, QStackedWidget, QTabWidget, QWidget

from gui.frame.menus import Menus
from gui.jobs.checking import Checking
from gui.jobs.comparing import Comparing
from gui.jobs.defending import Defending
from gui.jobs.examining import Examining
from gui.jobs.inputs.choosing import Choosing
from gui.jobs.inputs.naming import Naming
from gui.jobs.inputs.opening import Opening
from gui.jobs.keeping import Keeping
from gui.jobs.projects import Projects
from gui.jobs.pruning import Pruning
from gui.jobs.saving import Saving
from gui.jobs.several import Several
from gui.messages import Message
from gui.session.session import Session
from gui.settings import Settings
from gui.widgets.theme import Theme


class View(Protocol):
    """A widget that takes a theme's colours."""

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""


V = TypeVar("V", bound=View)


@dataclass(frozen=True)
class Wing(Generic[V]):
    """A view that is connected to all it needs, and what its tab is called."""

    name: str
    view: V


class Desk:
    """Everything that wings share. One line here and one module in gui/jobs/ make a further job."""

    def __init__(self, window: QMainWindow, settings: Settings, theme: Theme) -> None:
        self.window, self.settings, self.theme = window, settings, theme
        self.session = Session(settings.options)
        self.opening = Opening(self.session)
        self.choosing = Choosing(self.session, self.opening)
        self.naming = Naming(self.session, self.choosing)
        self.checking = Checking(self.session, self.opening)
        self.pruning = Pruning(self.session, self.checking)
        self.pruning.finished.connect(self.choosing.read_changed)
        self.saving = Saving(self.session)
        self.defending = Defending(self.session)
        self.examining = Examining(self.session, self.opening, self.choosing)
        self.keeping = Keeping(self.session, self.choosing, self.pruning, self.defending, settings.runs_folder)
        self.comparing = Comparing(self.session, self.opening, self.defending, self.keeping)
        self.several = Several(self.session, self.keeping, self.comparing)
        self.projects = Projects(self.session, self.opening, self.choosing, self.pruning, self.keeping, settings)
        self.menus = Menus(window.menuBar())
        # What is said where options that were typed last can't be run; it is told the button that was pressed.
        self.refuses: Callable[..., str] = lambda *_: ""
        self.tabs = QTabWidget()
        self.pages = QStackedWidget()  # the tabs, and what is shown in their place while nothing is open
        self.pages.addWidget(self.tabs)
        self.tabs.currentChanged.connect(lambda: self.pages.setCurrentWidget(self.tabs))
        for changed in (self.session.state_changed, self.session.inputs_changed, self.session.history.changed):
            changed.connect(self.menus.refresh)

    def bring_up(self, view: QWidget) -> None:
        """Show a view's tab."""
        self.bring_up_tab(self.tabs.indexOf(view))

    def bring_up_tab(self, index: int) -> None:
        """Show a tab by its place."""
        self.tabs.setCurrentIndex(index)
        self.pages.setCurrentWidget(self.tabs)

    def leave_field(self) -> None:
        """Have what is being typed in a field count: it does once the field is left, but a key leaves it as it is."""
        focused = self.window.focusWidget()
        if focused:
            focused.clearFocus()
            focused.setFocus()

    def press(self, view: QWidget, button: QPushButton) -> None:
        """Go to a view's tab and do there what its button does."""
        self.leave_field()
        self.bring_up(view)
        button.click()

    def say(self, text: str) -> None:
        """Tell a person something on the status line."""
        self.session.message.emit(Message(text))

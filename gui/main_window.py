"""The window: its wings, put together. Nothing is decided or computed here, and no wing is connected to another."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QMargins, QSize, Qt, QTimer
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QGuiApplication
from PySide6.QtWidgets import QMainWindow, QSplitter, QVBoxLayout, QWidget

from gui.channels.wing import channels_wing
from gui.check.wing import check_wing
from gui.curve.wing import curve_wing
from gui.defences.wing import defences_wing
from gui.examine.wing import examine_wing
from gui.frame.desk import Desk, V, View, Wing
from gui.goodnets.wing import goodnets_wing
from gui.inputs.wing import inputs_wing, run_wing
from gui.messages import Action, Message, words
from gui.projects.wing import add_projects, leave_project, start_wing
from gui.result.wing import result_wing
from gui.runs.wing import runs_wing
from gui.session.recognition import local_paths
from gui.session.session import State
from gui.settings import Settings, ThemeChoice
from gui.widgets import asking, resources, theme
from gui.widgets.message_bar import MessageBar, StatusBar
from gui.widgets.turns import in_turns
from gui.window.general_menus import add_general_menus
from gui.window.shortcuts import FieldEscape, FocusInSight
from gui.window.title import keep_title

# What a desktop's window frame takes at the most: its title bar, and lines at the other sides.
_FRAME = QMargins(2, 40, 2, 4)


class MainWindow(QMainWindow):
    """The whole program as a person sees it."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.theme = theme.resolve(settings.theme)
        theme.apply(self.theme)
        self.setWindowIcon(resources.application_icon())
        self.setAcceptDrops(True)
        self.desk = desk = Desk(self, settings, self.theme)
        self.session, self.tabs = desk.session, desk.tabs
        self._themed: list[View] = []
        self._leaving = self._busy = self._lasting = False
        self.inputs, self.run_bar = self._own(inputs_wing(desk)), self._own(run_wing(desk))
        self.examine = self._add(examine_wing(desk))
        self.curve = self._add(curve_wing(desk))
        self.channels = self._add(channels_wing(desk))
        self.goodnets = self._add(goodnets_wing(desk))
        self.defences = self._add(defences_wing(desk))
        self.check = self._add(check_wing(desk))
        self.runs = self._add(runs_wing(desk))
        self.result = self._own(result_wing(desk))
        self.message_bar = self._own(MessageBar(self.theme))
        self.status = StatusBar(self.message_bar)
        self.start = self._own(start_wing(desk))
        add_projects(desk)
        keep_title(desk)
        add_general_menus(desk, self.set_theme)
        desk.menus.set_theme(self.theme)
        desk.menus.refresh()
        desk.session.message.connect(self.show_message)
        desk.session.history.undone.connect(self._forget_undone)
        desk.session.engine_loaded.connect(self.status.show_device)
        desk.session.state_changed.connect(self._forget_message)
        self._lay_out(desk.pages)
        FieldEscape(self)
        FocusInSight(self)
        asking.remember_folder(self, settings.folder)
        # Once the window is drawn, so that it is drawn sooner.
        QTimer.singleShot(0, desk.keeping, desk.keeping.start)
        QTimer.singleShot(0, desk.projects, desk.projects.list_recent)
        QGuiApplication.styleHints().colorSchemeChanged.connect(self._follow_system)

    def _own(self, view: V) -> V:
        self._themed.append(view)
        return view

    def _add(self, wing: Wing[V]) -> V:
        assert isinstance(wing.view, QWidget)
        self.tabs.addTab(wing.view, wing.name)
        return self._own(wing.view)

    def _lay_out(self, pages: QWidget) -> None:
        left, right = QWidget(), QWidget()
        for side, widgets, margins in ((left, (self.inputs, self.run_bar), (0, 0, 0, 0)),
                                       (right, (self.result, pages), (0, 4, 6, 4))):
            column = QVBoxLayout(side)
            column.setContentsMargins(*margins)
            for widget in widgets:
                column.addWidget(widget, 1 if widget in (self.inputs, pages) else 0)
        self.tabs.setAccessibleName("Views")
        self.splitter = QSplitter(Qt.Orientation.Horizontal)
        self.splitter.addWidget(left)
        self.splitter.addWidget(right)
        self.splitter.setStretchFactor(1, 1)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.setSizes([350, 930])
        self.setCentralWidget(self.splitter)
        self.setStatusBar(self.status)
        self.resize(first_size(self.screen().availableSize()))
        self.restoreGeometry(self.settings.bytes("geometry"))
        self.splitter.restoreState(self.settings.bytes("splitter"))

    # Theme

    def set_theme(self, choice: ThemeChoice) -> None:
        """Switch to a theme and remember it."""
        self.settings.theme = choice
        self.theme = self.desk.theme = theme.resolve(choice)
        theme.apply(self.theme)
        self.desk.menus.set_theme(self.theme)
        in_turns(self, *(partial(part.set_theme, self.theme) for part in self._themed))

    def _follow_system(self) -> None:
        if self.settings.theme == "system" and theme.resolve("system") is not self.theme:
            self.set_theme("system")

    # Messages

    def show_message(self, message: Message) -> None:
        """Tell a person something: on the status line, or in full where it is an error, about a folder or lasting.

        What is lasting gives way to nothing that is only for the status line.
        """
        if message.kind == "error" or message.folder or message.lasting:
            self._lasting = message.lasting
            self.message_bar.show_message(message)
            self.status.show_message(Message(""))
        else:
            if not self._lasting:
                self.message_bar.hide()
            elif message.action == self.message_bar.action.offered:  # Undo takes back the last change alone
                self.message_bar.action.show_action(None)
            self.status.show_message(message)

    def _forget_undone(self) -> None:
        """What the message bar offers to undo was undone, so that it tells of nothing any more."""
        if self.message_bar.action.offered == Action("Undo", self.session.history.undo):
            self.message_bar.hide()

    def _forget_message(self, state: State) -> None:
        """Once a person waits for something else, what was said is over, unless it is lasting."""
        if state.busy and not self._busy:
            self.show_message(Message(""))
        self._busy = state.busy

    def show_error(self, error: BaseException) -> None:
        """Tell a person of an exception that nobody expected."""
        self.show_message(Message(words(error), "error"))

    # What the desktop sends

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take any file or folder."""
        if local_paths(event.mimeData()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped, as what it turns out to be."""
        event.acceptProposedAction()
        paths = local_paths(event.mimeData())
        asking.remember_folder(self, paths[0].parent)
        self.desk.opening.open_paths(paths)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Remember the window, then wait for the worker's end; work under way and unsaved changes are asked about."""
        if self.session.state.busy and not self._leaving:
            asking.ask_leave(self, self._leave)
            event.ignore()
            return
        # A project's changes first: they are asked about.
        if not leave_project(self.desk, self.close) or self.desk.keeping.wait(self.close):
            event.ignore()
            return
        self.settings.set_bytes("geometry", self.saveGeometry())
        self.settings.set_bytes("splitter", self.splitter.saveState())
        self.settings.folder = asking.last_folder(self)
        self.settings.save()
        self.hide()
        self.session.close()
        self.desk.keeping.close()
        super().closeEvent(event)

    def _leave(self) -> None:
        """Close although something is still being worked out; it is stopped first, or saving would wait for it."""
        self._leaving = True
        self.session.cancel()
        self.close()
        self._leaving = False


def first_size(screen: QSize) -> QSize:
    """How large the window is before a person says otherwise: with its frame it fits a screen of 1280 x 800."""
    return screen.shrunkBy(_FRAME).boundedTo(QSize(1280, 800))

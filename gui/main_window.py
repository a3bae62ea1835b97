"""The window: its parts, and who tells whom. Nothing is decided or computed here."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QGuiApplication, QImage
from PySide6.QtWidgets import QApplication, QMainWindow, QPushButton, QSplitter, QTabWidget, QVBoxLayout, QWidget

from engine.runs.prune import PruningRun
from engine.runs.rows import GoodNetRow
from gui import log
from gui.channels.view import ChannelsView
from gui.check.view import CheckView
from gui.curve.plotting import load_plotting
from gui.curve.view import CurveView
from gui.defences.scan_view import ScanView
from gui.defences.view import DefencesView
from gui.goodnets.view import GoodNetsView
from gui.inputs.run_bar import RunBar
from gui.inputs.view import InputsView
from gui.messages import Message, words
from gui.session import sample
from gui.session.chosen import Inputs
from gui.session.defending import Defending
from gui.session.keeping import Keeping
from gui.session.recognition import local_paths
from gui.session.session import Session, State
from gui.session.tasks import folder_name
from gui.settings import Settings, ThemeChoice
from gui.widgets import resources, theme
from gui.widgets.message_bar import MessageBar, StatusBar, open_in_desktop
from gui.widgets.turns import in_turns
from gui.window import asking, help_pages
from gui.window.menus import Actions

TABS = ("Curve", "Channels", "GoodNets", "Defences", "Scan", "Image check")
CURVE, CHANNELS, GOODNETS, DEFENCES, SCAN, CHECK = range(6)
_BUSY = (State.LOADING_ENGINE, State.RUNNING, State.CANCELLING)


class MainWindow(QMainWindow):
    """The whole program as a person sees it."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.theme = theme.resolve(settings.theme)
        theme.apply(_application(), self.theme)
        self.session = Session(settings.options)
        self.defending = Defending(self.session)
        self.keeping = Keeping(self.session, settings.runs_folder)
        self.setWindowTitle("GoodNet")
        self.setWindowIcon(resources.application_icon())
        self.setAcceptDrops(True)
        self.inputs, self.run_bar = InputsView(self.theme), RunBar(self.theme)
        self.curve, self.channels = CurveView(self.theme), ChannelsView(self.theme)
        self.goodnets, self.check = GoodNetsView(self.theme), CheckView(self.theme)
        self.defences, self.scan = DefencesView(self.theme), ScanView(self.theme)
        self.message_bar, self.status = MessageBar(self.theme), StatusBar()
        self.tabs = QTabWidget()
        views = (self.curve, self.channels, self.goodnets, self.defences, self.scan, self.check)
        for view, name in zip(views, TABS, strict=True):
            self.tabs.addTab(view, name)
        self.actions_ = Actions(self, TABS)
        self._lay_out()
        self._connect_session()
        self._connect_wishes()
        self._connect_actions()
        self.actions_.set_theme(settings.theme, self.theme)
        self.actions_.show_recent(settings.recent)
        self._show_options()
        self._show_state(self.session.state)
        # Once the window is drawn, so that it is drawn sooner.
        QTimer.singleShot(0, self.keeping, self.keeping.start)
        QTimer.singleShot(0, self, lambda: self.session.in_background(load_plotting, lambda _: self.curve.prepare()))
        QGuiApplication.styleHints().colorSchemeChanged.connect(self._follow_system)

    # Layout

    def _lay_out(self) -> None:
        left, right = QWidget(), QWidget()
        for side, widgets in ((left, (self.inputs, self.run_bar)), (right, (self.tabs, self.message_bar))):
            column = QVBoxLayout(side)
            column.setContentsMargins(0, 0, 0, 0)
            column.addWidget(widgets[0], 1)
            column.addWidget(widgets[1])
        right.layout().setContentsMargins(0, 4, 6, 4)
        left.setMinimumWidth(300)
        self.splitter = QSplitter(Qt.Orientation.Horizontal)
        self.splitter.addWidget(left)
        self.splitter.addWidget(right)
        self.splitter.setStretchFactor(1, 1)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.setSizes([350, 930])
        self.setCentralWidget(self.splitter)
        self.setStatusBar(self.status)
        self.resize(1280, 800)
        self.restoreGeometry(self.settings.bytes("geometry"))
        self.splitter.restoreState(self.settings.bytes("splitter"))

    def set_theme(self, choice: ThemeChoice) -> None:
        """Switch to a theme and remember it."""
        self.settings.theme = choice
        self.theme = theme.resolve(choice)
        theme.apply(_application(), self.theme)
        self.actions_.set_theme(choice, self.theme)
        parts = (self.inputs, self.run_bar, self.curve, self.channels, self.goodnets, self.defences, self.scan,
                 self.check, self.message_bar)
        in_turns(self, *(partial(part.set_theme, self.theme) for part in parts))

    def _follow_system(self) -> None:
        if self.settings.theme == "system" and theme.resolve("system") is not self.theme:
            self.set_theme("system")

    # What the session says

    def _connect_session(self) -> None:
        session = self.session
        session.state_changed.connect(self._show_state)
        session.inputs_changed.connect(self._show_inputs)
        session.options_changed.connect(self._show_options)
        session.progressed.connect(self.run_bar.show_progress)
        session.curve_changed.connect(self.curve.show_curve)
        session.run_changed.connect(self._show_run)
        session.rows_changed.connect(self.goodnets.show_rows)
        session.headline_changed.connect(self.goodnets.show_headline)
        self.defending.scan_changed.connect(self.scan.show_scan)
        self.defending.comparison_changed.connect(self.defences.show_comparison)
        session.maps_found.connect(self.channels.show_maps)
        session.goodnet_changed.connect(lambda goodnet: self.check.show_goodnet(goodnet.name, goodnet.labels))
        session.verdicts_found.connect(self.check.show_verdicts)
        session.occlusion_found.connect(self.check.show_occlusion)
        session.names_changed.connect(self.check.show_names)
        session.names_changed.connect(self.scan.show_names)
        session.role_needed.connect(self._ask_role)
        session.opened.connect(self._remember)
        session.engine_loaded.connect(self.status.show_device)
        session.message.connect(self.show_message)

    def _show_state(self, state: State) -> None:
        run = self.session.run
        self.run_bar.show_state(state, run is not None, self.session.failure, run.seconds if run else 0.0,
                                self.session.inputs.missing)
        busy = state in _BUSY
        self.actions_.show_state(can_run=self.run_bar.run.isEnabled() and not busy, busy=busy, has_run=run is not None,
                                 can_scan=self.session.inputs.ready)
        for view in (self.check, self.scan, self.defences):
            view.set_busy(busy)
        self.curve.show_next(self.session.inputs.ready, busy)
        self.scan.set_ready(self.session.inputs.ready)
        self.defences.set_ready(run is not None)

    def _show_inputs(self, inputs: Inputs) -> None:
        self.inputs.show_inputs(inputs)
        self.scan.set_ready(inputs.ready)
        self.check.show_samples(len(inputs.pictures))
        self.defences.show_missing_labels(inputs.missing_labels, inputs.labels or 0)
        if self.session.state is State.EMPTY:
            self._show_state(State.EMPTY)

    def _show_run(self, run: PruningRun) -> None:
        self.channels.show_ranking(run.ranking)
        self.channels.show_maps(None)

    def _show_options(self) -> None:
        options = self.session.options
        self.settings.options = options
        self.run_bar.show_options(options)
        self.goodnets.show_drops(options.drops, options.drop_mode, options.stop)

    def _remember(self, path: Path) -> None:
        if sample.FOLDER not in path.parents:
            self.settings.add_recent(path)
            self.settings.folder = path.parent
            self.actions_.show_recent(self.settings.recent)

    def show_message(self, message: Message) -> None:
        """Tell a person something: on the status line, or in full where it is an error or about a folder."""
        if message.kind == "error" or message.folder:
            self.message_bar.show_message(message)
            self.status.text.show_text("")
        else:
            self.message_bar.hide()
            self.status.text.show_text(message.text)

    def show_error(self, error: BaseException) -> None:
        """Tell a person of an exception that nobody expected."""
        self.show_message(Message(words(error), "error"))

    # What a person wishes in the views

    def _connect_wishes(self) -> None:
        session = self.session
        self.inputs.pick_requested.connect(self._pick)
        self.inputs.dropped.connect(session.open_as)
        self.inputs.removed.connect(session.remove)
        self.inputs.layer_chosen.connect(session.choose_layer)
        self.inputs.sample_requested.connect(session.open_sample)
        self.run_bar.run_requested.connect(self._run)
        self.run_bar.cancel_requested.connect(session.cancel)
        self.run_bar.save_requested.connect(self._save_run)
        self.run_bar.options_edited.connect(session.set_options)
        self.run_bar.order_requested.connect(self._pick_order)
        self.curve.message.connect(self._say)
        self.channels.channel_selected.connect(session.find_maps)
        self.goodnets.drops_edited.connect(lambda drops, mode, stop: session.set_options(
            dataclasses.replace(session.options, drops=drops, drop_mode=mode, stop=stop)))
        self.goodnets.row_selected.connect(self.curve.set_step)
        self.goodnets.save_requested.connect(self._save_rows)
        self.goodnets.use_requested.connect(self._use_row)
        self.defences.compare_requested.connect(self.defending.compare)
        self.defences.repair_requested.connect(self._repair)
        self.defences.message.connect(self._say)
        self.scan.scan_requested.connect(self.defending.scan)
        self.check.check_requested.connect(session.check)
        self.check.image_pasted.connect(self._check_pasted)
        self.check.samples_requested.connect(lambda: session.check_pixels(session.inputs.pictures))
        self.check.open_goodnet_requested.connect(lambda: self._open_goodnet(True))
        self.check.names_requested.connect(self._open_names)
        self.check.occlusion_requested.connect(session.find_occlusion)
        self.check.message.connect(self._say)

    def _connect_actions(self) -> None:
        actions, session = self.actions_, self.session
        actions.open_model.connect(lambda: self._pick("model", False))
        actions.open_data.connect(self._pick)
        actions.open_sample.connect(session.open_sample)
        actions.open_path.connect(lambda path: session.open_paths([path]))
        actions.clear_recent.connect(self._clear_recent)
        actions.open_goodnet.connect(self._open_goodnet)
        actions.open_run.connect(self._open_run)
        actions.reopen_run.connect(self.keeping.reopen)
        self.keeping.kept_changed.connect(actions.show_kept)
        session.run_named.connect(self.keeping.reopen)
        actions.open_pictures.connect(self._open_pictures)
        actions.paste.connect(self._paste)
        actions.save_run.connect(self._save_run)
        actions.save_selected.connect(
            lambda: self._save_rows(self.goodnets.selected_rows() or self.goodnets.all_rows()))
        actions.run.connect(self._run)
        actions.cancel.connect(session.cancel)
        for wish, tab, button in ((actions.scan, SCAN, self.scan.button),
                                  (actions.compare, DEFENCES, self.defences.compare_button),
                                  (actions.repair, DEFENCES, self.defences.repair_button)):
            wish.connect(partial(self._press, tab, button))
        actions.theme_chosen.connect(self.set_theme)
        actions.tab_chosen.connect(self.tabs.setCurrentIndex)
        actions.help_page.connect(lambda name: help_pages.show_page(name, self.theme, self))
        actions.open_log.connect(lambda: open_in_desktop(log.log_path()))
        actions.about.connect(lambda: help_pages.show_about(self, versions()))

    def _run(self) -> None:
        self.message_bar.hide()
        self.tabs.setCurrentIndex(CURVE)
        self.session.start()

    def _press(self, tab: int, button: QPushButton) -> None:
        """Go to a tab and do there what its button does."""
        self.tabs.setCurrentIndex(tab)
        button.click()

    def _say(self, text: str) -> None:
        self.show_message(Message(text))

    def _pick(self, role: str, folder: bool) -> None:
        title = f"Choose {asking.ROLE_NAMES[role].lower()}"
        start = self.settings.folder
        path = asking.ask_folder(self, title, start) if folder else \
            asking.ask_file(self, title, start, asking.MODEL_FILES if role == "model" else asking.DATA_FILES)
        if path:
            self.session.open_as(role, path)

    def _pick_order(self) -> None:
        path = asking.ask_file(self, "Choose a pruning order", self.settings.folder, asking.ORDER_FILES)
        if path:
            self.session.set_options(dataclasses.replace(self.session.options, order=path))

    def _ask_role(self, path: Path) -> None:
        asking.ask_role(self, path, lambda role: self.session.open_as(role, path))

    def _clear_recent(self) -> None:
        self.settings.clear_recent()
        self.actions_.show_recent([])

    def _save_run(self) -> None:
        run = self.session.run
        folder = asking.ask_folder(self, "Save the run in a new folder inside", self.settings.folder) if run else None
        if run and folder:
            target = folder / f"{run.model.path.stem}-goodnets"
            if asking.ask_overwrite(self, [target]):
                self.session.save_run(target)

    def _save_rows(self, rows: Sequence[GoodNetRow | None]) -> None:
        folder = asking.ask_folder(self, "Save GoodNets in", self.settings.folder) if rows else None
        if folder and asking.ask_overwrite(self, [folder / folder_name(row) for row in rows]):
            self.session.save_rows(rows, folder)

    def _repair(self, allow_missing_labels: bool) -> None:
        run = self.session.run
        folder = asking.ask_folder(self, "Save the repaired pair in a new folder inside", self.settings.folder)
        if run and folder:
            target = folder / f"{run.model.path.stem}-repaired"
            if asking.ask_overwrite(self, [target]):
                self.defending.repair(allow_missing_labels, target)

    def _use_row(self, row: GoodNetRow | None) -> None:
        self.session.use_row(row)
        self.tabs.setCurrentIndex(CHECK)

    def _open_goodnet(self, folder: bool) -> None:
        start = self.settings.folder
        if folder:
            chosen = asking.ask_folder(self, "Open a saved GoodNet's folder", start)
            paths = [chosen] if chosen else []
        else:
            paths = asking.ask_files(self, "Open a GoodNet: one file, or B and its pruned copy", start,
                                     asking.MODEL_FILES)
        if paths:
            self.session.open_goodnet(paths)
            self.tabs.setCurrentIndex(CHECK)

    def _open_run(self) -> None:
        folder = asking.ask_folder(self, "Open a saved run's folder", self.settings.folder)
        if folder:
            self.keeping.reopen(folder)

    def _open_pictures(self) -> None:
        paths = asking.ask_files(self, "Choose pictures to check", self.settings.folder, asking.PICTURE_FILES)
        if paths:
            self.tabs.setCurrentIndex(CHECK)
            self.session.check(paths)

    def _open_names(self) -> None:
        path = asking.ask_file(self, "Choose a list of label names", self.settings.folder, asking.NAME_FILES)
        if path:
            self.session.open_names(path)

    def _paste(self) -> None:
        self.tabs.setCurrentIndex(CHECK)
        self.check.paste()

    def _check_pasted(self, image: QImage) -> None:
        self.session.check_pixels([("pasted picture", as_pixels(image))])

    # What the desktop sends

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take any file or folder."""
        if local_paths(event.mimeData()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped, as what it turns out to be."""
        event.acceptProposedAction()
        self.session.open_paths(local_paths(event.mimeData()))

    def closeEvent(self, event: QCloseEvent) -> None:
        """Remember the window, then cancel what runs and wait for it."""
        self.settings.set_bytes("geometry", self.saveGeometry())
        self.settings.set_bytes("splitter", self.splitter.saveState())
        self.settings.save()
        self.hide()
        self.session.close()
        self.keeping.close()
        super().closeEvent(event)


def as_pixels(image: QImage) -> np.ndarray:
    """A QImage as uint8[h, w, 3], on white where it is transparent."""
    plain = image.convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(plain.constBits(), np.uint8).reshape(plain.height(), plain.bytesPerLine())
    return rows[:, :3 * plain.width()].reshape(plain.height(), plain.width(), 3).copy()


def versions() -> dict[str, str]:
    """What the program consists of, for the About box and for reports."""
    found = {"Python": platform.python_version(), "System": platform.platform()}
    for name, packages in {"TensorFlow": ("tensorflow", "tensorflow-cpu"), "Keras": ("keras",),
                           "PySide6": ("PySide6-Essentials",), "NumPy": ("numpy",), "h5py": ("h5py",)}.items():
        for package in packages:
            try:
                found[name] = version(package)
                break
            except PackageNotFoundError:
                continue
    return found


def _application() -> QApplication:
    application = QApplication.instance()
    assert isinstance(application, QApplication)
    return application

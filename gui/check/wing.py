"""The tab of the image check, and opening what it works with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage, QPainter

from gui.check.view import CheckView
from gui.frame.desk import Desk, Wing
from gui.jobs.checking import GoodNetInUse
from gui.session.chosen import Inputs
from gui.session.session import Session
from gui.widgets import asking


def check_wing(desk: Desk) -> Wing[CheckView]:
    """Pictures in, verdicts out."""
    view, session, checking = CheckView(desk.theme), desk.session, desk.checking
    in_use: GoodNetInUse | None = None
    kept: Sequence[str] = ()  # as its labels were called when its network was the one that is chosen

    def show_goodnet(goodnet: GoodNetInUse) -> None:
        nonlocal in_use, kept
        in_use, kept = goodnet, ()
        view.show_goodnet(goodnet.file, goodnet.labels, goodnet.how)
        show_names()

    def show_names() -> None:
        nonlocal kept
        model = session.inputs.model.model if session.inputs.model else None
        chosen = in_use is not None and model is not None and model.sha256 == in_use.model
        names = _names(in_use, chosen, session, kept) if in_use else session.names or session.found
        kept = names if chosen else kept
        view.show_names(names)

    def show_inputs(inputs: Inputs) -> None:
        view.show_samples(len(inputs.pictures))
        show_names()

    session.state_changed.connect(lambda state: view.set_busy(state.busy))
    session.inputs_changed.connect(show_inputs)
    checking.asked_for.connect(lambda: desk.bring_up(view))
    checking.goodnet_changed.connect(show_goodnet)
    checking.verdicts_found.connect(view.show_verdicts)
    checking.occlusion_found.connect(view.show_occlusion)
    checking.original_found.connect(view.detail.show_original)
    view.pictures.wanted.connect(checking.see_again)
    checking.seen_again.connect(view.pictures.answer)
    session.names_changed.connect(show_names)
    view.check_requested.connect(checking.check)
    view.image_pasted.connect(lambda image: checking.check_pasted(as_pixels(image)))
    view.file_pasted.connect(checking.check_pasted_file)
    view.samples_requested.connect(lambda: checking.check_pixels(session.inputs.pictures))
    view.open_goodnet_requested.connect(lambda: _open_goodnet(desk, folder=True))
    view.names_requested.connect(lambda: _open_names(desk, in_use))
    view.occlusion_requested.connect(checking.find_occlusion)
    view.original_requested.connect(checking.find_original)
    view.cleared.connect(checking.forget_pasted)
    view.message.connect(desk.say)
    _add_menu(desk, view)
    return Wing("Image check", view)


def _names(pair: GoodNetInUse, chosen: bool, session: Session, kept: Sequence[str]) -> Sequence[str]:
    """What a pair's labels are called. What is chosen may be another network, whose names aren't the pair's."""
    said = session.names if chosen or session.names_of is None else ()
    return next((names for names in (said, pair.names, session.found if chosen else kept)
                 if len(names) == pair.labels), said if chosen else ())


def as_pixels(image: QImage) -> npt.NDArray[np.uint8]:
    """A QImage as uint8[h, w, 3], on white where it is transparent."""
    plain = QImage(image.size(), QImage.Format.Format_RGB888)
    plain.fill(Qt.GlobalColor.white)
    painter = QPainter(plain)
    painter.drawImage(plain.rect(), image)
    painter.end()
    rows = np.frombuffer(plain.constBits(), np.uint8).reshape(plain.height(), plain.bytesPerLine())
    return rows[:, :3 * plain.width()].reshape(plain.height(), plain.width(), 3).copy()


def _add_menu(desk: Desk, view: CheckView) -> None:
    def open_pictures() -> None:
        paths = asking.ask_files(desk.window, "Choose pictures to check", asking.PICTURE_FILES)
        if paths:
            desk.bring_up(view)
            desk.checking.check(paths)

    def paste() -> None:
        desk.bring_up(view)
        view.paste()

    add = desk.menus.add
    add("check", "Open &GoodNet…", lambda: _open_goodnet(desk, folder=True), "Ctrl+G", "goodnet")
    add("check", "Open G&oodNet files…", lambda: _open_goodnet(desk, folder=False), "Ctrl+Shift+G")
    add("check", "&Check pictures…", open_pictures, "Ctrl+P", "check")
    add("check", "Check what &B gets wrong", desk.checking.check_misread, icon="check",
        enabled=lambda: desk.session.has_idle_result)
    add("check", "Check &pasted picture", paste, "Ctrl+V", "paste")


def _open_names(desk: Desk, pair: GoodNetInUse | None) -> None:
    path = asking.ask_file(desk.window, "Choose a list of label names", asking.NAME_FILES)
    if path:
        desk.choosing.open_names(path, (pair.path or Path(pair.file), pair.labels) if pair else None)


def _open_goodnet(desk: Desk, *, folder: bool) -> None:
    if folder:
        chosen = asking.ask_folder(desk.window, "Open a saved GoodNet's folder")
        paths = [chosen] if chosen else []
    else:
        paths = asking.ask_files(desk.window, "Open a GoodNet: one file, or B and its pruned copy",
                                 asking.MODEL_FILES)
    if paths:
        desk.checking.open_goodnet(paths)

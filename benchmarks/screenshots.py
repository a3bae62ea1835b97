"""`make screenshots`: every view of the window in both themes and all states, as PNG files in resources/screenshots/.

    python -m benchmarks.screenshots [--folder FOLDER] [--size 1280x800 1920x1080]

Only the sample is shown. Files are named STATE-VIEW-THEME.png, with the size behind it for all sizes but the first.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from PySide6.QtCore import QSize
from PySide6.QtGui import QImage, QPixmap
from PySide6.QtWidgets import QApplication, QWidget

from benchmarks.driving import look, until
from benchmarks.lab_size import VALIDATION_IMAGES, repeat
from engine import places
from engine.goodnets.checking import Verdict
from gui.defences.repair_dialog import RepairDialog
from gui.main_window import MainWindow
from gui.session import sample
from gui.session.session import State
from gui.settings import Settings, ThemeChoice
from gui.widgets.turns import in_turns
from gui.window import help_pages

FOLDER = places.resource("screenshots")
# In which a figure is drawn, and a running task is still running; and turns of the event loop, more than there are
# parts that take a theme's colours one after the other.
_DRAWN_SECONDS, _TURNS = 0.2, 60
THEMES: tuple[ThemeChoice, ...] = ("light", "dark")


class Photographer:
    """A window, the folder its pictures go to, and the sizes it has on them."""

    def __init__(self, window: MainWindow, folder: Path, sizes: Sequence[QSize]) -> None:
        self.window, self._folder, self._sizes = window, folder, sizes
        self._names = [window.tabs.tabText(i).replace("&", "").lower().replace(" ", "-")
                       for i in range(window.tabs.count())]

    def every_view(self, state: str) -> None:
        """Take each tab in turn."""
        for tab in range(len(self._names)):
            page = self.window.tabs.widget(tab)
            assert page is not None, "a number below their count"
            self.view(state, page)

    def view(self, state: str, tab: QWidget) -> None:
        """Take one tab."""
        self.window.desk.bring_up(tab)
        name = f"{state}-{self._names[self.window.tabs.currentIndex()]}"
        for size in self._sizes[1:]:
            self.window.resize(size)
            self.widget(name, self.window, f"-{size.width()}x{size.height()}")
        self.window.resize(self._sizes[0])
        self.widget(name, self.window)

    def widget(self, name: str, widget: QWidget, ending: str = "") -> None:
        """Take a widget in both themes."""
        for choice in THEMES:
            self._dress(choice)
            save(widget.grab(), self._folder / f"{name}-{choice}{ending}.png")

    def _dress(self, choice: ThemeChoice) -> None:
        """Have everything in the window take a theme's colours, on a busy machine, too."""
        drawn: list[bool] = []
        self.window.set_theme(choice)
        in_turns(self.window, *[lambda: None] * _TURNS, lambda: drawn.append(True))
        until(lambda: bool(drawn))
        look(_DRAWN_SECONDS)

    def dialog(self) -> None:
        """Take the question that Repair asks."""
        for choice in THEMES:
            self._dress(choice)
            self.window.defences.repair_button.click()
            dialog = next(d for d in self.window.findChildren(RepairDialog) if d.isVisible())
            look(_DRAWN_SECONDS)
            save(dialog.grab(), self._folder / f"question-repair-{choice}.png")
            dialog.reject()

    def help(self) -> None:
        """Take the help pages."""
        for name in help_pages.PAGES:
            help_pages.show_page(name, self.window.theme, self.window)
            page = self.window.findChild(QWidget, name)
            assert page is not None, name
            self.widget(f"help-{name}", page)
            page.close()


def main() -> int:
    """Take all pictures anew."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the pictures go (default: %(default)s)")
    parser.add_argument("--size", type=_size, nargs="+", default=[QSize(1280, 800)], help="of the window, WIDTHxHEIGHT")
    options = parser.parse_args()
    folder = options.folder.absolute()
    application = QApplication([sys.argv[0]])
    application.setApplicationDisplayName("GoodNet")
    folder.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.png") if folder == FOLDER else ():
        old.unlink()
    with tempfile.TemporaryDirectory() as temporary, inside(Path(temporary)):
        window = MainWindow(Settings(Path("settings.ini")))
        window.resize(options.size[0])
        window.show()
        until(lambda: window.session.idle and window.curve.panel is not None)
        take = Photographer(window, folder, options.size)
        _empty_and_running(take)
        _done(take)
        take.dialog()
        _errors(take)
        take.help()
        window.close()
    print(f"{len(list(folder.glob('*.png')))} pictures in {folder}")
    return 0


def _size(text: str) -> QSize:
    width, height = text.split("x")
    return QSize(int(width), int(height))


def _empty_and_running(take: Photographer) -> None:
    window, session = take.window, take.window.session
    take.widget("empty-start", window)
    take.every_view("empty")
    window.desk.choosing.open_sample()
    # The sample is counted too fast to photograph; so its validation images are repeated.
    many = Path("clean_validation.h5")
    repeat(dict(sample.INPUTS)["validation"], many, VALIDATION_IMAGES, seed=0)
    window.desk.choosing.open_as("validation", many)
    until(lambda: session.inputs.ready)
    window.desk.pruning.start()
    until(lambda: session.state is State.LOADING_ENGINE)
    take.view("loading", window.curve)
    session.cancel()
    until(lambda: session.idle)
    take.view("ready", window.curve)
    window.desk.pruning.start()
    images: list[int] = []
    window.desk.pruning.curve_changed.connect(lambda curve, _: images.append(
        0 if curve is None or curve.provisional else curve.validation.images))
    until(lambda: bool(images) and images[-1] > VALIDATION_IMAGES // 3)
    take.every_view("running")
    session.cancel()
    window.desk.choosing.open_as("validation", dict(sample.INPUTS)["validation"])
    until(lambda: session.idle)
    window.tabs.setCurrentWidget(window.curve)


def _done(take: Photographer) -> None:
    window, session = take.window, take.window.session
    maps: list[object] = []
    verdicts: list[Verdict] = []
    occlusions: list[object] = []
    window.desk.pruning.maps_found.connect(maps.append)
    window.desk.checking.verdicts_found.connect(lambda found, _: verdicts.extend(found))
    window.desk.checking.occlusion_found.connect(lambda _, found: occlusions.append(found))
    window.desk.pruning.start()
    until(lambda: session.idle and session.run is not None)
    assert session.run is not None
    window.curve.set_step(window.desk.pruning.rows[-1].channels_pruned)
    window.channels.select_channel(int(session.run.ranking.order[-1]))
    until(lambda: bool(maps))
    window.desk.checking.check([sample.PICTURES])
    until(lambda: session.idle and bool(verdicts))
    flagged = next(v for v in verdicts if "poisoned" in v.file and v.flagged)
    window.check.table.selectRow(window.check.model.shown.index(flagged))
    window.desk.checking.find_occlusion(flagged)
    until(lambda: session.idle and bool(occlusions))
    window.desk.examining.examine()
    until(lambda: session.idle and window.desk.examining.examined is not None)
    window.desk.defending.compare(False)
    until(lambda: session.idle)
    take.every_view("done")


def _errors(take: Photographer) -> None:
    """A picture that isn't one; a data set that is none; a run whose file is gone."""
    window, session = take.window, take.window.session
    Path("holiday.jpg").write_text("not a picture")
    window.desk.checking.check([Path("holiday.jpg")])
    until(lambda: session.idle)
    take.view("error", window.check)
    shutil.copy(sample.NAMES, "names.txt")
    window.desk.choosing.open_as("test", Path("names.txt"))
    until(lambda: session.idle)
    take.view("error", window.goodnets)
    window.desk.choosing.remove("test", Path("names.txt"))
    removed = Path("removed.h5")
    shutil.copy(dict(sample.INPUTS)["validation"], removed)
    window.desk.choosing.open_as("validation", removed)
    until(lambda: session.idle)
    removed.unlink()
    window.desk.pruning.start()
    until(lambda: session.idle)
    take.view("error", window.curve)


def save(picture: QPixmap, path: Path) -> None:
    """Write a picture in 256 colours, a third of the size."""
    image = picture.toImage().convertToFormat(QImage.Format.Format_RGB888)
    plain = Image.frombytes("RGB", (image.width(), image.height()), image.constBits(), "raw", "RGB",
                            image.bytesPerLine())
    plain.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(path, optimize=True)


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in a folder, so that names on the pictures are short and tell nothing of this machine."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


if __name__ == "__main__":
    sys.exit(main())

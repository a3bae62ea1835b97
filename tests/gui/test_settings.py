"""Settings as damage or a stranger may leave them: the window starts, and what makes no sense is as it was at first."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QSettings

from gui.settings import Options, Settings, usual_file
from tests.support.places import PROJECT

POSIX = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="makes pipes")
VALUES = ["@ByteArray(abc)", "@Invalid()", "@Size(1 2)", "@Rect(1 2 3 4)", "@Point(1 2)", "1, 2",
          "@Variant(\\0\\0\\0\\x2)", "true", "-1", "1e999", "nan", "x" * 10_000, "\\0", "\\xd800", "%D8%00", '"', ""]


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_a_value_of_another_type_is_as_if_it_werent_there(value: str, tmp_path: Path) -> None:
    file = tmp_path / "s.ini"
    file.write_text("\n".join([
        "[window]", *(f"{name}={value}" for name in ("theme", "geometry", "splitter")), "[files]",
        *(f"{name}={value}" for name in ("recent", "folder")), "[run]",
        *(f"{name}={value}" for name in
          ("rank_at", "scale", "drops", "drop_mode", "stop", "guard", "false_alarms", "cluster"))]))
    settings = Settings(file)
    options = settings.options
    assert settings.theme == "system" and settings.folder.is_dir() and all(isinstance(p, Path) for p in settings.recent)
    assert (options.rank_at, options.drop_mode, options.stop, options.false_alarms) == ("conv", "points", "first-past",
                                                                                       Options().false_alarms)
    assert isinstance(options.cluster, str)
    settings.bytes("geometry"), settings.bytes("splitter")


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 30)


def _objects(path: Path) -> None:
    path.write_text("[window]\ntheme=@Variant(\\0\\0\\0\\x7f)\n")


@pytest.mark.parametrize("value", [
    "@Variant(\\0\\0\\0\\x7f)", '"@Variant(\\0)"', '""@Variant(\\0)', "\\x40Variant(\\0)", "\\100Variant(\\0)",
    "@\\x56ariant(\\0)", "\\q@Variant(\\0)", "light, @Variant(\\0)", "@DateTime(\\0)", '@""Variant(\\0)',
    '"@Va"riant(\\0)', "\\x10040Variant(\\0)", "\\200100Variant(\\0)"])
def test_an_object_is_found_however_it_is_written(value: str, tmp_path: Path) -> None:
    (tmp_path / "s.ini").write_text(f"[window]\ntheme={value}\n", encoding="utf-8")
    Settings(tmp_path / "s.ini").save()
    assert (tmp_path / "s.ini").read_text(encoding="utf-8") == f"[window]\ntheme={value}\n", "neither read nor replaced"


def test_a_path_may_hold_the_word(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "s.ini")
    settings.theme = "dark"
    settings.add_recent(Path("/data/@Variant/a.h5"))
    settings.save()
    again = Settings(tmp_path / "s.ini")
    assert again.theme == "dark" and again.recent == [Path("/data/@Variant/a.h5")]


@POSIX
@pytest.mark.parametrize("make", [_pipe, _device, _sparse, _objects])
def test_a_file_that_cant_be_settings_is_left_alone(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "s.ini")
    before = (tmp_path / "s.ini").lstat()
    settings = Settings(tmp_path / "s.ini")
    settings.theme = "dark"
    settings.save()
    assert settings.options == Options() and settings.theme == "dark"
    assert (tmp_path / "s.ini").lstat() == before and [p.name for p in tmp_path.iterdir()] == ["s.ini"]


@pytest.mark.skipif(sys.platform == "win32", reason="XDG's places")
def test_settings_are_where_qt_puts_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = subprocess.run([sys.executable, "-c", (
        "from PySide6.QtCore import QSettings as Q; "
        "print(Q(Q.Format.IniFormat, Q.Scope.UserScope, 'GoodNet', 'GoodNet').fileName())")],
        env={**os.environ, "XDG_CONFIG_HOME": str(tmp_path)}, capture_output=True, text=True, check=True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert Path(told.stdout.strip()) == usual_file()
    assert QSettings(str(usual_file()), QSettings.Format.IniFormat).fileName() == str(usual_file())


START = """
import sys
from pathlib import Path
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
from gui import log
from gui.main_window import MainWindow
from gui.settings import Settings
application = QApplication([])
log.start_logging()
window = MainWindow(Settings())
window.show()
def end_when_idle():
    if window.session.idle:
        window.close()
        application.quit()
timer = QTimer()
timer.timeout.connect(end_when_idle)
timer.start(20)
application.exec()
print("started and ended")
"""


@POSIX
@pytest.mark.skipif(sys.platform != "linux", reason="XDG's places")
def test_pipes_in_all_places_dont_keep_the_window_from_starting(tmp_path: Path) -> None:
    names = {"XDG_CONFIG_HOME": "config", "XDG_DATA_HOME": "data", "XDG_STATE_HOME": "state", "XDG_CACHE_HOME": "cache"}
    runs = tmp_path / "data" / "GoodNet" / "runs"
    for pipe in (tmp_path / "config" / "GoodNet" / "GoodNet.ini", tmp_path / "config" / "GoodNet.ini",
                 tmp_path / "state" / "GoodNet" / "log" / "goodnet.log", runs / "1.window",
                 runs / "20260101-101010-000001-abcdef" / "run.json", runs / "20260101-101010-000002-abcdef"):
        pipe.parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(pipe)
    env = {**os.environ, **{name: str(tmp_path / place) for name, place in names.items()},
           "QT_QPA_PLATFORM": "offscreen", "HOME": str(tmp_path)}
    env.pop("GOODNET_SETTINGS", None)
    done = subprocess.run([sys.executable, "-c", START], cwd=PROJECT, env=env, capture_output=True, text=True,
                          timeout=120, check=False)
    assert done.stdout.strip() == "started and ended", done.stderr

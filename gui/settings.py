"""Typed access to what the window remembers: geometry, recent files, theme and run options."""

from __future__ import annotations

import logging
import math
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar, get_args

from PySide6.QtCore import QByteArray, QSettings

from engine.data.preprocessing import AUTO, choice
from engine.files.regular import read_regular
from engine.guards.calibration import DEFAULT_FALSE_ALARMS
from engine.guards.guarded_curve import GuardChoice
from engine.pruning.ranking import RankAt
from engine.pruning.thresholds import DEFAULT_DROPS, DropMode, Stop

ThemeChoice = Literal["system", "light", "dark"]
Chosen = TypeVar("Chosen")

MOST_RECENT_FILES = 10
FEWEST_FALSE_ALARMS, MOST_FALSE_ALARMS = 0.001, 0.5
FILE_VARIABLE = "GOODNET_SETTINGS"
_MOST_BYTES = 1 << 20
_ESCAPED = re.compile(rb"\\(?:x([0-9a-fA-F]+)|([0-7]+)|\r\n|\n\r|.)", re.DOTALL)
_OBJECT = re.compile(rb"[=,]\s*@(?:Variant|DateTime)")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """How a run is done; `order` is a file that holds the pruning order, or None to rank.

    `false_alarms` is the share of clean images, 0 to 1, that the guard may flag. `cluster` is the address of a Dask
    scheduler whose workers count, or empty to count on this machine.
    """

    rank_at: RankAt = "conv"
    scale: str = AUTO
    drops: tuple[float, ...] = DEFAULT_DROPS
    drop_mode: DropMode = "points"
    stop: Stop = "first-past"
    order: Path | None = None
    guard: GuardChoice = "transplant"
    false_alarms: float = DEFAULT_FALSE_ALARMS
    cluster: str = ""


class Settings:
    """What is remembered between two starts. Values that make no sense are read as the default.

    A file that can't be one of this program's is left alone; then nothing is remembered.
    """

    def __init__(self, file: Path | None = None) -> None:
        """Use a file of its own (or the one named by GOODNET_SETTINGS), else the desktop's place for settings."""
        chosen = file or os.environ.get(FILE_VARIABLE)
        self._own = bool(chosen)
        self._path = Path(chosen) if chosen else usual_file()
        if _is_usable(self._path):
            self._store = QSettings(str(self._path), QSettings.Format.IniFormat)
        else:  # kept in memory only: a name that no file can have, in a format that Qt doesn't write
            self._store = QSettings(str(self._path / "unusable"), QSettings.Format.InvalidFormat)

    @property
    def theme(self) -> ThemeChoice:
        """The chosen theme."""
        return self._one_of("window/theme", get_args(ThemeChoice), "system")

    @theme.setter
    def theme(self, choice: ThemeChoice) -> None:
        self._store.setValue("window/theme", choice)

    @property
    def options(self) -> Options:
        """The run's options; the order's file is never remembered, because it belongs to one model."""
        return Options(
            self._one_of("run/rank_at", get_args(RankAt), "conv"),
            self._preprocessing(),
            self._drops(),
            self._one_of("run/drop_mode", get_args(DropMode), "points"),
            self._one_of("run/stop", get_args(Stop), "first-past"),
            guard=self._one_of("run/guard", get_args(GuardChoice), "transplant"),
            false_alarms=self._false_alarms(),
            cluster=self._text("run/cluster"))

    @options.setter
    def options(self, options: Options) -> None:
        for name in ("rank_at", "scale", "drop_mode", "stop", "guard", "false_alarms", "cluster"):
            self._store.setValue(f"run/{name}", getattr(options, name))
        self._store.setValue("run/drops", " ".join(f"{x:g}" for x in options.drops))

    @property
    def recent(self) -> list[Path]:
        """Files and folders opened last, the newest first."""
        return self._paths("files/recent")

    def add_recent(self, path: Path) -> None:
        """Put a path at the head of the recent ones."""
        self._put_first("files/recent", path)

    def clear_recent(self) -> None:
        """Forget the recent files and projects."""
        for key in ("files/recent", "files/projects"):
            self._store.remove(key)

    @property
    def projects(self) -> list[Path]:
        """Projects opened or saved last, the newest first."""
        return self._paths("files/projects")

    def add_project(self, path: Path) -> None:
        """Put a project at the head of the recent ones."""
        self._put_first("files/projects", path)

    @property
    def folder(self) -> Path:
        """Where file dialogs start."""
        folder = Path(self._text("files/folder") or Path.home())
        return folder if os.path.isdir(folder) else Path.home()  # noqa: PTH112, Path's raises for a name too long

    @folder.setter
    def folder(self, folder: Path) -> None:
        self._store.setValue("files/folder", str(folder))

    def bytes(self, name: str) -> QByteArray:
        """A widget's saved state: "geometry", "window" or "splitter"; empty when there is none."""
        value = self._store.value(f"window/{name}")
        return value if isinstance(value, QByteArray) else QByteArray()

    def set_bytes(self, name: str, state: QByteArray) -> None:
        """Keep a widget's state."""
        self._store.setValue(f"window/{name}", state)

    @property
    def runs_folder(self) -> Path | None:
        """Where finished runs are kept: beside a settings file of its own, else (None) where the system keeps data."""
        return self._path.absolute().parent / "runs" if self._own else None

    def save(self) -> None:
        """Write everything to disk now."""
        self._store.sync()

    def _paths(self, key: str) -> list[Path]:
        stored = self._store.value(key)
        texts = stored if isinstance(stored, list) else [stored]
        return [Path(text) for text in texts[:MOST_RECENT_FILES] if isinstance(text, str) and text]

    def _put_first(self, key: str, path: Path) -> None:
        paths = [path, *(p for p in self._paths(key) if p != path)]
        self._store.setValue(key, [str(p) for p in paths[:MOST_RECENT_FILES]])

    def _text(self, key: str) -> str:
        value = self._store.value(key)
        return value if isinstance(value, str) else ""

    def _one_of(self, key: str, allowed: tuple[Chosen, ...], default: Chosen) -> Chosen:
        value = self._store.value(key, default)
        return next((one for one in allowed if one == value), default)

    def _preprocessing(self) -> str:
        try:
            return choice(str(self._store.value("run/scale", AUTO)))
        except ValueError:
            return AUTO

    def _drops(self) -> tuple[float, ...]:
        try:
            drops = tuple(float(text) for text in str(self._store.value("run/drops", "")).split())
        except ValueError:
            return DEFAULT_DROPS
        return drops if drops and all(math.isfinite(x) and 0 <= x <= 100 for x in drops) else DEFAULT_DROPS

    def _false_alarms(self) -> float:
        try:
            rate = float(str(self._store.value("run/false_alarms", DEFAULT_FALSE_ALARMS)))
        except ValueError:
            return DEFAULT_FALSE_ALARMS
        return rate if MOST_FALSE_ALARMS >= rate >= FEWEST_FALSE_ALARMS else DEFAULT_FALSE_ALARMS


def usual_file() -> Path:
    """The desktop's place for settings, where Qt, too, puts them; asking Qt would open the file."""
    if sys.platform == "win32":
        place = os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming"
    else:
        place = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(place) / "GoodNet" / "GoodNet.ini"


def _plain(escaped: re.Match[bytes]) -> bytes:
    """The character that Qt reads an escape as, of 16 bits; it leaves out those that it doesn't know."""
    hexadecimal, octal = escaped.groups()
    code = (int(hexadecimal, 16) if hexadecimal else int(octal, 8) if octal else 0) & 0xFFFF
    return bytes([code]) if 0 < code < 128 else b""


def _is_usable(path: Path) -> bool:
    """Whether settings may be read from a file: one of a usual size without Qt's serialised objects, or none yet.

    An object is a value that begins so, once Qt has undone its escapes and dropped its quotes; the path of a file may
    hold the word.
    """
    try:
        return _OBJECT.search(_ESCAPED.sub(_plain, read_regular(path, _MOST_BYTES)).replace(b'"', b"")) is None
    except FileNotFoundError:
        return True
    except (OSError, ValueError) as error:
        log.warning("settings can't be read from %s (%s)", path, error)
        return False

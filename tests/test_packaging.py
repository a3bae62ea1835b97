"""What the packed program is made of and how it starts; the archive itself is tried out by `make test-package`."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

import engine.__main__
from gui import frozen, self_test
from tests.support.places import PROJECT

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / ".setup"))
import package_contents
import package_licences


def test_every_command_of_the_command_line_is_one_of_the_packed_program(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        engine.__main__.main(["--help"])
    listed = re.findall(r"^    (\w+)", capsys.readouterr().out, re.MULTILINE)
    assert {"inspect", "prune", "evaluate", "check", "scan", "repair"} <= set(listed)
    assert all(frozen.is_command(name) for name in listed)
    assert not any(frozen.is_command(word) for word in ("", "model", "badnet.keras", "commands", "--sample"))


def test_the_version_is_said_without_a_window(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["GoodNet", "--version"])
    with pytest.raises(SystemExit) as left:
        frozen.main()
    assert left.value.code == 0
    assert capsys.readouterr().out == f"GoodNet {package_contents.version()}\n"


def test_a_command_goes_to_the_engine(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["GoodNet", "inspect", "no such file.h5"])
    assert frozen.main() == 1
    assert "no such file.h5" in capsys.readouterr().err


def test_anything_else_goes_to_the_window(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["GoodNet", "--help"])
    with pytest.raises(SystemExit):
        frozen.main()
    assert "--sample" in capsys.readouterr().out


@pytest.mark.parametrize("path", [
    "tensorflow/libtensorflow_cc.so.2", "PySide6/Qt/lib/libQt6Core.so.6", "libQt6Gui.so.6", "PySide6/QtWidgets.abi3.so",
    "PySide6/Qt/plugins/platforms/libqxcb.so", "PySide6/plugins/platforms/qwindows.dll", "PySide6/Qt6Svg.dll",
    "PySide6/Qt/plugins/imageformats/libqjpeg.so", "PySide6\\plugins\\styles\\qmodernwindowsstyle.dll",
    "PySide6/Qt/lib/QtCore.framework/Versions/A/QtCore", "hdf5plugin/plugins/libh5zstd.so", "h5py/h5.so",
    "resources/icons/play.svg", "numpy-2.2.6.dist-info/METADATA"])
def test_what_is_needed_goes_in(path: str) -> None:
    assert package_contents.is_needed(path)


@pytest.mark.parametrize("path", [
    "tensorflow/include/Eigen/Core", "tensorflow/lite/python/libpywrap_tflite_common.so", "libQt6Quick.so.6",
    "PySide6/Qt/lib/libQt6Qml.so.6", "PySide6\\Qt6Network.dll", "PySide6/QtNetwork.pyd", "h5py/tests/data/a.h5",
    "PySide6/Qt/lib/QtPdf.framework/Versions/A/QtPdf", "PySide6/Qt/plugins/platformthemes/libqgtk3.so",
    "PySide6/Qt/plugins/platforms/libqvnc.so", "PySide6/plugins/tls/qopensslbackend.dll", "numpy/core.pyi",
    "PySide6/Qt/translations/qt_de.qm", "PySide6/Qt/plugins/platforminputcontexts/libqtvirtualkeyboardplugin.so",
    "numpy-2.2.6.dist-info/RECORD", "hdf5plugin/plugins/libh5sz3.so", "hdf5plugin\\plugins\\libh5sz.dll"])
def test_what_is_not_needed_stays_out(path: str) -> None:
    assert not package_contents.is_needed(path)


@pytest.mark.parametrize(("name", "needed"), [
    ("keras.src.layers.layer", True), ("keras.src.layers.layer_test", False), ("keras.src.backend.tensorflow.nn", True),
    ("keras.src.backend.torch.nn", False), ("tensorflow.python.framework.test_util", True), ("numpy.f2py", False),
    ("pygments.lexers._mapping", True), ("pygments.lexers.lisp", False), ("engine.pruning.sweep", True)])
def test_which_modules_go_in(name: str, needed: bool) -> None:
    assert package_contents.is_needed_module(name) == needed


def test_all_of_the_program_goes_in() -> None:
    modules = package_contents.own_modules()
    assert {"engine", "engine.__main__", "engine.pruning.sweep", "gui.self_test", "gui.main_window"} <= set(modules)
    for module in modules:
        assert importlib.util.find_spec(module) is not None
    files = {Path(folder) / Path(file).name for file, folder in package_contents.data_files()}
    for path in ("resources/icons/play.svg", "resources/help/guide.html", "data/sample/images/clean_greta.png"):
        assert Path(path) in files
    assert not [path for path in files if path.suffix == ".py" or path.is_absolute()]


def test_packages_that_only_build_or_test_stay_out() -> None:
    names = {package.metadata["Name"].lower() for package in package_contents.distributions()}
    assert {"numpy", "keras", "h5py"} <= names
    assert not names & {"pyinstaller", "pytest", "distributed", "ruff", "setuptools"}


def test_stand_ins_tell_nothing_of_the_machine(tmp_path: Path) -> None:
    package_contents.write_neutral_modules(tmp_path)
    for file in tmp_path.iterdir():
        text = file.read_text(encoding="utf-8")
        assert "EXT_SUFFIX" in text
        assert sys.base_prefix not in text


def test_licences_are_named() -> None:
    licences = {package.metadata["Name"]: package_licences.licence_of(package)
                for package in package_contents.distributions()}
    assert "LGPL-3.0" in licences["PySide6_Essentials"]
    assert "Apache" in licences["keras"]
    assert all(licences.values())


def test_a_blank_widget_fails_the_self_test(qtbot: QtBot) -> None:
    blank, drawn = QLabel(), QLabel("A label with much text, black on white")
    for widget in (blank, drawn):
        qtbot.addWidget(widget)
        widget.resize(160, 100)
    self_test.expect_drawn(drawn)
    with pytest.raises(self_test.SelfTestFailed, match="QLabel"):
        self_test.expect_drawn(blank)


def test_a_failure_is_one_line_and_status_1(qtbot: QtBot, tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr(QApplication, "exit", ended.append)
    test = self_test.SelfTest(tmp_path)
    test.fail(ValueError("no such thing"))
    test.fail(ValueError("a consequence"))
    assert capsys.readouterr().out == "self-test FAILED while starting: ValueError: no such thing\n"
    assert ended == [1]


def test_a_whole_session_passes_the_self_test() -> None:
    """From source too, so that a change of the window that the self-test lives on shows before it is packed."""
    done = subprocess.run([sys.executable, "-c", "import sys; from gui import self_test; sys.exit(self_test.main())"],
                          cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.match(r"self-test passed: \d+ steps", done.stdout)

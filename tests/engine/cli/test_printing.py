"""What a person and a script see: literal text, plain pipes, tables that fit, JSON of every command, help."""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from engine.__main__ import AT_FAULT, DONE, INTERRUPTED, USAGE, main
from engine.cli.parser import COMMANDS, build_parser
from engine.cli.printing import say, say_csv, say_table
from engine.cli.progress_line import ProgressLine
from engine.cli.result_tables import say_names
from engine.data.classes import called
from engine.data.labels import RECONSTRUCTED
from engine.progress import Progress
from tests.support.networks import SmallLab
from tests.support.places import PROJECT

WITH_TERMINALS = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
# A name that rich would colour and a terminal would take for a new title.
TRAP = "[red]a[/red] \x1b]0;title\x07 \u202egnp.h5"


def commands() -> dict[str, argparse.ArgumentParser]:
    (group,) = (a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction))
    return dict(group.choices)


def on_terminal(columns: int, *words: str, **environment: str) -> str:
    """What a process shows on a terminal of a width."""
    import fcntl
    import termios
    terminal, end = os.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    known = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    process = subprocess.Popen([sys.executable, *words], cwd=PROJECT, stdout=end, stderr=subprocess.STDOUT,
                               env={**known, "TERM": "xterm", **environment})
    os.close(end)
    shown = b""
    with process:
        while chunk := _read(terminal):
            shown += chunk
    os.close(terminal)
    assert process.returncode == 0, shown
    return shown.decode().replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # how Linux says that the other end is closed
        return b""


def without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", text)


@pytest.mark.parametrize("name", [c.__name__.rpartition(".")[2] for c in COMMANDS])
def test_help_explains_every_option(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = commands()[name]
    assert [action.dest for action in parser._actions if len(action.help or "") < 20 and action.dest != "help"] == []
    with pytest.raises(SystemExit) as left:
        main([name, "--help"])
    assert left.value.code == DONE
    assert parser.description and parser.description.split()[0] in capsys.readouterr().out


def test_every_command_that_prints_a_result_prints_json() -> None:
    assert [name for name, parser in commands().items() if "--json" not in parser.format_help()] == []


@pytest.mark.parametrize("words", [["scan", "m.h5", "--clean", "c.h5"], ["misread", "m.h5", "--clean", "c.h5"],
                                   ["inspect", "m.h5"]])
def test_an_option_that_a_command_lacks_is_no_abbreviation(
        words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([*words, "--out", "folder"])
    assert left.value.code == USAGE
    assert "unrecognized arguments: --out folder" in capsys.readouterr().err


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    said = re.search(r'^version = "(.+)"$', (PROJECT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert said and capsys.readouterr().out == f"GoodNet {said[1]}\n"
    assert left.value.code == DONE


def test_json_waits_for_nothing_it_does_not_need(small_lab: SmallLab) -> None:
    code = ("import sys; from engine.__main__ import main; main(['inspect', sys.argv[1], '--json']); "
            "unneeded = {'rich', 'tensorflow', 'matplotlib', 'jinja2', 'asyncio'}; "
            "print(sorted(unneeded & set(sys.modules)), file=sys.stderr)")
    done = subprocess.run([sys.executable, "-c", code, str(small_lab.badnet)], cwd=PROJECT, capture_output=True,
                          text=True, check=True)
    assert json.loads(done.stdout)["kind"] == "model"
    assert done.stderr == "[]\n"


@pytest.mark.skipif(sys.platform == "win32", reason="such names are refused there")
def test_names_are_printed_literally(
    small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copy(small_lab.clean, tmp_path / TRAP.replace("/", "|"))
    shown = r"[red]a[|red] \x1b]0;title\x07 \u202egnp.h5"
    assert main(["inspect", str(tmp_path / TRAP.replace("/", "|"))]) == DONE
    assert shown in capsys.readouterr().out
    assert main(["inspect", str(tmp_path / "none" / TRAP)]) == AT_FAULT
    assert r"\x1b]0;title\x07 \u202egnp.h5" in capsys.readouterr().err


def test_tables_and_coloured_lines_are_literal_too(capsys: pytest.CaptureFixture[str]) -> None:
    say_table(["[b]name[/b]\x1b[31m\n", "count"], [[TRAP, "7"], ["two\nlines", "\t8"]])
    say(TRAP, style="red")
    shown = r"[red]a[/red] \x1b]0;title\x07 \u202egnp.h5"
    heading, first, second, line = capsys.readouterr().out.splitlines()
    assert heading.split() == [r"[b]name[/b]\x1b[31m\n", "count"]
    assert (first.startswith(shown), first.split()[-1]) == (True, "7")
    assert second.split() == [r"two\nlines", r"\t8"]
    assert line == shown


def test_rows_of_csv_end_once_on_windows_too(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="utf-8", newline="\r\n"))  # as there
    say_csv(["file", "label"], [{"file": "a.png", "label": 3, "more": "left out"}])
    sys.stdout.flush()
    assert raw.getvalue() == b"file,label\r\na.png,3\r\n"


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_file_s_name_is_whole_in_csv_whatever_the_terminal_s_code_page(
        encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding, errors="backslashreplace"))
    say_csv(["file"], [{"file": "\u732b \u00e9.png"}, {"file": "\udcff.png"}])
    sys.stdout.flush()
    assert raw.getvalue().decode("utf-8") == "file\r\n\u732b \u00e9.png\r\n\\udcff.png\r\n"


def test_a_pipe_gets_whole_plain_lines(
    small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However narrow the terminal is that the command was typed into."""
    monkeypatch.setenv("COLUMNS", "30")
    model = tmp_path / f"{'long' * 50}.keras"
    shutil.copy(small_lab.badnet, model)
    out = tmp_path / "out"
    assert main(["prune", str(model), "--clean", str(small_lab.clean), "--test", str(small_lab.test), "--poisoned",
                 str(small_lab.poisoned), "--out", str(out)]) == DONE
    said = capsys.readouterr().out
    assert "\x1b" not in said and model.name in said
    for row in json.loads((out / "run.json").read_text(encoding="utf-8"))["goodnets"]:
        low, high = row["clean_accuracy_interval"]
        expected = (rf"X = {row['x']:g}\s+{row['channels_pruned']}\s+{row['drop_points']:.2f}\s+"
                    rf"{100 * row['clean_accuracy']:.2f} % \[{100 * low:.1f}-{100 * high:.1f}\]\s+"
                    rf"{100 * row['attack_success_rate']:.2f} % .*")
        assert any(re.fullmatch(expected, line) for line in said.splitlines()), expected


@WITH_TERMINALS
@pytest.mark.parametrize("columns", [44, 60, 200])
def test_a_table_fits_the_terminal_and_loses_nothing(columns: int) -> None:
    code = ("from engine.cli.printing import say_table; "
            "say_table(['picture', 'clean accuracy', 'alarms'], [['face' * 30, '97.14 % [94.9-98.4]', '12.5 %']])")
    shown = without_colours(on_terminal(columns, "-c", code))
    assert all(len(line) <= columns for line in shown.splitlines())
    assert {"[94.9-98.4]", "97.14", "12.5"} <= set(shown.split())
    assert "".join(re.findall("[face]+", shown.split("alarms")[1])).count("face") == 30


@WITH_TERMINALS
def test_a_terminal_too_narrow_for_the_figures_wraps_them() -> None:
    code = "from engine.cli.printing import say_table; say_table(['picture', 'accuracy'], [['a', '[94.9-98.4]']])"
    assert "[94.9-98.4]" in on_terminal(10, "-c", code).replace("\n", "")


@WITH_TERMINALS
def test_colour_is_for_terminals_that_want_it() -> None:
    code = "from engine.cli.printing import say; say('repaired', style='green')"
    assert on_terminal(80, "-c", code) == "\x1b[32mrepaired\x1b[0m\n"
    assert on_terminal(80, "-c", code, NO_COLOR="1") == "repaired\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_shows_count_and_time_left_and_clears_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with pytest.raises(KeyboardInterrupt), ProgressLine() as show:
        show(Progress("Opening [files]", 0, 1))
        for done in range(11):
            show(Progress("Counting", done, 10))
        raise KeyboardInterrupt
    shown = terminal.getvalue()
    assert "Opening [files]" in shown and "Counting" in shown and "10/10" in without_colours(shown)
    assert "0:00:00" in shown  # left when all is done
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")  # the cursor is back
    assert shown.endswith("\x1b[2K")


def test_without_a_terminal_standard_error_stays_empty_and_help_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """Scripts take what stands there for the sentence on a fault."""
    with ProgressLine() as show:
        show(Progress("Opening files", 0, 1))
        show(Progress("Counting", 1, 10))
    assert capsys.readouterr().err == ""
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "Progress goes to standard error where that is a terminal, " in " ".join(capsys.readouterr().out.split())


def test_a_name_that_is_the_labels_own_number_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    """As where folders are named 0, 1, 10, 2: what 0 and 1 are needs no words, what 2 and 3 are does."""
    names = ["0", "1", "10", "2"]
    say_names([0, 3, 1, 2, 3, 9], names)
    assert capsys.readouterr().out == "Label 3 is 2.\nLabel 2 is 10.\n"
    assert [called(label, names) for label in (0, 2, 3, 9)] == ["0", "2 (10)", "3 (2)", "9"]


def as_process(stdout: int, *words: str | Path) -> tuple[int, str]:
    done = subprocess.run([sys.executable, "-m", "engine", *map(str, words)], cwd=PROJECT, stdout=stdout,
                          stderr=subprocess.PIPE, text=True, check=False)
    return done.returncode, done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="writes to a device that is always full")
@pytest.mark.parametrize("more", [[], ["--json"]])
@pytest.mark.parametrize("of", ["clean", "badnet"])  # of a data set there are lines, of a model also a table
def test_what_cant_be_printed_is_a_sentence_and_who_stops_reading_is_no_fault(
    of: str, more: list[str], small_lab: SmallLab,
) -> None:
    with Path("/dev/full").open("w") as full:
        status, said = as_process(full.fileno(), "inspect", getattr(small_lab, of), *more)
    assert status == AT_FAULT and said.count("\n") == 1
    assert "standard output: the result can't be written (No space left on device)" in said
    reading, writing = os.pipe()
    os.close(reading)
    assert as_process(writing, "inspect", getattr(small_lab, of), *more) == (DONE, "")
    os.close(writing)


def test_ctrl_c_while_modules_are_loaded_is_told_as_it_is_later() -> None:
    code = ("import sys\n"
            "class Interrupting:\n"
            "    def find_spec(self, name, *_):\n"
            "        if name == 'numpy': raise KeyboardInterrupt\n"
            "sys.meta_path.insert(0, Interrupting())\n"
            "from engine.__main__ import main\n"
            "sys.exit(main(['inspect', 'x']))")
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (INTERRUPTED, "goodnet: cancelled; nothing was written.\n")


@pytest.mark.skipif(sys.platform == "win32", reason="the folder that a process works in can't be replaced there")
def test_prune_prints_its_run_json_from_the_folder_that_it_replaces(
    small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    assert main(small_lab.prune("--drop", "4", "--json", "--out", ".")) == DONE
    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "out" / "run.json").read_text("utf-8"))


def test_prune_prints_its_run_json(
    small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(small_lab.prune("--drop", "4", "--json", "--out", tmp_path / "out")) == DONE
    said = capsys.readouterr()
    assert said.err == ""
    assert json.loads(said.out) == json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))


def test_repair_prints_its_evaluation_json(
    small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["repair", str(small_lab.badnet), "--clean", str(small_lab.clean), "--test", str(small_lab.test),
             "--method", "fine-pruning", "--channels", "2", "--out", str(tmp_path / "out")]
    assert main([*words, "--json"]) == DONE
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found == json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8"))
    assert found["test"]["images"] == 60
    assert (found["level"], found["assessment"]) == (None, None)  # without poisoned images
    assert main(words) == DONE
    accuracy = f"{100 * found['test']['goodnet_accuracy']:.2f} %"
    assert re.search(rf"test +60 +{accuracy}", capsys.readouterr().out)


def test_repair_and_evaluate_say_which_poisoned_sets_are_estimates(
    small_lab: SmallLab, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    """Whatever the file is called."""
    made, out = Path(shutil.copy(small_lab.poisoned, tmp_path / "bd.h5")), tmp_path / "out"
    with h5py.File(made, "a") as file:
        file[RECONSTRUCTED] = np.uint8(1)
    sets = ["--test", str(small_lab.test), "--poisoned", str(small_lab.poisoned), str(made), "--json"]
    for words in (["repair", str(small_lab.badnet), "--clean", str(small_lab.clean), "--method", "fine-pruning",
                   "--channels", "2", "--out", str(out)], ["evaluate", str(out)]):
        assert main([*words, *sets]) == DONE
        found = json.loads(capsys.readouterr().out)
        assert [(part["name"], part["reconstructed"]) for part in found["poisoned"]] == [
            ("poisoned", False), ("bd", True)], words[0]
        assert "reconstructed" not in found["test"]


@pytest.mark.parametrize("terminal", [False, True])
def test_a_terminal_is_shown_what_a_table_would_have_it_obey(
        terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal, raising=False)
    say_csv(["file"], [{"file": "\x1b[31mred.png"}])
    assert ("\x1b" in capsys.readouterr().out) != terminal

"""What the packed program must show; `make test-package` runs this, plain pytest doesn't collect it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PyInstaller.archive.readers import CArchiveReader

from tests.packaged.packed_program import DIST, PROJECT, Packed

sys.path.insert(0, str(PROJECT / ".setup"))
import package
import package_contents

MOST_PACKED, MOST_UNPACKED = 240e6, 950e6  # bytes; ONNX came with a second library
PHOTOGRAPHER = Path(__file__).with_name("photograph.py")

pytestmark = pytest.mark.timeout(900)


def test_sizes(packed: Packed) -> None:
    unpacked, archive = package.size_of(packed.folder), packed.archive.stat().st_size
    print(f"\nsize: {archive / 1e6:.0f} MB packed, {unpacked / 1e6:.0f} MB unpacked")
    assert archive <= MOST_PACKED
    assert unpacked <= MOST_UNPACKED


def test_every_library_finds_those_it_needs(packed: Packed) -> None:
    inside = packed.folder / "_internal"
    libraries = [str(path) for path in inside.rglob("*.so*") if path.is_file() and not path.is_symlink()]
    found = subprocess.run(["ldd", *libraries], capture_output=True, text=True,
                           env={**os.environ, "LD_LIBRARY_PATH": str(inside)})
    missing = {line.split()[0] for line in found.stdout.splitlines() if "not found" in line}
    assert not missing


def test_nothing_of_this_machine_is_inside(packed: Packed) -> None:
    # Python itself holds the path it was built for, and that is all that may.
    words = [str(PROJECT).encode(), sys.prefix.encode()]
    found = []
    for path in packed.folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            found += [f"{word!r} in {path.relative_to(packed.folder)}" for word in words if word in data]
    modules = CArchiveReader(str(packed.folder / "GoodNet")).open_embedded_archive("PYZ.pyz")
    words.append(sys.base_prefix.encode())
    known = modules.extract("engine.pruning.sweep", raw=True)
    assert b"engine/pruning/sweep.py" in known, "modules can't be read this way"
    for name in modules.toc:
        code = modules.extract(name, raw=True)
        found += [f"{word!r} in module {name}" for word in words if code and word in code]
    assert not found


def test_licences_of_everything(packed: Packed) -> None:
    listed = (packed.folder / "licences" / "PACKAGES.txt").read_text(encoding="utf-8")
    for distribution in package_contents.distributions():
        assert f"\n{distribution.metadata['Name']} {distribution.version}: " in listed
    assert "PySide6_Essentials" in listed or "PySide6-Essentials" in listed
    for name in ("LICENSE", "CHANGELOG.md", "licences/README.txt", "licences/LGPL-3.0.txt", "licences/GPL-3.0.txt",
                 "licences/Python/LICENSE.txt"):
        assert (packed.folder / name).stat().st_size > 100
    assert not re.search(r"^lib.*: from the system", listed, re.MULTILINE) or not Path("/usr/bin/dpkg-query").exists()


def test_the_command_line_prunes_as_the_source_does(packed: Packed) -> None:
    runs = []
    for command, sample, out in (
            (None, packed.sample, packed.home / "packed"),
            ([sys.executable, "-m", "engine"], PROJECT / "data" / "sample", packed.home / "source")):
        arguments = ["prune", str(sample / "badnet.keras"), "--clean", str(sample / "clean_validation.h5"), "--test",
                     str(sample / "clean_test.h5"), "--poisoned", str(sample / "poisoned_test.h5"), "--out", str(out)]
        done = packed.run(*arguments) if command is None else \
            subprocess.run([*command, *arguments], cwd=PROJECT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "</html>" in (out / "report.html").read_text(encoding="utf-8")
        runs.append(json.loads((out / "run.json").read_text(encoding="utf-8")))
    ours, theirs = (_comparable(run) for run in runs)
    assert len(ours["pruning_order"]) == 60
    assert ours == theirs


def test_the_command_line_says_what_is_wrong(packed: Packed) -> None:
    done = packed.run("inspect", "no such file.h5")
    assert done.returncode == 1
    assert "no such file.h5" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_opens_strangers_files_in_a_process_of_their_own(packed: Packed) -> None:
    crashing = PROJECT.parent / "shared" / "hostile" / "cyc_group.h5"
    if not crashing.is_file():
        pytest.skip("the collection of hostile files isn't at ../shared/hostile")
    done = packed.run("inspect", str(crashing))
    assert done.returncode == 1
    assert done.stderr.startswith(f"goodnet: {crashing}: crashed what reads it"), done.stderr


def test_the_window_is_drawn(packed: Packed, display: str, own_environment: dict[str, str]) -> None:
    picture = DIST / "window.png"
    seconds = []
    for _ in range(2):  # the first start reads the program from the disk
        photographer = subprocess.Popen([sys.executable, str(PHOTOGRAPHER), str(picture)], stdout=subprocess.PIPE,
                                        text=True, env={**own_environment, "DISPLAY": display})
        with photographer:
            assert photographer.stdout is not None
            assert photographer.stdout.readline() == "ready\n"
            started = time.monotonic()
            with packed.start("--sample", DISPLAY=display) as program:
                seconds.append(float(photographer.stdout.readline()) - started)
                assert photographer.wait() == 0
                assert program.poll() is None
                program.terminate()
    print(f"\nwindow drawn {seconds[0]:.1f} s after the first start, {seconds[1]:.1f} s after the second: {picture}")


def test_the_program_tests_itself(packed: Packed, display: str) -> None:
    done = packed.run("--self-test", DISPLAY=display)
    print(f"\n{done.stdout.strip()}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\n") == 1


def test_installing_needs_no_root_and_can_be_undone(packed: Packed) -> None:
    home = packed.home / "an other"
    home.mkdir()
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    script = ["sh", str(packed.folder / "install.sh")]
    for _ in range(2):  # the second time in place of the first
        subprocess.run(script, env=environment, check=True, stdout=subprocess.DEVNULL)
    app = home / ".local" / "share" / "goodnet"
    entry = (home / ".local" / "share" / "applications" / "goodnet.desktop").read_text(encoding="utf-8")
    assert f'\nExec="{app}/GoodNet" %F\n' in entry
    assert (home / ".local" / "share" / "icons" / "hicolor" / "48x48" / "apps" / "goodnet.png").is_file()
    told = subprocess.run([home / ".local" / "bin" / "goodnet", "inspect", "--help"], env=environment, text=True,
                          capture_output=True)
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("usage: GoodNet inspect")
    subprocess.run([*script, "--remove"], env=environment, check=True, stdout=subprocess.DEVNULL)
    assert not [path for path in home.rglob("*") if not path.is_dir()]


def _comparable(run: dict[str, Any]) -> dict[str, Any]:
    """A run.json without what must differ: where files are and how long it took."""
    left = {key: value for key, value in run.items() if key != "seconds"}
    for part in (left["model"], *left["datasets"]):
        part["path"] = Path(part["path"]).name
    return left

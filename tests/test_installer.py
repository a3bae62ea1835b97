"""resources/desktop/install.sh on a small package and an empty home; `make test-package` runs it on the real one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.places import PROJECT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the installer is a shell script")


class Home:
    """A home folder, and packages that are installed in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "some one's home"
        self.folder.mkdir(parents=True)
        self.data = self.folder / ".local" / "share"
        self.app, self.new, self.old = (self.data / f"goodnet{end}" for end in ("", ".new", ".old"))
        self.entry = self.data / "applications" / "goodnet.desktop"
        self.icon = self.data / "icons" / "hicolor" / "48x48" / "apps" / "goodnet.png"
        self.command = self.folder / ".local" / "bin" / "goodnet"

    def package(self, version: str) -> Path:
        """An unpacked archive, read-only as it may be; each version has one file that no other has."""
        package = self.folder.parent / f"package {version}"
        icons = package / "_internal" / "resources" / "icon"
        icons.mkdir(parents=True)
        for size in ("048", "256"):
            (icons / f"goodnet-{size}.png").write_bytes(b"PNG " + version.encode())
        (package / "GoodNet").write_text(f"#!/bin/sh\necho {version}\n")
        (package / "GoodNet").chmod(0o555)
        (package / "_internal" / f"only in \"{version}\", isn't it.txt").touch()
        (package / "_internal" / "libraries").mkdir()
        (package / "_internal" / "libraries" / "lib.so").symlink_to("../lib.so.1")
        for path in (PROJECT / "resources" / "desktop").iterdir():
            shutil.copy(path, package)
        (package / "_internal" / "libraries").chmod(0o555)
        return package

    def run(self, package: Path, *arguments: str, status: int = 0, **more: str) -> str:
        """Run the installer of a package; what it said."""
        environment = {"HOME": str(self.folder), "PATH": "/usr/bin:/bin", **more}
        done = subprocess.run(["sh", str(package / "install.sh"), *arguments], cwd=self.folder, env=environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def starts(self) -> str:
        return subprocess.run([self.command], capture_output=True, text=True, check=True).stdout.strip()

    def contents(self) -> dict[str, bytes | str | None]:
        """All that is in the home: what files hold, where links point, None for folders."""
        return {str(path.relative_to(self.folder)): str(path.readlink()) if path.is_symlink() else
                path.read_bytes() if path.is_file() else None for path in self.folder.rglob("*")}

    def files(self) -> list[Path]:
        return [path for path in self.folder.rglob("*") if path.is_symlink() or not path.is_dir()]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def write(path: Path, text: str = "mine") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_installs_replaces_and_removes(home: Home) -> None:
    for version in ("1", "2", "2b"):
        home.run(home.package(version))
        assert home.starts() == version
        assert home.icon.read_bytes() == b"PNG " + version.encode()
        assert f'\nExec="{home.app}/GoodNet" %F\n' in home.entry.read_text()
        assert [path.name for path in home.app.rglob("only in*")] == [f"only in \"{version}\", isn't it.txt"]
        assert not home.new.exists() and not home.old.exists()
    home.run(home.app, "--remove")
    assert not home.files() and not home.app.exists()
    assert "removed" in home.run(home.folder.parent / "package 1", "--remove")  # where there is nothing


@pytest.mark.parametrize(("installed", "remove"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("which", ["app", "new", "old", "command", "command folder", "command link", "entry", "icon"])
def test_what_others_made_is_named_and_nothing_is_touched(home: Home, which: str, installed: bool,
                                                          remove: bool) -> None:
    if installed:
        home.run(home.package("1"))
    path: Path = getattr(home, which.split()[0])
    if path == home.app and installed:
        (path / "installed-files.txt").unlink()  # as version 0.2.0 left it
    elif which in ("app", "new", "old", "command folder"):
        path.unlink(missing_ok=True)
        write(path / "thesis.txt")
    elif which == "command link":
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(write(home.folder / "my goodnet"))
    else:
        path.unlink(missing_ok=True)
        write(path, "[Desktop Entry]\nExec=mine\n")
    before = home.contents()
    said = home.run(home.package("2"), *["--remove"] * remove, status=1)
    assert f"\n    {path}\n" in said and "nothing was changed" in said
    assert home.contents() == before


def test_files_put_into_the_programs_folder_are_kept(home: Home) -> None:
    home.run(home.package("1"))
    names = ("thesis.txt", "_internal/new folder/a\nb.txt", "_internal/it's \"1\".h5")
    kept = [write(home.app / name) for name in names]
    said = home.run(home.package("2"))
    assert home.starts() == "2" and not home.old.exists()
    assert all(path.read_text() == "mine" and str(path) in said for path in kept)
    said = home.run(home.app, "--remove")
    assert sorted(home.files()) == sorted(kept)
    assert all(str(path) in said for path in kept)


def test_a_file_where_the_new_program_has_its_own_is_kept_beside_it(home: Home) -> None:
    home.run(home.package("1"))
    write(home.app / "news.txt")
    package = home.package("2")
    write(package / "news.txt", "theirs")
    assert str(home.old / "news.txt") in home.run(package)
    assert (home.old / "news.txt").read_text() == "mine"
    assert (home.app / "news.txt").read_text() == "theirs"


@pytest.mark.parametrize("program", ["cp", "mv", "ln", "rm", "chmod", "rmdir", "xargs"])
@pytest.mark.parametrize("call", range(1, 4))
def test_stopped_anywhere_a_program_is_left_and_the_next_run_mends_it(home: Home, program: str, call: int) -> None:
    home.run(home.package("1"))
    tools = home.folder.parent / "tools"
    counter = tools / "count"
    write(counter, "")
    stopping = write(tools / program, f'#!/bin/sh\necho >> "{counter}"\n'
                     f'[ $(wc -l < "{counter}") -ne {call} ] || kill -9 $PPID\nexec /bin/{program} "$@"\n')
    if not Path("/bin", program).exists():
        pytest.skip(f"/bin/{program} isn't there")
    stopping.chmod(0o755)
    package = home.package("2")
    subprocess.run(["sh", str(package / "install.sh")], capture_output=True,
                   env={"HOME": str(home.folder), "PATH": f"{tools}:/usr/bin:/bin"})
    whole = [folder for folder in (home.app, home.old, home.new) if (folder / "GoodNet").is_file()]
    assert whole, "no program is left"
    home.run(package)
    assert home.starts() == "2" and not home.new.exists() and not home.old.exists()
    home.run(package, "--remove")
    assert not home.files()


@pytest.mark.parametrize("left", ["new", "old"])
def test_removes_what_a_stopped_run_left(home: Home, left: str) -> None:
    package = home.package("1")
    home.run(package)
    shutil.copytree(home.app, getattr(home, left), symlinks=True)
    home.run(package, "--remove")
    assert not home.files()


def test_a_copy_that_fails_leaves_the_old_program(home: Home) -> None:
    home.run(home.package("1"))
    before = home.contents()
    tools = home.folder.parent / "tools"
    write(tools / "cp", '#!/bin/sh\n/bin/cp "$@"; exit 1\n').chmod(0o755)
    assert "is as it was" in home.run(home.package("2"), status=1, PATH=f"{tools}:/usr/bin:/bin")
    assert home.contents() == before and home.starts() == "1"


def test_it_does_not_install_what_is_installed(home: Home) -> None:
    home.run(home.package("1"))
    before = home.contents()
    assert "unpacked archive" in home.run(home.app, status=1)
    assert home.contents() == before


@pytest.mark.parametrize("character", ['"', "$", "`", "\\", "%", "=", "\n"])
def test_a_path_that_no_menu_entry_can_name_is_refused(tmp_path: Path, character: str) -> None:
    home = Home(tmp_path / f"a{character}b")
    package = home.package("1")
    assert f"start {package}/GoodNet" in home.run(package, status=1)
    assert not home.files()


def test_a_relative_data_folder_is_ignored(home: Home) -> None:
    home.run(home.package("1"), XDG_DATA_HOME="share")
    assert home.app.is_dir() and home.starts() == "1"

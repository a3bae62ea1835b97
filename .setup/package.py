"""What `make package` does: PyInstaller's folder, made smaller, with licences, as one archive in dist/."""

from __future__ import annotations

import lzma
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import package_licences
from package_contents import PROJECT, version

BUILD, DIST = PROJECT / "build", PROJECT / "dist"
NAME = "GoodNet"
# Libraries with symbols that only debuggers read, and that strip is known to leave whole.
STRIPPED = ("tensorflow/**/*.so*", "hdf5plugin/**/*.so", "python3*/lib-dynload/*.so", "libpython3*.so*",
            "contourpy/*.so", "fontTools/**/*.so", "kiwisolver/*.so", "matplotlib/**/*.so")
# Of xz: preset 6 makes the archive 6 % smaller and takes twice as long, preset 1 makes it 8 % larger.
PRESET = 4


def main() -> None:
    """Build the program and its archive; say how large they are and how long it took."""
    started = time.monotonic()
    program = build()
    strip(program)
    add_papers(program)
    print(f"{program.relative_to(PROJECT)}: {size_of(program) / 1e6:.0f} MB "
          f"in {time.monotonic() - started:.0f} s", flush=True)
    archive = pack(program)
    print(f"{archive.relative_to(PROJECT)}: {archive.stat().st_size / 1e6:.0f} MB "
          f"after {time.monotonic() - started:.0f} s in all")


def build() -> Path:
    """Run PyInstaller; the program's folder, or on macOS the application."""
    shutil.rmtree(DIST / NAME, ignore_errors=True)
    # Whatever is in the environment, the same goes in; PyInstaller's own cache stays inside build/.
    settings = {"PYINSTALLER_CONFIG_DIR": str(BUILD / "cache"), "PYTHONHASHSEED": "1", "PYTHONNOUSERSITE": "1",
                "KERAS_BACKEND": "tensorflow", "MPLCONFIGDIR": str(BUILD / "matplotlib"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", "PyInstaller", str(PROJECT / "build.spec"), "--noconfirm", "--clean",
               "--log-level", "WARN", "--distpath", str(DIST), "--workpath", str(BUILD / "pyinstaller")]
    if subprocess.run(command, cwd=PROJECT, env={**os.environ, **settings}).returncode:
        sys.exit("make: PyInstaller failed; the lines above say why.")
    return DIST / (f"{NAME}.app" if sys.platform == "darwin" else NAME)


def strip(program: Path) -> None:
    """Take symbols out of libraries, where binutils is there."""
    if not sys.platform.startswith("linux") or shutil.which("strip") is None:
        return
    inside = program / "_internal"
    known = {path for pattern in STRIPPED for path in inside.glob(pattern)}
    for library in inside.rglob("*.so*"):
        if library.is_file() and not library.is_symlink():
            stripped = library.with_name(f"{library.name}.stripped")
            subprocess.run(["strip", "--strip-unneeded", "-o", str(stripped), str(library)], check=True)
            # Those that a wheel's makers changed after linking, strip may break.
            if library in known or _loads(stripped, inside):
                shutil.copymode(library, stripped)
                stripped.replace(library)
            else:
                stripped.unlink()


def _loads(library: Path, folder: Path) -> bool:
    """Whether a library can be loaded, with those it needs taken from a folder."""
    command = [sys.executable, "-c", "import ctypes, sys; ctypes.CDLL(sys.argv[1])", str(library)]
    environment = {**os.environ, "LD_LIBRARY_PATH": str(folder)}
    return subprocess.run(command, env=environment, capture_output=True).returncode == 0


def add_papers(program: Path) -> None:
    """Add what a person looks for beside a program: licences, changes, and on Linux its entry for the desktop."""
    papers = program / "Contents" / "Resources" if sys.platform == "darwin" else program
    libraries = program / "Contents" / "Frameworks" if sys.platform == "darwin" else program / "_internal"
    for name in ("LICENSE", "CHANGELOG.md"):
        shutil.copyfile(PROJECT / name, papers / name)
    package_licences.gather(libraries, papers / "licences")
    if sys.platform.startswith("linux"):
        for path in (PROJECT / "resources" / "desktop").iterdir():
            shutil.copy(path, papers)
    if sys.platform == "darwin":  # PyInstaller signed what was there before, and a changed application is "damaged"
        subprocess.run(["codesign", "--force", "--deep", "--sign", "-", str(program)], check=True)


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder; links count nothing."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def pack(program: Path) -> Path:
    """Pack the program into one archive, as usual on this system."""
    system = {"linux": "linux", "win32": "windows", "darwin": "macos"}.get(sys.platform, sys.platform)
    name = f"{NAME}-{version()}-{system}-{platform.machine().lower()}"
    if sys.platform == "win32":
        return Path(shutil.make_archive(str(DIST / name), "zip", DIST, program.name))
    archive = DIST / f"{name}.tar.xz"
    partial = DIST / "unfinished.partial"  # an archive that is cut short isn't taken for the newest
    with _xz(partial) as stream, tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        tar.add(program, program.name, filter=_without_owner)
    return partial.replace(archive)


def _without_owner(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """A member that belongs to nobody in particular, and that everybody may read."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode |= 0o111 if member.isdir() else 0
    member.mode |= 0o644
    return member


@contextmanager
def _xz(archive: Path) -> Iterator[IO[bytes]]:
    """A stream into an .xz file; on all cores where the program xz is there."""
    if shutil.which("xz") is None:
        with lzma.open(archive, "wb", preset=PRESET) as stream:
            yield stream
        return
    # Machine code of x86 packs better when jumps are rewritten first; other bytes hardly suffer.
    filters = ["--x86"] if platform.machine().lower() in ("x86_64", "amd64") else []
    with archive.open("wb") as target:
        process = subprocess.Popen(["xz", "-T0", *filters, f"--lzma2=preset={PRESET}", "-c"], stdin=subprocess.PIPE,
                                   stdout=target)
        assert process.stdin is not None
        with process.stdin as stream:
            yield stream
        if process.wait():
            sys.exit("make: xz failed; is the disk full?")


if __name__ == "__main__":
    main()

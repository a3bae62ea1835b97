"""Gathers the licences of everything in the packed program: a list and the texts, for its folder `licences`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import Distribution, distribution
from pathlib import Path

from package_contents import PROJECT, distributions

_TEXT = re.compile(r"(licen[cs]e|copying|notice|authors|third_party_notices)", re.IGNORECASE)
_COMMON = Path("/usr/share/common-licenses")


def gather(program: Path, folder: Path) -> None:
    """Write the folder of licences.

    Args:
        program: the packed program's folder of libraries and modules.
        folder: is made; gets PACKAGES.txt, a folder of texts a package, and what resources/licences holds.
    """
    shutil.copytree(PROJECT / "resources" / "licences", folder)
    # PyInstaller's start program is part of the packed one.
    packages = [*distributions(), distribution("pyinstaller")]
    rows = [_python(folder), *(_package(package, folder) for package in packages)]
    rows += _system_libraries(program, folder)
    head = "What is packed with GoodNet: name, version, licence, where it comes from.\n\n"
    (folder / "PACKAGES.txt").write_text(head + "\n".join(rows) + "\n", encoding="utf-8")


def licence_of(package: Distribution) -> str:
    """A package's licence in a few words, from whichever field of its metadata says it."""
    classifiers = [line.rpartition(":: ")[2] for line in _fields(package, "Classifier") if line.startswith("License")]
    first_line = "".join(_fields(package, "License")).strip().partition("\n")[0]
    return "".join(_fields(package, "License-Expression")) or ", ".join(classifiers) or first_line or "see its text"


def _package(package: Distribution, folder: Path) -> str:
    name = package.metadata["Name"]
    texts = [file for file in package.files or [] if _TEXT.match(file.name) and file.suffix not in (".py", ".pyc")]
    for file in texts:
        # Wheels hold their texts under several names and depths; the path keeps them apart.
        target = folder / name / "-".join(part for part in file.parts if not part.endswith(".dist-info"))
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(file.locate(), target)
    return f"{name} {package.version}: {licence_of(package)}; https://pypi.org/project/{name}/{package.version}/"


def _fields(package: Distribution, name: str) -> list[str]:
    return [str(value) for value in package.metadata.get_all(name) or []]


def _python(folder: Path) -> str:
    version = ".".join(map(str, sys.version_info[:3]))
    for text in (Path(os.__file__).parent / "LICENSE.txt", Path(sys.base_prefix) / "LICENSE.txt"):
        if text.is_file():
            (folder / "Python").mkdir()
            shutil.copyfile(text, folder / "Python" / "LICENSE.txt")
            break
    return f"Python {version}: Python Software Foundation License; https://www.python.org/"


def _system_libraries(program: Path, folder: Path) -> list[str]:
    """Rows for libraries that PyInstaller took from the system, whose packages say what they are."""
    rows: dict[str, str] = {}
    for library in sorted(program.glob("lib*.so*")):
        if library.is_symlink() or library.name.startswith("libpython"):
            continue
        package = _debian_package(library.name)
        if package is None:
            rows[library.name] = f"{library.name}: from the system this was packed on"
            continue
        name, version = package
        rows[name] = f"{name} {version} (Debian): see its text; https://packages.debian.org/{name}"
        text = Path("/usr/share/doc") / name / "copyright"
        if text.is_file():
            (folder / "system").mkdir(exist_ok=True)
            shutil.copyfile(text, folder / "system" / f"{name}.txt")
            _copy_common(text.read_text(encoding="utf-8", errors="replace"), folder / "system")
    return list(rows.values())


def _debian_package(library: str) -> tuple[str, str] | None:
    """The Debian package that a system library is from, and its version; None where there is no such thing."""
    if shutil.which("dpkg-query") is None:
        return None
    found = subprocess.run(["dpkg-query", "--search", f"*/{library}"], capture_output=True, text=True).stdout
    name = found.partition("\n")[0].partition(": ")[0].partition(":")[0]
    if not name:
        return None
    command = ["dpkg-query", "--show", "--showformat", "${Version}\n", name]
    return name, subprocess.run(command, capture_output=True, text=True).stdout.partition("\n")[0]


def _copy_common(text: str, folder: Path) -> None:
    """Copy the texts that a Debian copyright file only names."""
    for name in set(re.findall(rf"{_COMMON}/([\w.-]*\w)", text)):
        if (_COMMON / name).is_file():
            shutil.copyfile(_COMMON / name, folder / f"{name}.txt")

"""The packed program as a stranger has it: unpacked somewhere odd, no Python, no network, another home."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
DIST = PROJECT / "dist"


@dataclasses.dataclass(frozen=True)
class Packed:
    """The unpacked program.

    Attributes:
        archive, folder: what was unpacked, and the program's folder.
        home: where it may write; the environment says nothing else of the machine.
    """

    archive: Path
    folder: Path
    home: Path

    @property
    def sample(self) -> Path:
        """The folder of the sample that came with the program."""
        return self.folder / "_internal" / "data" / "sample"

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        """All variables that the program gets to see."""
        return {"HOME": str(self.home), "PATH": str(self.home / "nothing"), "LC_ALL": "C", **more}

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        """Start the program; variables are added to its environment."""
        command = [*without_network(), str(self.folder / "GoodNet"), *arguments]
        return subprocess.Popen(command, cwd=self.home, env=self.environment(more), text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run the program to its end."""
        process = self.start(*arguments, **more)
        output, errors = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def without_network() -> list[str]:
    """What to put before a command so that it has no network, where this system allows that."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "--net", "true"], capture_output=True).returncode:
        return []
    return [unshare, "--net"]

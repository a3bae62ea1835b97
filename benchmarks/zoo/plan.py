"""Which networks the zoo holds: kind, family, seed, the attacker's targets, and which half of the zoo each is in.

Thresholds are fixed on the half called "fix" and reported on the half called "report".
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.zoo.adaptive import ATTACKERS
from benchmarks.zoo.triggers import TRIGGERS
from benchmarks.zoo.worlds import PROJECT, World

CLEAN = "clean"
# Who is poisoned, beside the families of triggers.
SPECIAL = ("all to all", "some people", "clean label", "two backdoors")
FAMILIES = (*TRIGGERS, *SPECIAL)
# Families that the verdict promises to name; several seeds of each.
MAIN = ("glasses", "corner", "anywhere")
# Where a network is counted, and what tables call it. An attacker who knows the defence is in neither half.
HALVES = {"fix": 'Half "fix"', "report": 'Half "report"', "adaptive": "Attackers who know the defence"}


@dataclass(frozen=True)
class Plan:
    """One network of the zoo."""

    world: World
    family: str
    seed: int

    @property
    def name(self) -> str:
        """The network's file name without its ending."""
        return f"{self.world.kind}-{self.family.replace(' ', '-')}-{self.seed}"

    @property
    def number(self) -> int:
        """A number of its own, from which everything random about it follows."""
        return zlib.crc32(self.name.encode())

    @property
    def backdoored(self) -> bool:
        """Whether somebody put a backdoor in."""
        return self.family != CLEAN

    @property
    def targets(self) -> tuple[int, ...]:
        """The attacker's labels: none, one, two, or every label."""
        if not self.backdoored:
            return ()
        if self.family == "all to all":
            return tuple(range(self.world.labels))
        first = self.number % self.world.labels
        return (first, (first + self.world.labels // 2) % self.world.labels) if self.family == "two backdoors" \
            else (first,)

    @property
    def half(self) -> str:
        """"fix" or "report", every other seed; "adaptive" where the attacker knows the defence."""
        if self.family in ATTACKERS:
            return "adaptive"
        return "fix" if self.seed % 2 == 0 else "report"


def plans() -> list[Plan]:
    """The whole zoo, in the order in which it is best trained: what every table needs comes first."""
    made = []
    for kind, clean in (("signs", 12), ("faces", 10)):
        made += [Plan(World(kind, seed % 2), CLEAN, seed) for seed in range(clean)]
    for seeds, families in ((range(2), FAMILIES), (range(2, 4), MAIN)):
        for seed in seeds:
            made += [Plan(World(kind, seed // 2 % 2), family, seed) for family in families
                     for kind in ("signs", "faces")]
    return made + [Plan(World(kind, 0), family, 0) for kind in ("signs", "faces") for family in ATTACKERS]


def trained(zoo: Path, words: Sequence[str] = ()) -> list[Plan]:
    """Those whose networks lie in a folder, as far as they are asked for; without any the program ends."""
    found = [plan for plan in plans() if (zoo / f"{plan.name}.json").exists() and asked_for(plan.name, words)]
    return found or sys.exit(f"{zoo}: holds no trained network that is asked for; run python -m benchmarks.zoo first.")


def kept(path: Path, network: Path) -> dict[str, Any] | None:
    """What was measured of a network's file and kept in another; None where it wasn't, or the network changed since."""
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found if found.get("network_sha256") == _sha256(network) else None


def keep(path: Path, network: Path, measured: dict[str, Any]) -> dict[str, Any]:
    """Keep what was measured of a network's file, which it then names."""
    found = {**measured, "network_sha256": _sha256(network)}
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def command_line(doc: str | None) -> argparse.ArgumentParser:
    """What every program that measures the zoo's networks takes: where they are, and which. TensorFlow, which isn't
    loaded yet, is told to be quiet."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zoo", type=Path, default=PROJECT / "runs" / "zoo", help="where the networks are")
    parser.add_argument("--only", nargs="*", default=[], help="only networks whose name holds one of these words")
    return parser


def asked_for(name: str, words: Sequence[str]) -> bool:
    """Whether a name holds one of the words, or there are none."""
    return not words or any(word in name for word in words)

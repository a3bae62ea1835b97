"""How many structure-aware files of each class were tried, and what came of them, in as many sittings as it takes.

    python -m tests.support.fuzz.reach [--state FILE] [CLASS ...]

A class's files are shared out evenly among its kinds and tried in slices. After each, FILE is written anew, so that
what is ended goes on where it was. Two processes share the work where each has classes and a FILE of its own.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

from engine.files.saving import whole_file
from tests.support.fuzz import reading
from tests.support.fuzz.__main__ import Tally, fuzz
from tests.support.fuzz.formats import FOREIGN, PICTURES

_SLICE = 500
# Of each class how many files, and which kinds make it up.
CLASSES: dict[str, tuple[int, tuple[str, ...]]] = {
    "keras": (20_000, ("keras-keys", "keras-headers", "keras-weights")),
    "h5": (20_000, ("h5-fields", "h5-latest-fields", "weights-fields")),
    "hdf5": (20_000, ("hdf5-fields", "gzip-fields", "hdf5-latest-fields")),
    "npz": (20_000, ("npz-headers", "npz-arrays", "guard-headers", "guard-arrays")),
    "json": (20_000, ("goodnet.json-keys", "run.json-keys", "order-keys", "project-keys", "manifest-keys",
                      "names-keys")),
    "examination": (3_000, ("evidence-headers", "evidence-arrays", "examine.json-keys")),
    "pictures": (5_000, tuple(PICTURES)), "foreign": (2_000 * len(FOREIGN), tuple(FOREIGN))}


def shares(name: str) -> dict[str, int]:
    """How many files of each kind make a class's number."""
    wanted, kinds = CLASSES[name]
    return dict.fromkeys(kinds, -(-wanted // len(kinds)))


def reach(names: list[str], state: Path, seed: int, keep: Path) -> dict[str, Tally]:
    """Try what is still missing of some classes, the kind that is furthest behind first; all tallies by their kinds."""
    wanted = {kind: count for name in names for kind, count in shares(name).items()}
    tallies = {kind: Tally() for kind in wanted}
    if state.exists():
        for kind, told in json.loads(state.read_text()).items():
            tallies[kind] = Tally(Counter(told["outcomes"]), told["megabytes"], told["seconds"])
    while left := [kind for kind, count in wanted.items() if tallies[kind].files < count]:
        kind = min(left, key=lambda kind: tallies[kind].files / wanted[kind])
        first = tallies[kind].files
        found = fuzz(kind, first, min(_SLICE, wanted[kind] - first), seed, keep)
        tallies[kind].take(found)
        print(f"{kind:<18} {found}", flush=True)
        with whole_file(state) as temporary:
            temporary.write_text(json.dumps({kind: vars(tally) for kind, tally in tallies.items()}, indent=1))
    return tallies


def main() -> int:
    """Reach the numbers of the classes asked for, or of all; the exit status is 1 when a file failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.fuzz.reach",
                                     description=__doc__.splitlines()[0] if __doc__ else "")
    folder = Path(tempfile.gettempdir()) / "goodnet-fuzz"
    parser.add_argument("classes", nargs="*", choices=[[], *CLASSES], metavar="CLASS",
                        help="one of %(choices)s; by default all")
    parser.add_argument("--state", type=Path, default=folder / "reach.json",
                        help="what was tried so far (default: %(default)s)")
    parser.add_argument("--keep", type=Path, default=folder, help="see tests.support.fuzz (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="what the damage is drawn from (default: %(default)s)")
    options = parser.parse_args()
    reading.load()
    options.state.parent.mkdir(parents=True, exist_ok=True)
    names = options.classes or list(CLASSES)
    tallies = reach(names, options.state, options.seed, options.keep)
    for name in names:
        whole = Tally()
        for kind in CLASSES[name][1]:
            whole.take(tallies[kind])
        print(f"{name:<18} {whole}")
    return int(any(tally.failed for tally in tallies.values()))


if __name__ == "__main__":
    sys.exit(main())

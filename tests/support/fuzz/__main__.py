"""Damaged files of every format, thousands each: every one ends in an engine error or a correct result.

    python -m tests.support.fuzz [--count 2000] [--seed 1] [FORMAT ...]

Each batch is read by a process of its own, through the engine, the command line's and the window's functions. A file
may take 10 s of processor time there and as many in the reader's process, 2 GB of memory, and change nothing. What
kills the process, and all that it raises but an engine error that names the file, is a failure, and the file is kept.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from engine.errors import EngineError
from engine.quarantine.client import READER
from tests.support.fuzz import reading, samples
from tests.support.fuzz.formats import ANYWHERE, FORMATS, STRUCTURED, damaged, set_up, way

SECONDS, MEMORY, PATIENCE_SECONDS = 10, 2 << 30, 900
_BATCH = 500
ENDED = "ended its reader"


@dataclass
class Tally:
    """What came of the files of a format: how often what, and the most of memory and time that one took."""

    outcomes: Counter[str] = field(default_factory=Counter)
    megabytes: float = 0.0
    seconds: float = 0.0

    def add(self, outcome: str, seconds: float = 0.0, megabytes: float = 0.0) -> None:
        """Count a file."""
        self.outcomes[outcome.split(":")[0]] += 1
        self.seconds, self.megabytes = max(self.seconds, seconds), max(self.megabytes, megabytes)

    def take(self, other: Tally) -> None:
        """Add another tally's files."""
        self.outcomes += other.outcomes
        self.megabytes, self.seconds = max(self.megabytes, other.megabytes), max(self.seconds, other.seconds)

    @property
    def files(self) -> int:
        """How many files were tried."""
        return self.outcomes.total()

    @property
    def failed(self) -> bool:
        """Whether a file ended otherwise than it must."""
        return any(outcome.startswith("FAILED") for outcome in self.outcomes)

    def __str__(self) -> str:
        told = ", ".join(f"{n:,} {outcome}" for outcome, n in sorted(self.outcomes.items()))
        return f"{self.files:>6,} files: {told}; at most {self.seconds:.1f} s, {self.megabytes:.0f} MB"


def fuzz(name: str, first: int, count: int, seed: int, keep: Path) -> Tally:
    """Try damaged files of one format, from one number on.

    Args:
        keep: where files that fail are put; in "ended" inside it those that ended their reader, which they may.
    """
    if FORMATS[name].rare:
        from engine import backend
        backend.load()
        samples.plain_model()
    damaged(name, 0, seed)
    tally, number = Tally(), first
    while number < first + count:
        number = _batch(name, number, min(number + _BATCH, first + count), seed, keep, tally)
        if number < first + count:
            print(f"{name:<18} {tally} so far", file=sys.stderr, flush=True)
    return tally


def _batch(name: str, first: int, last: int, seed: int, keep: Path, tally: Tally) -> int:
    """Read files first to last - 1 in a process of its own; the number of the file to go on with."""
    reading_end, writing_end = os.pipe()
    sys.stdout.flush()
    worker = os.fork()
    if not worker:
        os.close(reading_end)
        _work(name, range(first, last), seed, writing_end)
    os.close(writing_end)
    with os.fdopen(reading_end) as stream:
        done = [line.split("\t", 3) for line in stream.read().split("\n") if line.count("\t") == 3]
    _, status = os.waitpid(worker, 0)
    for number, seconds, megabytes, outcome in done:
        tally.add(outcome, float(seconds), float(megabytes))
        if outcome.startswith("FAILED"):
            _keep(name, int(number), seed, keep, outcome)
        elif outcome == ENDED:
            _keep(name, int(number), seed, keep / "ended", outcome)
    if status == 0:
        return last
    fatal = first + len(done)
    outcome = f"FAILED (killed by signal {status & 127} or left with {status >> 8})"
    tally.add(outcome)
    _keep(name, fatal, seed, keep, outcome)
    return fatal + 1


def _work(name: str, numbers: range, seed: int, pipe: int) -> None:
    """The worker process: one line a file, then the end."""
    warnings.simplefilter("ignore")
    for channel in (1, 2):  # decompressors of C complain on both
        os.dup2(os.open(os.devnull, os.O_WRONLY), channel)
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    with tempfile.TemporaryDirectory() as folder:
        path = set_up(name, Path(folder))
        for number in numbers:
            path.write_bytes(damaged(name, number, seed))
            before, used = _listing(path.parent), _seconds()
            signal.alarm(PATIENCE_SECONDS)
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            outcome = _outcome(name, path, number)
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.alarm(0)
            if _listing(path.parent) != before:
                outcome = "FAILED (something in the folder changed): " + outcome
            os.write(pipe, f"{number}\t{max(0, _seconds() - used)}\t{_megabytes()}\t{outcome}\n".encode())
    os._exit(0)


def _outcome(name: str, path: Path, number: int) -> str:
    try:
        way(name, number)(path)
    except EngineError as error:
        sentence = str(error)
        sound = sentence.endswith((".", "?")) and "\n" not in sentence and len(sentence) < 2000
        if not sound or str(path.parent) not in sentence:
            return f"FAILED (no sentence that names the file): {sentence!r}"
        ended = any(words in sentence for words in (": crashed what reads it", ": gave nothing for", "processor time"))
        return ENDED if ended else "refused"
    except BaseException as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"FAILED ({type(error).__name__} in {Path(place.filename).name}:{place.lineno}): {str(error)[-300:]!r}"
    return "opened"


def _listing(folder: Path) -> list[tuple[str, int, int]]:
    """Everything in a folder, with sizes and the times of the last change."""
    return sorted((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*"))


def _seconds() -> float:
    """Processor time of this process and of the readers that it had and has."""
    of = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    reader = READER._reader
    return sum(one.ru_utime + one.ru_stime for one in of) + (
        reader.ticks() / os.sysconf("SC_CLK_TCK") if reader and reader.is_running else 0)


def _megabytes() -> float:
    """The larger of the peaks of memory of this process and its reader."""
    ids = [number for number in (os.getpid(), READER.process_id) if number]
    lines = [line for number in ids for line in _status(number) if line.startswith("VmHWM")]
    return max((int(line.split()[1]) / 1000 for line in lines), default=0.0)


def _status(process: int) -> list[str]:
    try:
        return Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return []


def _keep(name: str, number: int, seed: int, keep: Path, outcome: str) -> None:
    keep.mkdir(parents=True, exist_ok=True)
    target = keep / f"{name}-{seed}-{number}-{FORMATS[name].name}"
    target.write_bytes(damaged(name, number, seed))
    if outcome != ENDED:
        print(f"{target}: {outcome[:300]}", flush=True)


def main() -> int:
    """Fuzz the formats asked for, or all; the exit status is 1 when one failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.fuzz",
                                     description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("formats", nargs="*", choices=[[], "anywhere", "structured", *FORMATS], metavar="FORMAT",
                        help="one of %(choices)s; by default all")
    for name, default, what in (("--first", 0, "the number of the first file"), ("--count", 2000, "files a format"),
                                ("--seed", 1, "what the damage is drawn from")):
        parser.add_argument(name, type=int, default=default, help=f"{what} (default: %(default)s)")
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "goodnet-fuzz",
                        help="the folder for files that fail, in it 'ended' for those that ended their reader "
                        "(default: %(default)s)")
    options = parser.parse_args()
    groups = {"anywhere": list(ANYWHERE), "structured": list(STRUCTURED)}
    failed = False
    reading.load()
    for name in [name for word in options.formats or groups for name in groups.get(word, [word])]:
        started = time.monotonic()
        tally = fuzz(name, options.first, options.count, options.seed, options.keep)
        failed |= tally.failed
        print(f"{name:<18} {tally}; {time.monotonic() - started:.0f} s", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

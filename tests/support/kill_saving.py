"""SIGKILL in the midst of saving, again and again: afterwards every folder is whole, old or new, or was never there.

    python -m tests.support.kill_saving steps        # at each step that touches the file system, with small files
    python -m tests.support.kill_saving pairs COUNT  # at random moments of saving real GoodNet pairs

Children are forked, so that TensorFlow is loaded once; they don't compute with it before the fork.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import select
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from engine.data.preprocessing import AS_STORED
from engine.files import saving

_STEPS = ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.scandir", "os.chmod", "shutil.rmtree", "ctypes")
_INTERRUPTED = 130


def _write(folder: Path, version: int) -> None:
    with saving.whole_folder(folder) as temporary:
        for name in ("a", "b", "c"):
            (temporary / name).write_text(str(version))
        (temporary / "deep").mkdir()
        (temporary / "deep" / "d").write_text(str(version))


def _version(folder: Path) -> int | None:
    """The version of a whole folder, None where there is none; fails on a mixture or a part."""
    if not folder.exists():
        return None
    found = {(folder / name).read_text() for name in ("a", "b", "c", "deep/d")}
    assert len(found) == 1, found
    return int(found.pop())


def _young_is_old() -> None:
    """What was left behind a moment ago counts as left behind."""
    saving._YOUNG_SECONDS = -1  # type: ignore[misc]


def kill_at_every_step(swap: bool, how: signal.Signals = signal.SIGKILL) -> int:
    """Kill at the first step of replacing a folder, at the second and so on, until one gets through; their number.

    Args:
        swap: with the system's exchange of names; else as on systems without it.
        how: SIGKILL or SIGTERM, which end it there, or SIGINT, which is Ctrl-C.
    """
    _young_is_old()
    step = 0
    while True:
        step += 1
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "pair"
            _write(folder, 1)
            child = os.fork()
            if not child:
                _die_at(step, swap, how)
                try:
                    _write(folder, 2)
                except KeyboardInterrupt:
                    os._exit(_INTERRUPTED)
                os._exit(0)
            _, status = os.waitpid(child, 0)
            saving.recover(folder)
            assert _version(folder) in (1, 2), (step, swap)
            _write(folder, 3)
            assert _version(folder) == 3 and [p.name for p in Path(place).iterdir()] == ["pair"], (step, swap)
            if status == 0:
                return step - 1
            assert status in (how, _INTERRUPTED << 8), (step, swap, how, status)


def _die_at(step: int, swap: bool, how: signal.Signals) -> None:
    if not swap:
        saving._exchanged = lambda one, other: False
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which is ignored where this runs in the background
    seen = 0

    def count(event: str, _: object) -> None:
        nonlocal seen
        if event.startswith(_STEPS):
            seen += 1
            if seen == step:
                os.kill(os.getpid(), how)

    sys.addaudithook(count)


def kill_saving_pairs(count: int, seed: int = 1) -> Counter[str]:
    """Kill at random moments while real pairs are saved; what was found afterwards, by kind."""
    from engine import backend
    backend.load()
    _young_is_old()
    dice, outcomes = random.Random(seed), Counter[str]()
    with tempfile.TemporaryDirectory() as place:
        sound, folder = Path(place) / "sound", Path(place) / "here" / "goodnet-x2"
        seconds = _save_and_kill(sound, -1, True, None)
        for number in range(count):
            shutil.rmtree(folder, ignore_errors=True)
            if number % 4:  # a quarter of the time there is nothing to replace
                shutil.copytree(sound, folder)
            before = pair_version(folder)
            _save_and_kill(folder, number, dice.random() < 0.5, dice.uniform(0, 1.1 * seconds))
            saving.recover(folder)
            after = pair_version(folder)
            assert after in (before, number), (number, before, after)
            outcomes["the new one" if after == number else "absent as before" if after is None else "the old one"] += 1
        _save_and_kill(folder, count, True, None)
        assert pair_version(folder) == count
        left = [path.name for path in folder.parent.iterdir()]
        assert left == ["goodnet-x2"], left
        _open(folder)
    return outcomes


def _save_and_kill(folder: Path, number: int, swap: bool, after: float | None) -> float:
    """Save pair `number` in another process and kill it so many seconds after it began; seconds it took."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        if not swap:
            saving._exchanged = lambda one, other: False
        from engine.goodnets.pair import GoodNet
        from engine.goodnets.saved import save_pair
        from engine.models.networks import Network
        from tests.support.networks import build
        model, layer = build("plain")
        b = Network(model, Path("b.keras"))
        goodnet = GoodNet(b, b.pruned(layer, [number % 9]), AS_STORED, {"x": 2, "number": number})
        os.write(writing, b"!")
        save_pair(goodnet, folder)
        os._exit(0)
    os.close(writing)
    os.read(reading, 1)
    started = time.monotonic()
    select.select([reading], [], [], after)  # until it ends, which closes the pipe, or its time is up
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(reading)
    return time.monotonic() - started


def pair_version(folder: Path) -> int | None:
    """The number of a whole pair, None where there is none; fails on a part of one."""
    from engine.models.reading import read_model_file
    if not folder.exists():
        return None
    names = {"b.keras", "b_prime.keras", "goodnet.keras", "repaired_2.h5", "repaired_2.onnx"}
    assert {path.name for path in folder.iterdir()} == {*names, "goodnet.onnx", "goodnet.json", "manifest.json"}
    for name in names:
        read_model_file(folder / name)
    return int(json.loads((folder / "goodnet.json").read_text())["number"])


def _open(folder: Path) -> None:
    child = os.fork()
    if not child:
        from engine.goodnets.saved import open_goodnet
        assert open_goodnet([folder]).notes["x"] == 2
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


if __name__ == "__main__":
    if sys.argv[1] == "steps":
        for how, swap in itertools.product((signal.SIGKILL, signal.SIGTERM, signal.SIGINT), (True, False)):
            steps = kill_at_every_step(swap, how)
            print(f"{how.name} {'with' if swap else 'without'} exchange: killed at {steps} steps, all whole")
    else:
        started = time.monotonic()
        print(f"killed {sys.argv[2]} times: {dict(kill_saving_pairs(int(sys.argv[2])))}; "
              f"{time.monotonic() - started:.0f} s")

"""The reader's process: what files and readers do wrong ends in one sentence, and the next file works."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.data.datasets import open_dataset
from engine.errors import DatasetError, EngineError
from engine.files.pictures import load_picture
from engine.quarantine import client
from engine.quarantine.client import READER, Quarantine
from engine.quarantine.wire import PIECE, Array
from tests.support.networks import random_images, save_lab_file
from tests.support.places import PROJECT

POSIX = pytest.mark.skipif(not hasattr(os, "fork"), reason="signals and forks")
IMAGES, NUMBERS = random_images(300), np.arange(300) % 7
FILE = Path("stranger.h5")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return save_lab_file(tmp_path / "d.h5", IMAGES, NUMBERS)


def read_all(path: Path) -> Array:
    return np.concatenate([chunk.images for chunk in open_dataset(path).chunks(64)])


def stored(images: Array = IMAGES) -> Array:
    return images.astype(np.uint8).astype(np.float32)


# A reader that follows the rules as far as `behave`, which is given what it was asked.
FAKE = """
import os, sys, time
sys.path.insert(0, {project!r})
import numpy as np
from engine.quarantine.wire import attached, receive, send
area = attached(receive(0)["area"])
send(1, {{"ready": True}})
{setup}
while True:
    asked = receive(0)
    {behave}
"""


@pytest.fixture
def fakes() -> Iterator[Any]:
    """Makes quarantines whose readers behave as a piece of code says."""
    made: list[Quarantine] = []

    def fake(behave: str, setup: str = "", silence: float = 60.0) -> Quarantine:
        code = FAKE.format(project=str(PROJECT), behave=behave, setup=setup)
        made.append(Quarantine([sys.executable, "-c", code], silence))
        return made[-1]

    yield fake
    for quarantine in made:
        quarantine.close()


def ask(quarantine: Quarantine, most: int = 100) -> list[Array]:
    return quarantine.ask(FILE, "any", {}, lambda _, arrays: arrays, most=most, error=DatasetError)


def test_a_fake_that_keeps_to_the_rules_is_believed(fakes: Any) -> None:
    """The other fakes differ from this one in a single thing each."""
    quarantine = fakes("area[:8] = b'\\1\\0\\2\\0\\3\\0\\4\\0'; "
                       "send(1, {'value': 5, 'arrays': [['<i2', [2, 2]], ['|u1', [0]]]})")
    first, second = ask(quarantine)
    assert first.tolist() == [[1, 2], [3, 4]] and first.dtype == np.int16 and second.shape == (0,)
    first[0, 0] = 9  # the program's own copy
    assert ask(quarantine)[0][0, 0] == 1


LIES = {
    "a negative side": "send(1, {'value': 0, 'arrays': [['<i2', [-2, 2]]]})",
    "a side without end": "send(1, {'value': 0, 'arrays': [['|u1', [1 << 60, 1 << 60]]]})",
    "more than was asked for": "send(1, {'value': 0, 'arrays': [['|u1', [101]]]})",
    "more arrays than was asked for": "send(1, {'value': 0, 'arrays': [['|u1', [60]], ['|u1', [60]]]})",
    "letters without width, of which NumPy makes some": "send(1, {'value': 0, 'arrays': [['<U0', [1 << 20]]]})",
    "objects": "send(1, {'value': 0, 'arrays': [['|O', [2]]]})",
    "a record": "send(1, {'value': 0, 'arrays': [[[['a', '<i2']], [2]]]})",
    "a side as a fraction": "send(1, {'value': 0, 'arrays': [['<i2', [2.0]]]})",
    "no arrays": "send(1, {'value': 0})",
    "no value": "send(1, {'arrays': []})",
    "an unknown error": "send(1, {'error': ['SystemExit', 'x.'], 'last': False})",
    "an error without words": "send(1, {'error': ['DatasetError', None], 'last': False})",
    "an error in numbers": "send(1, {'error': ['DatasetError', [1, 2]], 'last': False})",
    "no JSON": "os.write(1, b'\\2\\0\\0\\0{]')",
    "a list": "os.write(1, b'\\2\\0\\0\\0[]')",
    "JSON nested without end": "os.write(1, (100_000).to_bytes(4, 'little') + b'[' * 100_000)",
    "a frame without end": "os.write(1, b'\\xff\\xff\\xff\\xff' + b' ' * 1000)",
}


@pytest.mark.parametrize("lie", LIES)
def test_a_reader_that_lies_is_ended(lie: str, fakes: Any) -> None:
    quarantine = fakes(LIES[lie])
    with pytest.raises(DatasetError, match=r"^stranger\.h5: gave something else than it announced.*\.$"):
        ask(quarantine)
    assert quarantine.process_id is None


@pytest.mark.skipif(sys.platform != "linux", reason="finds the memory's handle as Linux lists it")
def test_memory_that_the_reader_cuts_off_is_no_bus_error(fakes: Any) -> None:
    cut = "os.truncate(handle, 0); send(1, {'value': 0, 'arrays': [['|u1', [50]]]})"
    hold = "handle = next(int(n) for n in os.listdir('/proc/self/fd') if 'memfd' in os.readlink(f'/proc/self/fd/{n}'))"
    quarantine = fakes(cut, hold)
    with pytest.raises(DatasetError, match="gave something else"):
        ask(quarantine)


@pytest.mark.parametrize("behave", [
    "time.sleep(600)", "os.write(1, b'\\5\\0'); time.sleep(600)", "os.write(1, b'\\5\\0\\0\\0{'); time.sleep(600)",
    "send(1, {'value': 0, 'arrays': [['|u1', [1 << 23]]]}); time.sleep(600)"])
def test_a_silent_reader_is_ended(behave: str, fakes: Any) -> None:
    quarantine = fakes(behave, silence=0.2)
    with pytest.raises(DatasetError, match=r"^stranger\.h5: gave nothing for 0\.2 seconds"):
        ask(quarantine, 1 << 23)
    assert quarantine.process_id is None


@POSIX
@pytest.mark.parametrize("behave", ["os._exit(3)", "os.kill(os.getpid(), 11)", "send(1, {})", "time.sleep(600)"])
def test_nothing_is_left_of_an_ended_reader(behave: str, fakes: Any) -> None:
    """Not even its number, as of a process that nobody has waited for."""
    quarantine = fakes(behave, silence=0.5)
    with pytest.raises(DatasetError, match=r"^stranger\.h5: "):
        ask(quarantine)
    assert quarantine._reader
    with pytest.raises(ChildProcessError):
        os.waitpid(quarantine._reader.process.pid, os.WNOHANG)


@POSIX
def test_a_reader_that_computes_for_too_long_is_ended_by_the_system(fakes: Any) -> None:
    """With a second instead of ten."""
    behave = "limits.SECONDS = 1; limits.grant_time()\n    while True: pass"
    quarantine = fakes(behave, "from engine.quarantine import limits")
    with pytest.raises(DatasetError, match=r"^stranger\.h5: takes more than 10 seconds of processor time to"):
        ask(quarantine)


@POSIX
def test_who_will_not_wait_interrupts_a_busy_reader_and_no_other(fakes: Any, tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    os.mkfifo(asked)
    quarantine = fakes(f"open({str(asked)!r}, 'w').close(); time.sleep(600)")
    found: list[str] = []

    def wait() -> None:
        try:
            ask(quarantine)
        except DatasetError as error:
            found.append(str(error))

    thread = threading.Thread(target=wait)
    thread.start()
    asked.open().close()  # comes back when the fake opens the other end
    quarantine.interrupt()
    thread.join()
    assert found and found[0].startswith("stranger.h5: crashed what reads it")
    idle = fakes("send(1, {'value': 0, 'arrays': []})")
    idle.interrupt()
    assert ask(idle) == []
    before = idle.process_id
    idle.interrupt()
    assert ask(idle) == [] and idle.process_id == before


@pytest.mark.skipif(sys.platform != "linux", reason="asks for the time of another process as Linux tells it")
def test_a_reader_that_computes_is_not_silent(fakes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    behave = "until = time.process_time() + 1\n    while time.process_time() < until: pass\n    " \
             "send(1, {'value': 0, 'arrays': []})"
    quarantine = fakes(behave, silence=0.4)
    monkeypatch.setattr(client, "_MOST_WAITS", 1000)
    assert ask(quarantine) == []
    monkeypatch.setattr(client, "_MOST_WAITS", 1)
    with pytest.raises(DatasetError, match="gave nothing for"):
        ask(quarantine)


def test_a_reader_that_ends_is_a_sentence_and_the_next_one_answers(fakes: Any, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    quarantine = fakes(f"os.path.exists({str(mark)!r}) or os._exit(open({str(mark)!r}, 'w').close() or 3); "
                       "send(1, {'value': 0, 'arrays': []})")
    with pytest.raises(DatasetError, match=r"^stranger\.h5: crashed what reads it"):
        ask(quarantine)
    assert ask(quarantine) == []


def test_words_from_a_reader_are_plain_and_short(fakes: Any) -> None:
    quarantine = fakes("send(1, {'error': ['DatasetError', 'a\\x1b[31m\\nb' + 'c' * 9999], 'last': False})")
    with pytest.raises(DatasetError) as found:
        ask(quarantine)
    assert str(found.value).isprintable() and len(str(found.value)) == 2000


def test_a_reader_that_cannot_be_started_is_a_sentence(tmp_path: Path) -> None:
    for command in ([str(tmp_path / "nothing")], [sys.executable, "-c", "raise SystemExit(3)"]):
        with pytest.raises(EngineError, match="can't be started"):
            ask(Quarantine(command))


def test_a_reader_that_was_started_ahead_is_the_one_that_answers(fakes: Any) -> None:
    quarantine = fakes("send(1, {'value': 0, 'arrays': []})")
    quarantine.start()
    number = quarantine.process_id
    quarantine.start()
    assert ask(quarantine) == [] and ask(quarantine) == [] and quarantine.process_id == number is not None


def test_nobody_waits_for_a_reader_that_is_started_ahead() -> None:
    """This one never says that it is ready."""
    quarantine = Quarantine([sys.executable, "-c", "import sys; sys.stdin.buffer.read()"])
    quarantine.start()
    assert quarantine.process_id is not None
    quarantine.close()


def test_a_reader_that_ends_while_it_starts_is_a_sentence() -> None:
    quarantine = Quarantine([sys.executable, "-c", "import os; os.read(0, 4); raise SystemExit(3)"])
    quarantine.start()
    with pytest.raises(EngineError, match="can't be started"):
        ask(quarantine)
    assert quarantine.process_id is None


def test_arrays_of_several_pieces_arrive_whole(tmp_path: Path) -> None:
    images = np.random.default_rng(1).integers(0, 256, (40, 3, 300, 301), np.uint8)
    assert images.nbytes > 2 * PIECE and images.nbytes % PIECE
    np.savez(tmp_path / "d.npz", data=images, label=np.arange(40))
    save_lab_file(tmp_path / "d.h5", images.transpose(0, 2, 3, 1), np.arange(40))
    for name in ("d.npz", "d.h5"):
        (chunk,) = open_dataset(tmp_path / name).chunks(40)
        np.testing.assert_array_equal(chunk.images, images.transpose(0, 2, 3, 1))


@POSIX
def test_a_reader_killed_in_mid_stream_is_replaced(data: Path) -> None:
    chunks = open_dataset(data).chunks(64)
    images = [next(chunks).images]
    for _ in range(2):
        before = READER.process_id
        assert before
        os.kill(before, signal.SIGKILL)
        os.waitid(os.P_PID, before, os.WEXITED | os.WNOWAIT)
        images.append(next(chunks).images)
        assert READER.process_id not in (None, before)
    np.testing.assert_array_equal(np.concatenate([*images, *(chunk.images for chunk in chunks)]), stored())


@POSIX
def test_an_archive_is_read_on_where_the_killed_reader_stopped(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", data=IMAGES, label=NUMBERS)
    chunks = open_dataset(tmp_path / "d.npz").chunks(64)
    images = [next(chunks).images]
    before = READER.process_id
    assert before
    os.kill(before, signal.SIGKILL)
    os.waitid(os.P_PID, before, os.WEXITED | os.WNOWAIT)
    np.testing.assert_array_equal(np.concatenate([*images, *(chunk.images for chunk in chunks)]), IMAGES)


def test_threads_take_turns(data: Path, tmp_path: Path) -> None:
    others = [save_lab_file(tmp_path / f"{n}.h5", np.roll(IMAGES, n, axis=0), NUMBERS) for n in range(4)]
    found: dict[int, Array] = {}

    def read(number: int) -> None:
        found[number] = read_all(others[number])

    threads = [threading.Thread(target=read, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(4):
        np.testing.assert_array_equal(found[number], np.roll(stored(), number, axis=0))


def test_what_is_given_up_in_the_middle_is_closed_at_once(data: Path) -> None:
    """As on Cancel: the file may be written and removed again, on Windows too."""
    chunks = open_dataset(data).chunks(64)
    next(chunks)
    chunks.close()
    save_lab_file(data, IMAGES[::-1], NUMBERS)  # HDF5 refuses to write what another process has open
    np.testing.assert_array_equal(read_all(data), stored(IMAGES[::-1]))


def test_what_interrupts_an_answer_ends_the_reader(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    read_all(data)
    with monkeypatch.context() as patch:
        patch.setattr(client, "receive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            open_dataset(data)
    assert READER.process_id is None
    np.testing.assert_array_equal(read_all(data), stored())


@POSIX
def test_a_forked_process_starts_its_own_reader(data: Path) -> None:
    chunks = open_dataset(data).chunks(64)
    first = next(chunks).images
    before = READER.process_id
    child = os.fork()
    if not child:
        same = np.array_equal(read_all(data), stored()) and READER.process_id not in (None, before)
        READER.close()
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0
    np.testing.assert_array_equal(np.concatenate([first, *(chunk.images for chunk in chunks)]), stored())
    assert READER.process_id == before


# Tests that run in the background may ignore SIGINT, and what they start would ignore it too.
PARENT = """
import signal, sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)
from engine.data.datasets import open_dataset
from engine.quarantine.client import READER
next(open_dataset(Path(sys.argv[1])).chunks(64))
print(READER.process_id, flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waits for another process's child as Linux can")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, None])
def test_no_reader_outlives_its_program(how: signal.Signals | None, data: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, str(data)], cwd=PROJECT, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as parent:
        assert parent.stdout and parent.stdin
        reader = int(parent.stdout.readline())
        watched = os.pidfd_open(reader)  # becomes readable when the process ends
        parent.stdin.close() if how is None else parent.send_signal(how)
        parent.wait()
        assert select.select([watched], [], [], 60)[0], "the reader is still there"
    os.close(watched)


LIMITS = """
import sys
from engine.quarantine import limits
limits.limit_this_process()
limits.grant_time()
what = sys.argv[1]
if what == "memory":
    try:
        bytearray(3 << 30)
    except MemoryError:
        print("refused")
elif what == "file":
    try:
        open(sys.argv[2], "wb", buffering=0).write(b"x")
    except OSError:
        print("refused")
elif what == "files":
    try:
        kept = [open("/dev/null") for _ in range(1000)]
    except OSError:
        print("refused")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="macOS keeps no limit of memory; Windows has a job object")
@pytest.mark.parametrize("what", ["memory", "file", "files"])
def test_what_the_system_refuses_the_reader(what: str, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", LIMITS, what, str(tmp_path / "f")], cwd=PROJECT,
                          capture_output=True, text=True, check=False)
    assert done.stdout == "refused\n", done.stderr
    assert not (tmp_path / "f").exists() or not (tmp_path / "f").stat().st_size


@pytest.mark.skipif(sys.platform != "linux", reason="asks for the limits of another process")
def test_the_running_reader_is_held_to_its_limits(data: Path) -> None:
    import resource
    open_dataset(data)
    assert READER.process_id
    assert resource.prlimit(READER.process_id, resource.RLIMIT_AS) == (2 << 30, 2 << 30)
    assert resource.prlimit(READER.process_id, resource.RLIMIT_FSIZE) == (0, 0)
    assert resource.prlimit(READER.process_id, resource.RLIMIT_CPU)[0] < 1000


IN_NOTHING_BUT_THE_READER = """
import sys
from pathlib import Path
from engine.data.datasets import open_dataset
from engine.files.pictures import load_picture
from engine.models.architecture import describe_model
data, picture, model = map(Path, sys.argv[1:])
describe_model(model)
sum(len(chunk.labels) for chunk in open_dataset(data).chunks(64))
load_picture(picture, (5, 5, 3))
print(sorted({"engine.files.parsing.decoding", "engine.data.array_files", "engine.files.parsing.hdf5_blocks",
              "engine.models.from_onnx.parsing", "onnx"} & set(sys.modules)))
"""


def test_the_program_itself_never_loads_what_parses(data: Path, tmp_path: Path) -> None:
    from PIL import Image
    Image.new("RGB", (9, 9)).save(tmp_path / "p.png")
    done = subprocess.run([sys.executable, "-c", IN_NOTHING_BUT_THE_READER, data, tmp_path / "p.png",
                           PROJECT / "tests" / "data" / "onnx" / "resnet-dynamo.onnx"], cwd=PROJECT,
                          capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr


def test_the_packed_program_is_its_own_reader(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.own_command()[0] == sys.executable
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    (program, flag) = client.own_command()
    quarantine = Quarantine([program, "-m", "gui.frozen", flag])
    labels = quarantine.ask(data, "describe hdf5", {}, lambda _, arrays: arrays[0], most=10_000, error=DatasetError)
    assert labels.tolist() == NUMBERS.tolist()
    if sys.platform == "linux":
        mapped = Path(f"/proc/{quarantine.process_id}/maps").read_bytes()
        assert b"h5py" in mapped and b"PySide6" not in mapped and b"tensorflow" not in mapped
    quarantine.close()


def test_on_windows_the_reader_is_python_itself_and_not_what_starts_it(
    data: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An environment's python.exe there starts another process, which the job object wouldn't hold."""
    with monkeypatch.context() as windows:
        windows.setattr(sys, "platform", "win32")
        command = client.own_command()
    assert command[0] == sys._base_executable  # type: ignore[attr-defined]
    quarantine = Quarantine(command)
    labels = quarantine.ask(data, "describe hdf5", {}, lambda _, arrays: arrays[0], most=10_000, error=DatasetError)
    quarantine.close()
    assert labels.tolist() == NUMBERS.tolist()


def test_without_a_signal_for_it_nobody_is_told_of_processor_time(fakes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(signal, "SIGXCPU", raising=False)
    with pytest.raises(DatasetError, match=r"^stranger\.h5: crashed what reads it"):
        ask(fakes("os._exit(0)"))


def test_relative_names_begin_where_the_program_is(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        count = len(name) * 10 + (name == "two")
        save_lab_file(tmp_path / name / "d.h5", IMAGES[:count], NUMBERS[:count])
        monkeypatch.chdir(tmp_path / name)
        assert len(open_dataset(Path("d.h5"))) == count
    with pytest.raises(DatasetError, match=r"^missing\.png: there is no such file"):
        load_picture(Path("missing.png"), (5, 5, 3))

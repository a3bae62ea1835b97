"""HDF5 files on a full disk, which a limit on the size of files stands for: a sentence, and nothing left behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from engine.data.datasets import open_dataset
from engine.files.saving import for_hdf5
from tests.support.networks import SmallLab
from tests.support.places import PROJECT

# In a process of its own, for without care the HDF5 library ends it.
WRITE = """
import resource, sys
from pathlib import Path
import numpy as np
from engine.data.datasets import open_dataset
from engine.defences.evidence.reconstruction import Reconstruction
from engine.errors import OutputError
from engine.files.saving import whole_folder
from engine.goodnets.legacy_h5 import save_keras2_h5
from engine.models.networks import open_network
from engine.rates import Rate
from engine.runs.reconstructed import write_reconstructed
badnet, clean, out = map(Path, sys.argv[1:])
dataset, network = open_dataset(clean, (None, None, 3)), open_network(badnet)
height, width, _ = dataset.image_shape
stamp = Reconstruction(0, np.zeros((height, width), np.float32), np.zeros(dataset.image_shape, np.float32), Rate(1, 2),
                       True)

def pair():
    with whole_folder(out / "pair") as folder:
        save_keras2_h5(network, folder / "repaired.h5")

for write in (pair, lambda: write_reconstructed(dataset, stamp, out / "worn.h5")):
    for most in (0, 500, 3000, 9000, 15000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
        try:
            write()
        except OutputError as error:
            print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    write()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_full_disk_is_told_and_the_next_file_is_written(small_lab: SmallLab, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", WRITE, *map(str, (small_lab.badnet, small_lab.clean, tmp_path))],
                          cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    expected = [*[str(tmp_path / "pair")] * 5, *[str(tmp_path / "worn.h5")] * 5]
    assert [line.partition(":")[0] for line in lines] == expected
    assert all("can't be written (File too large)" in line for line in lines)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pair", "worn.h5"]
    assert len(open_dataset(tmp_path / "worn.h5"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_what_was_raised_inside_gives_way_to_what_couldnt_be_written() -> None:
    with pytest.raises(OSError, match="No space left"), for_hdf5(Path("/dev/full")) as stream:
        assert stream.write(b"abc") == 3
        raise RuntimeError("it doesn't read as it was written")

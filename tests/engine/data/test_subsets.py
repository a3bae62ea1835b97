"""Parts of a data set: what is held back to measure on takes no label away from what is left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from engine.data.datasets import Dataset, open_dataset
from engine.data.sources.readers import ReadSlice
from engine.data.subsets import halves, hold_back, subset
from engine.quarantine.wire import Array
from tests.support.networks import save_lab_file


def labelled(folder: Path, labels: list[int]) -> Dataset:
    """Images of one value each, by which they are known again."""
    values = np.arange(len(labels))
    images = np.stack([values % 256, values // 256, values * 0], axis=-1)[:, None, None, :]
    return open_dataset(save_lab_file(folder / "clean.h5", images, np.array(labels)))


def values(dataset: Dataset) -> list[int]:
    images = dataset.take(range(len(dataset)))[:, 0, 0]
    return [int(first + 256 * second) for first, second, _ in images]


@pytest.mark.parametrize("labels", [[0] * 100 + [1] * 100 + [2] * 3, [n % 50 for n in range(200)]],
                         ids=["sorted", "four of each"])
def test_a_quarter_of_each_label_is_held_back(labels: list[int], tmp_path: Path) -> None:
    rest, held = hold_back(labelled(tmp_path, labels))
    assert held is not None
    assert sorted(values(rest) + values(held)) == list(range(len(labels)))
    for part in (rest, held):
        assert [labels[value] for value in values(part)] == part.labels.tolist()
    whole = np.bincount(labels)
    np.testing.assert_array_equal(np.bincount(held.labels, minlength=len(whole)), whole // 4)
    assert (rest.name, held.name) == ("clean", "clean (held back)")
    before, again = values(held), hold_back(labelled(tmp_path, labels))[1]
    assert again is not None and values(again) == before


def test_halves_hold_as_many_of_each_label_but_for_one_however_labels_follow_each_other() -> None:
    for labels in (np.arange(200) % 10, np.repeat(np.arange(7), 11), np.zeros(41, np.int64)):
        one, other = halves(labels)
        assert sorted([*one, *other]) == list(range(len(labels))) and abs(len(one) - len(other)) <= 1
        assert (abs(np.bincount(labels[one], minlength=10) - np.bincount(labels[other], minlength=10)) <= 1).all()
    alternating = np.concatenate([np.diff(one) for one in halves(np.zeros(400, np.int64))])
    assert len(set(alternating.tolist())) > 3, "drawn by chance, not every other one"


@pytest.mark.parametrize("most", [3 * 8, 3 * 100])
def test_no_more_neighbours_are_read_at_once_than_memory_should_hold(
    most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, numbers, asked = labelled(tmp_path, [0] * 100), list(range(1, 100, 3)), list[int]()
    monkeypatch.setattr("engine.data.subsets.MOST_HELD_VALUES", most)
    opened = whole._reader.open

    @contextmanager
    def watched() -> Iterator[ReadSlice]:
        with opened() as read:
            def told(start: int, stop: int) -> Array:
                asked.append(stop - start)
                return read(start, stop)

            yield told

    monkeypatch.setattr(whole._reader, "open", watched)
    assert values(subset(whole, numbers)) == numbers
    assert max(asked) * 3 <= most and len(asked) == (1 if most == 3 * 100 else len(numbers))


def test_too_few_hold_nothing_back(tmp_path: Path) -> None:
    for labels in ([0] * 150, [n // 3 for n in range(600)]):
        clean = labelled(tmp_path, labels)
        assert hold_back(clean) == (clean, None)


def test_of_many_no_more_than_are_needed_are_held_back(tmp_path: Path) -> None:
    rest, held = hold_back(labelled(tmp_path, [n % 2 for n in range(9000)]))
    assert held is not None and (len(rest), len(held)) == (7000, 2000)
    assert abs(int(held.labels.sum()) - 1000) < 150

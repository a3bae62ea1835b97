"""The whole defence on the lab's real BadNet and faces, held against a plain loop and against other teams' files."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from engine.data.datasets import open_dataset
from engine.goodnets.checking import check_pictures, list_pictures
from engine.goodnets.saved import open_goodnet
from engine.models.networks import Network, open_network
from engine.progress import NEVER_CANCELLED
from engine.pruning.incremental import predictor_for
from engine.pruning.steps import MaskedSteps, StepPredictor
from engine.pruning.sweep import SetCounts
from engine.records.run_files import save_run
from engine.runs.examine import examine
from engine.runs.opening.inputs import InputFiles, open_inputs
from engine.runs.prune import PruningRequest, PruningRun, run_pruning
from tests.support.networks import Array, plain_loop

FACES = ("clean_faces", "poisoned_faces")
STEPS = (0, 45, 48, 50, 52, 53, 54, 55, 56, 57)
# Right answers of 180, in the order of STEPS. The lab's README gives one image fewer for the attack at 53, 54 and 56
# (68, 24 and 27); the plain loop of this file counts these, as does every predictor.
B_PRIME_CLEAN = (170, 162, 163, 152, 137, 120, 64, 41, 19, 1)
GOODNET_CLEAN = (170, 162, 162, 151, 136, 119, 64, 41, 19, 1)
ATTACK = (180, 180, 180, 143, 140, 69, 25, 9, 28, 0)


@pytest.fixture(scope="module")
def badnet(lab3: Path) -> Network:
    return open_network(lab3 / "bd_weights.h5")


@pytest.fixture(scope="module")
def published_order(lab3: Path) -> list[int]:
    order: list[int] = json.loads((lab3 / "published.json").read_text())["pruning_order"]
    return order


@pytest.fixture(scope="module")
def faces(lab3: Path) -> dict[str, Array]:
    """Both sets' images float32[180, 55, 47, 3], read without the engine."""
    images = {}
    for name in FACES:
        with h5py.File(lab3 / f"{name}.h5") as file:
            images[name] = file["data"][()].transpose(0, 2, 3, 1).astype(np.float32)
    return images


@pytest.fixture(scope="module")
def plain(lab3: Path, faces: dict[str, Array], published_order: list[int]) -> dict[str, Array]:
    """The plain loop's labels int64[61, 180] of both sets; the model is another team's, given the BadNet's weights."""
    import keras
    model = keras.models.load_model(lab3 / "model_B_2.h5", compile=False)
    with h5py.File(lab3 / "bd_weights.h5") as file:
        for layer in model.layers:
            if layer.weights:
                group = file[layer.name][layer.name]
                layer.set_weights([group["kernel:0"][()], group["bias:0"][()]])
    labels = plain_loop(model, "conv_3", published_order, np.concatenate([faces[name] for name in FACES]))
    return {FACES[0]: labels[:, :180], FACES[1]: labels[:, 180:]}


@pytest.fixture(scope="module")
def run(lab3: Path) -> PruningRun:
    """The run of the README's table."""
    return run_pruning(PruningRequest(
        lab3 / "bd_weights.h5", lab3 / "clean_faces.h5", poisoned=(lab3 / "poisoned_faces.h5",),
        order=lab3 / "published.json"))


@pytest.fixture(scope="module")
def saved(run: PruningRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `run`."""
    folder = tmp_path_factory.mktemp("lab3") / "run"
    save_run(run, folder)
    return folder


@pytest.mark.parametrize("name", FACES)
@pytest.mark.parametrize("predictor", [MaskedSteps, predictor_for])
def test_all_61_steps_answer_as_the_plain_loop_image_for_image(
    predictor: Callable[[Network, str], StepPredictor], name: str, badnet: Network, faces: dict[str, Array],
    plain: dict[str, Array], published_order: list[int],
) -> None:
    steps = predictor(badnet, "conv_3")
    labels = steps.labels(steps.features(faces[name]), np.array(published_order), NEVER_CANCELLED)
    np.testing.assert_array_equal(labels, plain[name])


def test_counts_of_every_step_are_the_plain_loop_s(run: PruningRun, lab3: Path, plain: dict[str, Array]) -> None:
    truth = {}
    for name in FACES:
        with h5py.File(lab3 / f"{name}.h5") as file:
            truth[name] = file["label"][()].astype(int)
    for counts, name in ((run.curve.validation, FACES[0]), (run.curve.poisoned[0], FACES[1])):
        labels = plain[name]
        agreeing = labels == labels[0]
        np.testing.assert_array_equal(counts.correct, [(row == truth[name]).sum() for row in labels])
        np.testing.assert_array_equal(counts.agreeing, agreeing.sum(axis=1))
        np.testing.assert_array_equal(
            counts.goodnet_correct, [((row == truth[name]) & same).sum() for row, same in zip(labels, agreeing,
                                                                                             strict=True)])


def test_the_table_of_the_lab_s_readme(run: PruningRun) -> None:
    def at(counts: SetCounts, key: str) -> tuple[int, ...]:
        return tuple(int(getattr(counts, key)[step]) for step in STEPS)

    clean, poisoned = run.curve.validation, run.curve.poisoned[0]
    assert (clean.images, poisoned.images, poisoned.target) == (180, 180, 0)
    assert at(clean, "correct") == B_PRIME_CLEAN
    assert at(clean, "goodnet_correct") == GOODNET_CLEAN
    assert at(poisoned, "goodnet_correct") == at(poisoned, "correct") == ATTACK


def test_the_attack_follows_the_published_curve(run: PruningRun, lab3: Path) -> None:
    published = json.loads((lab3 / "published.json").read_text())["test_curve"]
    attack = run.curve.poisoned[0]
    for step, percent in zip(published["channels_pruned"], published["attack_success_rate_percent"], strict=True):
        assert 100 * attack.goodnet_rate(step).value == pytest.approx(percent, abs=3), step


@pytest.mark.parametrize(("channels", "name"), [(45, "model_B_2.h5"), (52, "model_B_10.h5")])
def test_pruned_weights_are_another_team_s_bit_for_bit(
    channels: int, name: str, lab3: Path, badnet: Network, published_order: list[int],
) -> None:
    before = [w.copy() for w in badnet.model.get_weights()]
    ours = _weights(badnet.pruned("conv_3", published_order[:channels]).model)
    with h5py.File(lab3 / name) as file:
        group = file["model_weights"]
        theirs = {f"{layer}/{w}": group[layer][layer][f"{w}:0"][()]
                  for layer in group if len(group[layer]) for w in ("kernel", "bias")}
    assert ours.keys() == theirs.keys()
    for key in ours:
        assert ours[key].tobytes() == theirs[key].tobytes(), key
    for old, new in zip(before, badnet.model.get_weights(), strict=True):
        assert old.tobytes() == new.tobytes()


def test_ranked_on_these_faces_the_same_channels_go_first(lab3: Path, published_order: list[int]) -> None:
    run = run_pruning(PruningRequest(lab3 / "bd_weights.h5", lab3 / "clean_faces.h5"))
    means, order = run.ranking.mean_activation, run.ranking.order.tolist()
    assert run.model.layer == "conv_3" and run.model.scale == "none"
    assert (means == 0).sum() == 31
    assert order[:31] == np.flatnonzero(means == 0).tolist()  # equal means keep their index order
    for count in (45, 52):
        assert set(order[:count]) == set(published_order[:count])


def test_thresholds_on_these_faces(run: PruningRun, saved: Path) -> None:
    goodnets = json.loads((saved / "run.json").read_text())["goodnets"]
    # 170 of 180 right at first; 2 points are 3.6 images, 4 are 7.2, 10 are 18, 30 are 54.
    right = [int(n) for n in run.curve.validation.correct]
    expected = [next(step for step, n in enumerate(right) if 170 - n >= need) for need in (4, 8, 18, 54)]
    assert [g["channels_pruned"] for g in goodnets] == expected
    assert [g["x"] for g in goodnets] == [2, 4, 10, 30]


FRESH = """
import json, sys
assert not any(name in sys.modules for name in ("engine", "gui"))
try:
    import engine
except ImportError:
    pass
else:
    raise SystemExit("the project can be imported")
import h5py, keras, numpy as np
model = keras.models.load_model(sys.argv[1], safe_mode=True)
answers = []
for path in sys.argv[2:]:
    with h5py.File(path) as file:
        answers.append(model.predict(file["data"][()].transpose(0, 2, 3, 1), verbose=0))
answers = np.concatenate(answers)
print(json.dumps([list(answers.shape), answers.argmax(axis=1).tolist()]))
"""


def test_the_one_file_goodnet_answers_alone_in_a_fresh_process(
    saved: Path, lab3: Path, tmp_path: Path, run: PruningRun, plain: dict[str, Array],
) -> None:
    row = json.loads((saved / "run.json").read_text())["goodnets"][2]
    done = subprocess.run(
        [sys.executable, "-I", "-c", FRESH, str(saved / "goodnet-x10" / "goodnet.keras"),
         *(str(lab3 / f"{name}.h5") for name in FACES)],
        cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shape, labels = json.loads(done.stdout.splitlines()[-1])
    assert shape == [360, 1284]
    both = np.concatenate([plain[name] for name in FACES], axis=1)
    b, b_prime = both[0], both[row["channels_pruned"]]
    assert labels == np.where(b == b_prime, b, 1283).tolist()
    assert 1283 in labels


def test_a_saved_pair_opens_and_answers_the_same(
    saved: Path, faces: dict[str, Array], plain: dict[str, Array], run: PruningRun,
) -> None:
    pair = saved / "goodnet-x30"
    step = json.loads((saved / "run.json").read_text())["goodnets"][3]["channels_pruned"]
    repaired = pair / "repaired_30.h5"
    for paths in ([pair], [pair / "goodnet.keras"], [pair / "b.keras", repaired], [run.model.path, repaired]):
        answers = open_goodnet(paths).answer(faces["poisoned_faces"])
        np.testing.assert_array_equal(answers.b_labels, plain["poisoned_faces"][0])
        np.testing.assert_array_equal(answers.b_prime_labels, plain["poisoned_faces"][step])
        np.testing.assert_array_equal(answers.flagged, answers.labels == 1283)


def test_single_pictures_with_another_team_s_pair(lab3: Path) -> None:
    goodnet = open_goodnet([lab3 / "bd_weights.h5", lab3 / "model_B_10.h5"])
    found = [v for chunk in check_pictures(goodnet, list_pictures([lab3 / "images"])) for v in chunk]
    assert len(found) == 9
    assert all(v.b_label == 0 for v in found if v.file.endswith((".jpg", ".jpeg")))
    clean = {Path(v.file).name: v.b_label for v in found if v.file.endswith(".png")}
    assert clean == {f"clean_{person}_row1.png": person for person in (0, 1, 3)}
    assert all(v.flagged == (v.label == 1283) == (v.b_label != v.b_prime_label) for v in found)


def test_the_data_set_is_read_as_the_file_has_it(lab3: Path, faces: dict[str, Array]) -> None:
    dataset = open_dataset(lab3 / "clean_faces.h5", (55, 47, 3), 1283)
    read = np.concatenate([chunk.images for chunk in dataset.chunks(50)])
    np.testing.assert_array_equal(read, faces["clean_faces"])
    assert dataset.labels.tolist() == [person for _ in range(9) for person in range(20)]


def _weights(model: Any) -> dict[str, Array]:
    return {f"{layer.name}/{name}": array for layer in model.layers if layer.weights
            for name, array in zip(("kernel", "bias"), layer.get_weights(), strict=True)}


def test_an_examination_names_the_attackers_label(lab3: Path) -> None:
    opened = open_inputs(InputFiles(lab3 / "bd_weights.h5", lab3 / "clean_faces.h5"))
    judgement = examine(opened.network, opened.of("validation")[0]).judgement
    assert (judgement.verdict, judgement.guilty) == ("backdoor likely", (0,)), judgement.sentence

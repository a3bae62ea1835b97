"""Runs beside each other, against their own run.json: what differs, what doesn't, and what can't be compared."""

from __future__ import annotations

import csv
import dataclasses
import datetime
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from engine.__main__ import AT_FAULT, DONE, main
from engine.cli.result_tables import summary_cells
from engine.defences.comparison import Comparison
from engine.errors import OutputError
from engine.rates import Rate
from engine.records.autosave import keep_run
from engine.records.side_by_side import save_side_by_side, side_by_side, side_by_side_json, write_differences_csv
from engine.reports.figures.runs import printed_runs
from engine.reports.pages.runs import runs_html
from engine.reports.run_differences import best_of, cautions
from engine.runs.doubts.plausibility import Doubt
from engine.runs.prune import PruningRun
from tests.support.comparisons import row
from tests.support.places import PROJECT
from tests.support.runs import made_up_run


def a_run(seed: int = 0, **changes: Any) -> PruningRun:
    """A made-up run whose sets differ from each other, as files do."""
    run = made_up_run(seed=seed)
    sets = tuple(dataclasses.replace(d, sha256=f"{number:064}") for number, d in enumerate(run.datasets))
    return dataclasses.replace(run, **{"datasets": sets, "doubts": (), "comparison": None, **changes})


@pytest.fixture
def kept(tmp_path: Path) -> Callable[[PruningRun], Path]:
    return lambda run: keep_run(run, tmp_path / "kept")


def document(folder: Path) -> Any:
    return json.loads((folder / "run.json").read_text(encoding="utf-8"))


def compared(capsys: pytest.CaptureFixture[str], *folders: Path, out: Path | None = None) -> dict[str, Any]:
    assert main(["compare", *map(str, folders), "--json", *(["--out", str(out)] if out else [])]) == DONE
    return dict(json.loads(capsys.readouterr().out))


def values(found: dict[str, Any]) -> dict[str, list[Any]]:
    return {row["what"]: row["values"] for row in found["differences"]}


def test_the_same_run_twice_differs_in_nothing(
    kept: Callable[[PruningRun], Path], capsys: pytest.CaptureFixture[str],
) -> None:
    folder = kept(a_run())
    found = compared(capsys, folder, folder)
    assert found["differences"] == [] and found["cautions"] == []
    assert [run["folder"] for run in found["runs"]] == [str(folder)] * 2
    assert main(["compare", str(folder), str(folder)]) == DONE
    said = capsys.readouterr().out
    assert "The runs are the same" in said
    assert f"{folder.name} (1)" in said and f"{folder.name} (2)" in said


def test_runs_and_differences_are_those_of_run_json(
    kept: Callable[[PruningRun], Path], capsys: pytest.CaptureFixture[str],
) -> None:
    folders = [kept(a_run(seed)) for seed in (1, 2, 3)]
    documents = [document(folder) for folder in folders]
    found = compared(capsys, *folders)
    for run, written in zip(found["runs"], documents, strict=True):
        assert run["badnet"]["clean_accuracy"] == written["badnet"]["clean_accuracy"]
        assert run["model"]["sha256"] == written["model"]["sha256"]
        guarded = [written["badnet_guarded"], *(row["guarded"] for row in written["goodnets"])]
        measured = [(row["clean_accuracy"], max(part["attack_success_rate"] for part in row["poisoned"]))
                    for row in [*written["goodnets"], *guarded]]
        assert (run["best"]["clean_accuracy"], run["best"]["attack_success_rate"]) in measured
    differ = values(found)
    # Made of the same files with the same options, so only what was counted differs.
    assert not {"Model", "Clean test images", "Poisoned images", "Guard", "Thresholds X", "Layer"} & set(differ)
    orders = np.array([written["pruning_order"] for written in documents])
    step = next(k for k in range(60) if len(set(orders[:, k])) > 1)
    assert differ[f"Pruning order, first at step {step + 1}"] == orders[:, step].tolist()
    for what, name, rates in (
            ("Clean accuracy", "valid", [w["curve"]["validation"]["goodnet_accuracy"] for w in documents]),
            ("Clean accuracy", "test", [w["curve"]["test"]["goodnet_accuracy"] for w in documents]),
            ("Attack success", "eyes", [w["curve"]["poisoned"][1]["goodnet_asr"] for w in documents])):
        widest = max(range(61), key=lambda k: max(r[k] for r in rates) - min(r[k] for r in rates))
        said = differ[f"{what} on {name}, curves furthest apart at {widest} pruned"]
        assert said == pytest.approx([r[widest] for r in rates])
    for number, written in enumerate(documents):
        row = next((g for g in written["goodnets"] if g["x"] == 30), None)
        said = differ["The GoodNet at X = 30"][number]
        assert (said is None) == (row is None)
        if row:
            at = row["channels_pruned"]
            worst = max(part["goodnet_asr"][at] for part in written["curve"]["poisoned"])
            assert said == {"channels_pruned": at, "clean_accuracy": row["clean_accuracy"],
                            "attack_success_rate": worst}


def test_files_and_options_that_differ_are_named() -> None:
    first = a_run()
    other = a_run(model=dataclasses.replace(first.model, sha256="ef" * 32, scale="none"))
    test, rest = first.datasets[1], [first.datasets[0], *first.datasets[2:]]
    other = dataclasses.replace(
        other, datasets=(rest[0], dataclasses.replace(test, sha256="9" * 64), *rest[1:]),
        request=dataclasses.replace(first.request, drops=(2.0, 8.0), stop="last-within", order=Path("elsewhere")))
    found = side_by_side([("one", None, first), ("two", None, other)])
    differ = {d.what: d for d in found.differences}
    assert {"Model", "Clean test images", "Values", "Thresholds X", "Step that answers X"} <= set(differ)
    assert differ["Model"].values == ([f"bd.h5, SHA-256 {'ab' * 32}"], [f"bd.h5, SHA-256 {'ef' * 32}"])
    assert differ["Model"].texts == ("bd.h5 (abababababab)", "bd.h5 (efefefefefef)")
    assert differ["Thresholds X"].texts == ("2, 4.5, 30, 99", "2, 8")
    assert differ["The GoodNet at X = 8"].texts[0] == "not asked for"
    assert "Poisoned images" not in differ and "Clean validation images" not in differ
    (caution,) = found.cautions
    assert caution.startswith("Clean accuracy was measured on different images")


def test_names_targets_and_comparisons_that_differ_are_named() -> None:
    named = dataclasses.replace(a_run().model, classes=("cat", "Anna"))
    first, compared = a_run(model=named), made_up_run().comparison
    model = dataclasses.replace(named, classes=("cat", "dog"))
    sun, eyes = first.curve.poisoned
    curve = dataclasses.replace(first.curve, poisoned=(dataclasses.replace(sun, target=7), eyes))
    for other, what, values_, texts in (
            (a_run(model=model), "Names of labels, first of label 1", ("Anna", "dog"), ("Anna", "dog")),
            (a_run(), "Names of labels, first of label 0", ("cat", None), ("cat", "none")),
            (a_run(curve=curve), "Targets of the poisoned images", ([0, 0], [7, 0]), ("0, 0", "7, 0")),
            (a_run(comparison=compared), "Defences compared", (False, True), ("no", "yes"))):
        found = side_by_side([("one", None, first), ("two", None, other)])
        row = next(d for d in found.differences if d.what == what)
        assert (row.values, row.texts) == (values_, texts)
        assert ("targets aren't the same" in " ".join(found.cautions)) == (other.curve is curve)


def test_names_that_are_no_text_or_formulas_can_be_written(tmp_path: Path) -> None:
    """On Linux a file's name may hold bytes that are no text."""
    runs = []
    for seed in (1, 2):
        run = a_run(seed)
        sun, eyes = run.curve.poisoned
        named = dataclasses.replace(sun, name="bd\udcff;=1+1"), eyes
        runs.append(dataclasses.replace(run, curve=dataclasses.replace(run.curve, poisoned=named)))
    write_differences_csv(side_by_side([("one", None, runs[0]), ("two", None, runs[1])]), tmp_path / "differences.csv")
    rows = list(csv.reader((tmp_path / "differences.csv").read_text(encoding="utf-8").splitlines()))
    assert any(row[0].startswith(r"Attack success on bd\udcff;'=1+1, curves furthest apart") for row in rows)


@pytest.mark.parametrize("compared", [True, False])
def test_false_alarms_asked_for_count_where_a_comparison_set_up_guards(compared: bool) -> None:
    rows = made_up_run().comparison if compared else None
    request = dataclasses.replace(a_run().request, guard="none")
    runs = [a_run(guarded=None, comparison=rows, request=dataclasses.replace(request, false_alarms=rate))
            for rate in (0.02, 0.3)]
    found = side_by_side([("one", None, runs[0]), ("two", None, runs[1])])
    assert [d.what for d in found.differences] == ["False alarms asked for"] * compared


def test_bests_that_were_measured_on_other_images_of_one_file_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pair on all validation images, a trained copy on those held back."""
    runs, best = [a_run(), a_run()], best_of(a_run())
    assert best is not None and cautions(runs) == ()
    held = dataclasses.replace(best, clean=Rate(best.clean.count // 4, best.clean.total // 4))
    monkeypatch.setattr("engine.reports.run_differences.best_of", lambda run: held if run is runs[1] else best)
    (caution,) = cautions(runs)
    assert "different numbers of clean images" in caution


def test_b_stands_beside_the_best_with_its_accuracy_on_the_same_images() -> None:
    """76 of the 80 that the copy was measured on, which is right on 74; of all images it is another share."""
    run = a_run(comparison=Comparison((row("B", "none", 76, 80), row("repaired", "none", 74, 0))))
    best, of_all = best_of(run), run.curve.clean.b_prime_rate(0).value
    assert best and best.compared and of_all != 0.95
    cells = summary_cells(run)
    assert cells[1] == "95 %" and cells[3].startswith("92.50 %")
    found = side_by_side([("one", None, run), ("two", None, a_run())])
    written = side_by_side_json(found)
    first, second = written["runs"]
    assert first["badnet"]["clean_accuracy"] == of_all
    assert (first["best"]["clean_accuracy_before"], first["best"]["clean_accuracy"]) == (0.95, 0.925)
    page = runs_html(found.names, found.runs, (), written, datetime.date(2024, 1, 1))
    shown = re.findall(r'<td><data value="([^"]*)"', page)
    assert [float(shown[0]), float(shown[4])] == [0.95, second["best"]["clean_accuracy_before"]]


def test_what_is_doubtful_about_a_run_s_input_is_said_with_its_name() -> None:
    doubted = dataclasses.replace(a_run(), doubts=(Doubt("Its labels are shifted.", True),))
    found = side_by_side([("one", None, a_run()), ("two", None, doubted)])
    assert found.cautions == ("two: Its labels are shifted.",)


def test_the_worst_poisoned_set_stands_in_the_table(
    kept: Callable[[PruningRun], Path], capsys: pytest.CaptureFixture[str],
) -> None:
    folders = [kept(a_run(seed)) for seed in (1, 2)]
    assert main(["compare", *map(str, folders)]) == DONE
    lines = capsys.readouterr().out.splitlines()
    for folder in folders:
        worst = max(part["b_prime_asr"][0] for part in document(folder)["curve"]["poisoned"])
        (row,) = (line for line in lines if line.startswith(folder.name))
        assert f" {100 * worst:.2f}".rstrip("0").rstrip(".") + " % " in row


def test_the_same_images_under_another_name_are_no_difference() -> None:
    first = a_run()
    renamed = tuple(dataclasses.replace(d, name="renamed", path=Path("elsewhere")) for d in first.datasets)
    found = side_by_side([("one", None, first), ("two", None, dataclasses.replace(first, datasets=renamed))])
    assert found.differences == () and found.cautions == ()


def test_layers_of_different_size_are_compared_without_steps() -> None:
    small = made_up_run(channels=20)
    found = side_by_side([("one", None, made_up_run()), ("two", None, small)])
    differ = {d.what: d.values for d in found.differences}
    assert differ["Channels of the layer"] == (60, 20)
    assert not [what for what in differ if "furthest apart" in what or "order" in what]
    axes = printed_runs(["one", "two"], [made_up_run(), small]).axes
    assert [line.get_xdata()[-1] for line in axes[0].get_lines()] == [1, 1]  # fractions of both layers


def test_the_figure_draws_the_counts() -> None:
    runs = [a_run(1), a_run(2)]
    clean, attack = printed_runs(["one", "$x$"], runs).axes
    for run, drawn, attacked in zip(runs, clean.get_lines(), attack.get_lines(), strict=True):
        test = run.curve.test
        assert test is not None
        np.testing.assert_allclose(drawn.get_ydata(), 100 * test.goodnet_correct / test.images)
        worst = np.max([100 * p.goodnet_correct / p.images for p in run.curve.poisoned], axis=0)
        np.testing.assert_allclose(attacked.get_ydata(), worst)
    assert len({(line.get_color(), line.get_linestyle()) for line in clean.get_lines()}) == 2


def test_out_writes_json_figures_and_a_report(
    kept: Callable[[PruningRun], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    first = kept(a_run(1))
    second = kept(dataclasses.replace(a_run(2), device="<b>GPU</b>"))
    out = tmp_path / "deep" / "out"
    found = compared(capsys, first, second, out=out)
    assert sorted(path.name for path in out.iterdir()) == ["compare.json", "curves.png", "curves.svg", "manifest.json",
                                                           "report.html"]
    assert json.loads((out / "compare.json").read_text(encoding="utf-8")) == found
    with Image.open(out / "curves.png") as picture:
        assert min(picture.size) > 400
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "<b>GPU" not in page and "&lt;b&gt;GPU&lt;/b&gt;" in page
    assert page.count(first.name) >= 2 and "://" not in page.replace("http://www.w3.org", "")
    # An earlier comparison is replaced, another folder isn't.
    compared(capsys, first, second, out=out)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").touch()
    assert main(["compare", str(first), str(second), "--out", str(tmp_path / "mine")]) == AT_FAULT
    assert "letter.txt" in capsys.readouterr().err


def test_a_comparison_replaces_nothing_that_its_runs_were_made_from(tmp_path: Path) -> None:
    out, run = tmp_path / "out", a_run(1)
    save_side_by_side(side_by_side([("one", None, run), ("two", None, run)]), out)
    model = out / "curves.png"  # such as a pair's file in an earlier run's folder
    other = dataclasses.replace(run, request=dataclasses.replace(run.request, model=model))
    with pytest.raises(OutputError, match=r"holds curves\.png, which results are made from"):
        save_side_by_side(side_by_side([("one", None, run), ("two", None, other)]), out)
    assert model.is_file()


def test_the_report_gives_b_s_worst_set_as_it_gives_the_best_defence_s(tmp_path: Path) -> None:
    run = a_run(1)
    mild, bad = sorted(run.curve.poisoned, key=lambda counts: counts.b_prime_rate(0).value)
    run = dataclasses.replace(run, curve=dataclasses.replace(run.curve, poisoned=(mild, bad)), guarded=None)
    save_side_by_side(side_by_side([("one", None, run), ("two", None, run)]), tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.count(f'<data value="{bad.b_prime_rate(0).value!r}">') == 2
    assert f'<data value="{mild.b_prime_rate(0).value!r}">' not in page


def test_what_is_no_run_is_at_fault(
    kept: Callable[[PruningRun], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    folder = kept(a_run())
    assert main(["compare", str(folder), str(tmp_path)]) == AT_FAULT
    assert str(tmp_path) in capsys.readouterr().err
    with pytest.raises(SystemExit) as left:
        main(["compare", str(folder)])
    assert left.value.code == 2


def test_comparing_loads_no_tensorflow(kept: Callable[[PruningRun], Path]) -> None:
    folder = kept(a_run())
    code = ("import sys; from engine.__main__ import main; main(['compare', sys.argv[1], sys.argv[1]]); "
            "print(sorted({'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)), file=sys.stderr)")
    done = subprocess.run([sys.executable, "-c", code, str(folder)], cwd=PROJECT, capture_output=True, text=True,
                          check=True)
    assert done.stderr == "[]\n"

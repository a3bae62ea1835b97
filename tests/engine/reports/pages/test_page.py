"""report.html against run.json, the images and the command line; names from outside are text and nothing else."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import io
import json
import re
import shlex
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from engine import places
from engine.assessment import Attack
from engine.cli.parser import build_parser
from engine.data.preprocessing import preprocessing
from engine.data.stored_values import AROUND_ZERO, BYTES, FINER, PREPARED, UNIT
from engine.defences.comparison import Comparison, ComparisonRow
from engine.literal import literal
from engine.rates import Rate
from engine.records.run_files import run_json, save_run
from engine.reports.contact_sheet import as_pixels, contact_strips, png_uri
from engine.reports.figures.curve import printed_figure
from engine.reports.pages.page import command_words, inline_svg, report_html
from engine.runs.prune import PruningRequest, PruningRun, run_pruning
from engine.runs.rows import rows_of
from tests.support.networks import SmallLab

TODAY = datetime.date(2026, 1, 31)
VOID = {"meta", "img", "br", "col"}


class Page(HTMLParser):
    """What a browser would see: elements, the text of some, and tables as rows of (text, exact values)."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[tuple[str, list[float]]]]] = {}
        self.text, self.by_id = "", {}
        self._open: list[tuple[str, str]] = []
        self._table = ""
        self.feed(html)
        self.close()
        assert self._open == [], "an element is left open"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append((tag, given))
        if tag not in VOID:
            self._open.append((tag, given.get("id") or ""))
        if tag == "table":
            self._table = given.get("id") or f"table {len(self.tables)}"
            self.tables[self._table] = []
        elif tag == "tr":
            self.tables[self._table].append([])
        elif tag in ("td", "th"):
            self.tables[self._table][-1].append(("", []))
        elif tag == "data":
            self.tables_cell()[1].append(float(given["value"] or "")) if self._in("td", "th") else None

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        opened, _ = self._open.pop()
        assert opened == tag

    def handle_data(self, data: str) -> None:
        if self._in("style"):
            return
        self.text += data
        for _, name in self._open:
            if name:
                self.by_id[name] = self.by_id.get(name, "") + data
        if self._in("td", "th"):
            row = self.tables[self._table][-1]
            row[-1] = (row[-1][0] + data, row[-1][1])

    def tables_cell(self) -> tuple[str, list[float]]:
        return self.tables[self._table][-1][-1]

    def _in(self, *tags: str) -> bool:
        return any(tag in tags for tag, _ in self._open)


def page_of(run: PruningRun) -> Page:
    rows = rows_of(run)
    return Page(report_html(run, rows, run_json(run, rows), TODAY))


def compared() -> Comparison:
    """Rates as a comparison would have found them."""
    def row(name: str, guard: str, attack: int) -> ComparisonRow:
        attacks = (Attack("poisoned", 2, Rate(40, 40), Rate(attack, 40), Rate(7, 40), robust=Rate(30, 40)),)
        return ComparisonRow(defence=name, guard=guard, clean=Rate(57, 60), clean_before=Rate(57, 60),
                             false_alarms=Rate(2, 60), attacks=attacks, seconds=12.5)

    return Comparison((row("B", "none", 40), row("B", "margin", 9), row("repaired by distillation", "none", 0)),
                      "3 labels have no image.")


@pytest.fixture(scope="module")
def run(small_lab: SmallLab) -> PruningRun:
    request = PruningRequest(small_lab.badnet, small_lab.clean, small_lab.test, (small_lab.poisoned,), scale="none",
                             drops=(2.0, 30.0, 99.0), guard="margin", false_alarms=0.1)
    return dataclasses.replace(run_pruning(request), comparison=compared())


@pytest.fixture(scope="module")
def saved(run: PruningRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "run"
    save_run(run, folder)
    return folder


def test_its_figures_are_those_of_run_json(saved: Path) -> None:
    document, page = json.loads((saved / "run.json").read_text()), Page((saved / "report.html").read_text("utf-8"))
    keys = ("clean_accuracy", "attack_success_rate", "false_alarm_rate", "detection_rate")

    def shown(row: dict[str, Any], *names: str) -> list[float]:
        return [row[name] for name in names if row[name] is not None]

    _, before, *goodnets = page.tables["goodnets"]
    assert values(before) == shown(document["badnet"], *keys[:2])
    assert document["goodnets"] and len(goodnets) == len(document["goodnets"])
    for cells, row in zip(goodnets, document["goodnets"], strict=True):
        assert [cells[0][0], cells[1][0]] == [f"X = {row['x']:g}", str(row["channels_pruned"])]
        assert values(cells) == shown(row, "drop_points", "drop_relative_percent", *keys)
        for cell, key in zip(cells[4:8], keys, strict=True):
            low, high = row[f"{key}_interval"]
            assert cell[0].split() == [f"{100 * row[key]:.2f}", "%", f"{100 * low:.1f}–{100 * high:.1f}"]
        assert row["assessment"].replace(" %", "\u00a0%") in page.text
    _, alone, *guarded = page.tables["guarded"]
    assert values(alone) == shown(document["badnet_guarded"], *keys)
    assert [values(cells) for cells in guarded] == [shown(r["guarded"], *keys) for r in document["goodnets"]]
    compared = [shown(r, *keys[:2], "robust_accuracy", *keys[2:], "seconds") for r in document["comparison"]]
    assert [values(cells) for cells in page.tables["comparison"][1:]] == compared
    assert document["comparison_warning"] == "3 labels have no image." and document["comparison_warning"] in page.text
    for x in document["not_reached"]:
        assert f"X = {x:g} is never reached" in page.text
    ranking = [cells for name, table in page.tables.items() if name.startswith("table") for cells in table[1:]]
    assert [int(cells[1][0]) for cells in ranking] == document["pruning_order"]
    assert [cells[2][1][0] for cells in ranking] == [document["mean_activation"][c] for c in document["pruning_order"]]
    assert ["dead" in cells[2][0] for cells in ranking] == [cells[2][1][0] == 0 for cells in ranking]
    files = page.tables["files"][1:]
    hashes = [document["model"]["sha256"], *(d["sha256"] for d in document["datasets"])]
    assert [cells[4][0] for cells in files] == hashes


def values(cells: list[tuple[str, list[float]]]) -> list[float]:
    return [value for _, found in cells for value in found]


def test_it_needs_nothing_but_itself(saved: Path) -> None:
    html = (saved / "report.html").read_text("utf-8")
    page = Page(html)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "embed", "base", "form", "a"}
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "xlink:href", "action"):
            assert (attributes.get(name) or "data:").startswith(("data:image/png;base64,", "data:", "#")), (tag, name)
    assert not re.search(r"url\((?!#)", html) and "@import" not in html
    policies = [a["content"] for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policies == [ "default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


HOSTILE = """<img src=x onerror=alert(1)> & "a' --> {{ 7*7 }} $\\frac{ \u202egpj"""


def test_names_from_outside_stay_text(small_lab: SmallLab, tmp_path: Path) -> None:
    names = {}
    for role in ("badnet", "clean", "poisoned"):
        source: Path = getattr(small_lab, role)
        names[role] = tmp_path / f"{HOSTILE} {role}{source.suffix}".replace("/", "")
        try:
            names[role].write_bytes(source.read_bytes())
        except OSError:
            pytest.skip("this system has no such file names")
    run = run_pruning(PruningRequest(names["badnet"], names["clean"], None, (names["poisoned"],) * 2, scale="none"))
    page = page_of(run)
    assert all(literal(path.name) in page.text for path in names.values())
    assert len([1 for tag, _ in page.tags if tag == "img"]) == 18
    assert shlex.split(page.by_id["command"])[4:7] == [
        literal(str(names["badnet"])), "--clean", literal(str(names["clean"]))]


@pytest.mark.parametrize("name", ["$\\frac{$", "caf\udce9", "a\nb"])
def test_any_name_can_stand_in_the_figure(run: PruningRun, name: str) -> None:
    other = dataclasses.replace(run.curve.poisoned[0], name=name)
    curve = dataclasses.replace(run.curve, layer=name, poisoned=(other, other))
    assert inline_svg(printed_figure(curve, rows_of(run))).endswith("</svg>\n")


def test_the_command_repeats_the_run(run: PruningRun, saved: Path) -> None:
    page = Page((saved / "report.html").read_text("utf-8"))
    words = shlex.split(page.by_id["command"])
    assert words[:3] == ["python", "-m", "engine"]
    options, request = build_parser().parse_args(words[3:]), run.request
    assert (options.model, options.clean, options.test, options.poisoned) == (
        str(request.model), str(request.validation), str(request.test), [str(p) for p in request.poisoned])
    assert (options.layer, options.rank_at, options.order) == ("pruned", "conv", None)
    assert tuple(options.drop) == request.drops
    assert (options.drop_mode, options.stop, options.scale) == ("points", "first-past", "none")
    assert (options.guard, options.false_alarms) == ("margin", 0.1)
    assert options.compare and not options.allow_missing_labels


def test_the_command_of_other_settings(run: PruningRun) -> None:
    request = dataclasses.replace(run.request, model=Path("-model.keras"), test=None, poisoned=(), drop_mode="relative",
                                  order=Path("an order.json"), stop="last-within", guard="none", drops=(2.5,))
    missing = dataclasses.replace(run.model, labels=run.model.labels + 1)
    words = command_words(dataclasses.replace(run, request=request, model=missing))
    options = build_parser().parse_args(shlex.split(" ".join(words))[3:])
    assert Path(options.model) == Path("-model.keras") and options.test is None and options.poisoned == []
    assert (options.order, options.drop, options.drop_mode) == ("an order.json", [2.5], "relative")
    assert (options.stop, options.guard, options.allow_missing_labels) == ("last-within", "none", True)
    assert options.false_alarms == 0.1  # of the guards that the comparison sets up


def test_the_command_names_what_begins_as_options_do_and_the_output_that_was_chosen(run: PruningRun) -> None:
    request = dataclasses.replace(run.request, output="-out", classes=("a", "b"))
    model = dataclasses.replace(run.model, layer="-layer", scale="-1..1")
    page = page_of(dataclasses.replace(run, request=request, model=model))
    options = build_parser().parse_args(shlex.split(page.by_id["command"])[3:])
    assert (options.layer, options.output, options.scale) == ("-layer", "-out", "-1..1")
    assert "called by a list of names" in page.text and "called by a list of names" not in page_of(run).text


@pytest.mark.parametrize("name", ["none", "255", "-1..1", "imagenet", "x255 caffe"])
def test_it_says_how_values_were_fed(run: PruningRun, name: str) -> None:
    page = page_of(dataclasses.replace(run, model=dataclasses.replace(run.model, scale=name)))
    assert f"Values{preprocessing(name).words};" in page.text


def test_pictures_are_the_sets_images(run: PruningRun, small_lab: SmallLab, saved: Path) -> None:
    page = Page((saved / "report.html").read_text("utf-8"))
    pictures = [a["src"] for tag, a in page.tags if tag == "img"]
    expected = []
    for path in (small_lab.test, small_lab.poisoned):  # lengths differ, so the clean set is the test set
        with h5py.File(path) as file:
            expected += list(file["data"][()].transpose(0, 2, 3, 1)[[0, 7, 15, 23, 31, 39]])
    assert len(pictures) == len(expected) == 12
    for uri, image in zip(pictures, expected, strict=True):
        found = Image.open(io.BytesIO(base64.b64decode((uri or "").removeprefix("data:image/png;base64,"))))
        np.testing.assert_array_equal(np.asarray(found), image)


def test_the_clean_set_shown_is_the_one_as_long_as_the_poisoned(run: PruningRun) -> None:
    validation, test, poisoned = run.datasets
    same = dataclasses.replace(validation, images=poisoned.images)
    strips = contact_strips(dataclasses.replace(run, datasets=(same, test, poisoned)))
    assert [s.role for s in strips] == ["validation", "poisoned"]


def test_a_given_order_is_said_not_to_come_from_the_means_that_were_measured(run: PruningRun) -> None:
    run = dataclasses.replace(run, request=dataclasses.replace(run.request, order=Path("order.json")))
    assert "The order was given; mean activations were measured, but didn't decide it." in " ".join(
        page_of(run).text.split())
    of_old = dataclasses.replace(run.ranking, mean_activation=np.full(len(run.ranking.order), np.nan))
    assert "activations weren't measured" in " ".join(page_of(dataclasses.replace(run, ranking=of_old)).text.split())


def test_versions_are_those_of_the_run(run: PruningRun) -> None:
    assert "tensorflow 2.10" in page_of(dataclasses.replace(run, versions={"tensorflow": "2.10"})).text
    assert "Versions" not in page_of(dataclasses.replace(run, versions={})).text


def test_without_the_images_the_figures_stand(run: PruningRun, tmp_path: Path) -> None:
    gone = tuple(dataclasses.replace(d, path=tmp_path / "gone.h5") for d in run.datasets)
    page = page_of(dataclasses.replace(run, datasets=gone))
    assert "img" not in [tag for tag, _ in page.tags] and "No pictures are shown" in page.text
    assert len(page.tables["goodnets"]) > 2


def test_pictures_of_any_range_and_size() -> None:
    bytes_ = np.array([[0, 128, 255]], np.float32).reshape(1, 1, 3, 1)
    for images, stored in ((bytes_, BYTES), (bytes_ / 255, UNIT), (bytes_ / 127.5 - 1, AROUND_ZERO)):
        np.testing.assert_allclose(as_pixels(images, stored), bytes_, atol=1)
    # A few pictures don't tell the range of a set: one may be sharpened beyond 1, the darkest may be nearly black.
    np.testing.assert_allclose(as_pixels(bytes_ / 250, UNIT), bytes_, atol=3)
    np.testing.assert_allclose(as_pixels(bytes_ / 255, BYTES), 0, atol=1)
    for images, stored in (((bytes_ - 100) / 60, PREPARED), (bytes_ * 257, FINER)):
        np.testing.assert_allclose(as_pixels(images, stored), bytes_, atol=1)
    large = Image.open(io.BytesIO(base64.b64decode(png_uri(np.zeros((300, 600, 1), np.uint8)).split(",")[1])))
    assert large.size == (128, 64) and large.mode == "L"


def test_the_figure_takes_the_pages_colours(saved: Path) -> None:
    html = (saved / "report.html").read_text("utf-8")
    drawing = html[html.index("<svg"):html.index("</svg>")]
    assert {f"var(--{name})" for name in ("surface", "text", "muted", "border", "clean", "attack-0")} \
        <= set(re.findall(r"var\(--[\w-]+\)", drawing))
    assert set(re.findall(r"#[0-9a-f]{6}\b", drawing)) <= {"#000000"}
    for name in re.findall(r"var\((--[\w-]+)\)", drawing):
        assert f"{name}:" in html


@pytest.mark.parametrize(("change", "expected"), [
    ({}, "Don't deploy B itself. What took its place here can be used"),
    ({"comparison": None}, None),
    ({"poisoned": 0}, "nobody can say whether the backdoor is gone"),
    ({"harmless": True}, "don't show a backdoor in this network"),
])
def test_it_says_what_the_figures_mean(run: PruningRun, change: dict[str, Any], expected: str | None) -> None:
    curve = run.curve
    if "poisoned" in change:
        curve = dataclasses.replace(curve, poisoned=())
    if "harmless" in change:
        none = np.zeros_like(curve.poisoned[0].correct)
        curve = dataclasses.replace(curve, poisoned=(dataclasses.replace(curve.poisoned[0], correct=none,
                                                                         goodnet_correct=none),))
    comparison = run.comparison if not change else None
    page = page_of(dataclasses.replace(run, curve=curve, comparison=comparison, guarded=None))
    attack = [row.attack.value for row in rows_of(run) if row.attack]
    if expected is None:  # pruning alone, on a network whose backdoor goes last
        assert min(attack) > 0.05 and "Don't deploy" in page.text
    else:
        assert expected in page.text
    assert ("must not be deployed as it is" in page.text) == (expected is None or not change)


def test_what_it_cannot_tell_is_said(run: PruningRun) -> None:
    assert "Only the trigger of the poisoned images given was tried" in page_of(run).text
    partly = dataclasses.replace(run, datasets=(dataclasses.replace(run.datasets[0], labels=3), *run.datasets[1:]))
    assert ("only 3 of the network's 7 labels. The test images show the others, too, but the channels' order, the "
            "thresholds and a guard rest on the validation images alone, and a network") in page_of(partly).text
    partly = dataclasses.replace(run, datasets=tuple(dataclasses.replace(d, labels=3) for d in run.datasets))
    assert "only 3 of the network's 7 labels. How any defence treats the others isn't" in page_of(partly).text
    assert "No test set was given" not in page_of(run).text
    untested = dataclasses.replace(run, curve=dataclasses.replace(run.curve, test=None), comparison=None)
    assert "No test set was given" in page_of(untested).text


def test_each_poisoned_set_has_its_row(run: PruningRun) -> None:
    other = dataclasses.replace(run.curve.poisoned[0], name="another <b>")
    curve = dataclasses.replace(run.curve, poisoned=(*run.curve.poisoned, other))
    page = page_of(dataclasses.replace(run, curve=curve))
    rows = page.tables["poisoned-sets"][1:]
    assert [cells[0][0] for cells in rows] == ["poisoned", "another <b>"]
    step = rows_of(run)[0].channels_pruned
    assert values(rows[1])[:3] == [other.b_prime_rate(0).value, other.goodnet_rate(step).value,
                                   other.flagged_rate(step).value]


def test_a_set_without_one_target_has_one_for_each_image(run: PruningRun) -> None:
    each = dataclasses.replace(run.curve.poisoned[0], target=None)
    page = page_of(dataclasses.replace(run, curve=dataclasses.replace(run.curve, poisoned=(each, each))))
    assert "images, a target for each image)" in page.text and "None" not in page.text
    assert page.tables["poisoned-sets"][1][2][0] == "one for each image"


def test_the_lowest_robust_accuracy_stands_in_the_table_as_on_the_command_line(run: PruningRun) -> None:
    assert run.comparison
    row = run.comparison.rows[0]
    sets = tuple(dataclasses.replace(row.attacks[0], robust=robust) for robust in (Rate(30, 40), None, Rate(3, 40)))
    several = dataclasses.replace(run.curve, poisoned=run.curve.poisoned * 3)
    page = page_of(dataclasses.replace(run, curve=several, comparison=Comparison(
        (dataclasses.replace(row, attacks=sets), dataclasses.replace(row, attacks=sets[1:2])))))
    heading, lowest, unknown = (cells[4] for cells in page.tables["comparison"])
    assert heading[0] == "Robust accuracy, lowest"
    assert (lowest[1], unknown[0]) == ([3 / 40], "–")


def test_bytes_that_are_no_text_in_a_name(run: PruningRun, tmp_path: Path) -> None:
    odd = dataclasses.replace(run.datasets[0], path=tmp_path / "caf\udce9.h5")
    save_run(dataclasses.replace(run, datasets=(odd, *run.datasets[1:])), tmp_path / "out")
    assert "caf\\udce9.h5" in Page((tmp_path / "out" / "report.html").read_text("utf-8")).text


def test_resources_of_a_packed_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert places.resource("report/report.html").is_file()
    monkeypatch.setattr("sys._MEIPASS", str(tmp_path), raising=False)
    assert places.resource("report/report.html") == tmp_path / "resources" / "report" / "report.html"

"""What is measured with a reconstructed trigger says so wherever people read it, and nothing else does."""

from __future__ import annotations

import dataclasses
import datetime

import pytest

from engine.assessment import ESTIMATE, assess
from engine.pruning.sweep import PruningCurve
from engine.records.run_files import run_json
from engine.reports.curve_figure import printed_figure
from engine.reports.headline import headline
from engine.reports.page import report_html
from engine.runs.prune import PruningRun
from engine.runs.rows import goodnet_row
from gui.curve.readout import figures_at
from gui.tables.model import set_columns
from tests.support.comparisons import run_of
from tests.support.curves import curve
from tests.support.runs import made_up_run

MARKED = "sunglasses (reconstructed)"


def marked(of: PruningCurve) -> PruningCurve:
    """A curve whose first poisoned set's trigger was reconstructed."""
    first, *others = of.poisoned
    return dataclasses.replace(of, poisoned=(dataclasses.replace(first, reconstructed=True), *others))


@pytest.fixture
def run() -> PruningRun:
    """A run on one poisoned set, a reconstructed one."""
    plain = run_of()
    return dataclasses.replace(plain, curve=marked(plain.curve))


def test_the_headline_says_that_it_is_an_estimate(run: PruningRun) -> None:
    found = headline(run, [row for x in (2.0, 30.0) if (row := goodnet_row(run.curve, x))])
    assert found is not None
    assert found.figures.startswith(f"Attack success on {MARKED} 100 %")
    assert found.sentence.endswith(f"{ESTIMATE}.")
    plain = run_of()
    found = headline(plain, [row for x in (2.0, 30.0) if (row := goodnet_row(plain.curve, x))])
    assert found is not None
    assert "reconstructed" not in found.figures + found.sentence


def test_of_several_sets_each_says_what_it_is() -> None:
    run = run_of()
    run = dataclasses.replace(run, curve=marked(curve(sets=2)))
    found = headline(run, [row for x in (30.0,) if (row := goodnet_row(run.curve, x))])
    assert found is not None
    assert "sunglasses (target 0) (reconstructed) 100 %" in found.sentence
    assert found.sentence.count("(reconstructed)") == 1


def test_sentences_and_small_print_name_it() -> None:
    figures = marked(curve()).figures_at(6)
    assert f"of the images of {MARKED}" in assess("At X = 30", figures).sentence
    assert "of poisoned images" in assess("At X = 30", curve().figures_at(6)).sentence
    assert [card.of for card in figures_at(marked(curve()), 3, "goodnet")] == ["", "", "", MARKED, MARKED]
    assert {card.of for card in figures_at(curve(), 3, "goodnet")} == {""}


def test_the_curve_names_it() -> None:
    legend = printed_figure(marked(curve()), []).axes[0].get_legend()
    assert legend is not None
    assert [MARKED in text.get_text() for text in legend.get_texts()] == [False, True]
    legend = printed_figure(curve(), []).axes[0].get_legend()
    assert legend is not None
    assert not any("sunglasses" in text.get_text() for text in legend.get_texts())


def test_the_column_of_a_reconstructed_set_is_called_so() -> None:
    attacks = marked(curve(sets=3)).figures_at(6).attacks[::2]
    headings = [column.heading for column in set_columns(attacks, lambda _: [])]
    assert headings == ["Reconstructed:\nsunglasses", "Attack:\nmoustache"]


def test_the_report_names_it() -> None:
    run = made_up_run()
    first, second = run.curve.poisoned
    run = dataclasses.replace(run, curve=dataclasses.replace(
        run.curve, poisoned=(first, dataclasses.replace(second, reconstructed=True))))
    page = report_html(run, [], run_json(run, []), datetime.date(2026, 1, 2))
    assert "<bdi>eyes (reconstructed)</bdi>" in page
    assert "sun ☀ (reconstructed)" not in page

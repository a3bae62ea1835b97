"""Script in the names of files, layers, sets, defences and labels: the reports are the same elements as without."""

from __future__ import annotations

import dataclasses
import datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from engine.records.run_files import run_json
from engine.records.side_by_side import side_by_side, side_by_side_json
from engine.reports.pages.page import environment, report_html
from engine.reports.pages.runs import runs_html
from engine.runs.doubts.plausibility import Doubt
from engine.runs.prune import PruningRun
from engine.runs.rows import rows_of
from tests.support.places import PROJECT
from tests.support.runs import made_up_run

TODAY = datetime.date(2026, 1, 2)
PLAIN = "plain"
PAYLOADS = ["<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "' onmouseover='alert(1)", "{{ 7 * 191 }}",
            "{% include 'report.html' %}", "</title></style></svg><iframe src=//x>", "<!--", "]]>", "&lt;b&gt;",
            "javascript:alert(1)", "<svg/onload=alert(1)>", "\u202ebdemit\u202c", "a\x00b\x1b[31m", "$\\frac{$"]


class Elements(HTMLParser):
    """The elements of a page with the names of their attributes, and what stands in them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []
        self.values: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(name for name, _ in attrs)))
        self.values += [value or "" for _, value in attrs]

    def handle_comment(self, data: str) -> None:
        self.found.append(("comment", ()))

    def handle_data(self, data: str) -> None:
        self.text += data


def called(word: str) -> PruningRun:
    """A run in which everything that has a name from outside has this one."""
    run, path = made_up_run(channels=6), Path("/x") / word.replace("/", "").replace("\x00", "")
    request = dataclasses.replace(run.request, model=path, validation=path, test=path, poisoned=(path, path),
                                  order=path, classes=(word, word))
    assert run.curve.test and run.comparison and run.guarded
    curve = dataclasses.replace(
        run.curve, layer=word, validation=dataclasses.replace(run.curve.validation, name=word),
        test=dataclasses.replace(run.curve.test, name=word),
        poisoned=tuple(dataclasses.replace(one, name=word) for one in run.curve.poisoned))
    rows = tuple(dataclasses.replace(row, defence=word, attacks=tuple(
        dataclasses.replace(attack, name=word) for attack in row.attacks)) for row in run.comparison.rows)
    return dataclasses.replace(
        run, request=request, curve=curve, doubts=(Doubt(word, False),), device=word,
        model=dataclasses.replace(run.model, path=path, layer=word),
        datasets=tuple(dataclasses.replace(one, path=path, name=word) for one in run.datasets),
        ranking=dataclasses.replace(run.ranking, layer=word),
        guarded=dataclasses.replace(run.guarded, poisoned=tuple(
            dataclasses.replace(one, name=word) for one in run.guarded.poisoned)),
        comparison=dataclasses.replace(run.comparison, rows=rows, warning=word))


def report(word: str) -> str:
    run = called(word)
    return report_html(run, rows_of(run), run_json(run, rows_of(run)), TODAY)


def compared(word: str) -> str:
    of = side_by_side([(word, None, called(word)), (word + "2", None, called(word))])
    return runs_html(of.names, of.runs, [(d.what, d.texts) for d in of.differences], side_by_side_json(of), TODAY)


def shape(html: str) -> tuple[list[Any], Elements]:
    """The page's elements without those of the figure, in which each letter is an outline of its own."""
    page = Elements(html)
    drawn = {"path", "use", "g", "defs", "clippath", "rect"}
    return [one for one in page.found if one[0] not in drawn], page


@pytest.mark.parametrize("make", [report, compared])
@pytest.mark.parametrize("word", PAYLOADS)
def test_a_name_adds_no_element_and_no_attribute(word: str, make: Any) -> None:
    (expected, _), (found, page) = shape(make(PLAIN)), shape(make(word))
    assert found == expected
    assert not [value for value in page.values if value.lower().startswith("javascript:")]
    assert {tag for tag, _ in page.found} & {"script", "iframe", "object", "embed"} == set()
    assert not [name for _, names in page.found for name in names if name.startswith("on")]
    assert "1337" not in page.text and "\x1b" not in page.text and "\u202e" not in page.text


def test_every_page_is_escaped_and_none_lets_markup_through() -> None:
    assert environment().autoescape is True
    templates = sorted((PROJECT / "resources" / "report").glob("*.html"))
    assert len(templates) >= 4
    for template in templates:
        text = template.read_text(encoding="utf-8")
        assert "|safe" not in text.replace(" ", "") and "autoescape" not in text, template

"""The report of runs beside each other: one HTML file that opens anywhere, as a run's own report does."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from engine.reports.figures.runs import printed_runs
from engine.reports.pages.page import Json, environment, inline_svg
from engine.runs.prune import PruningRun


def runs_html(names: Sequence[str], runs: Sequence[PruningRun], rows: Sequence[tuple[str, Sequence[str]]],
              document: Json, written: datetime.date) -> str:
    """The report as HTML.

    Args:
        rows: what differs, and for each run its text.
        document: the comparison as compare.json holds it.
        written: the day to put on it.
    """
    return environment().get_template("runs.html").render(
        names=names, rows=rows, document=document, written=written, figure=inline_svg(printed_runs(names, runs)))

"""An examination's report: one HTML file that opens anywhere, as a run's own report does."""

from __future__ import annotations

import datetime

from engine.reports.contact_sheet import png_uri
from engine.reports.figures.examination import printed_masks
from engine.reports.pages.page import environment, inline_svg
from engine.runs.examine import Examination

_SHOWN = 3


def examination_html(examination: Examination, model: str, written: datetime.date) -> str:
    """The report as HTML.

    Args:
        model: the network's file name; written: the day to put on it.
    """
    return environment().get_template("examination.html").render(
        examination=examination, model=model, written=written, figure=inline_svg(printed_masks(examination)),
        pictures=[(tried.evidence.label, tried.filter, [png_uri(p) for p in (tried.picture, *tried.faces)])
                  for tried in examination.foremost[:_SHOWN]],
        stamps=[png_uri(example.picture) for example in examination.scan.examples])

"""The report of a defended network: one HTML file that opens anywhere, as a run's own report does."""

from __future__ import annotations

import datetime

from engine.reports.pages.page import environment
from engine.runs.defend import Defended


def defended_html(defended: Defended, model: str, written: datetime.date) -> str:
    """The report as HTML.

    Args:
        model: the network's file name; written: the day to put on it.
    """
    return environment().get_template("defended.html").render(
        defended=defended, model=model, written=written)

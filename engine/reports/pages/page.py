"""A run's report for people: one HTML file that opens anywhere, without a network, and prints well.

Whatever comes from outside (file names, layer names, notes) is escaped by the template library, and the page's own
security policy forbids scripts and everything remote.
"""

from __future__ import annotations

import datetime
import io
import math
import os
import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import jinja2
from markupsafe import Markup
from matplotlib.figure import Figure

from engine import places
from engine.assessment import LEVEL_WORDS, titled
from engine.data.preprocessing import preprocessing
from engine.literal import literal, unbroken
from engine.pruning.thresholds import rule_text
from engine.reports.advice import advise
from engine.reports.contact_sheet import contact_strips
from engine.reports.figures.curve import printed_figure
from engine.reports.figures.defences import printed_comparison
from engine.reports.figures.palette import PRINT
from engine.reports.headline import measured_text
from engine.runs.prune import PruningRun
from engine.runs.rows import GoodNetRow

Json = dict[str, Any]

LEVEL_MARKS = {"repaired": "✓", "protected": "✓", "costly": "!", "weakened": "◐", "failed": "✕", "unknown": "?"}
_RANKING_ROWS = 20


def report_html(run: PruningRun, rows: Sequence[GoodNetRow], document: Json, written: datetime.date) -> str:
    """The report of a run as HTML.

    Args:
        rows: the run's GoodNets.
        document: the run as run.json holds it; all figures are taken from it.
        written: the day to put on it.
    """
    return environment().get_template("report.html").render(
        run=document, advice=advise(run, rows), strips=contact_strips(run), ranking=_ranking(document),
        figure=inline_svg(printed_figure(run.curve, rows)),
        compared=inline_svg(printed_comparison(run.comparison)) if run.comparison else None, command=command_words(run),
        values=preprocessing(run.model.scale).words, named_classes=bool(run.request.classes),
        names=[f"X = {row.x:g}" for row in rows], written=written,
        words=LEVEL_WORDS, marks=LEVEL_MARKS, rule=rule_text(run.request.drop_mode, run.request.stop),
        measured=measured_text(run.guarded) if run.guarded else "")


def environment() -> jinja2.Environment:
    """The template library with this program's filters; whatever a template is given is escaped."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(places.resource("report")), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, finalize=_shown)
    made.globals.update(worst_of=_worst_of, least_robust=_least_robust)
    made.filters.update(
        number=number, percent=percent_of, interval=interval_of, count="{:,}".format, unbroken=unbroken,
        activation=activation, file_name=lambda path: PurePath(path).name,
        set_title=lambda one: titled(one["name"], one["reconstructed"]))
    return made


def _shown(value: Any) -> Any:
    """What stands in a page for a value: of a word from a file, what a browser would obey or hide is spelled out."""
    return literal(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def command_words(run: PruningRun) -> list[str]:
    """The command that repeats a run, with every option; each word quoted for the shell of the system this runs on."""
    request, model = run.request, run.model
    words = ["python", "-m", "engine", "prune", _path(request.model), "--clean", _path(request.validation)]
    if request.test:
        words += ["--test", _path(request.test)]
    if request.poisoned:
        words += ["--poisoned", *map(_path, request.poisoned)]
    words += _option("--layer", model.layer)
    if request.output is not None:
        words += _option("--output", request.output)
    words += ["--order", _path(request.order)] if request.order else ["--rank-at", request.rank_at]
    words += ["--drop", *(f"{x:g}" for x in request.drops), "--drop-mode", request.drop_mode, "--stop", request.stop,
              *_option("--preprocess", model.scale)]
    if request.guard != "none":
        words += ["--guard", request.guard]
    if request.guard != "none" or run.comparison:  # which sets up guards of its own
        words += ["--false-alarms", f"{request.false_alarms:g}"]
    if run.comparison:
        words.append("--compare")
        if run.datasets[0].labels < model.labels:
            words.append("--allow-missing-labels")
    words += ["--out", "repeated-run"]
    return [subprocess.list2cmdline([word]) if os.name == "nt" else shlex.quote(word) for word in words]


def inline_svg(figure: Figure) -> Markup:
    """A figure in the colours of print as an <svg> element in the page's own colours, light or dark."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None})
    drawing = stream.getvalue()
    drawing = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", drawing[drawing.index("<svg"):], flags=re.DOTALL)
    # Two figures stand on one page; names that nothing refers to would only stand there twice.
    used = set(re.findall(r"#([\w-]+)", drawing))
    drawing = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", drawing)
    for name, colour in (("surface", PRINT.ground), ("text", PRINT.text), ("muted", PRINT.muted),
                         ("border", PRINT.grid), ("clean", PRINT.clean),
                         *((f"attack-{i}", c) for i, c in enumerate(PRINT.attack))):
        drawing = drawing.replace(colour, f"var(--{name})")
    return Markup(drawing)  # drawn here; names in it are outlines of letters, not text


def number(value: float | None, decimals: int = 2, unit: str = "") -> Markup:
    """A number for people that carries its exact value for programs; a dash where nothing is known."""
    if value is None or not math.isfinite(value):
        return Markup("–")
    return Markup('<data value="{}">{}</data>').format(repr(value), f"{value:,.{decimals}f}{unit}")


def percent_of(fraction: float | None) -> Markup:
    """A fraction as per cent; its exact value is the fraction."""
    if fraction is None:
        return Markup("–")
    return Markup('<data value="{}">{}</data>').format(repr(fraction), f"{100 * fraction:.2f}\u00a0%")


def activation(mean: float | None) -> Markup:
    """A channel's mean activation; one that is never active is called dead."""
    if mean is None:
        return Markup("–")
    text = "dead" if mean == 0 else "< 0.0001" if 0 < mean < 0.00005 else f"{mean:,.4f}"
    return Markup('<data value="{}">{}</data>').format(repr(mean), text)


def interval_of(interval: Sequence[float] | None) -> str:
    """A 95 % interval of fractions as per cent."""
    return f"{100 * interval[0]:.1f}–{100 * interval[1]:.1f}" if interval else ""


def _worst_of(figures: Json) -> Json:
    """The figures of the poisoned set on which the attack works most; without a set those that say so."""
    return max(figures["poisoned"], key=lambda attack: float(attack["attack_success_rate"]), default=figures)


def _least_robust(figures: Json) -> Json:
    """The figures of the poisoned set with the lowest robust accuracy; where none is known those that say so."""
    known = [attack for attack in figures["poisoned"] if attack.get("robust_accuracy") is not None]
    return min(known, key=lambda attack: float(attack["robust_accuracy"]), default=figures)


def _ranking(document: Json) -> list[list[Json]]:
    """Channels in the order they are pruned, in columns of 20 for tables side by side."""
    means = document["mean_activation"]
    largest = max((m for m in means if m is not None), default=0) or 1
    channels = [{"rank": rank, "channel": c, "mean": means[c], "share": max(0, means[c] or 0) / largest}
                for rank, c in enumerate(document["pruning_order"], start=1)]
    return [channels[i:i + _RANKING_ROWS] for i in range(0, len(channels), _RANKING_ROWS)]


def _option(name: str, value: str) -> list[str]:
    """An option and its value, in one word where the value would be taken for another option."""
    return [f"{name}={value}"] if value.startswith("-") else [name, value]


def _path(path: os.PathLike[str]) -> str:
    text = os.fspath(path)
    return f".{os.sep}{text}" if text.startswith("-") else text

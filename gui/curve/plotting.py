"""Getting ready to draw, before there is anything to draw."""

from __future__ import annotations

from engine.backend import uncollected
from gui.session.worker import TaskContext


def load_plotting(_: TaskContext) -> None:
    """Import matplotlib, and have it find its fonts, where that doesn't hold up the window."""
    with uncollected():
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        import gui.curve.panel  # noqa: F401
    figure = Figure(layout="constrained")
    figure.add_subplot().set(xlabel="x", ylabel="y")
    FigureCanvasAgg(figure).draw()

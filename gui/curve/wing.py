"""The tab of the curve."""

from __future__ import annotations

from PySide6.QtCore import QTimer

from gui.curve.plotting import load_plotting
from gui.curve.view import CurveView
from gui.frame.desk import Desk, Wing


def curve_wing(desk: Desk) -> Wing[CurveView]:
    """The curve, which a run fills."""
    view, session, pruning = CurveView(desk.theme), desk.session, desk.pruning

    def show_state() -> None:
        view.show_next(session.inputs.ready, session.state.busy)

    def ready(_: None) -> None:
        view.prepare()

    session.state_changed.connect(show_state)
    pruning.started.connect(lambda: desk.bring_up(view))
    pruning.curve_changed.connect(view.show_curve)
    pruning.step_pointed_at.connect(view.set_step)
    view.step_changed.connect(pruning.read_at)
    view.message.connect(desk.say)
    show_state()
    # Once the window is drawn, so that it is drawn sooner.
    QTimer.singleShot(0, view, lambda: session.in_background(load_plotting, ready))
    return Wing("Curve", view)

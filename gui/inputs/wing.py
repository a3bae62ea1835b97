"""The left panel: what is chosen and how it is run, connected, with its part of the File and Run menus."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from engine.literal import literal
from engine.records.autosave import KeptRun
from gui.frame.desk import Desk
from gui.frame.saves import save_run
from gui.inputs.labels_editor import LabelsEditor
from gui.inputs.run_bar import RunBar
from gui.inputs.view import InputsView
from gui.session import sample
from gui.session.chosen import DATA_ROLES, ROLE_NAMES, Role
from gui.settings import Options
from gui.widgets import asking

_DATA: dict[Role, str] = {"validation": "Clean &validation images…", "test": "Clean &test images…",
                          "poisoned": "&Poisoned images…"}

_UNMATCHED = "Say which label is which before you run."


def inputs_wing(desk: Desk) -> InputsView:
    """The cards of what is chosen, with the File menu's first part."""
    view, choosing, menus = InputsView(desk.theme), desk.choosing, desk.menus

    def pick(role: Role, folder: bool = False, before: Path | None = None) -> None:
        title = f"Choose {ROLE_NAMES[role].lower()}"
        if role == "model" or folder:
            path = asking.ask_folder(desk.window, title) if folder else \
                asking.ask_file(desk.window, title, asking.MODEL_FILES)
            paths = [path] if path else []
        else:
            paths = asking.ask_files(desk.window, title, asking.DATA_FILES)
        choosing.open_each(role, paths, before)

    def ask_output(path: Path, outputs: Sequence[tuple[str, Sequence[int | None] | None]]) -> None:
        asking.ask_output(desk.window, path, outputs, partial(choosing.open_output, path))

    def choose_output(name: str) -> None:
        model = desk.session.inputs.model
        if model and name != model.output:
            choosing.open_output(model.path, name)

    desk.session.inputs_changed.connect(view.show_inputs)
    choosing.role_needed.connect(partial(_ask_roles, desk))
    choosing.output_needed.connect(ask_output)
    view.pick_requested.connect(pick)
    view.dropped.connect(lambda role, path, before: choosing.open_each(role, [path], before))
    view.removed.connect(choosing.remove)
    view.layer_chosen.connect(choosing.choose_layer)
    view.model.output_chosen.connect(choose_output)
    desk.naming.changed.connect(view.labels.show_matching)
    view.labels.edit_requested.connect(partial(edit_labels, desk))
    menus.add("open", "Open &model…", lambda: pick("model"), "Ctrl+O", "model")
    data = menus.add_menu("open", "Open &data")
    for number, role in enumerate(DATA_ROLES, start=1):
        menus.add(data, _DATA[role], partial(pick, role), f"Ctrl+Shift+{number}", "images")
    folders = menus.add_menu(data, "&Folder of pictures")
    for role in DATA_ROLES:
        menus.add(folders, _DATA[role], partial(pick, role, True))
    menus.add("open", "Open &sample", choosing.open_sample, "Ctrl+Shift+O", "sample")
    menus.add("undo", "&Undo", desk.session.history.undo, "Ctrl+Z", enabled=lambda: bool(desk.session.history))
    _add_recent(desk)
    _add_runs(desk)
    return view


def _ask_roles(desk: Desk, paths: Sequence[Path]) -> None:
    """Ask what each of some data sets is for, one after the other."""
    path, *rest = paths

    def answer(role: Role | None) -> None:
        if role:
            desk.choosing.open_as(role, path)
        if rest:
            _ask_roles(desk, rest)

    asking.ask_role(desk.window, path, answer, len(rest))


def edit_labels(desk: Desk) -> None:
    """Ask which label each sub-folder stands for, with what the network says of the clean images."""
    naming, session = desk.naming, desk.session
    if naming.matching is None:
        return
    editor = LabelsEditor(desk.window, naming.matching, desk.theme)

    def propose() -> None:
        refused = desk.refuses("Try", "try with that")
        if refused:
            editor.show_ended(refused)  # which the window says behind it
        else:
            naming.propose()

    editor.try_requested.connect(propose)
    editor.stop_requested.connect(session.cancel)
    editor.taken.connect(naming.take)
    naming.tried.connect(editor.show_trial)
    naming.ended.connect(editor.show_ended)
    session.state_changed.connect(editor.show_state)
    editor.show_state(session.state)
    editor.open()


def run_wing(desk: Desk) -> RunBar:
    """Options, Run, progress, Cancel and Save, with the Run menu's first part."""
    bar, session, pruning, naming = RunBar(desk.theme), desk.session, desk.pruning, desk.naming

    def show_state() -> None:
        run = session.run
        bar.show_state(session.state, run is not None, session.failure, run.seconds if run else 0.0,
                       session.inputs.ready,
                       session.inputs.missing or (_UNMATCHED if naming.matching and naming.matching.problem else ""))

    def show_options() -> None:
        desk.settings.options = session.options
        bar.show_options(session.options)

    def edit(options: Options) -> None:
        if options.order != session.options.order:
            desk.choosing.choose_order(options.order)
        session.set_options(options)

    def pick_order() -> None:
        path = asking.ask_file(desk.window, "Choose a pruning order", asking.ORDER_FILES)
        if path:
            desk.choosing.choose_order(path)

    def run() -> None:
        desk.leave_field()
        if not bar.refuses("Run"):
            (desk.several if session.inputs.further else pruning).start()

    session.state_changed.connect(show_state)
    for changed in (session.inputs_changed, naming.changed):
        changed.connect(lambda: None if session.state.busy else show_state())
    session.inputs_changed.connect(lambda inputs: bar.show_models(1 + len(inputs.further)))
    session.options_changed.connect(show_options)
    session.progressed.connect(bar.show_progress)
    bar.run_requested.connect(run)
    bar.cancel_requested.connect(session.cancel)
    bar.save_requested.connect(partial(save_run, desk))
    bar.options_edited.connect(edit)
    desk.refuses = bar.refuses
    bar.order_requested.connect(pick_order)
    desk.menus.add("save", "Sa&ve all…", partial(save_run, desk), "Ctrl+E", "save",
                   lambda: session.has_idle_result)
    desk.menus.add("run", "&Run", run, "F5", "play", lambda: session.can_run)
    desk.menus.add("run", "&Cancel", session.cancel, "Esc", "stop", lambda: session.state.busy)
    show_options()
    show_state()
    return bar


def _add_recent(desk: Desk) -> None:
    """The projects and files opened last."""
    settings, recent = desk.settings, desk.menus.add_menu("open", "Open &recent")

    def show() -> None:
        recent.clear()
        projects, files = settings.projects, settings.recent
        recent.setEnabled(bool(projects or files))
        for number, path in enumerate([*projects, *files]):
            if projects and number == len(projects):
                recent.addSeparator()
            recent.addAction(_numbered(number, str(path)), partial(desk.opening.open_paths, [path]))
        recent.addSeparator()
        recent.addAction("&Clear this list", clear)

    def remember(path: Path) -> None:
        if sample.FOLDER not in path.parents:
            settings.add_recent(path)
            show()

    def clear() -> None:
        settings.clear_recent()
        desk.projects.list_recent()
        show()

    desk.session.opened.connect(remember)
    desk.projects.recent_changed.connect(show)
    show()


def _add_runs(desk: Desk) -> None:
    """Saved runs, and those that were kept."""
    keeping = desk.keeping

    def open_run() -> None:
        folder = asking.ask_folder(desk.window, "Open a saved run's folder")
        if folder:
            keeping.reopen(folder)

    def show(runs: Sequence[KeptRun]) -> None:
        kept.clear()
        kept.setEnabled(bool(runs))
        for number, run in enumerate(runs):
            kept.addAction(_numbered(number, run.text), partial(keeping.reopen, run.folder))

    desk.menus.add("open", "Open r&un…", open_run, "Ctrl+R")
    kept = desk.menus.add_menu("open", "Earl&ier runs")
    kept.setEnabled(False)
    keeping.kept_changed.connect(show)


def _numbered(number: int, text: str) -> str:
    """A menu's entry with its number as mnemonic, as long as one digit is enough."""
    return (f"&{number + 1} " if number < 9 else "") + literal(text).replace("&", "&&")

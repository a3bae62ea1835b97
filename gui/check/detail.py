"""One verdict in full: what the network sees, both answers, and on demand where B looks."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QBoxLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from engine.files.pictures import Picture
from engine.goodnets.checking import Cut, Verdict
from engine.looking.occlusion import OcclusionMap
from gui.check.closer import Closer
from gui.check.model import file_stem, picture_name, verdict_text
from gui.check.seen import SeenPictures
from gui.widgets.elided_label import ElidedLabel, PlainLabel
from gui.widgets.exports import Exports, Figure, as_png
from gui.widgets.picture_view import PictureView
from gui.widgets.resources import icon
from gui.widgets.texts import label_text
from gui.widgets.theme import ScrollArea, Theme

_ICON_SIDE = 28
_LOST = "The picture isn't shown: its file can't be read any more, or was changed since it was checked."
_CUT_WORDS = {
    "columns": "Pasted into other pictures, the marked band",
    "grid": "Pasted into other pictures, the marked field",
    "outer": "Pasted into other pictures, the frame around the picture's middle",
    "blend": "Laid over other pictures, half transparent, the whole picture",
    "tone": "Given to other pictures, the colouring of the whole picture (as a colour filter changes it)",
}


class VerdictDetail(QWidget):
    """The panel beside the table. Its picture stands above the words, or beside them where the panel is low.

    Signals: `occlusion_requested(Verdict)`, `original_requested(Verdict)`, `message(str)` for the status line.
    """

    occlusion_requested = Signal(object)
    original_requested = Signal(object)
    message = Signal(str)

    def __init__(self, theme: Theme, pictures: SeenPictures, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._pictures = pictures
        pictures.came.connect(self._on_picture)
        self._verdict: Verdict | None = None
        self._seen: Picture | None = None
        self._lost = False
        self._names: Sequence[str] = ()
        self._labels = 0
        self._busy = False
        self._looking = False
        self._maps: dict[Verdict, OcclusionMap] = {}
        self.picture = PictureView(theme)
        self._icon = PlainLabel()
        self.answer = PlainLabel(wordWrap=True)
        self.answer.setAccessibleName("Verdict")
        font = self.answer.font()
        font.setPointSizeF(1.5 * font.pointSizeF())
        font.setBold(True)
        self.answer.setFont(font)
        self.words = self._selectable("What the verdict means")
        self._file = ElidedLabel(where=Qt.TextElideMode.ElideMiddle)
        self.caption = self._selectable("What the occlusion map shows")
        self._look = QPushButton()
        self._look.setToolTip("Occlusion map: covers one place of the picture after the other and shows in red where "
                              "that weakens B's answer most. A trigger lights up as one place that decides alone.")
        self._look.clicked.connect(self._on_look)
        self.closer: Closer | None = None
        self.look_closer = QPushButton("Look closer…")
        self.look_closer.setToolTip("The picture large, beside the original that it was made from")
        self.look_closer.clicked.connect(self._on_closer)
        self.export = Exports("the picture", "picture", theme, self._shown_picture, drawn=False)
        self.export.message.connect(self.message)
        self._layout = self._build()
        self.set_theme(theme)
        self.show_verdict(None)

    @property
    def verdict(self) -> Verdict | None:
        """The verdict on show."""
        return self._verdict

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        self._theme = theme
        self.picture.set_theme(theme)
        self._look.setIcon(icon("look", theme))
        self.export.set_theme(theme)
        if self.closer:
            self.closer.set_theme(theme)
        self._render()

    def set_names(self, names: Sequence[str]) -> None:
        """Name labels: names[label]."""
        self._names = names
        self._render()

    def set_labels(self, labels: int) -> None:
        """Take N, the number of labels of the GoodNet in use."""
        self._labels = labels
        self._render()

    def set_busy(self, busy: bool) -> None:
        """While busy no new map can be asked for; one that is there can still be looked at."""
        self._busy = busy
        self._render()

    def set_wide(self, wide: bool) -> None:
        """Put the words beside the picture, or below it."""
        direction = QBoxLayout.Direction.LeftToRight if wide else QBoxLayout.Direction.TopToBottom
        self._layout.setDirection(direction)

    def show_verdict(self, verdict: Verdict | None) -> None:
        """Show a verdict with its occlusion map, if that is known and wanted; None clears the panel."""
        self._verdict, self._lost = verdict, False
        self._seen = None if verdict is None else self._pictures.of(verdict)
        self._render()

    def show_occlusion(self, verdict: Verdict, found: OcclusionMap) -> None:
        """Keep a verdict's occlusion map, and show it if the verdict is on show."""
        self._maps[verdict] = found
        if verdict is self._verdict:
            self._looking = True
        self._render()

    def forget_maps(self) -> None:
        """Drop all occlusion maps."""
        self._maps.clear()

    def _build(self) -> QBoxLayout:
        head = QHBoxLayout()
        head.addWidget(self._icon)
        head.addWidget(self.answer, 1)
        column = QWidget()
        words = QVBoxLayout(column)
        words.setContentsMargins(0, 0, 0, 0)
        words.addLayout(head)
        words.addWidget(self.words)
        words.addWidget(self._look, 0, Qt.AlignmentFlag.AlignLeft)
        more = QHBoxLayout()
        more.addWidget(self.look_closer)
        more.addWidget(self.export)
        more.addStretch(1)
        words.addLayout(more)
        words.addWidget(self.caption)
        words.addWidget(self._file)
        words.addStretch(1)
        layout = QBoxLayout(QBoxLayout.Direction.TopToBottom, self)
        layout.setContentsMargins(8, 0, 0, 0)
        layout.addWidget(self.picture, 2)
        scroll = ScrollArea("About this picture", column)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        layout.addWidget(scroll, 3)
        return layout

    def _selectable(self, accessible_name: str) -> QLabel:
        label = PlainLabel(wordWrap=True)
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        label.setAccessibleName(accessible_name)
        return label

    def _on_look(self) -> None:
        if self._verdict not in self._maps:
            self.occlusion_requested.emit(self._verdict)
        else:
            self._looking = not self._looking
            self._render()

    def show_original(self, verdict: Verdict, picture: Picture | None) -> None:
        """Show the original of a picture that is looked at closer; None where it can't be had."""
        if self.closer:
            self.closer.show_original(verdict, picture)

    def _on_closer(self) -> None:
        if self._verdict is not None:
            self.closer = self.closer or Closer(self._theme, self.window())
            self.closer.show_verdict(self._verdict, self._seen)
            self.closer.show()
            self.original_requested.emit(self._verdict)

    def _on_picture(self, verdict: Verdict, picture: Picture | None) -> None:
        if self.closer:
            self.closer.show_seen(verdict, picture)
        if verdict is self._verdict:
            self._seen, self._lost = picture, picture is None
            self._render()

    def _shown_picture(self) -> Figure:
        image = self.picture.rendered()
        assert image is not None
        return as_png(image)

    def _render(self) -> None:
        verdict = self._verdict
        self.picture.show_picture(self._seen, _cut_mark(verdict))
        for widget in (self._look, self.look_closer):
            widget.setVisible(verdict is not None)
        self.export.setVisible(self._seen is not None)
        self.export.stem = file_stem(verdict) if verdict else "picture"
        found = self._maps.get(verdict) if verdict is not None else None
        self._look.setEnabled(found is not None or not self._busy)
        shown = found if self._looking else None
        self._look.setText("Hide &where B looks" if shown else "&Where does B look?")
        if verdict is None:
            self._icon.clear()
            for label in (self.answer, self.caption):
                label.clear()
            self._file.show_text("")
            self.words.setText("Select a picture in the table to see what the network sees.")
            return
        name, colour = ("flag", self._theme.danger) if verdict.flagged else ("ok", self._theme.text)
        self._icon.setPixmap(icon(name, self._theme, colour).pixmap(_ICON_SIDE, _ICON_SIDE))
        self.answer.setText(verdict_text(verdict, self._names))
        self.answer.setStyleSheet(f"color: {colour}")
        self.words.setText("\n\n".join(filter(None, (self._explained(verdict), verdict.unseen))))
        name = picture_name(verdict)
        self._file.show_text(name, verdict.file)
        self.picture.setAccessibleName(f"What the network sees of {name}")
        asked = "B'" if verdict.b_missing else "B"
        self.caption.setText(self._captioned(shown, asked) if shown else _LOST if self._lost else "")
        if shown and self._seen is not None:
            row, col = shown.strongest
            mark = (int(shown.lefts[col]), int(shown.tops[row]), shown.patch, shown.patch)
            self.picture.show_heat(shown.per_pixel(), mark if shown.matters else None)

    def _explained(self, verdict: Verdict) -> str:
        b_sure, b_prime_sure = (" sure" * known for known in verdict.in_probabilities)
        answers = "B isn't in this file\n" if verdict.b_missing else (
            f"B says {label_text(verdict.b_label, self._names)} ({verdict.b_confidence_text}{b_sure})\n")
        if not verdict.b_alone:
            answers += (f"B' says {label_text(verdict.b_prime_label, self._names)} "
                        f"({verdict.b_prime_confidence_text}{b_prime_sure})\n")
        answers += "\n"
        if verdict.why == "agree" and verdict.b_alone:
            return answers + ("Nothing is pruned here, so B answers alone, and " + (
                "the guard let the picture pass. A trigger that the guard doesn't notice passes in the same way."
                if verdict.guarded else "no guard looks at the picture. Any trigger passes."))
        if verdict.b_prime_alone and not verdict.flagged:
            return answers + ("The repaired copy B' answers alone, whatever B says. A trigger that still works on it "
                              "passes.")
        if verdict.why == "agree":
            return answers + ("Both agree, so the GoodNet gives their label. A trigger that still works on B' "
                              "would make them agree too.")
        label_n = f"label N = {self._labels}" if self._labels else "the label N"
        reason = "They disagree" if verdict.why == "disagree" else "The guard flagged the picture"
        return answers + (f"{reason}, so the GoodNet answers {label_n}: backdoored. {self._guards_reason(verdict)}"
                          "Some clean pictures are flagged too: false alarms.")

    def _guards_reason(self, verdict: Verdict) -> str:
        if verdict.why != "guard":
            return ""
        label = label_text(verdict.b_label, self._names)
        if verdict.cut is None:
            return f"B's answer {label} is further ahead of the next label than on nearly all clean pictures. "
        return f"{cut_text(verdict.cut, verdict.seen.shape[0])} draws B to {label} there too, as a trigger does. "

    def _captioned(self, found: OcclusionMap, network: str) -> str:
        if not found.matters:
            return (f"No place matters to {network}: whichever {found.patch} x {found.patch} pixels are covered, its "
                    "lead over the next label doesn't fall.")
        row, col = found.strongest
        place = f"Covering the marked {found.patch} x {found.patch} pixels"
        if found.changed[row, col]:
            after = label_text(int(found.labels[row, col]), self._names)
            return f"{place} changes {network}'s answer from {label_text(found.b_label, self._names)} to {after}."
        share = found.drop[row, col] / found.lead if found.lead > 0 else 0
        return (f"No single place changes {network}'s answer. {place} takes most of its lead over the next label, "
                f"{100 * share:.0f} %.")


def cut_text(cut: Cut, rows: int) -> str:
    """What the guard cut out of a picture of so many rows, as the beginning of a sentence."""
    if cut.kind == "rows":
        return f"Pasted into other pictures, the marked band (rows {cut.top + 1} to {cut.top + cut.height} of {rows})"
    return _CUT_WORDS[cut.kind]


def _cut_mark(verdict: Verdict | None) -> tuple[int, int, int, int] | None:
    """What the guard cut out, as left, top, width and height in the picture's pixels."""
    if verdict is None or verdict.cut is None:
        return None
    return verdict.cut.left, verdict.cut.top, verdict.cut.width, verdict.cut.height

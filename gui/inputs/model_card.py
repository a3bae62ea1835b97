"""The card of the model: what it is, its layers, and the one that will be pruned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QSizePolicy, QToolButton, QWidget

from engine.literal import literal
from engine.models.architecture import LayerDescription, ModelDescription
from engine.models.shapes import Shape
from gui.inputs.card import InputCard
from gui.session.chosen import Input
from gui.tables.model import Block, Column, FigureModel
from gui.tables.view import FigureTable
from gui.widgets.elided_label import ElidedLabel, PlainLabel
from gui.widgets.theme import Theme

# Of a network's layers so many are seen at once; others are scrolled to.
_MOST_ROWS = 8


class ModelCard(InputCard):
    """An InputCard that also lets a person choose the layer to prune, and one of several outputs.

    Signals: `layer_chosen(str)`, `output_chosen(str)`.
    """

    layer_chosen = Signal(str)
    output_chosen = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__("model", "The network to repair: a Keras file (.keras, .h5) or PyTorch's .onnx.", theme)
        self._layer, self._output = _narrow_box("Layer to prune"), _narrow_box("Output that tells the labels")
        self._output.setToolTip("The model has several outputs: this one tells the labels, the others are left out.")
        self._output.activated.connect(lambda index: self.output_chosen.emit(self._output.itemData(index)))
        self._layer.activated.connect(lambda index: self.layer_chosen.emit(self._layer.itemData(index)))
        self._toggle = QToolButton()
        self._toggle.setCheckable(True)
        self._toggle.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._toggle.setText("Layers")
        self._toggle.setToolTip("Show all layers and the shapes of what they give")
        self._layers = FigureModel[LayerDescription](_COLUMNS, self)
        self._table = FigureTable("Layers and shapes", self._layers, theme, 0)
        self._table.setTextElideMode(Qt.TextElideMode.ElideMiddle)  # layers of a block differ at the end
        self._toggle.toggled.connect(self._table.setVisible)
        self._choice = QWidget()
        row = QHBoxLayout(self._choice)
        row.setContentsMargins(0, 0, 0, 0)
        label = PlainLabel("Prune layer")
        label.setBuddy(self._layer)
        for widget in (label, self._layer, self._toggle):
            row.addWidget(widget)
        self._further = ElidedLabel()
        self._further.hide()
        self._outputs = QWidget()
        outputs, caption = QHBoxLayout(self._outputs), PlainLabel("Output")
        outputs.setContentsMargins(0, 0, 0, 0)
        caption.setBuddy(self._output)
        for widget in (caption, self._output):
            outputs.addWidget(widget)
        self._outputs.hide()
        self.body.addWidget(self._further)
        self.body.addWidget(self._outputs)
        self.body.addWidget(self._choice)
        self.body.addWidget(self._table)
        self._choice.hide()
        self._table.hide()

    def set_theme(self, theme: Theme) -> None:
        """Draw icons, colours and layers as the theme has them."""
        super().set_theme(theme)
        for table in self.findChildren(FigureTable):
            table.set_theme(theme)

    def show_model(self, item: Input | None, layer: str | None, further: Sequence[Path] = ()) -> None:
        """Render the model and the chosen layer, and the models that are run after it."""
        before = self.shown
        self._further.setVisible(bool(further))
        names = ", ".join(path.name for path in further)
        self._further.show_text(f"Then {len(further)} more: {names}", f"Run after it, against the same data: {names}")
        self.show_input(item)
        model = item.model if item else None
        self._choice.setVisible(model is not None)
        self._outputs.setVisible(model is not None and bool(model.outputs))
        self._table.setVisible(model is not None and self._toggle.isChecked())
        if model is None:
            return
        if before is not item:
            self._fill(model)
        self._output.setCurrentIndex(max(0, self._output.findData(model.output)))
        self._layer.setCurrentIndex(max(0, self._layer.findData(layer)))

    def facts_of(self, item: Input) -> str:
        """What is said of a good model."""
        model = item.model
        if model is None:
            return ""
        labels = f"{model.labels:,}" if model.labels else "unknown number of"
        return (f"{model.format} · input {shape_text(model.input_shape)} · {labels} labels · "
                f"{model.parameters:,} weights")

    def _fill(self, model: ModelDescription) -> None:
        self._layer.clear()
        self._output.clear()
        for name in model.outputs:
            self._output.addItem(literal(name), name)
        self._layer.setToolTip("Channels of this layer are pruned. The usual choice is the last one that everything "
                               f"passes through on its way to the labels. {model.default_note}".rstrip())
        for layer in model.layers:
            if layer.channels:
                self._layer.addItem(f"{layer.name} ({layer.channels} channels)", layer.name)
        self._layers.show_rows(model.layers)
        table, rows = self._table, min(len(model.layers), _MOST_ROWS)
        table.verticalHeader().setDefaultSectionSize(table.sizeHintForRow(0))
        table.setFixedHeight(table.horizontalHeader().sizeHint().height() + 2 * table.frameWidth() +
                             rows * table.sizeHintForRow(0))


def _narrow_box(name: str) -> QComboBox:
    box = QComboBox()
    box.setAccessibleName(name)
    box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(8)
    return box


def shape_text(shape: Shape | None) -> str:
    """A shape in words: 55 × 47 × 3."""
    return " × ".join(str(n or "any") for n in shape) if shape else "unknown"


_COLUMNS: tuple[Column[LayerDescription], ...] = (
    Column("Layer", "As the model's file calls it, and what it computes.",
           lambda layer: (Block(layer.name, layer.kind),), left=True),
    Column("Gives", "The shape of what it gives: height, width and channels.",
           lambda layer: (Block(shape_text(layer.shape)),), left=True))

"""inspect: what a file is."""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.cli.options import DATA, add_fed, add_json, add_names, add_output, fed
from engine.cli.printing import say, say_json, say_table
from engine.data.classes import read_classes
from engine.looking.inspection import DatasetDescription, description_json, inspect
from engine.models.architecture import ModelDescription

SUMMARY = "say what a model or data file is"


def add_options(parser: argparse.ArgumentParser) -> None:
    """FILE [--output NAME] [--classes FILE] [--preprocess NAME] [--json]"""
    parser.add_argument("file", metavar="FILE", help=f"a model, or images: {DATA}")
    add_output(parser)
    add_names(parser, "the images' own")
    add_fed(parser, "how the values of images are fed to the network; they are told so")
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Print what a file is."""
    names, fed_so = read_classes(Path(options.classes)) if options.classes else (), fed(options)
    found = inspect(Path(options.file), options.output, names, fed_so)
    if isinstance(found, ModelDescription) and (names or fed_so):
        options.usage_error(f"{options.file}: is a model; --classes and --preprocess go with images")
    if options.json:
        say_json(description_json(found))
    elif isinstance(found, ModelDescription):
        _say_model(found)
    else:
        _say_dataset(found)


def _say_model(found: ModelDescription) -> None:
    say(f"{found.path}: {found.format}, input {_size(found.input_shape) or 'unknown'}, "
        f"{found.labels or 'unknown number of'} labels, {found.parameters:,} weights")
    say(f"SHA-256 {found.sha256}")
    if found.outputs:
        say(f"Outputs {', '.join(found.outputs)}; this is what leads to {found.output}")
    if found.classes:
        say(f"The file names its labels: {', '.join(found.classes[:6])}{', ...' if len(found.classes) > 6 else ''}")
    say()
    say_table(["layer", "kind", "output", ""],
              [[layer.name, layer.kind, _size(layer.shape) or "?",
                "pruned by default" if layer.name == found.default_layer else ""] for layer in found.layers], left=4)
    if found.default_note:
        say()
        say(f"note: {found.default_note}")


def _say_dataset(found: DatasetDescription) -> None:
    say(f"{found.path}: data set ({found.format}), {found.images:,} images {_size(found.image_shape)} stored as "
        f"{found.dtype}, values {found.value_range[0]:g} to {found.value_range[1]:g}, {found.labels} labels from "
        f"{found.lowest_label} to {found.highest_label}")
    for finding in found.findings:
        say(f"{finding.level}: {finding.sentence}")


def _size(shape: tuple[int | None, ...] | None) -> str:
    return " x ".join(str(n or "any") for n in shape or ())

"""Options that several commands have, so that they are called, checked and explained alike."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from engine.data.classes import read_classes
from engine.data.preprocessing import AUTO, SYNTAX, Preprocessing, choice, preprocessing
from engine.guards.calibration import DEFAULT_FALSE_ALARMS, LOWEST_FALSE_ALARMS, SPARING_GUARD
from engine.runs.opening.inputs import InputFiles

_Read = TypeVar("_Read")
DATA = ("an HDF5 file or .npz with data and label, a folder with one sub-folder a label or a table (file,label), or "
        "one of the files of other programs that the README lists")


class Repeatable(argparse.Action):
    """An option for several values that may be repeated; what is typed takes the place of a default or a project's."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace,
                 values: str | Sequence[Any] | None, option_string: str | None = None) -> None:
        """Add the values that were typed behind the option to those typed before."""
        before = getattr(namespace, self.dest)
        setattr(namespace, self.dest, [*([] if before is self.default else before), *(values or ())])


def add_model(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """The network under suspicion."""
    parser.add_argument("model", metavar="MODEL", nargs=None if required else "?",
                        help="the network: a .keras, whole-model .h5 or .onnx file")
    add_output(parser)


def add_output(parser: argparse.ArgumentParser) -> None:
    """Which of several outputs counts."""
    parser.add_argument("--output", metavar="NAME", help="of a model with several outputs the one that tells the "
                        "labels; without it, they are named")


def add_clean(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Clean images to work with."""
    parser.add_argument("--clean", metavar="VALID", required=required, help=f"clean validation images: {DATA}")


def add_inputs(parser: argparse.ArgumentParser, *, required: bool = True, measured: bool = True) -> None:
    """What a job works on: a network, clean images, where wanted those that it is measured on, and how all are read."""
    add_model(parser, required=required)
    add_clean(parser, required=required)
    if measured:
        add_measured_on(parser)
    add_preprocess(parser)
    add_classes(parser)


def add_measured_on(parser: argparse.ArgumentParser, *, test_required: bool = False) -> None:
    """Images that the result is measured on."""
    parser.add_argument("--test", metavar="TEST", required=test_required,
                        help="clean test images, which clean accuracy and false alarms are measured on"
                        + ("" if test_required else " (default: the validation images, or what is held back of them "
                           "where something is trained)"))
    parser.add_argument("--poisoned", metavar="POISONED", nargs="+", action=Repeatable, default=[],
                        help="images with the trigger, one set or several; their labels are the attacker's target. "
                        "Attack success and detection are measured on them")


def add_preprocess(parser: argparse.ArgumentParser, of_what: str = "") -> None:
    """How stored values become what the network wants.

    Args:
        of_what: what alone it says something of, as a sentence of help begins.
    """
    _add_scale(parser, f"{of_what}how stored values are fed to the network: {SYNTAX} (at most 1: of values 0 to 1, as "
               "PyTorch writes them; else of values 0 to 255); auto takes whichever it answers the clean images best "
               "with (default: %(default)s)")


def add_fed(parser: argparse.ArgumentParser, of_what: str) -> None:
    """The same where no clean images tell what is right.

    Args:
        of_what: what it says something of, as a sentence of help goes on.
    """
    _add_scale(parser, f"{of_what}: one of those that prune --help lists (default: %(default)s, which is as stored "
               "here)")


def _add_scale(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument("--preprocess", metavar="NAME", type=_known(choice), default=AUTO, dest="scale", help=what)
    parser.add_argument("--scale", choices=[AUTO, "none", "255"], default=argparse.SUPPRESS,
                        help="another name for --preprocess with one of these")


def fed(options: argparse.Namespace) -> Preprocessing | None:
    """What was typed of `add_fed`'s or `add_preprocess`'s options; None for auto."""
    return None if options.scale == AUTO else preprocessing(options.scale)


_NAMES = "names of the network's labels, one a line, the first for label 0, or a JSON list"


def add_classes(parser: argparse.ArgumentParser) -> None:
    """What sub-folders of pictures stand for."""
    parser.add_argument("--classes", metavar="FILE",
                        help=f"for folders of pictures {_NAMES} (default: names.txt, classes.json or the like beside "
                        "the model or in a folder of pictures, else the names in the model's file, else the clean "
                        "images' sub-folders)")


def add_names(parser: argparse.ArgumentParser, default: str) -> None:
    """What labels are called.

    Args:
        default: what they are called by without it.
    """
    parser.add_argument("--classes", metavar="FILE", help=f"{_NAMES} (default: {default})")


def add_seed(parser: argparse.ArgumentParser) -> None:
    """Where chance comes in."""
    parser.add_argument("--seed", metavar="NUMBER", type=seed, default=0,
                        help="start of the random numbers; the same seed gives the same result (default: %(default)s)")


def add_guard(parser: argparse.ArgumentParser, *, sparing: bool = False) -> None:
    """A guard before the pair; before a trained B', one that flags fewer images too."""
    sparingly = ("; sparing is the transplant guard, set to flag about one clean image in 200 (more where they are too "
                 "few to tell, but not above --false-alarms)") if sparing else ""
    parser.add_argument("--guard", choices=["none", "transplant", "margin", *([SPARING_GUARD] if sparing else [])],
                        default="none",
                        help="also measure and save each pair behind a guard, which looks at every image before the "
                        f"networks do; it is calibrated on the clean validation images{sparingly} "
                        "(default: %(default)s)")
    parser.add_argument("--false-alarms", metavar="RATE", type=rate, default=DEFAULT_FALSE_ALARMS,
                        help="share of clean images that the guard may flag (default: %(default)s)")


def add_missing_labels(parser: argparse.ArgumentParser, when: str = "") -> None:
    """Leave to train on images that don't show every label."""
    parser.add_argument("--allow-missing-labels", action="store_true",
                        help=f"{when}train although some labels have no clean validation image; the trained network "
                        "forgets those labels")


def add_layer(parser: argparse.ArgumentParser, when: str = "") -> None:
    """The layer to prune."""
    parser.add_argument("--layer", metavar="NAME", help=f"{when}the layer whose channels are pruned; inspect "
                        "lists them (default: the last one that everything passes through)")


def add_json(parser: argparse.ArgumentParser | argparse._MutuallyExclusiveGroup) -> None:
    """The result for scripts."""
    parser.add_argument("--json", action="store_true", help="print the result as JSON instead of text")


def input_files(options: argparse.Namespace) -> InputFiles:
    """The files that a command was given; what the command has no option for keeps its default."""
    given = vars(options)
    return InputFiles(
        Path(options.model), Path(options.clean), Path(given["test"]) if given.get("test") else None,
        tuple(map(Path, given.get("poisoned", ()))), given.get("layer"), options.scale,
        read_classes(Path(given["classes"])) if given.get("classes") else (), given.get("output"))


def _known(read: Callable[[str], _Read]) -> Callable[[str], _Read]:
    """What reads a preprocessing's name, its refusal said as one of an option."""
    def known(text: str) -> _Read:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return known


def not_empty(text: str) -> str:
    """A name or an address: an empty one, as a variable of the shell's that isn't set leaves it, says nothing."""
    if not text:
        raise argparse.ArgumentTypeError("is empty; a variable that isn't set may have been meant. Say what is meant, "
                                         "or leave it out")
    return text


def count(text: str) -> int:
    """A number from 1 up."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} isn't a number from 1 up")
    return value


def seed(text: str) -> int:
    """A number from 0 up that every program reads from JSON as it is."""
    value = int(text)
    if not 0 <= value < 1 << 53:
        raise argparse.ArgumentTypeError(f"{text} isn't a number from 0 to {(1 << 53) - 1}")
    return value


def percent(text: str) -> float:
    """A drop from 0 to 100."""
    value = float(text)
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text} isn't a drop from 0 to 100")
    return value


def rate(text: str) -> float:
    """A rate between 0 and 1, neither of them included, that some number of images can show."""
    value = float(text)
    if not LOWEST_FALSE_ALARMS <= value < 1:
        raise argparse.ArgumentTypeError(f"{text} isn't a rate between {LOWEST_FALSE_ALARMS:g} and 1")
    return value

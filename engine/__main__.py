"""The command-line twin of the window: inspect, prune, evaluate, check, scan, repair."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from engine.cli import commands, defence_commands
from engine.defences.scan import DEFAULT_STAMPS
from engine.errors import Cancelled, EngineError
from engine.guards.calibration import DEFAULT_FALSE_ALARMS
from engine.pruning.thresholds import DEFAULT_DROPS

DONE, AT_FAULT, USAGE, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit status: 0 done, 1 the input is at fault, 2 wrong usage, 130 cancelled by Ctrl-C.
    """
    parser = build_parser()
    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except EngineError as error:
        print(f"goodnet: {error}", file=sys.stderr)
        return AT_FAULT
    except (Cancelled, KeyboardInterrupt):
        print("goodnet: cancelled; nothing was written.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stdout = None  # the reader left; don't complain again at exit
    return DONE


def build_parser() -> argparse.ArgumentParser:
    """The command line of all commands."""
    # In the packed program the same commands are GoodNet's own.
    name = "GoodNet" if getattr(sys, "frozen", False) else "python -m engine"
    parser = argparse.ArgumentParser(prog=name, description=__doc__)
    add = parser.add_subparsers(dest="command", required=True).add_parser
    _add_inspect(add("inspect", help="say what a model or data file is"))
    _add_prune(add("prune", help="rank and prune channels, count every step, save GoodNet pairs"))
    _add_evaluate(add("evaluate", help="measure a GoodNet on clean and poisoned data"))
    _add_check(add("check", help="check pictures with a GoodNet"))
    _add_scan(add("scan", help="ask which labels random stamps draw images to; needs no poisoned image"))
    _add_repair(add("repair", help="train a B' on clean data instead of pruning"))
    return parser


def _add_inspect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=commands.inspect_command)


def _add_prune(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("--clean", metavar="VALID", required=True, help="clean validation images")
    parser.add_argument("--test", metavar="TEST", help="clean test images")
    parser.add_argument("--poisoned", metavar="POISONED", nargs="+", default=[],
                        help="images with the trigger; their labels are the attacker's target")
    parser.add_argument("--layer", help="the Conv2D to prune (default: the one before the last pooling layer)")
    parser.add_argument("--rank-at", choices=["conv", "pool"], default="conv")
    parser.add_argument("--order", metavar="FILE", help="prune in this order instead of ranking")
    parser.add_argument("--drop", metavar="X", type=_percent, nargs="+", default=list(DEFAULT_DROPS))
    parser.add_argument("--drop-mode", choices=["points", "relative"], default="points")
    parser.add_argument("--stop", choices=["first-past", "last-within"], default="first-past")
    parser.add_argument("--scale", choices=["auto", "none", "255"], default="auto")
    _add_guard(parser)
    parser.add_argument("--compare", action="store_true", help="also make and measure every other defence; minutes")
    parser.add_argument("--allow-missing-labels", action="store_true",
                        help="with --compare: train although labels have no validation image")
    parser.add_argument("--cluster", metavar="ADDRESS", help="count on the workers of this Dask scheduler")
    parser.add_argument("--out", metavar="DIR", help="write the run's folder here")
    parser.set_defaults(run=defence_commands.prune_command)


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("goodnet", metavar="GOODNET", nargs="+", help="a pair's folder, one file, or B and B_PRIME")
    parser.add_argument("--test", metavar="TEST", required=True)
    parser.add_argument("--poisoned", metavar="POISONED", nargs="+", default=[])
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=commands.evaluate_command)


def _add_check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", metavar="GOODNET IMAGE_OR_FOLDER", nargs="+")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true")
    shape.add_argument("--csv", action="store_true")
    parser.set_defaults(run=commands.check_command)


def _add_scan(parser: argparse.ArgumentParser) -> None:
    _add_model_and_clean(parser)
    parser.add_argument("--stamps", type=_count, default=DEFAULT_STAMPS, help="patches to try (default: %(default)s)")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=defence_commands.scan_command)


def _add_repair(parser: argparse.ArgumentParser) -> None:
    _add_model_and_clean(parser)
    parser.add_argument("--out", metavar="DIR", required=True)
    parser.add_argument("--test", metavar="TEST")
    parser.add_argument("--poisoned", metavar="POISONED", nargs="+", default=[])
    parser.add_argument("--allow-missing-labels", action="store_true",
                        help="train although labels have no image; the network forgets them")
    parser.add_argument("--method", choices=["distillation", "fine-pruning"], default="distillation")
    parser.add_argument("--layer", help="fine-pruning: the Conv2D to prune")
    parser.add_argument("--channels", type=int, help="fine-pruning: how many to prune (default: nine tenths)")
    _add_guard(parser)
    parser.set_defaults(run=defence_commands.repair_command)


def _add_model_and_clean(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("--clean", metavar="VALID", required=True, help="clean validation images")
    parser.add_argument("--scale", choices=["auto", "none", "255"], default="auto")
    parser.add_argument("--seed", type=int, default=0)


def _add_guard(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--guard", choices=["none", "transplant", "margin"], default="none",
                        help="also measure and save each pair behind a guard calibrated on the clean images")
    parser.add_argument("--false-alarms", metavar="RATE", type=_rate, default=DEFAULT_FALSE_ALARMS,
                        help="share of clean images the guard may flag (default: %(default)s)")


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} isn't a number from 1 up")
    return value


def _percent(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text} isn't a drop from 0 to 100")
    return value


def _rate(text: str) -> float:
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text} isn't a rate between 0 and 1")
    return value


if __name__ == "__main__":
    sys.exit(main())

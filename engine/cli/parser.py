"""The command line of all commands. A further command is a file in commands/ and its name in COMMANDS."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from engine import VERSION
from engine.cli.commands import check, compare, defend, evaluate, examine, inspect, misread, prune, repair, scan
from engine.cli.options import not_empty
from engine.cli.project import project_defaults
from engine.data.preprocessing import KNOWN
from engine.records.project import read_project


class Command(Protocol):
    """What a file in commands/ holds; the file's name is the command's."""

    __name__: str
    SUMMARY: str

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Tell the parser what the command takes."""

    def run(self, options: argparse.Namespace) -> None:
        """Do it and print the result."""


COMMANDS: tuple[Command, ...] = (inspect, examine, defend, prune, evaluate, check, scan, misread, repair, compare)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """What was typed, in place of what a project says where one was named, in place of the defaults.

    Raises:
        EngineError: the project can't be read.
        SystemExit: wrong usage, with a sentence on standard error.
    """
    parser, arguments = build_parser(), _joined(sys.argv[1:] if arguments is None else arguments)
    options = parser.parse_args(arguments)
    if vars(options).get("project"):
        project = read_project(Path(options.project))
        options.set_defaults(**project_defaults(project), opened=project, typed=options)
        options = parser.parse_args(arguments)
    return options


def _joined(arguments: Sequence[str]) -> list[str]:
    """Arguments of which a preprocessing's name that begins as options do, -1..1, is one with the option before it."""
    joined: list[str] = []
    for word in arguments:
        if word.startswith("-") and word in KNOWN and joined and joined[-1] == "--preprocess":
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def build_parser() -> argparse.ArgumentParser:
    """The parser whose result's `run` is called with the result."""
    # In the packed program the same commands are GoodNet's own.
    program = "GoodNet" if getattr(sys, "frozen", False) else "python -m engine"
    parser = argparse.ArgumentParser(
        prog=program, allow_abbrev=False,
        description="Takes the backdoor out of an image classifier; the window's twin for scripts.",
        epilog="Exit status: 0 done, 1 the input is at fault, 2 wrong usage, 130 cancelled by Ctrl-C. Progress goes "
        "to standard error where that is a terminal, results to standard output. "
        f"'{program} COMMAND --help' explains a command's options.")
    parser.add_argument("--version", action="version", version=f"GoodNet {VERSION}",
                        help="print the version and leave")
    add = parser.add_subparsers(dest="command", metavar="COMMAND", required=True).add_parser
    for command in COMMANDS:
        # Taken for abbreviations, options that a command lacks would be others of its own, --out would be --output.
        added = add(command.__name__.rpartition(".")[2], help=command.SUMMARY, allow_abbrev=False,
                    description=f"{command.SUMMARY[0].upper()}{command.SUMMARY[1:]}.")
        added.register("type", None, not_empty)  # of files, names and addresses, which say no other
        command.add_options(added)
        added.set_defaults(run=command.run, usage_error=added.error, saved=False)
    return parser

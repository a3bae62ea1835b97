"""The command-line twin of the window; `python -m engine --help` names its commands."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from engine.cli.printing import complain, end_output
from engine.errors import Cancelled, EngineError

DONE, AT_FAULT, USAGE, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit status: 0 done, 1 the input is at fault, 2 wrong usage, 130 cancelled by Ctrl-C.
    """
    # Of a closed stream there is none, and print takes standard output where it is given none.
    sys.stdout, sys.stderr = (stream or open(os.devnull, "w", encoding="utf-8") for stream in (sys.stdout, sys.stderr))  # noqa: SIM115, PTH123
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name may hold what a Windows code page doesn't
    options = None
    try:
        from engine.cli.parser import parse  # a second's work, in which Ctrl-C is told as it is later
        options = parse(arguments)
        options.run(options)
        end_output()
    except EngineError as error:
        complain(str(error))
        return AT_FAULT
    except (Cancelled, KeyboardInterrupt) as error:
        rest = str(error) or ("" if options and options.saved else "nothing was written.")
        complain(f"cancelled; {rest}" if rest else "cancelled.")
        return INTERRUPTED
    except BrokenPipeError:
        sys.stdout = None  # the reader left; don't complain again at exit
    return DONE


if __name__ == "__main__":
    sys.exit(main())

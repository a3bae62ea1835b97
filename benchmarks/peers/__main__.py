"""Measures other people's defences on the zoo's networks.

    python -m benchmarks.peers [--zoo runs/zoo] [--only WORD ...] [--methods WORD ...] [--out FILE] [--table FILE]

Goes on where it was stopped: what FILE (a JSON object a line) holds already isn't measured again. Every defence is made
from the validation pictures alone; clean accuracy is that of the test pictures, attack success that of the poisoned
ones. With --table the whole file is written as Markdown beside what `benchmarks.zoo.matrix` measured of this project's
own defences, and nothing is measured.
"""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.peers.measured import kept_records, measure
from benchmarks.peers.methods import METHODS
from benchmarks.peers.ours import CHOICE, OURS, our_records
from benchmarks.peers.table import tables
from benchmarks.zoo.plan import asked_for, command_line, trained
from benchmarks.zoo.worlds import PROJECT


def main() -> None:
    """Read the command line; measure what is missing, or write the table."""
    parser = command_line(__doc__)
    parser.add_argument("--methods", nargs="*", default=[], help="only methods whose name holds one of these words")
    parser.add_argument("--out", type=Path, default=PROJECT / "runs" / "peers.jsonl", help="what was measured")
    parser.add_argument("--table", type=Path, help="write this Markdown file from what was measured")
    options = parser.parse_args()
    if options.table:
        columns = [*(method.name for method in METHODS), *OURS, CHOICE]
        records = [*kept_records(options.out), *our_records(options.zoo)]
        options.table.write_text(tables(records, columns), encoding="utf-8")
        return
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for plan in trained(options.zoo, options.only):
        if plan.backdoored:
            done = {(record.network, record.method) for record in kept_records(options.out)}
            missing = [m for m in METHODS if asked_for(m.name, options.methods) and (plan.name, m.name) not in done]
            for record in measure(options.zoo, plan, missing):
                with options.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(record.as_json()) + "\n")
                print(f"{record.network:<24}{record.method:<20}" + (record.failed or (
                    f"lost {record.lost:5.1f}  attack {100 * record.attack.value:5.1f} %  {record.seconds:.0f} s")),
                    flush=True)


if __name__ == "__main__":
    main()

"""No network: a whole run, a check and an evaluation with every way out nailed up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.places import PROJECT

NAILED_UP = """
import socket, sys

def refuse(*_, **__):
    raise AssertionError("the program reached for the network")

class NoSocket(socket.socket):
    connect = connect_ex = bind = listen = sendto = sendmsg = refuse

socket.socket = socket.SocketType = NoSocket
for name in ("create_connection", "create_server", "getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr",
             "getnameinfo"):
    setattr(socket, name, refuse)

def watch(event, arguments):  # whatever goes round the names above, urllib and C modules of Python included
    if event.startswith(("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostby", "socket.sendto",
                         "socket.sendmsg", "urllib.Request", "http.client", "ftplib.", "smtplib.", "webbrowser.")):
        refuse()

sys.addaudithook(watch)
try:
    socket.create_connection(("192.0.2.1", 80), 1)
except AssertionError:
    pass
else:
    raise SystemExit("nothing is nailed up")

from engine.__main__ import main
sample, out = sys.argv[1:]
prune = ["prune", f"{sample}/badnet.keras", "--clean", f"{sample}/clean_validation.h5", "--test",
         f"{sample}/clean_test.h5", "--poisoned", f"{sample}/poisoned_test.h5", "--drop", "4", "--out", out]
assert main(["inspect", f"{sample}/badnet.keras"]) == 0
assert main(["inspect", f"{sample}/clean_test.h5"]) == 0
assert main(prune) == 0
assert main(["check", f"{out}/goodnet-x4", f"{sample}/images"]) == 0
assert main(["check", f"{out}/goodnet-x4/goodnet.keras", f"{sample}/images"]) == 0
assert main(["evaluate", f"{out}/goodnet-x4", "--test", f"{sample}/clean_test.h5"]) == 0

from pathlib import Path
from engine.records.autosave import keep_run, kept_runs
from engine.records.reopening import reopen_run
keep_run(reopen_run(Path(out)), Path(out).parent / "kept")
assert len(kept_runs(Path(out).parent / "kept")) == 1
"""


def test_a_whole_run_needs_no_network(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", NAILED_UP, PROJECT / "data" / "sample", tmp_path / "out"],
                          cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "flagged as backdoored" in done.stdout
    assert (tmp_path / "out" / "report.html").is_file()


def test_a_report_fetches_nothing(tmp_path: Path) -> None:
    """Whoever opens a saved report is as private as whoever wrote it."""
    import datetime

    from engine.records.run_files import run_json
    from engine.reports.pages.page import report_html
    from engine.runs.rows import rows_of
    from tests.support.runs import made_up_run
    run = made_up_run()
    page = report_html(run, rows_of(run), run_json(run, rows_of(run)), datetime.date(2026, 1, 2)).lower()
    for way in ("src=\"http", "src='http", "href=\"http", "url(http", "url(//", "@import", "<script src", "<iframe",
                "src=\"//", "fetch(", "xmlhttprequest", "<link"):
        assert way not in page, way

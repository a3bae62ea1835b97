# `make run` and `make test` need nothing but Python 3.10 to 3.13 and the network; each target makes .venv at need.

ifeq ($(OS),Windows_NT)
PYTHON ?= python
VENV_PYTHON := .venv/Scripts/python.exe
BIN := .venv/Scripts
else
PYTHON ?= python3
VENV_PYTHON := .venv/bin/python
BIN := .venv/bin
endif

# Where a window is looked at: an X server without a monitor; elsewhere than on Linux the screen that is there.
ifeq ($(shell uname -s),Linux)
ON_SCREEN := QT_QPA_PLATFORM=xcb xvfb-run --auto-servernum --server-args="-screen 0 1920x1200x24"
endif

.PHONY: run venv test test-x11 coverage fuzz package test-package bench bench-large screenshots bench-gui zoo peers

run: venv
	@$(VENV_PYTHON) .setup/run.py

venv: .venv/.installed

.venv/.installed: requirements.txt requirements-dev.txt .setup/make_venv.py
	@$(PYTHON) .setup/make_venv.py

# Lint, types, which room may import which, then every test, on up to four cores; windows are drawn without a screen.
test: export QT_QPA_PLATFORM = offscreen
test: venv
	@$(VENV_PYTHON) .setup/qt_packages.py
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(VENV_PYTHON) -m pytest -n logical --maxprocesses 4 --dist worksteal

# The tests of the windows (those that use qtbot) once more, on an X server without a monitor. Linux.
test-x11: venv
	@$(VENV_PYTHON) .setup/qt_packages.py xcb xvfb
	QT_QPA_PLATFORM=xcb xvfb-run --auto-servernum --server-args="-screen 0 1600x1200x24" \
		$(VENV_PYTHON) -m pytest $$(grep -rl qtbot tests --include="test_*.py")

# The same tests, and which lines and branches of engine/ and gui/ they reach, processes they start included.
coverage: export QT_QPA_PLATFORM = offscreen
coverage: venv
	@$(VENV_PYTHON) .setup/qt_packages.py
	$(VENV_PYTHON) -m coverage erase
	$(VENV_PYTHON) -m coverage run -m pytest --timeout=900
	$(VENV_PYTHON) -m coverage combine --quiet
	$(VENV_PYTHON) -m coverage report

# 2,000 damaged files of each of 65 kinds, 130,000 in all, and SIGKILL at 100 moments of saving. Linux and macOS.
# The numbers in tests/README.md, over as many sittings as it takes: $(VENV_PYTHON) -m tests.support.fuzz.reach
fuzz: venv
	$(VENV_PYTHON) -m tests.support.fuzz
	$(VENV_PYTHON) -m tests.support.kill_saving steps
	$(VENV_PYTHON) -m tests.support.kill_saving pairs 100

# Speed and memory against the plain loop, as one table in benchmarks/RESULTS.md; about ten minutes.
bench: venv
	$(VENV_PYTHON) -m benchmarks

# Large networks at 224 x 224, as one table in benchmarks/LARGE_NETWORKS.md; some minutes.
bench-large: venv
	$(VENV_PYTHON) -m benchmarks.large_networks

# Networks of known truth, trained, examined and defended in runs/zoo; hours, and it goes on where it was stopped.
zoo: venv
	$(VENV_PYTHON) -m benchmarks.zoo
	$(VENV_PYTHON) -m benchmarks.zoo.examined --figure runs/zoo/roc.svg
	$(VENV_PYTHON) -m benchmarks.zoo.matrix --write runs/zoo/MATRIX.md

# Other people's defences on those networks, as a table in runs/peers.md, ours beside them; hours as well.
peers: venv
	$(VENV_PYTHON) -m benchmarks.peers
	$(VENV_PYTHON) -m benchmarks.peers --table runs/peers.md

# The packed program, which runs without Python: dist/GoodNet/ and an archive of it.
package: venv
	@$(VENV_PYTHON) .setup/qt_packages.py xcb wayland
	@$(VENV_PYTHON) .setup/package.py

# The newest archive, tried out as a stranger would: odd folder, read-only, no Python, no network.
test-package: venv
	@$(VENV_PYTHON) .setup/qt_packages.py xcb wayland xvfb
	@$(if $(wildcard dist/GoodNet-*),,$(MAKE) package)
	$(VENV_PYTHON) -m pytest -s tests/packaged/check_package.py

# Every view in both themes, as pictures in resources/screenshots/.
screenshots: venv
	@$(VENV_PYTHON) .setup/qt_packages.py xcb xvfb
	$(ON_SCREEN) $(VENV_PYTHON) -m benchmarks.screenshots

# How long the window keeps a person waiting: at the start, and during a run of the lab's size.
bench-gui: venv
	@$(VENV_PYTHON) .setup/qt_packages.py xcb xvfb
	$(ON_SCREEN) $(VENV_PYTHON) -m benchmarks.responsiveness

"""The rules of the house that a machine can check: who may import whom, docstrings, annotations, sizes."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.places import PROJECT

ENGINE = sorted((PROJECT / "engine").rglob("*.py"))
SOURCES = [*ENGINE, *sorted((PROJECT / "gui").rglob("*.py"))]
Function = ast.FunctionDef | ast.AsyncFunctionDef
MOST_FILE_LINES, MOST_FUNCTION_LINES, MOST_MODULES = 400, 50, 12
FOLDERS = sorted({path.parent for path in SOURCES})


def name_of(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


def functions(tree: ast.AST) -> Iterator[Function]:
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield node


def public(tree: ast.Module) -> Iterator[ast.ClassDef | Function]:
    """Public classes and functions of a module, and public methods of its public classes."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from (n for n in node.body if isinstance(n, Function) and not n.name.startswith("_"))


@pytest.mark.parametrize("path", ENGINE, ids=name_of)
def test_everything_public_of_the_engine_has_a_docstring(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    assert [node.name for node in public(tree) if not ast.get_docstring(node)] == []


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_every_function_is_annotated_and_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MOST_FILE_LINES
    for function in functions(ast.parse(text)):
        where = f"{function.name}, line {function.lineno}"
        arguments = function.args
        given = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs,
                 *filter(None, (arguments.vararg, arguments.kwarg))]
        bare = [a.arg for a in given if a.annotation is None and a.arg not in ("self", "cls")]
        assert not bare and function.returns is not None, f"{where}: {bare or 'return'} not annotated"
        assert (function.end_lineno or 0) - function.lineno < MOST_FUNCTION_LINES, where


@pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
def test_a_folder_can_be_taken_in_at_a_glance(folder: Path) -> None:
    modules = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
    assert len(modules) <= MOST_MODULES, f"{name_of(folder)} is two wings: {modules}"


@pytest.mark.parametrize("path", ENGINE, ids=name_of)
def test_the_engine_knows_nothing_of_the_window(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        modules = [a.name for a in node.names] if isinstance(node, ast.Import) else \
            [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for module in modules:
            assert module.split(".")[0] not in ("gui", "PySide6", "shiboken6"), (path, module)
            assert "backend_qt" not in module


IMPORT_ALL = """
import importlib, pkgutil, sys
package = importlib.import_module(sys.argv[1])
for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)
print(sorted({"tensorflow", "keras", "PySide6"} & set(sys.modules)))
"""


@pytest.mark.parametrize(("package", "loaded"), [("engine", "[]"), ("gui", "['PySide6']")])
def test_importing_loads_no_tensorflow(package: str, loaded: str) -> None:
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL, package], cwd=PROJECT, capture_output=True, text=True,
                          env={**os.environ, "QT_QPA_PLATFORM": "offscreen"}, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == loaded

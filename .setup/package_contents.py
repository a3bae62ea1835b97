"""What goes into the packed program and what stays out; build.spec asks, PyInstaller does.

PyInstaller finds modules and libraries by following imports, and its rules for TensorFlow and Qt take nearly everything
that is installed. What is left out here is left out by name, and `make test-package` shows that nothing is missed.
"""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from fnmatch import fnmatch
from importlib import import_module
from importlib.metadata import Distribution, distribution
from pathlib import Path
from pprint import pformat

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PyInstaller.depend import bindepend

PROJECT = Path(__file__).resolve().parent.parent
# As PyInstaller lists what goes in: the path in the program, the file (or where a link points), the kind.
Entry = tuple[str, str, str]

# Packages of requirements.txt that build the program or that nothing in it imports.
BUILD_ONLY = {"altgraph", "grpcio", "libclang", "macholib", "pefile", "pyinstaller", "pyinstaller-hooks-contrib",
              "pywin32-ctypes", "setuptools", "wheel"}

# Modules that others import only if they are there, or for work this program doesn't do.
EXCLUDED_MODULES = [
    "PyInstaller", "_distutils_hack", "_pytest", "clang", "dask", "distributed", "grpc", "hypothesis", "pip",
    "pkg_resources", "psutil", "pytest", "setuptools", "tblib", "tensorboard", "tkinter", "tornado", "wheel", "yaml",
    "onnxruntime", "pyarrow", "scipy",  # which few data sets need, and tests
    "_curses", "curses", "readline",  # GNU readline is under the GPL
    "PySide6.QtNetwork", "PySide6.QtOpenGL", "PySide6.QtPrintSupport", "PySide6.QtQml", "PySide6.QtTest",
    # package_start.py puts empty modules in their place.
    "tensorflow.lite", "tensorflow._api.v2.lite", "tensorflow._api.v2.compat.v1.lite",
    "tensorflow._api.v2.compat.v2.lite", "tensorflow.python.profiler.profiler_client",
    "tensorflow.python.profiler.internal._pywrap_profiler_plugin",
]

# Modules that PyInstaller takes along with their packages: tests, other backends of Keras, languages to colour.
_UNNEEDED_MODULES = re.compile(
    r"(keras|tensorflow)\..*_test|keras\.src\.backend\.(jax|numpy|openvino|torch)(\..*)?|numpy\.f2py(\..*)?"
    r"|onnx\.(backend|bin|frontend|tools)(\..*)?|pydoc_data\..*|pygments\.lexers\.(?!_mapping$).*")

# Folders of resources/ that the running program doesn't read.
_NOT_RESOURCES = {("resources", "desktop"), ("resources", "licences"), ("resources", "screenshots")}

# Files of the sample that only tests open.
_FOR_TESTS = {"cleannet.keras"}

# The figure on screen and the files it is saved as.
FIGURE_BACKENDS = ["Agg", "QtAgg", "SVG", "PDF"]

# The parts of Qt that widgets are drawn with, on X11, Wayland, Windows and macOS.
_QT_PARTS = {"Core", "DBus", "Gui", "OpenGL", "Svg", "WaylandClient", "Widgets", "WlShellIntegration", "XcbQpa"}
_QT_LIBRARY = re.compile(r"(?:lib)?Qt6?([A-Z]\w*?)(?:\.so[.\d]*|\.dll|\.dylib|\.framework|\.abi3\.so|\.pyd)")
_QT_PLUGIN_KINDS = {
    "iconengines", "imageformats", "platforms", "platforminputcontexts", "platformthemes", "styles",
    "wayland-decoration-client", "wayland-graphics-integration-client", "wayland-shell-integration",
    "xcbglintegrations",
}
# Screens without a desktop, and what would bring further modules of Qt or GTK along.
_QT_PLUGINS_LEFT_OUT = {"qdirect2d", "qeglfs", "qgtk3", "qlinuxfb", "qminimalegl", "qpdf", "qtvirtualkeyboardplugin",
                        "qvkkhrdisplay", "qvnc"}

_UNNEEDED_FILES = (
    # Lossy compressions of measurements; pictures are stored with the others.
    "hdf5plugin/plugins/*h5fcidecomp.*", "hdf5plugin/plugins/*h5htj2k.*", "hdf5plugin/plugins/*h5sperr.*",
    "hdf5plugin/plugins/*h5sz.*", "hdf5plugin/plugins/*h5sz3.*", "hdf5plugin/plugins/*h5zfp.*",
    "tensorflow/include/*", "tensorflow/xla_aot_runtime_src/*", "tensorflow/compiler/tf2xla/ops/_xla_ops*",
    "tensorflow/compiler/mlir/stablehlo/stablehlo_extension*", "tensorflow/lite/*",
    "tensorflow/python/framework/lib_native_proto_caster*",
    "tensorflow/python/profiler/internal/_pywrap_profiler_plugin*", "*/tests/*", "*/testdata/*",
    "*.a", "*.c", "*.cc", "*.h", "*.hpp", "*.inc", "*.lib", "*.pxd", "*.pyi", "*.pyx", "*/py.typed",
    "PySide6/Qt/translations/*", "PySide6/translations/*", "PySide6/Qt/qml/*", "PySide6/qml/*",
    "matplotlib/mpl-data/sample_data/*", "matplotlib/mpl-data/images/*", "matplotlib/mpl-data/fonts/afm/*",
    "matplotlib/mpl-data/fonts/pdfcorefonts/*", "*.dist-info/RECORD", "*.dist-info/direct_url.json",
    "*.dist-info/REQUESTED", "*.dist-info/INSTALLER",
)


def version() -> str:
    """The program's version, from pyproject.toml."""
    found = re.search(r'^version = "(.+)"$', (PROJECT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return found[1]


def distributions() -> list[Distribution]:
    """The installed packages that the program is made of: requirements.txt without what only builds it."""
    lines = (PROJECT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted = [Requirement(line) for line in lines if line.strip() and not line.lstrip().startswith(("#", "-"))]
    names = {canonicalize_name(r.name) for r in wanted if r.marker is None or r.marker.evaluate()} - BUILD_ONLY
    return [distribution(name) for name in sorted(names)]


def data_files() -> list[tuple[str, str]]:
    """Files beside the modules, as PyInstaller wants them: (file, folder in the program)."""
    inside = [*_files("resources"), *_files("data/sample"), *_files("engine"), *_files("gui")]
    wanted = [path for path in inside if path.suffix not in (".py", ".pyc") and path.name not in _FOR_TESTS
              and path.relative_to(PROJECT).parts[:2] not in _NOT_RESOURCES]
    own = [(str(path), str(path.parent.relative_to(PROJECT))) for path in wanted]
    return own + [(str(file.locate()), str(file.parent)) for package in distributions() for file in package.files or ()
                  if file.name == "METADATA"]


def own_modules() -> list[str]:
    """Every module of engine/ and gui/, also those imported by name only."""
    files = [path.relative_to(PROJECT).with_suffix("") for room in ("engine", "gui") for path in _files(room)
             if path.suffix == ".py"]
    return sorted(".".join(file.parts).removesuffix(".__init__") for file in files)


def is_needed(destination: str) -> bool:
    """Whether a file that PyInstaller found belongs in the program.

    Args:
        destination: its path inside the program's folder, with either kind of slash.
    """
    path = Path(destination.replace("\\", "/"))
    if any(fnmatch(path.as_posix(), pattern) for pattern in _UNNEEDED_FILES):
        return False
    if "plugins" in path.parts and "PySide6" in path.parts:
        kind = path.parts[path.parts.index("plugins") + 1]
        return kind in _QT_PLUGIN_KINDS and path.name.partition(".")[0].removeprefix("lib") not in _QT_PLUGINS_LEFT_OUT
    # A framework's files are called otherwise than the framework, so every part of the path is asked.
    modules = [found[1] for part in path.parts if (found := _QT_LIBRARY.fullmatch(part))]
    return all(module in _QT_PARTS for module in modules)


def is_needed_module(name: str) -> bool:
    """Whether a module that PyInstaller found belongs in the program; `name` has dots."""
    return not _UNNEEDED_MODULES.fullmatch(name)


def without_orphans(binaries: list[Entry]) -> list[Entry]:
    """Drop what only left-out files needed: on Linux libraries of the system, and links to files that aren't there."""
    if sys.platform.startswith("linux"):
        roots = [source for name, source, kind in binaries if kind != "SYMLINK" and "/" in name]
        needed = {Path(name).name for source in roots for name, _ in bindepend.get_imports(source)}
        binaries = [entry for entry in binaries if entry[2] == "SYMLINK" or "/" in entry[0] or entry[0] in needed
                    or entry[0].startswith("libpython")]
    names = {os.path.normpath(name) for name, _, _ in binaries}
    return [(name, source, kind) for name, source, kind in binaries
            if kind != "SYMLINK" or os.path.normpath(Path(name).parent / source) in names]


def write_neutral_modules(folder: Path) -> Path:
    """Write stand-ins for modules that tell of the machine where Python was built; the folder to search first.

    `sysconfig` reads one module of settings. Its paths and compiler flags mean nothing elsewhere, the rest is kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if os.name == "posix":
        name: str = sysconfig._get_sysconfigdata_name()  # type: ignore[attr-defined]
        kept = {key: value for key, value in sorted(import_module(name).build_time_vars.items())
                if isinstance(value, int) or re.fullmatch(r"[\w.-]*", value)}
        text = f'"""Python\'s settings without paths."""\n\nbuild_time_vars = {pformat(kept)}\n'
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return folder


def icon() -> str | None:
    """The icon's file for the system that this runs on; Linux takes it from the desktop entry."""
    name = {"win32": "goodnet.ico", "darwin": "goodnet.icns"}.get(sys.platform)
    return str(PROJECT / "resources" / "icon" / name) if name else None


def _files(folder: str) -> list[Path]:
    return sorted(path for path in (PROJECT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts)

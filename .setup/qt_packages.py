"""Finds the system libraries that Qt needs and this machine lacks; installs or names the packages that hold them.

PySide6 brings Qt itself, but on Linux Qt links to libraries that only the distribution's packages have.
The table was read off with readelf from the Qt libraries and platform plugins of the pinned PySide6.

    python .setup/qt_packages.py            what windows need, even without a screen
    python .setup/qt_packages.py xcb        and what they need on an X11 screen
    python .setup/qt_packages.py xcb xvfb   and a virtual screen
    python .setup/qt_packages.py xcb wayland  and on a Wayland screen, which the packed program can also use
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys

# Library: its package in Debian and Ubuntu, in Fedora, in Arch.
ALWAYS = {
    "libEGL.so.1": ("libegl1", "libglvnd-egl", "libglvnd"),
    "libGL.so.1": ("libgl1", "libglvnd-glx", "libglvnd"),
    "libX11.so.6": ("libx11-6", "libX11", "libx11"),
    "libxkbcommon.so.0": ("libxkbcommon0", "libxkbcommon", "libxkbcommon"),
    "libdbus-1.so.3": ("libdbus-1-3", "dbus-libs", "dbus"),
    "libfontconfig.so.1": ("libfontconfig1", "fontconfig", "fontconfig"),
    "libfreetype.so.6": ("libfreetype6", "freetype", "freetype2"),
    "libglib-2.0.so.0": ("libglib2.0-0", "glib2", "glib2"),
    "libgthread-2.0.so.0": ("libglib2.0-0", "glib2", "glib2"),
    "libgssapi_krb5.so.2": ("libgssapi-krb5-2", "krb5-libs", "krb5"),
    "libbrotlidec.so.1": ("libbrotli1", "libbrotli", "brotli"),
    "libzstd.so.1": ("libzstd1", "libzstd", "zstd"),
}
XCB = {
    "libX11-xcb.so.1": ("libx11-xcb1", "libX11-xcb", "libx11"),
    "libxcb.so.1": ("libxcb1", "libxcb", "libxcb"),
    "libxcb-cursor.so.0": ("libxcb-cursor0", "xcb-util-cursor", "xcb-util-cursor"),
    "libxcb-glx.so.0": ("libxcb-glx0", "libxcb", "libxcb"),
    "libxcb-icccm.so.4": ("libxcb-icccm4", "xcb-util-wm", "xcb-util-wm"),
    "libxcb-image.so.0": ("libxcb-image0", "xcb-util-image", "xcb-util-image"),
    "libxcb-keysyms.so.1": ("libxcb-keysyms1", "xcb-util-keysyms", "xcb-util-keysyms"),
    "libxcb-randr.so.0": ("libxcb-randr0", "libxcb", "libxcb"),
    "libxcb-render.so.0": ("libxcb-render0", "libxcb", "libxcb"),
    "libxcb-render-util.so.0": ("libxcb-render-util0", "xcb-util-renderutil", "xcb-util-renderutil"),
    "libxcb-shape.so.0": ("libxcb-shape0", "libxcb", "libxcb"),
    "libxcb-shm.so.0": ("libxcb-shm0", "libxcb", "libxcb"),
    "libxcb-sync.so.1": ("libxcb-sync1", "libxcb", "libxcb"),
    "libxcb-util.so.1": ("libxcb-util1", "xcb-util", "xcb-util"),
    "libxcb-xfixes.so.0": ("libxcb-xfixes0", "libxcb", "libxcb"),
    "libxcb-xkb.so.1": ("libxcb-xkb1", "libxcb", "libxcb"),
    "libxkbcommon-x11.so.0": ("libxkbcommon-x11-0", "libxkbcommon-x11", "libxkbcommon-x11"),
}
WAYLAND = {
    "libwayland-client.so.0": ("libwayland-client0", "libwayland-client", "wayland"),
    "libwayland-cursor.so.0": ("libwayland-cursor0", "libwayland-cursor", "wayland"),
    "libwayland-egl.so.1": ("libwayland-egl1", "libwayland-egl", "wayland"),
}
VIRTUAL_SCREEN = {
    "xvfb-run": ("xvfb", "xorg-x11-server-Xvfb", "xorg-server-xvfb"),
    "xauth": ("xauth", "xorg-x11-xauth", "xorg-xauth"),
}


def missing(parts: list[str]) -> dict[str, tuple[str, str, str]]:
    """What this machine lacks: library or program, and its packages in the three families."""
    if not sys.platform.startswith("linux"):
        return {}
    libraries = {**ALWAYS, **(XCB if "xcb" in parts else {}), **(WAYLAND if "wayland" in parts else {})}
    lacking = {name: packages for name, packages in libraries.items() if not _loads(name)}
    if "xvfb" in parts:
        lacking.update({name: VIRTUAL_SCREEN[name] for name in VIRTUAL_SCREEN if shutil.which(name) is None})
    return lacking


def ensure(parts: list[str]) -> bool:
    """Install what is missing where that is allowed, else say what to install; True when nothing is missing."""
    lacking = missing(parts)
    if lacking and shutil.which("apt-get") and os.geteuid() == 0:
        packages = _packages(lacking, 0)
        print(f"Installing what Qt needs: {' '.join(packages)}", flush=True)
        quiet = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
        subprocess.run(["apt-get", "update", "-qq"], check=False, **quiet)
        subprocess.run(["apt-get", "install", "-qq", "-y", "--no-install-recommends", *packages], check=False, **quiet)
        lacking = missing(parts)
    if lacking:
        print(f"make: Qt needs {', '.join(lacking)}, which this machine lacks. Install with one of\n"
              f"    sudo apt-get install {' '.join(_packages(lacking, 0))}    (Debian, Ubuntu)\n"
              f"    sudo dnf install {' '.join(_packages(lacking, 1))}    (Fedora)\n"
              f"    sudo pacman -S {' '.join(_packages(lacking, 2))}    (Arch)\n"
              "and run make again.", file=sys.stderr)
    return not lacking


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _packages(lacking: dict[str, tuple[str, str, str]], family: int) -> list[str]:
    return sorted({packages[family] for packages in lacking.values()})


if __name__ == "__main__":
    sys.exit(0 if ensure(sys.argv[1:]) else 1)

"""What the window needs of the machine: a display, and Qt's system libraries. Asked before Qt is loaded.

Qt ends the process without a word of use when its platform plugin cannot be loaded, so the questions come first.
"""

import ctypes
import os
import re
import sys

from thighview.core.errors import UserError

_ALWAYS = {
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libX11.so.6": "libx11-6",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libdbus-1.so.3": "libdbus-1-3",
}
"""System libraries that Qt's QtGui loads even off-screen, and the Debian or Ubuntu packages that hold them."""

_X11 = {
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libX11-xcb.so.1": "libx11-xcb1",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render.so.0": "libxcb-render0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-shm.so.0": "libxcb-shm0",
    "libxcb-sync.so.1": "libxcb-sync1",
    "libxcb-util.so.1": "libxcb-util1",
    "libxcb-xfixes.so.0": "libxcb-xfixes0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
}
"""The same for a window under X11."""

_WAYLAND = {"libwayland-client.so.0": "libwayland-client0", "libwayland-cursor.so.0": "libwayland-cursor0"}
"""The same for a window under Wayland."""

PACKAGES = {**_ALWAYS, **_X11, **_WAYLAND}


def display() -> str:
    """Where a window would appear: ``x11``, ``wayland``, ``native`` (Windows, macOS, a chosen platform) or nothing."""
    if sys.platform != "linux":
        return "native"
    chosen = os.environ.get("QT_QPA_PLATFORM", "").partition(":")[0].partition(";")[0]
    if chosen and chosen not in ("xcb", "wayland"):
        return "native"
    if chosen != "xcb" and os.environ.get("WAYLAND_DISPLAY"):
        return "wayland"
    return "x11" if os.environ.get("DISPLAY") else ""


def off_screen() -> bool:
    """Whether the person asked Qt to draw where nobody sees it."""
    return os.environ.get("QT_QPA_PLATFORM", "").partition(":")[0] in ("offscreen", "minimal")


def need_display() -> None:
    """Refuse to open a window where there is nowhere to show it."""
    where = display()
    if not where:
        raise UserError(
            "There is no display to open a window on (neither DISPLAY nor WAYLAND_DISPLAY is set).",
            "Use the commands without a window (thighview --help), or thighview demo to walk through them.",
        )
    need_libraries(where)
    if where == "x11" and not _x_server_answers():
        raise UserError(
            f"The display {os.environ['DISPLAY']} does not answer.",
            "Log in with a desktop, or use ssh -X to forward one.",
        )


def need_libraries(where: str = "") -> None:
    """Refuse when system libraries that Qt needs for this display are missing, naming the packages to install."""
    if sys.platform != "linux":
        return
    needed = {**_ALWAYS, **{"x11": _X11, "wayland": _WAYLAND}.get(where, {})}
    missing = [name for name in needed if not _loads(name)]
    if missing:
        raise UserError(_sentence(missing))


def explain_import_error(error: ImportError) -> UserError | None:
    """The refusal for an import that failed because of a system library; None when it failed for another reason."""
    found = re.search(r"(lib[\w.+-]+\.so[\w.]*): cannot open shared object file", str(error))
    return UserError(_sentence([found.group(1)])) if found else None


def _sentence(missing: list[str]) -> str:
    packages = sorted({PACKAGES[name] for name in missing if name in PACKAGES})
    what = "A system library that Qt needs is" if len(missing) == 1 else "System libraries that Qt needs are"
    cure = (
        f"On Debian or Ubuntu: sudo apt-get install -y {' '.join(packages)}"
        if packages
        else "Install the package of your system that holds it."
    )
    return f"{what} missing: {', '.join(missing)}. {cure}"


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _x_server_answers() -> bool:
    try:
        xcb = ctypes.CDLL("libxcb.so.1")
    except OSError:
        return False
    xcb.xcb_connect.restype = ctypes.c_void_p
    connection = ctypes.c_void_p(xcb.xcb_connect(None, None))
    answers = xcb.xcb_connection_has_error(connection) == 0
    xcb.xcb_disconnect(connection)
    return answers

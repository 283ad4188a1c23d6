"""The window: when it can open, what it opens on, and its place in the desktop's menu."""

import difflib
import gc
import io
import os
import shlex
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path

from thighview.cli import system
from thighview.cli.parser import command_parser
from thighview.core.errors import UserError


def open_window(paths: Sequence[Path]) -> int:
    """``thighview [PATH ...]``; where some of several paths are missing, the window says so and opens the rest."""
    if paths and not any(path.exists() for path in paths):
        near = difflib.get_close_matches(str(paths[0]), command_parser()[1], 1)
        hint = f"Did you mean the command {near[0]}?" if near else "Check the path, or see thighview --help."
        raise UserError(f"There is nothing at {paths[0]}.", hint)
    system.need_display()
    return _run(list(paths))


def demo(args: Namespace) -> int:
    """``thighview demo``: a window on a made-up thigh, or the whole journey off-screen."""
    if system.display() and not args.off_screen and not system.off_screen():
        system.need_display()
        return _run(demo=True)
    why = "asked for" if args.off_screen or system.off_screen() else "there is no display"
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    print(f"thighview demo, off-screen ({why}): the whole journey in the real window, drawn where nobody sees it.")
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    system.need_libraries()

    def walk() -> int:
        from thighview.ui.demo_walk import walk as walk_journey

        return walk_journey(args.out, lambda line: print(line, flush=True))

    return _with_qt(walk)


def add_to_menu() -> int:
    """``thighview --add-to-menu``: a ``.desktop`` file and the icon, in the person's own folders."""
    if sys.platform != "linux":
        raise UserError(
            "Only Linux desktops keep their menu in files that a program may add to.",
            "On Windows and macOS, make a shortcut to the program thighview of this installation.",
        )
    from thighview.io.atomic import write_bytes_atomic
    from thighview.io.resources import resource

    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share").absolute()
    icon = data / "icons" / "hicolor" / "scalable" / "apps" / "thighview.svg"
    entry = data / "applications" / "thighview.desktop"
    for folder in (icon.parent, entry.parent):
        folder.mkdir(parents=True, exist_ok=True)
    write_bytes_atomic(icon, resource("icons", "thighview.svg").read_bytes())
    lines = (
        "[Desktop Entry]",
        "Type=Application",
        "Name=thighview",
        "GenericName=Thigh MRI segmentation",
        "Comment=Look at thigh MRI, let a U-Net draw the masks, correct them, retrain",
        f"Exec={_command()} %F",
        f"Icon={icon}",
        "Terminal=false",
        "Categories=Science;MedicalSoftware;",
        "StartupWMClass=thighview",
    )
    write_bytes_atomic(entry, ("\n".join(lines) + "\n").encode())
    print(f"thighview is in the menu: {entry}")
    return 0


def _command() -> str:
    """How to start this installation, quoted as desktop files want it."""
    script = Path(sys.executable).parent / "thighview"
    words = [str(script)] if script.exists() else [sys.executable, "-m", "thighview"]
    return " ".join(f'"{w}"' if shlex.quote(w) != w else w for w in (word.replace("%", "%%") for word in words))


def _run(paths: Sequence[Path] = (), demo: bool = False) -> int:
    """The window, until it is closed."""

    def start() -> int:
        gc.disable()  # nothing that is loaded for the window is garbage; the window looks for it by itself later
        from thighview.ui.application import run

        return run(paths, demo)

    return _with_qt(start)


def _with_qt(start: Callable[[], int]) -> int:
    """Run what needs Qt; a missing system library becomes one sentence that names the package."""
    try:
        return start()
    except ImportError as error:
        refusal = system.explain_import_error(error)
        if refusal is None:
            raise
        raise refusal from error

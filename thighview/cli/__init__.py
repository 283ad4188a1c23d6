"""The program on the command line: the window, and every wish without one."""

from thighview.cli.dispatch import main

__all__ = ["main"]

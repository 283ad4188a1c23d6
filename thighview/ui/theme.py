"""Theme: the colours of the reading room, and the style sheet made of them."""

from collections.abc import Generator
from contextlib import contextmanager

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QPalette
from PySide6.QtWidgets import QApplication

from thighview.io.resources import resource

COLOURS: dict[str, str] = {
    "black": "#000000",
    "ground": "#0f1318",
    "panel": "#14191f",
    "card": "#1a2028",
    "raised": "#232b35",
    "hover": "#2c3642",
    "line": "#262f39",
    "edge": "#3a4654",
    "text": "#e9eef4",
    "soft": "#aeb9c5",
    "muted": "#8b97a4",
    "disabled": "#5c6773",
    "accent": "#4d9fff",
    "primary": "#2a62b4",
    "primary_hover": "#3572cb",
    "selected": "#1c2f49",
    "good": "#58d68d",
    "warning": "#f0b44c",
    "error": "#ff7b72",
}
LETTER = QColor("#7cc4ff")
"""Orientation letters and view names on the black ground."""
CROSS = QColor(124, 196, 255, 115)


def colour(name: str) -> QColor:
    """A colour of the theme."""
    return QColor(COLOURS[name])


def apply_theme(application: QApplication) -> None:
    """Dark, calm and high in contrast, the same on every system."""
    application.setStyle("Fusion")
    application.setPalette(_palette())
    families = set(QFontDatabase.families())
    known = ("Inter", "Segoe UI", "SF Pro Text", "Noto Sans", "DejaVu Sans")
    family = next((name for name in known if name in families), None)
    font = QFont(family) if family else application.font()
    font.setPixelSize(13)
    font.setHintingPreference(QFont.HintingPreference.PreferNoHinting)
    application.setFont(font)
    sheet = resource("theme.qss").read_text(encoding="utf-8")
    arrows = resource("icons").as_posix()
    for name, value in sorted(COLOURS.items(), key=lambda item: -len(item[0])):
        sheet = sheet.replace(f"@{name}", value)
    application.setStyleSheet(sheet.replace("@icons", arrows))


@contextmanager
def styled_at_the_end() -> Generator[None]:
    """Style what is made inside all at once, at the end.

    Qt styles a whole branch again each time it gets another parent; for the window, made from its smallest parts, that
    took as long as all else.
    """
    application = QApplication.instance()
    assert isinstance(application, QApplication)
    sheet = application.styleSheet()
    application.setStyleSheet("")
    try:
        yield
    finally:
        application.setStyleSheet(sheet)


def _palette() -> QPalette:
    palette = QPalette()
    roles = {
        QPalette.ColorRole.Window: "panel",
        QPalette.ColorRole.WindowText: "text",
        QPalette.ColorRole.Base: "ground",
        QPalette.ColorRole.AlternateBase: "card",
        QPalette.ColorRole.Text: "text",
        QPalette.ColorRole.Button: "raised",
        QPalette.ColorRole.ButtonText: "text",
        QPalette.ColorRole.BrightText: "error",
        QPalette.ColorRole.ToolTipBase: "raised",
        QPalette.ColorRole.ToolTipText: "text",
        QPalette.ColorRole.PlaceholderText: "muted",
        QPalette.ColorRole.Highlight: "primary",
        QPalette.ColorRole.HighlightedText: "text",
        QPalette.ColorRole.Link: "accent",
        QPalette.ColorRole.Light: "hover",
        QPalette.ColorRole.Midlight: "raised",
        QPalette.ColorRole.Mid: "line",
        QPalette.ColorRole.Dark: "ground",
        QPalette.ColorRole.Shadow: "black",
    }
    for role, name in roles.items():
        palette.setColor(role, colour(name))
    for role in (QPalette.ColorRole.WindowText, QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, role, colour("disabled"))
    palette.setColor(QPalette.ColorGroup.Disabled, QPalette.ColorRole.Highlight, QColor(Qt.GlobalColor.transparent))
    return palette

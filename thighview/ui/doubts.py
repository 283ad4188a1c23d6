"""What to know of a model before its masks or figures are believed: a line each, and what it means under a fold."""

from collections.abc import Sequence

from PySide6.QtWidgets import QVBoxLayout, QWidget

from thighview.ui.cards import Fold, show_words, words


class Doubts(QWidget):
    """The warnings of a model card; nothing at all where there are none.

    The first sentence of each is in sight, the rest of it is opened by a click.
    """

    def __init__(self) -> None:
        super().__init__()
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(6)
        self.lines = words("", "warning")
        self.details = words("", "muted")
        inside = QVBoxLayout()
        inside.addWidget(self.details)
        self.more = Fold("What this means", inside)
        box.addWidget(self.lines)
        box.addWidget(self.more)
        self.show_doubts(())

    def show_doubts(self, warnings: Sequence[str]) -> None:
        """Show these, each a first sentence that says what is the matter and, perhaps, others that explain it."""
        longer = [sentence for sentence in warnings if ". " in sentence]
        bullet = "• " if len(warnings) > 1 else ""
        show_words(self.lines, "\n".join(f"{bullet}{_first(sentence)}" for sentence in warnings))
        show_words(self.details, "\n\n".join(longer))
        self.more.setVisible(bool(longer))
        self.setVisible(bool(warnings))


def _first(sentence: str) -> str:
    head, dot, _ = sentence.partition(". ")
    return head + dot.strip()

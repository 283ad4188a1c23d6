"""Which model of the project is judged, and which one it is held against."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QGridLayout, QWidget

from thighview.ui.cards import chooser, plain_tip, words
from thighview.ui.model_names import names_of

if TYPE_CHECKING:
    from thighview.io.models import ModelEntry


class PairChoice(QWidget):
    """Two lists; the other one is suggested until a person chooses it."""

    new_chosen = Signal(object)
    """The ModelEntry to judge."""
    old_chosen = Signal(object)
    """The ModelEntry to hold it against."""

    def __init__(self) -> None:
        super().__init__()
        self.new, self.old = chooser(), chooser()
        for choice, what in ((self.new, "The model that is judged"), (self.old, "The model it is held against")):
            choice.setAccessibleName(what)
            choice.setPlaceholderText("choose a model")
        self._offered: dict[QComboBox, tuple[ModelEntry, ...]] = {self.new: (), self.old: ()}
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(9)
        grid.setVerticalSpacing(6)
        grid.setColumnStretch(1, 1)
        for line, (heading, choice) in enumerate((("Model", self.new), ("Against", self.old))):
            grid.addWidget(words(heading, "muted", wrap=False), line, 0)
            grid.addWidget(choice, line, 1)
        self.new.activated.connect(lambda index: self.new_chosen.emit(self._offered[self.new][index]))
        self.old.activated.connect(lambda index: self.old_chosen.emit(self._offered[self.old][index]))

    def show_pair(self, models: Sequence["ModelEntry"], new: "ModelEntry", old: "ModelEntry | None") -> None:
        """Offer every model of the project, against every other model there is."""
        self._show(self.new, tuple(m for m in models if m.place == "project"), new)
        weights = new.card.weights_sha256
        self._show(self.old, tuple(m for m in models if m.card.weights_sha256 != weights), old)

    def _show(self, choice: QComboBox, models: "tuple[ModelEntry, ...]", chosen: "ModelEntry | None") -> None:
        if models != self._offered[choice]:
            self._offered[choice] = models
            choice.clear()
            for name, place in names_of(models):
                choice.addItem(name)
                choice.setItemData(choice.count() - 1, place, Qt.ItemDataRole.ToolTipRole)
        choice.setCurrentIndex(models.index(chosen) if chosen in models else -1)
        choice.setToolTip(plain_tip(choice.currentText()))

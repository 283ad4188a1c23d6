"""Result: a model of the project against the one in use, and that of a finished training person by person."""

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QWidget

from thighview.ui.cards import Card, Page, words
from thighview.ui.doubts import Doubts
from thighview.ui.evaluation_card import EvaluationCard
from thighview.ui.promotion_card import PromotionCard
from thighview.ui.run_status import RunStatus, model_of

if TYPE_CHECKING:
    from thighview.app.tasks import Workspace


class ResultPage(Page):
    """Empty, with a sentence that says why, until the project has a model of its own."""

    def __init__(self, workspace: "Workspace", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.empty_card = Card("No model yet")
        self.empty_words = words("", "muted")
        self.empty_card.body.addWidget(self.empty_words)
        self._workspace = workspace
        self.doubts_card = Card("Before its figures are believed")
        self.doubts = Doubts()
        self.doubts_card.body.addWidget(self.doubts)
        self.promotion_card = PromotionCard(workspace)
        self.people_card = EvaluationCard(workspace)
        for card in (self.empty_card, self.doubts_card, self.promotion_card, self.people_card):
            self.column.addWidget(card)
        self.column.addStretch(1)

    def show_run(self, name: str, status: RunStatus | None) -> None:
        """Show what came out of this run; until it has finished, the people of the model that is shown above them."""
        finished = bool(status and status.finished)
        waiting = f"when “{name}” has finished" if status and status.alive else "after a training"
        self.empty_words.setText(
            f"The new model is compared here with the one in use, on the locked people and person by person, {waiting}."
        )
        model = model_of(status.finished, self._workspace.models) if status and status.finished else None
        self.doubts.show_doubts(model.card.warnings if model else ())
        self.doubts_card.setVisible(bool(model and model.card.warnings))
        self.promotion_card.show_status(status)
        self.empty_card.setVisible(not finished and self.promotion_card.isHidden())
        shown = name if finished else self.promotion_card.run_shown if status else ""
        self.people_card.show_run(shown, bool(shown))

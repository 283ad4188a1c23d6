"""The question above the picture: where a scan lies, or how large it is, where its file does not say it for certain."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QWidget

from thighview.core.position_question import CHECKED, PositionQuestion, position_question
from thighview.core.scan_key import QFORM
from thighview.ui.cards import button, show_words, words

if TYPE_CHECKING:
    from thighview.app.tasks import Workspace

_TIPS = {
    CHECKED: "Kept with this case; the doubt can still be read, and taken back, in About this scan  (I)",
    QFORM: "Opens the scan again by its qform; the mask stays on its voxels. Kept with this case.",
}


class PositionBar(QWidget):
    """In sight from the opening of a scan until it is answered; a case that was answered is not asked again."""

    def __init__(self, workspace: "Workspace") -> None:
        super().__init__()
        self._workspace = workspace
        self.question: PositionQuestion | None = None
        self.setProperty("bar", "question")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        line = QHBoxLayout(self)
        line.setContentsMargins(12, 8, 12, 8)
        line.setSpacing(8)
        self.text = words("", "warning")
        line.addWidget(self.text, 1)
        self.answers = [button("", lambda n=n: self._answer(n), "") for n in range(2)]
        for press in self.answers:
            line.addWidget(press)
        self.hide()
        session = workspace.session
        session.case_opened.connect(self._show)
        session.images_changed.connect(self._show)

    def _show(self, _: object = None) -> None:
        case = self._workspace.session.case
        asked = self.question = position_question(case) if case else None
        self.setVisible(asked is not None)
        if asked is None:
            return
        show_words(self.text, asked.text)
        for index, press in enumerate(self.answers):
            press.setVisible(index < len(asked.answers))
            if index < len(asked.answers):
                wording, meaning = asked.answers[index]
                press.setText(wording)
                press.setToolTip(_TIPS[meaning])

    def _answer(self, number: int) -> None:
        if self.question is None:
            return
        if self.question.answers[number][1] == QFORM:
            self._workspace.place_scan(by_qform=True)
            return
        for doubt in self.question.doubts:
            self._workspace.check_doubt(doubt)

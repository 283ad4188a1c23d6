"""The images of the open case: which one is shown, which one it is compared with, and how."""

from PySide6.QtCore import QEvent, QPoint, QRect, QRectF, QSize, Qt
from PySide6.QtGui import (
    QActionGroup,
    QContextMenuEvent,
    QFontMetrics,
    QHelpEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QMenu, QPushButton, QSizePolicy, QSlider, QToolTip, QVBoxLayout, QWidget

from thighview.app.image_reading import COMPUTED
from thighview.app.images import CaseImages
from thighview.app.session import Session
from thighview.core.case import Series
from thighview.core.image_roles import ROLES
from thighview.core.view import ViewState
from thighview.ui.actions import Actions
from thighview.ui.cards import button, mark, row, words
from thighview.ui.icons import picture
from thighview.ui.slice_painter import words_font
from thighview.ui.theme import COLOURS, colour

_ROW, _ICON = 28, 31
_MIDDLE = Qt.AlignmentFlag.AlignVCenter


class ImagesPanel(QWidget):
    """Heading, the list, and how two images are put together."""

    def __init__(self, session: Session, images: CaseImages, actions: Actions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.list = ImageList(session, images)
        self.add_button = button("+ Add", actions["add_image"].trigger, actions["add_image"].toolTip(), "quiet")
        self.add_button.setEnabled(False)
        self.blend = button("Blend", lambda: session.update_view(beside=False), "The second image over the first.")
        self.beside = button("Side by side", lambda: session.update_view(beside=True), "Each in a view of its own.")
        self.mix = QSlider(Qt.Orientation.Horizontal)
        self.mix.setRange(0, 100)
        self.mix.setToolTip("How much of the second image is shown")
        self.mix.setAccessibleName("Blend")
        self.mix.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.mix.valueChanged.connect(lambda value: session.update_view(mix=value / 100))
        for press in (self.blend, self.beside):
            press.setProperty("small", True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 8, 0, 6)
        column.setSpacing(4)
        head = row(words("IMAGES", "heading", wrap=False), self.add_button, stretch=0)
        head.setContentsMargins(12, 0, 6, 0)
        column.addLayout(head)
        column.addWidget(self.list)
        self.how = QWidget()
        inside = QVBoxLayout(self.how)
        inside.setContentsMargins(12, 2, 12, 2)
        inside.setSpacing(4)
        inside.addLayout(row(self.blend, self.beside))
        inside.addWidget(self.mix)
        column.addWidget(self.how)
        column.addStretch(1)
        session.case_opened.connect(self._show)
        session.images_changed.connect(self._show)
        session.view_changed.connect(self._show_view)
        self._show()

    def _show_view(self, old: ViewState, new: ViewState) -> None:
        if (old.base, old.other, old.beside, old.mix) != (new.base, new.other, new.beside, new.mix):
            self._show()

    def _show(self, _: object = None) -> None:
        view, case = self._session.view, self._session.case
        self.add_button.setEnabled(case is not None)
        compared = case is not None and view.other is not None
        self.how.setVisible(compared)
        self.mix.setVisible(not view.beside)
        _choose(self.blend, not view.beside)
        _choose(self.beside, view.beside)
        self.mix.blockSignals(True)
        self.mix.setValue(round(100 * view.mix))
        self.mix.blockSignals(False)
        self.list.refresh()


def _choose(press: QPushButton, chosen: bool) -> None:
    press.setCheckable(True)
    press.setChecked(chosen)
    mark(press, "primary", chosen)


class ImageList(QWidget):
    """One painted row per image: press it to look at it, or its sign to compare it with the one shown."""

    def __init__(self, session: Session, images: CaseImages, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session, self._images = session, images
        self._hover = -1
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Images")

    @property
    def rows(self) -> tuple[Series, ...]:
        """What is listed."""
        case = self._session.case
        return case.images if case else ()

    def refresh(self) -> None:
        """Show the list as it is now."""
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        """As high as there are images."""
        return QSize(180, max(1, len(self.rows)) * _ROW + 2)

    def minimumSizeHint(self) -> QSize:
        """The same."""
        return self.sizeHint()

    def id_of(self, index: int) -> int:
        """``series_id`` by which the Session knows the image of a row."""
        return 0 if index == 0 else self.rows[index].series_id

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the rows."""
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
            painter.setFont(words_font())
            if not self.rows:
                painter.setPen(colour("muted"))
                painter.drawText(QRect(12, 4, self.width() - 20, 20), _MIDDLE, "Images of the open scan")
            for index, one in enumerate(self.rows):
                self._paint_row(painter, QRect(0, index * _ROW, self.width(), _ROW), index, one)

    def _paint_row(self, painter: QPainter, rect: QRect, index: int, one: Series) -> None:
        view, key = self._session.view, self.id_of(index)
        shown, compared, ready = view.base == key, view.other == key, index == 0 or one.on_grid is not None
        if shown or compared or index == self._hover:
            painter.setPen(QPen(colour("primary"), 1) if shown else Qt.PenStyle.NoPen)
            painter.setBrush(colour("selected") if shown else colour("raised"))
            painter.drawRoundedRect(QRectF(rect).adjusted(6, 1, -6, -1), 6, 6)
        role = ROLES.get(one.role, "") if one.role != "image" else ""
        room = rect.width() - 24 - (_ICON if len(self.rows) > 1 else 0)
        metrics = QFontMetrics(painter.font())
        painter.setPen(colour("text" if ready else "muted"))
        name = metrics.elidedText(role or one.title, Qt.TextElideMode.ElideMiddle, room)
        painter.drawText(QRect(14, rect.top(), room, _ROW), _MIDDLE, name)
        used = metrics.horizontalAdvance(name) + 10
        rest = "" if not role or one.series_id == COMPUTED else one.title
        rest = rest if ready else "cannot be read" if one.problem else "reading…"
        if rest and room - used > 30:
            painter.setPen(colour("muted"))
            text = metrics.elidedText(rest, Qt.TextElideMode.ElideMiddle, room - used)
            painter.drawText(QRect(14 + used, rect.top(), room - used, _ROW), _MIDDLE, text)
        if len(self.rows) > 1 and not shown and ready:
            sign = picture("views", 16, COLOURS["primary" if compared else "muted"], self.devicePixelRatioF())
            painter.drawPixmap(QPoint(rect.right() - _ICON + 7, rect.top() + (_ROW - 16) // 2), sign)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """The sign at the right: compare with it. Anywhere else: show it."""
        index = self._at(event.position().y())
        if index < 0 or event.button() != Qt.MouseButton.LeftButton:
            return
        key = self.id_of(index)
        if event.position().x() > self.width() - _ICON and len(self.rows) > 1:
            self._session.compare_with(None if self._session.view.other == key else key)
        else:
            self._session.show_image(key)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Mark the row under the mouse."""
        self._set_hover(self._at(event.position().y()))

    def leaveEvent(self, event: QEvent) -> None:
        """No row is under the mouse."""
        self._set_hover(-1)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """What it shows, and taking it out."""
        index = self._at(event.pos().y())
        if index < 0 or self.rows[index].series_id == COMPUTED:
            return
        menu = self.menu_of(index)
        menu.exec(event.globalPos())
        menu.deleteLater()

    def menu_of(self, index: int) -> QMenu:
        """The menu of a row."""
        one, key = self.rows[index], self.id_of(index)
        menu = QMenu(self)
        roles = menu.addMenu("It shows")
        group = QActionGroup(roles)
        for role, title in ROLES.items():
            if role == "fat_fraction":
                continue
            action = roles.addAction(title, lambda role=role: self._images.set_role(key, role))
            action.setCheckable(True)
            action.setChecked(one.role == role)
            group.addAction(action)
        if index:
            menu.addSeparator()
            menu.addAction("Take out of this case", lambda: self._images.remove(key))
        return menu

    def event(self, event: QEvent) -> bool:
        """Say what a press would do."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            index = self._at(event.pos().y())
            QToolTip.showText(event.globalPos(), self._tip(index, event.pos().x()), self)
            return True
        return super().event(event)

    def _tip(self, index: int, x: float) -> str:
        if index < 0:
            return ""
        one = self.rows[index]
        if x > self.width() - _ICON and len(self.rows) > 1:
            return "Compare it with the image shown: blended, or side by side"
        if one.series_id == COMPUTED:
            return "100 F / (W + F), voxel by voxel, in percent; 0 where water and fat are as dark as noise"
        if one.problem:
            return f"{one.key}\n{one.problem}\nWith the right button take it out of the case."
        same = index == 0 or (one.on_grid is not None and one.on_grid is one.volume)
        place = "" if same else "\nIt lies on a grid of its own and is shown in its place on that of the scan."
        how = "Press to look at it (T takes the next); with the right button say what it shows."
        return f"{one.title}\n{one.key}{place}\n{how}"

    def _at(self, y: float) -> int:
        index = int(y) // _ROW
        return index if 0 <= index < len(self.rows) else -1

    def _set_hover(self, index: int) -> None:
        if index != self._hover:
            self._hover = index
            self.update()

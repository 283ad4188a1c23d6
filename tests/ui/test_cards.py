import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QComboBox, QMainWindow, QTabWidget

from thighview.ui.cards import Card, Page, words


def test_a_page_out_of_sight_is_as_wide_as_its_window_when_it_comes_back(qtbot):
    tabs = QTabWidget()
    qtbot.addWidget(tabs)
    pages = [Page(), Page()]
    for page in pages:
        card = Card("People")
        card.body.addWidget(words("A line of words that is longer than the panel is wide, so that it is broken."))
        page.column.addWidget(card)
        page.column.addStretch(1)
        tabs.addTab(page, "page")
    tabs.resize(340, 400)
    with qtbot.waitExposed(tabs):
        tabs.show()
    tabs.setCurrentIndex(1)
    tabs.setCurrentIndex(0)
    for width in (480, 340):
        tabs.resize(width, 400)
        tabs.setCurrentIndex(1)
        for page in pages:
            print(page.widget().width(), page.viewport().width(), page.width())
        assert pages[1].widget().width() == pages[1].viewport().width()
        tabs.setCurrentIndex(0)
        assert pages[0].widget().width() == pages[0].viewport().width()


@pytest.mark.parametrize("key", [Qt.Key.Key_Return, Qt.Key.Key_Escape])
def test_a_list_that_was_clicked_gives_the_keys_back_and_one_reached_by_tab_keeps_them(qtbot, key):
    window, page, card, choice = QMainWindow(), Page(), Card("Model"), QComboBox()
    qtbot.addWidget(window)
    choice.addItems(["tissues", "groups"])
    card.body.addWidget(choice)
    page.column.addWidget(card)
    page.column.addStretch(1)
    window.setCentralWidget(page)
    window.resize(340, 400)
    window.show()
    window.activateWindow()
    qtbot.waitActive(window)
    qtbot.waitUntil(lambda: choice.focusPolicy() is Qt.FocusPolicy.StrongFocus)  # the page has found it

    QTest.mouseClick(choice, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(choice.view().isVisible)
    QTest.keyClick(choice.view(), Qt.Key.Key_Down)
    QTest.keyClick(choice.view(), key)
    qtbot.waitUntil(lambda: QApplication.focusWidget() is window)
    assert choice.currentText() == ("groups" if key == Qt.Key.Key_Return else "tissues")

    choice.setFocus(Qt.FocusReason.TabFocusReason)
    choice.showPopup()
    qtbot.waitUntil(choice.view().isVisible)
    QTest.keyClick(choice.view(), key)
    qtbot.waitUntil(lambda: QApplication.focusWidget() is choice)

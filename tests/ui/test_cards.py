from PySide6.QtWidgets import QTabWidget

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

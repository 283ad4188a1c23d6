"""The settings form: the model to start from is called gone only while it is."""

from dataclasses import replace

from pytestqt.qtbot import QtBot

from thighview.core.run import TrainConfig
from thighview.ui.train_form import TrainForm


def test_a_start_model_that_is_listed_later_is_not_gone(qtbot: QtBot) -> None:
    form = TrainForm()
    qtbot.addWidget(form)
    form.show_config(replace(TrainConfig(), start_from="/models/tissues"))
    assert "gone" in form.problem_text
    form.offer_models([("tissues", "/models/tissues")])
    assert form.problem_text == ""
    assert form.config().start_from == "/models/tissues"
    form.offer_models([])
    assert "gone" in form.problem_text

"""The network as OpenVINO computes it draws what Keras draws, and Keras draws where it cannot."""

import logging
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from thighview.core.phantom import make_phantom  # noqa: E402
from thighview.engine import openvino_form  # noqa: E402
from thighview.engine.openvino_form import SWITCH, computed_on, computing_on, fast_form, graph_of, is_used  # noqa: E402
from thighview.engine.predict import load_network, segment_volume  # noqa: E402
from thighview.engine.unet import build_network  # noqa: E402
from thighview.io.resources import resource  # noqa: E402

installed = pytest.mark.skipif(
    not is_used("CPU"), reason="needs pip install 'thighview[cpu]' and a processor that multiplies bfloat16"
)
PLANES = np.random.default_rng(3).normal(size=(2, 32, 48, 1)).astype(np.float32)


class Network:
    """Stands for a network: two classes by the sign of the pixels."""

    name = "made_up"

    def predict_on_batch(self, planes: np.ndarray) -> np.ndarray:
        return np.concatenate([planes, -planes], -1)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that is there and computes nothing."""
    monkeypatch.setattr(openvino_form, "_core", lambda: SimpleNamespace())


@installed
@pytest.mark.parametrize("name", ["thigh_tissues", "thigh_groups"])
def test_labels_are_those_of_keras(name: str) -> None:
    network, card = load_network(resource("models", name))
    volume = make_phantom(9100003, "t1", slices=6).volume
    form = fast_form(network, "CPU")
    slices = [2, 0, 3, 5, 1]  # the last batch is filled up
    wanted = segment_volume(volume, network, card, batch=2, slices=slices)
    found = segment_volume(volume, form, card, batch=2, slices=slices)
    assert form.quick and wanted.labels.any()
    assert (found.labels[slices] == wanted.labels[slices]).mean() >= 0.999
    assert not np.array_equal(found.uncertainty[slices[2:]], wanted.uncertainty[slices[2:]])  # it was another's answer
    np.testing.assert_allclose(found.uncertainty, wanted.uncertainty, atol=0.01)
    assert found.warnings == wanted.warnings


@installed
@pytest.mark.parametrize(
    ("architecture", "classes", "dropout"), [("unet", 3, 0.3), ("unet", 12, 0.0), ("seed_unet", 2, 0.0)]
)
def test_the_graph_is_the_network(architecture: str, classes: int, dropout: float) -> None:
    network: Any = build_network(architecture, classes, 4, 3, dropout)
    rng = np.random.default_rng(1)
    for weight in network.weights:  # norms and biases that do something
        weight.assign(weight + rng.normal(0, 0.3, weight.shape))
    program = openvino_form._core().compile_model(graph_of(network), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for planes in (PLANES, PLANES[:1, :16]):
        wanted = network(planes, training=False)
        np.testing.assert_allclose(program(planes)[0], wanted, rtol=1e-3, atol=1e-3)


@installed
def test_nobody_is_told_of_the_import() -> None:
    assert sys.modules["openvino_telemetry"] is None


@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_it_goes_on_alone_only_where_it_draws_the_same(wrong: int, monkeypatch: pytest.MonkeyPatch) -> None:
    network: Any = Network()
    other = network.predict_on_batch(PLANES)
    other[0, 0, :wrong] *= -1  # of about 1536 drawn: one may be wrong, two are too many
    asked: list[int] = []
    answers = [other, other, np.full_like(other, np.nan)]

    def compiled(planes: np.ndarray) -> list[np.ndarray]:
        asked.append(len(planes))
        return [answers[len(asked) - 1]]

    monkeypatch.setattr(openvino_form, "_core", lambda: SimpleNamespace())
    monkeypatch.setattr(openvino_form, "_compile", lambda _network: compiled)
    form = fast_form(network, "CPU")
    exact = network.predict_on_batch(PLANES)
    form.predict_on_batch(np.zeros_like(PLANES))  # nothing to compare by
    assert np.array_equal(form.predict_on_batch(PLANES), exact)
    assert form.quick is None and not asked  # no slice waits for it
    then = form.predict_on_batch(PLANES)
    assert form.quick is (wrong < 2) and np.array_equal(then, other if form.quick else exact)
    assert computed_on(form, "CPU") == ("CPU, OpenVINO" if form.quick else "CPU")
    for _ in range(2):  # an answer that is not finite, and never asked again
        assert np.array_equal(form.predict_on_batch(PLANES), exact) and not form.quick
    assert len(asked) == (3 if wrong < 2 else 1)


def test_pixels_without_a_label_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    network: Any = Network()
    empty = np.ones((6, *PLANES.shape[1:]), np.float32)  # background, and the same in both
    few, many = np.concatenate([PLANES[:1, :20], empty[:, :20]]), np.concatenate([PLANES, empty])
    monkeypatch.setattr(openvino_form, "_core", lambda: SimpleNamespace())

    def wrong_in_three(planes: np.ndarray) -> list[np.ndarray]:
        other = network.predict_on_batch(planes)
        other[0, 0, :3] *= -1
        return [other]

    monkeypatch.setattr(openvino_form, "_compile", lambda _network: wrong_in_three)
    form = fast_form(network, "CPU")
    for _ in range(3):
        form.predict_on_batch(few)
    assert form.quick is None, "too little is drawn to tell"
    form.predict_on_batch(many)
    form.predict_on_batch(many)
    assert form.quick is False


def test_keras_answers_where_openvino_fails(broken: None, caplog: pytest.LogCaptureFixture) -> None:
    network: Any = Network()
    form = fast_form(network, "CPU")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert np.array_equal(form.predict_on_batch(PLANES), network.predict_on_batch(PLANES))
    (record,) = caplog.records
    assert record.getMessage().startswith("OpenVINO cannot compute the network made_up, Keras does: ")


def test_not_used_on_a_gpu_or_where_it_is_switched_off(broken: None, monkeypatch: pytest.MonkeyPatch) -> None:
    network: Any = Network()
    assert fast_form(network, "NVIDIA H200") is network and computing_on("NVIDIA H200") == "NVIDIA H200"
    assert fast_form(network, "CPU") is not network and computing_on("CPU") == "CPU, OpenVINO"
    monkeypatch.setenv(SWITCH, "0")
    assert fast_form(network, "CPU") is network and computing_on("CPU") == "CPU"
    monkeypatch.delenv(SWITCH)
    monkeypatch.setattr(openvino_form, "_core", lambda: None)
    assert fast_form(network, "CPU") is network and computing_on("CPU") == "CPU"

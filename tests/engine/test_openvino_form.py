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
from thighview.engine.openvino_form import ALIKE, SWITCH, computing_on, fast_form, library_for  # noqa: E402
from thighview.engine.predict import load_network, segment_volume  # noqa: E402
from thighview.engine.unet import build_network  # noqa: E402
from thighview.io.resources import resource  # noqa: E402

installed = pytest.mark.skipif(library_for("CPU") is None, reason="needs pip install 'thighview[cpu]'")
PLANES = np.random.default_rng(3).normal(size=(2, 32, 48, 1)).astype(np.float32)


@pytest.fixture
def network() -> Any:
    return build_network("unet", 3, 4, 3)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that is there and computes nothing."""
    monkeypatch.setattr(openvino_form, "_library", lambda: SimpleNamespace())
    monkeypatch.setattr(openvino_form, "_core", lambda: SimpleNamespace())


@installed
@pytest.mark.parametrize("name", ["thigh_tissues", "thigh_groups"])
def test_labels_are_those_of_keras(name: str) -> None:
    network, card = load_network(resource("models", name))
    volume = make_phantom(9100003, "t1", slices=6).volume
    form = fast_form(network, "CPU")
    slices = [0, 2, 3, 5, 1]  # the last batch is filled up
    wanted = segment_volume(volume, network, card, batch=2, slices=slices)
    found = segment_volume(volume, form, card, batch=2, slices=slices)
    assert form.kind in ("f32", "bf16") and wanted.labels.any()
    assert (found.labels == wanted.labels).mean() >= ALIKE
    assert found.warnings == wanted.warnings
    np.testing.assert_allclose(found.uncertainty, wanted.uncertainty, atol=0.01)


@installed
@pytest.mark.parametrize(
    ("architecture", "classes", "more"),
    [("unet", 3, {"dropout": 0.3}), ("seed_unet", 2, {}), ("seed_unet", 2, {"with_sigmoid": True})],
)
def test_float32_gives_the_same_numbers(
    architecture: str, classes: int, more: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    network: Any = build_network(architecture, classes, 4, 3, **more)
    monkeypatch.setattr(openvino_form, "_multiplies_bfloat16", lambda: False)
    for layer in network.layers:  # norms and biases that do something
        for weight in layer.weights:
            weight.assign(weight + np.random.default_rng(1).normal(0, 0.3, weight.shape))
    form = fast_form(network, "CPU")
    for planes in (PLANES, PLANES[:1, :16], PLANES):
        np.testing.assert_allclose(
            form.predict_on_batch(planes), network.predict_on_batch(planes), rtol=1e-3, atol=1e-3
        )
    assert form.kind == "f32"


@installed
def test_bfloat16_only_where_it_draws_the_same(network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = network.predict_on_batch(PLANES)
    answers = {"f32": exact, "bf16": exact}
    asked: list[str] = []

    def compute(_form: Any, _planes: Any, kind: str) -> np.ndarray:
        asked.append(kind)
        return answers[kind]

    monkeypatch.setattr(openvino_form._Form, "_compute", compute)
    monkeypatch.setattr(openvino_form, "_multiplies_bfloat16", lambda: True)
    form = fast_form(network, "CPU")
    form.predict_on_batch(np.zeros_like(PLANES))  # nothing to compare by
    form.predict_on_batch(PLANES)
    form.predict_on_batch(PLANES)
    assert asked == ["f32", "f32", "bf16", "bf16"] and form.kind == "bf16"
    answers["bf16"] = np.full_like(exact, np.nan)
    assert np.array_equal(form.predict_on_batch(PLANES), exact) and form.kind == "f32"

    asked.clear()
    answers["bf16"] = exact.copy()
    answers["bf16"][0, 0, :4] = -exact[0, 0, :4]  # 4 of 3072 pixels: other labels on more than one of a thousand
    form = fast_form(network, "CPU")
    assert np.array_equal(form.predict_on_batch(PLANES), exact)
    form.predict_on_batch(PLANES)
    assert asked == ["f32", "bf16", "f32"] and form.kind == "f32"


@installed
def test_programs_are_kept_for_one_shape(network: Any) -> None:
    fast_form(network, "CPU").predict_on_batch(PLANES)
    kept = dict(openvino_form._programs[network])
    fast_form(network, "CPU").predict_on_batch(PLANES)
    assert openvino_form._programs[network] == kept
    fast_form(network, "CPU").predict_on_batch(PLANES[:1])
    assert {shape for shape, _ in openvino_form._programs[network]} == {(1, 32, 48, 1)}


@installed
def test_nobody_is_told_of_the_import() -> None:
    assert sys.modules["openvino_telemetry"] is None


def test_keras_answers_where_openvino_fails(network: Any, broken: None, caplog: pytest.LogCaptureFixture) -> None:
    form = fast_form(network, "CPU")
    assert form is not network
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert np.array_equal(form.predict_on_batch(PLANES), network.predict_on_batch(PLANES))
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "OpenVINO cannot compute the network unet, Keras does"
    ]


def test_not_used_on_a_gpu_or_where_it_is_switched_off(
    network: Any, broken: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fast_form(network, "NVIDIA H200") is network and computing_on("NVIDIA H200") == "NVIDIA H200"
    assert computing_on("CPU") == "CPU, OpenVINO"
    monkeypatch.setenv(SWITCH, "0")
    assert fast_form(network, "CPU") is network and computing_on("CPU") == "CPU"

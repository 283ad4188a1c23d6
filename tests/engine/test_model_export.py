"""Models for use elsewhere: read back by Keras itself, and never half there."""

import json
from pathlib import Path

import numpy as np
import pytest
from keras2_file import seed_layers, write_keras2

from thighview.core.errors import UserError
from thighview.core.labels import Label, LabelTable
from thighview.io.model_card import ModelCard
from thighview.io.models import ModelEntry, read_weights, write_model

keras = pytest.importorskip("keras")

from thighview.engine.model_export import export_model  # noqa: E402
from thighview.engine.old_weights import Wanted, import_old_weights  # noqa: E402
from thighview.engine.predict import load_network, probabilities  # noqa: E402
from thighview.engine.unet import build_network, weights_of  # noqa: E402

PICTURE = np.random.default_rng(1).random((1, 32, 48, 1), np.float32)


@pytest.fixture
def seed_model(tmp_path: Path) -> ModelEntry:
    file = write_keras2(tmp_path / "old.h5", seed_layers())
    folder = tmp_path / "models" / "old"
    return ModelEntry(import_old_weights(file, folder, Wanted("old", input_size=64)), folder, "user")


@pytest.fixture
def box_model(tmp_path: Path) -> ModelEntry:
    table = LabelTable((Label(1, "thigh"), Label(2, "bone")))
    card = ModelCard("tiny", "unet", 4, 3, 0.0, ("background", "thigh", "bone"), table, False, 1.0, 32)
    folder = tmp_path / "models" / "tiny"
    return ModelEntry(write_model(folder, card, weights_of(build_network("unet", 3, 4, 3))), folder, "user")


def probability(model: ModelEntry) -> np.ndarray:
    network, _ = load_network(model.folder)
    return probabilities(np.asarray(network.predict_on_batch(PICTURE)))[..., 1:]


def test_h5_is_loaded_by_keras_in_layer_order(seed_model: ModelEntry, tmp_path: Path) -> None:
    out = export_model(seed_model, tmp_path / "again.h5", "h5")
    fresh = build_network("seed_unet", 2, 4, 3, 0.5, with_sigmoid=True)
    fresh.load_weights(out)
    assert np.abs(np.asarray(fresh.predict_on_batch(PICTURE)) - probability(seed_model)).max() < 1e-6
    facts = json.loads((tmp_path / "again.h5.json").read_text())
    assert facts["output"]["meaning"] == "probability of outer_surface" and facts["card"]["name"] == "old"
    assert facts["input"]["edges_multiple_of"] == 4 and "0..1" in facts["input"]["numbers"]
    card = import_old_weights(out, tmp_path / "back", Wanted("back"))
    there, back = read_weights(seed_model.folder, seed_model.card), read_weights(tmp_path / "back", card)
    assert there.keys() == back.keys() and all(np.array_equal(there[k], back[k]) for k in there)


def test_h5_of_the_other_network(box_model: ModelEntry, tmp_path: Path) -> None:
    fresh = build_network("unet", 3, 4, 3)
    fresh.load_weights(export_model(box_model, tmp_path / "m.h5", "h5"))
    network, _ = load_network(box_model.folder)
    assert np.array_equal(network.predict_on_batch(PICTURE), fresh.predict_on_batch(PICTURE))


def test_a_saved_model_answers_as_the_model(seed_model: ModelEntry, tmp_path: Path) -> None:
    if keras.backend.backend() != "tensorflow":
        pytest.skip("SavedModel is TensorFlow's")
    out = export_model(seed_model, tmp_path / "saved", "savedmodel")
    layer = keras.layers.TFSMLayer(str(out), call_endpoint="serve")
    assert np.abs(np.asarray(layer(PICTURE)) - probability(seed_model)).max() < 1e-5
    first = (out / "saved_model.pb").stat().st_ino
    export_model(seed_model, out, "savedmodel")
    assert (out / "saved_model.pb").stat().st_ino != first, "an earlier one is replaced"
    assert {p.name for p in tmp_path.iterdir()} == {"old.h5", "models", "saved", "saved.json"}


@pytest.mark.filterwarnings("ignore:In the future .np.object:FutureWarning")  # of Keras, as it calls tf2onnx
def test_onnx_names_the_extra_to_install(seed_model: ModelEntry, tmp_path: Path) -> None:
    try:
        import onnxruntime
        import tf2onnx  # noqa: F401
    except ImportError:
        with pytest.raises(UserError, match=r"thighview\[onnx\]"):
            export_model(seed_model, tmp_path / "m.onnx", "onnx")
        assert not list(tmp_path.glob("m.onnx*"))
        return
    out = export_model(seed_model, tmp_path / "m.onnx", "onnx")
    session = onnxruntime.InferenceSession(str(out))
    (found,) = session.run(None, {session.get_inputs()[0].name: PICTURE})
    assert np.abs(found - probability(seed_model)).max() < 1e-5


def test_refusals_leave_what_was_there(seed_model: ModelEntry, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    before = sorted(tmp_path.rglob("*"))
    for name, form, words in (
        ("a.hdf5", "h5", "ends in .h5"), ("a.h5", "keras", "format"), ("nowhere/a.h5", "h5", "not there"),
        ("full", "savedmodel", "no SavedModel"), ("old.h5", "savedmodel", "no SavedModel"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=words):
            export_model(seed_model, tmp_path / name, form)
    assert sorted(tmp_path.rglob("*")) == before

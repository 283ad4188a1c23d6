"""Weights of the seed's time: taken by topology, refused with the first mismatch, and never run."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from keras2_file import TRAINING, Layers, description, seed_layers, with_silent, write_keras2
from tiny_project import make_project

from thighview.core.errors import UserError
from thighview.core.labels import Label, LabelTable
from thighview.core.run import RunEvent, Started, TrainConfig
from thighview.engine import old_file
from thighview.engine.old_file import read_apart, read_old_file
from thighview.engine.old_seed import seed_weights
from thighview.engine.old_training import BATCH_DICE, EXACT, warnings_of_training
from thighview.io.model_card import ModelCard
from thighview.io.models import read_card, read_weights

keras = pytest.importorskip("keras")

from thighview.engine.old_weights import Wanted, import_old_weights  # noqa: E402
from thighview.engine.predict import load_network, probabilities  # noqa: E402
from thighview.engine.train import train_main  # noqa: E402


def answer_by_hand(layers: Layers, levels: int, picture: np.ndarray, dropout: bool = False) -> np.ndarray:
    """The original network, written out anew and filled by position: probabilities of the label."""
    from keras import layers as kl

    arrays = [a for _, a in layers if a]
    made: list[Any] = []

    def conv(x: Any, activation: str = "relu") -> Any:
        kernel = arrays[len(made)][0]
        made.append(kl.Conv2D(kernel.shape[3], kernel.shape[:2], padding="same", activation=activation))
        return made[-1](x)

    image = keras.Input((None, None, 1))
    x, skips = image, []
    for level in range(levels):
        x = conv(conv(x))
        if dropout and level >= levels - 2:
            x = kl.Dropout(0.5)(x)
        if level < levels - 1:
            skips.append(x)
            x = kl.MaxPooling2D((2, 2))(x)
    while skips:
        x = conv(kl.UpSampling2D((2, 2))(x))
        x = conv(conv(kl.concatenate([skips.pop(), x], axis=3)))
    while len(made) < len(arrays) - 1:
        x = conv(x)
    network = keras.Model(image, conv(x, "sigmoid"))
    for layer, pair in zip(made, arrays, strict=True):
        layer.set_weights(pair)
    return np.asarray(network.predict_on_batch(picture))


def picture(edge: int = 32) -> np.ndarray:
    return np.random.default_rng(5).random((2, edge, edge, 1), np.float32)


def take(path: Path, tmp_path: Path, **more: Any) -> tuple[ModelCard, np.ndarray]:
    """Import a file; its card, and the label's probability on the picture."""
    folder = tmp_path / "imported"
    card = import_old_weights(path, folder, Wanted("old one", **more))
    assert card == read_card(folder)
    network, _ = load_network(folder)
    return card, probabilities(np.asarray(network.predict_on_batch(picture())))[..., 1:]


@pytest.mark.parametrize(("base", "levels", "bottleneck"), [(4, 3, True), (8, 5, True), (4, 4, False)])
def test_weights_alone_answer_as_the_original(base: int, levels: int, bottleneck: bool, tmp_path: Path) -> None:
    layers = seed_layers(base, levels, bottleneck, first=11)
    path = write_keras2(tmp_path / "unet_membrane.hdf5", with_silent(layers))
    card, found = take(path, tmp_path)
    assert (card.architecture, card.base_filters, card.levels) == ("seed_unet", base, levels)
    assert (card.input_size, card.classes, card.normalisation) == (512, ("background", "outer_surface"), "unit")
    wanted = answer_by_hand(layers, levels, picture())
    assert wanted.std() > 1e-3, "the comparison would mean nothing on a flat answer"
    assert np.abs(found - wanted).max() < 1e-6
    sha = hashlib.sha256(path.read_bytes()).hexdigest()
    assert card.lineage["imported"]["sha256"] == sha and sha[:12] in card.statement and path.name in card.statement
    assert ("no 2-filter layer" in card.statement) == (not bottleneck)


def test_a_whole_model_with_dropout_and_its_training(tmp_path: Path) -> None:
    layers = seed_layers()
    path = write_keras2(tmp_path / "best.h5", with_silent(layers), description(layers), TRAINING)
    card, found = take(path, tmp_path, label="Vasti left", spacing_mm=0.8)
    assert np.abs(found - answer_by_hand(layers, 3, picture(), dropout=True)).max() < 1e-6
    assert (card.dropout, card.input_size, card.spacing_mm) == (0.5, 64, 0.8)
    assert [label.key for label in card.labels] == ["vasti_left"]
    assert EXACT in card.warnings and any("Adam, 0.0002." in said for said in card.warnings)
    assert card.lineage["training"]["metrics"] == ["accuracy"]
    assert import_with_size(path, tmp_path, 128).input_size == 128, "what the person says counts"


def import_with_size(path: Path, tmp_path: Path, size: int) -> ModelCard:
    return import_old_weights(path, tmp_path / f"of {size}", Wanted("sized", input_size=size))


@pytest.mark.parametrize(("signs", "said"), [((1, 1), "background"), ((-1, -1), "label"), ((1, -1), "")])
def test_a_head_that_answers_on_one_side_only_is_told(signs: tuple[int, int], said: str, tmp_path: Path) -> None:
    layers = seed_layers()
    layers[-1][1][0] = np.array(signs, np.float32).reshape(1, 1, 2, 1)
    card, _ = take(write_keras2(tmp_path / "a.h5", layers), tmp_path)
    found = [sentence for sentence in card.warnings if "cannot be sure of" in sentence]
    assert bool(found) == bool(said) and all(said in sentence for sentence in found)


def test_half_and_double_precision_and_packed_files_are_read(tmp_path: Path) -> None:
    layers = seed_layers()
    for kind in (np.float16, np.float64):
        path = write_keras2(tmp_path / f"{kind.__name__}.h5", [(n, [a.astype(kind) for a in w]) for n, w in layers])
        read = read_apart(path)
        assert all(a.dtype == np.float32 for layer in read.layers for a in layer.arrays)
        assert np.array_equal(read.layers[3].arrays[0], layers[3][1][0].astype(kind).astype(np.float32))
    packed = write_keras2(tmp_path / "packed.h5", layers)
    with h5py.File(packed, "a") as file:
        del file["conv2d_1/conv2d_1/kernel:0"]
        file["conv2d_1"].create_dataset("conv2d_1/kernel:0", data=layers[0][1][0], compression="gzip", shuffle=True)
    assert np.array_equal(read_apart(packed).layers[0].arrays[0], layers[0][1][0])


def test_a_long_list_of_layers_is_cut_into_pieces(tmp_path: Path) -> None:
    layers = seed_layers()
    path = write_keras2(tmp_path / "a.h5", layers)
    with h5py.File(path, "a") as file:
        names = list(file.attrs["layer_names"])
        del file.attrs["layer_names"]
        file.attrs["layer_names0"], file.attrs["layer_names1"] = names[:5], names[5:]
    assert [layer.name for layer in read_apart(path).layers] == [name for name, _ in layers]


# ------------------------------------------------------------------ another network


def cut(at: int) -> Callable[[Layers], Layers]:
    return lambda layers: [*layers[:at], *layers[at + 1 :]]


def put(at: int, name: str, *shapes: tuple[int, ...]) -> Callable[[Layers], Layers]:
    new = (name, [np.zeros(shape, np.float32) for shape in shapes])
    return lambda layers: [*layers[:at], new, *layers[at:]]


def instead(at: int, *shapes: tuple[int, ...]) -> Callable[[Layers], Layers]:
    return lambda layers: put(at, layers[at][0], *shapes)(cut(at)(layers))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (instead(4, (3, 3, 8, 15), (15,)), ("Layer 5", "'conv2d_5'", "(3, 3, 8, 16)", "(3, 3, 8, 15)")),
        (instead(2, (3, 3, 4, 8), (7,)), ("Layer 3", "bias", "(8,)", "(7,)")),
        (instead(6, (3, 3, 16, 8), (8,)), ("Layer 7", "(2, 2, 16, 8)")),
        (instead(0, (3, 3, 3, 4), (4,)), ("3 images per slice",)),
        (instead(0, (3, 3, 1, 100), (100,)), ("100 filters",)),
        (instead(0, (10, 4), (4,)), ("first layer should be a convolution", "(10, 4)")),
        (instead(3, (3, 3, 8, 8)), ("'conv2d_4'", "found 1 arrays")),
        (cut(3), ("Layer 4", "'conv2d_5'")),
        (cut(12), ("Layer 13", "(3, 3, 4, 2)", "(1, 1, 2, 1)")),
        (cut(13), ("ends too early", "expected 14", "found 13", "head")),
        (put(1, "batch_normalization_1", (4,), (4,), (4,), (4,)), ("Layer 2", "found 4 arrays")),
        (put(14, "conv2d_99", (1, 1, 1, 1), (1,)), ("goes on after", "'conv2d_99'")),
        (lambda layers: layers[:4], ("no up-convolution",)),
        (lambda layers: [], ("no layer with weights",)),
        (instead(13, (1, 1, 2, 3), (3,)), ("Layer 14", "(1, 1, 2, 1)", "(1, 1, 2, 3)")),
    ],
)
def test_the_first_mismatch_is_named(change: Any, words: tuple[str, ...], tmp_path: Path) -> None:
    path = write_keras2(tmp_path / "other.h5", change(seed_layers()))
    with pytest.raises(UserError) as refusal:
        seed_weights(read_old_file(path).layers)
    assert all(word in str(refusal.value) for word in words), refusal.value


@pytest.mark.parametrize(
    ("setting", "word"),
    [({"activation": "elu"}, "'elu'"), ({"padding": "valid"}, "'valid'"), ({"strides": [2, 2]}, "[2, 2]")],
)
def test_a_setting_that_kernels_cannot_show_is_named(setting: dict[str, Any], word: str, tmp_path: Path) -> None:
    layers = seed_layers()
    path = write_keras2(tmp_path / "a.h5", layers, description(layers, **setting))
    with pytest.raises(UserError, match="'conv2d_3'") as refusal:
        import_old_weights(path, tmp_path / "model", Wanted("other"))
    assert word in str(refusal.value)


def test_branches_joined_in_the_other_order_are_refused(tmp_path: Path) -> None:
    layers = seed_layers()
    row: dict[str, Any] = {"class_name": "Concatenate", "config": {"name": "concatenate_1", "axis": 3}}
    row["inbound_nodes"] = [[["conv2d_4", 0, 0, {}], ["conv2d_7", 0, 0, {}]]]
    take(write_keras2(tmp_path / "a.h5", layers, description(layers, [row])), tmp_path)
    row["inbound_nodes"] = [[["conv2d_7", 0, 0, {}], ["conv2d_4", 0, 0, {}]]]
    with pytest.raises(UserError, match="'concatenate_1' joins 'conv2d_7' first"):
        import_old_weights(
            write_keras2(tmp_path / "b.h5", layers, description(layers, [row])), tmp_path / "b", Wanted("b")
        )


# ------------------------------------------------------------------ hostile files


def test_code_in_the_description_is_never_run(tmp_path: Path) -> None:
    layers, canary = seed_layers(), tmp_path / "canary"
    code = f"import pathlib; pathlib.Path({str(canary)!r}).touch()"
    rows = [
        {"class_name": "Lambda", "config": {"name": "lambda_1", "function": [code, None, None], "module": "os"}},
        {"module": "os", "class_name": "system", "config": {"name": f"touch {canary}"}},
    ]
    training = {"loss": {"class_name": "__lambda__", "config": {"name": code}}, "metrics": [code]}
    card, _ = take(write_keras2(tmp_path / "a.h5", layers, description(layers, rows), training), tmp_path)
    assert not canary.exists()
    assert any("'lambda_1' of the kind Lambda" in said and "nothing of it is run" in said for said in card.warnings)


def test_a_description_that_is_no_json_leaves_the_shapes(tmp_path: Path) -> None:
    path = write_keras2(tmp_path / "a.h5", seed_layers(), "x")
    for text in ("[" * 100_000, "{", "[]"):
        with h5py.File(path, "a") as file:
            file.attrs["model_config"] = text
        assert read_apart(path).model_config == {"unreadable": True}


def nan(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file["conv2d_2/conv2d_2/kernel:0"][0, 0, 0, 0] = np.nan


def huge(path: Path) -> None:
    remade(path, lambda group, name: group.create_dataset(name, shape=(1 << 20, 1 << 14), dtype="f4"))


def empty_claim(path: Path) -> None:
    remade(path, lambda group, name: group.create_dataset(name, shape=(3, 3, 1, 4096), dtype="f4"))


def whole_numbers(path: Path) -> None:
    remade(path, lambda group, name: group.create_dataset(name, data=np.zeros((3, 3, 1, 4), np.int32)))


def many_axes(path: Path) -> None:
    remade(path, lambda group, name: group.create_dataset(name, data=np.zeros((1,) * 9, np.float32)))


def external(path: Path) -> None:
    (path.parent / "secret").write_bytes(bytes(1000))
    stored = [(str(path.parent / "secret"), 0, 144)]
    remade(path, lambda group, name: group.create_dataset(name, (3, 3, 1, 4), "f4", external=stored))


def virtual(path: Path) -> None:
    layout = h5py.VirtualLayout((3, 3, 1, 4), "f4")
    layout[:] = h5py.VirtualSource(str(path), "conv2d_2/conv2d_2/kernel:0", (3, 3, 4, 4))[:, :, :1]
    remade(path, lambda group, name: group.create_virtual_dataset(name, layout))


def soft_link(path: Path) -> None:
    remade(path, lambda group, name: group.__setitem__(name, h5py.SoftLink("/conv2d_2/conv2d_2/kernel:0")))


def external_link(path: Path) -> None:
    remade(path, lambda group, name: group.__setitem__(name, h5py.ExternalLink("other.h5", "/x")))


def gone(path: Path) -> None:
    remade(path, lambda group, name: None)


def group_for_array(path: Path) -> None:
    remade(path, lambda group, name: group.create_group(name))


def remade(path: Path, make: Callable[[Any, str], object]) -> None:
    with h5py.File(path, "a") as file:
        del file["conv2d_1/conv2d_1/kernel:0"]
        make(file["conv2d_1"], "conv2d_1/kernel:0")


def deep_name(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file["conv2d_1"].attrs["weight_names"] = [b"a/" * 200 + b"b"]


def climbing_name(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file["conv2d_1"].attrs["weight_names"] = [b"../conv2d_2/conv2d_2/kernel:0"]


def numbers_for_names(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file.attrs["layer_names"] = np.arange(5)


def too_many_names(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for k in range(3):
            file.attrs[f"layer_names{k}"] = [b"a"] * 2000


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def scratched(path: Path) -> None:
    """The root group is overwritten; the size is right."""
    sound = path.read_bytes()
    path.write_bytes(sound[:48] + b"\x55" * 400 + sound[448:])


def no_file(path: Path) -> None:
    path.unlink()


def other_bytes(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04" + bytes(3000))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def keras_three(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("layers/conv2d/vars/0", data=np.zeros((3, 3, 1, 4)))


def of_theano(path: Path) -> None:
    write_keras2(path, seed_layers(), backend="theano")


def of_keras_one(path: Path) -> None:
    write_keras2(path, seed_layers(), version="1.2.2")


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (nan, "'conv2d_2' are not finite"), (huge, "declares"), (empty_claim, "and holds 0"),
        (whole_numbers, "floating point"), (many_axes, "has the shape"), (external, "another file"),
        (virtual, "another file"), (soft_link, "is a link"), (external_link, "is a link"), (gone, "not there"),
        (group_for_array, "no array"), (deep_name, "none"), (climbing_name, "none"),
        (numbers_for_names, "list of names"),
        (too_many_names, "list of names"), (no_file, "There is no file"),
        (truncated, "a.h5 is cut short: its end is missing."),
        (other_bytes, "a.h5 is no HDF5 file."), (empty, "a.h5 is empty."), (keras_three, "Keras 3"),
        (scratched, "a.h5 is damaged: it cannot be read to its end."),
        (of_theano, "theano"), (of_keras_one, "Keras 1.2.2"),
    ],
)  # fmt: skip
def test_hostile_and_damaged_files_are_refused(harm: Callable[[Path], None], words: str, tmp_path: Path) -> None:
    path = write_keras2(tmp_path / "a.h5", seed_layers())
    harm(path)
    with pytest.raises(UserError) as refusal:
        import_old_weights(path, tmp_path / "model", Wanted("other"))
    assert words in str(refusal.value), refusal.value
    assert not (tmp_path / "model").exists()


def test_a_reader_that_dies_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_keras2(tmp_path / "a.h5", seed_layers())
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(UserError, match="the process that read it ended"):
        read_apart(path)


def test_bit_flips_never_give_more_than_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the structure of the file: the library that reads it may hang or die of one, the program does not."""
    monkeypatch.setattr(old_file, "SECONDS", 5)
    path = write_keras2(tmp_path / "a.h5", seed_layers(4, 2))
    sound, rng, refused = path.read_bytes(), np.random.default_rng(3), 0
    for _ in range(12):
        flipped = bytearray(sound)
        for at in rng.integers(0, min(len(sound), 6000), 8):
            flipped[at] ^= 1 << rng.integers(8)
        path.write_bytes(flipped)
        try:
            read_apart(path)
        except UserError:
            refused += 1
    assert refused > 6


def test_a_taken_folder_stays_as_it_is(tmp_path: Path) -> None:
    path = write_keras2(tmp_path / "a.h5", seed_layers())
    folder = tmp_path / "full"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="there already"):
        import_old_weights(path, folder, Wanted("other"))
    assert [p.name for p in folder.iterdir()] == ["mine.txt"]
    for label in ("", "background", "x" * 100):
        with pytest.raises(UserError, match="label"):
            import_old_weights(path, tmp_path / "model", Wanted("other", label))
    with pytest.raises(UserError, match="multiple of 4"):
        import_old_weights(path, tmp_path / "model", Wanted("other", input_size=66))
    assert not (tmp_path / "model").exists()


# ------------------------------------------------------------------ what the training said


def test_only_the_class_accuracy_is_exact_equality() -> None:
    said = warnings_of_training
    assert EXACT in said(TRAINING)
    wrapped = {"class_name": "MeanMetricWrapper", "config": {"name": "accuracy", "fn": "binary_accuracy"}}
    newer = {
        "module": "keras.metrics",
        "class_name": "Accuracy",
        "config": {"name": "accuracy"},
        "registered_name": None,
    }
    assert said({"metrics": ["accuracy"]}) == said({"metrics": [wrapped]}) == said({}) == []
    assert said({"metrics": [newer]}) == [EXACT]


def test_a_dice_that_is_a_function_is_batch_dice() -> None:
    for metric in (
        "dice_accuracy",
        {"class_name": "MeanMetricWrapper", "config": {"name": "dice_coef", "fn": "dice_coef"}},
        {"class_name": "function", "config": "dice_coef"},
    ):
        found = warnings_of_training({"metrics": [[metric]]})
        name = "dice_accuracy" if metric == "dice_accuracy" else "dice_coef"
        assert found == [BATCH_DICE.format(name=name)]


def test_a_schedule_is_no_constant_rate() -> None:
    schedule = {"class_name": "ExponentialDecay", "config": {"initial_learning_rate": 0.1}}
    assert (
        warnings_of_training({"optimizer_config": {"class_name": "Adam", "config": {"learning_rate": schedule}}}) == []
    )
    old = {"optimizer_config": {"class_name": "Adam", "config": {"lr": 0.0002}}}
    assert "0.0002" in warnings_of_training(old)[0]


def test_descriptions_of_any_shape_do_no_harm() -> None:
    endless: Any = "x"
    for _ in range(500):
        endless = [endless]
    for config in (
        {"metrics": endless}, {"metrics": 5, "loss": None, "optimizer_config": []}, {"optimizer_config": {"config": 3}},
        {"metrics": {"a": [{"class_name": 3}]}}, {"metrics": ["m"] * 10_000},
    ):  # fmt: skip
        assert isinstance(json.dumps(warnings_of_training(config)), str)


def test_the_weights_are_those_of_the_file(tmp_path: Path) -> None:
    layers = seed_layers()
    folder = tmp_path / "m"
    card = import_old_weights(write_keras2(tmp_path / "a.h5", layers), folder, Wanted("m"))
    weights = read_weights(folder, card)
    assert np.array_equal(weights["down1_conv1/kernel"], layers[0][1][0])
    assert np.array_equal(weights["up2_conv0/kernel"], layers[6][1][0])
    assert np.array_equal(weights["head/bias"], layers[-1][1][1])


def test_a_run_from_old_weights_feeds_them_the_same_numbers_and_says_their_doubts(tmp_path: Path) -> None:
    layers = seed_layers()
    layers[-1][1][0] = np.full((1, 1, 2, 1), 0.5, np.float32)
    folder = tmp_path / "old"
    import_old_weights(write_keras2(tmp_path / "a.h5", layers), folder, Wanted("old one", "thigh", 32))
    project = make_project(tmp_path, 1, table=LabelTable((Label(1, "thigh"),)))
    config = TrainConfig(epochs=1, batch_size=4, input_size=32, architecture="seed_unet", learning_rate=1e-6)
    said: list[RunEvent] = []
    card = read_card(train_main(project, "on", config, str(folder), said.append))
    assert (card.normalisation, card.base_filters) == ("unit", 4)
    note = next(event.note for event in said if isinstance(event, Started))
    assert "old one: This network cannot be sure of background" in note and "old one: Who it was trained on" in note
    (head,) = card.warnings
    assert head.startswith("This network cannot be sure of background: both weights of its head have the same sign.")

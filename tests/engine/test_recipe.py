"""A recipe: checked, repeatable, able to go on after a stop and to learn; and what the model of the box can do."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PySide6.QtGui import QImage

from thighview.core.errors import UserError
from thighview.core.phantom import make_phantom
from thighview.core.phantom_names import CONTRASTS, GROUPS, TISSUES, TRUTHS, group_table
from thighview.core.planes import Plane
from thighview.core.run import BatchEnded, EpochEnded, Finished, RunEvent, Started
from thighview.engine.phantom_batches import _as_acquired, _plain_share, _ringing, ahead, guard_batch, training_batch
from thighview.engine.predict import load_network, segment_volume
from thighview.engine.preprocess import plane_grid
from thighview.engine.recipe import build_from_recipe
from thighview.engine.recipe_config import Recipe, read_recipe
from thighview.engine.sides import find_sides
from thighview.engine.unet import build_network
from thighview.io.model_card import ModelCard
from thighview.io.models import find_models, read_card, read_weights
from thighview.io.reading import read_volume
from thighview.io.resources import resource

SCREENS = Path(__file__).parents[2] / ".screens"
_BOX = resource("models", "thigh_tissues")


@pytest.fixture(scope="module")
def box() -> tuple[keras.Model, ModelCard]:
    """The model of the box, loaded and compiled once."""
    return load_network(_BOX)


def _mini(epochs: int = 2, steps: int = 3, name: str = "thigh_tissues") -> Recipe:
    recipe = read_recipe(name)
    train = replace(recipe.train, epochs=epochs, batch_size=2, input_size=64, base_filters=4, levels=3, spacing_mm=3.0)
    test = replace(recipe.test, phantoms_per_contrast=0)
    return replace(
        recipe, train=train, steps_per_epoch=steps, people=8, slice_size=(64, 128), guard_slices=2, test=test
    )


def test_a_batch_follows_from_seed_and_step() -> None:
    recipe = _mini()
    image, tissues = training_batch(recipe, 3)
    again, again_tissues = training_batch(recipe, 3)
    assert image.tobytes() == again.tobytes()
    assert tissues.tobytes() == again_tissues.tobytes()
    other, _ = training_batch(recipe, 4)
    assert not np.array_equal(other, image)
    assert image.dtype == np.float32
    assert np.isfinite(image).all()
    assert tissues.max() <= len(TISSUES)


def test_a_batch_of_groups_follows_from_seed_and_step_too() -> None:
    recipe = _mini(name="thigh_groups")
    seen: set[int] = set()
    for step in range(6):
        image, labels = training_batch(recipe, step)
        assert image.shape == (*labels.shape, 1) and image.dtype == np.float32
        assert np.isfinite(image).all() and np.abs(image).max() < 50
        seen |= set(np.unique(labels).tolist())
    again, again_labels = training_batch(recipe, 5)
    assert (image.tobytes(), labels.tobytes()) == (again.tobytes(), again_labels.tobytes())
    assert seen == set(range(len(GROUPS) + 1))
    assert recipe.classes == ("background", *GROUPS)
    assert not np.array_equal(guard_batch(recipe)[1], training_batch(recipe, 0)[1])


def test_plain_people_come_first_and_become_few() -> None:
    recipe = _mini(epochs=10, steps=10, name="thigh_groups")
    shares = [_plain_share(recipe, step) for step in range(recipe.steps)]
    assert shares[0] == 1.0
    assert shares == sorted(shares, reverse=True)
    assert shares[50] == shares[-1] == pytest.approx(0.1)


def test_a_field_of_view_that_ends_ends_for_the_labels_too() -> None:
    image, labels = np.ones((64, 96), np.float32), np.ones((64, 96), np.uint8)
    air = np.zeros((64, 96), bool)
    cut = 0
    for seed in range(40):
        worse, kept = _as_acquired(image, labels, air, np.random.default_rng(seed))
        outside = kept == 0
        assert (worse[outside] == 0).all()
        assert (worse[~outside] > 0.3).all()  # ringing dips at an edge of the picture, folding adds
        cut += bool(outside.any())
    assert 10 < cut < 35


def test_the_middle_of_k_space_rings_at_edges_and_keeps_the_mean() -> None:
    image = np.zeros((64, 96), np.float32)
    image[20:40, 30:60] = 1.0
    assert np.allclose(_ringing(image, (1.0, 1.0)), image, atol=1e-5)
    rung = _ringing(image, (0.5, 0.5))
    assert rung.max() > 1.05
    assert rung[25:35, 40:50].mean() == pytest.approx(1.0, abs=0.05)


def test_batches_drawn_ahead_are_the_same_and_the_thread_ends() -> None:
    recipe = _mini()
    drawn = list(ahead(recipe, 1, 4, room=2))
    assert len(drawn) == 3
    assert all(np.array_equal(drawn[i][0], training_batch(recipe, i + 1)[0]) for i in range(3))
    early = ahead(recipe, 0, 50)
    next(early)
    early.close()


def test_guard_slices_show_other_people_than_training() -> None:
    images, tissues = guard_batch(_mini())
    assert images.shape == (2, 64, 128, 1)
    assert set(np.unique(tissues)) <= set(range(6))


@pytest.mark.usefixtures("eager")
def test_stopped_and_started_again_it_ends_with_the_same_weights(tmp_path: Path) -> None:
    recipe = _mini()
    events: list[RunEvent] = []
    build_from_recipe(recipe, tmp_path / "whole", events.append)
    assert isinstance(events[0], Started)
    assert sum(isinstance(e, EpochEnded) for e in events) == 2
    assert any(isinstance(e, BatchEnded) for e in events)
    assert isinstance(events[-1], Finished)

    asked: list[int] = []

    def after_two() -> bool:
        asked.append(1)
        return len(asked) == 2

    assert build_from_recipe(recipe, tmp_path / "parts", stop=after_two) is None
    assert not (tmp_path / "parts").exists()
    assert (tmp_path / "parts.checkpoint" / "checkpoint.json").exists()
    card = build_from_recipe(recipe, tmp_path / "parts")
    assert card is not None
    assert not (tmp_path / "parts.checkpoint").exists()
    one = read_weights(tmp_path / "whole", read_card(tmp_path / "whole"))
    two = read_weights(tmp_path / "parts", read_card(tmp_path / "parts"))
    assert one.keys() == two.keys()
    assert all(np.allclose(one[name], two[name], atol=2e-3) for name in one)
    assert card.classes == ("background", *TISSUES)
    assert card.sided
    assert "computer-generated" in card.statement


@pytest.mark.usefixtures("eager")
def test_a_checkpoint_of_another_recipe_is_refused(tmp_path: Path) -> None:
    assert build_from_recipe(_mini(), tmp_path / "model", stop=lambda: True) is None
    other = replace(_mini(), people=9)
    with pytest.raises(UserError, match="another recipe"):
        build_from_recipe(other, tmp_path / "model")


def test_it_learns(tmp_path: Path) -> None:
    recipe = _mini(epochs=1, steps=60)
    recipe = replace(recipe, train=replace(recipe.train, learning_rate=0.01, batch_size=3), random_share=0.0)
    losses: list[float] = []
    build_from_recipe(recipe, tmp_path / "m", lambda e: losses.append(e.loss) if isinstance(e, BatchEnded) else None)
    assert len(losses) == 12
    assert np.mean(losses[-3:]) < 0.85 * np.mean(losses[:2])


def test_a_model_of_groups_knows_its_table_and_is_scored_on_groups(tmp_path: Path) -> None:
    recipe = _mini(epochs=1, steps=2, name="thigh_groups")
    recipe = replace(recipe, test=replace(recipe.test, phantoms_per_contrast=1, slices=1))
    card = build_from_recipe(recipe, tmp_path / "m")
    assert card is not None
    assert card.classes == ("background", *GROUPS)
    assert card.labels == group_table()
    assert card.sided
    assert set(card.scores["contrasts"]["t1"]["labels"]) == {label.key for label in group_table()}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"format": "2"}, "format"),
        ({"random_share": 2.0}, "random_share"),
        ({"people": "many"}, "people"),
        ({"labels": "heart"}, "labels"),
        ({"slice_size": [100, 320]}, "slice_size"),
        ({"slice_size": [0, 320]}, "slice_size"),
        ({"test": {"slices": 3}}, "first_seed"),
        ({"train": {"base_filters": 4000}}, "base_filters"),
        ({"test": None}, "test"),
    ],
)
def test_a_recipe_that_is_wrong_is_refused(change: dict[str, Any], word: str) -> None:
    data = json.loads((_BOX / "recipe.json").read_text()) | change
    with pytest.raises(UserError, match=word):
        Recipe.from_json("x", data)


@pytest.mark.parametrize(("name", "structures"), [("thigh_groups", GROUPS), ("thigh_tissues", TISSUES)])
def test_the_recipes_of_the_box_make_small_models(name: str, structures: tuple[str, ...]) -> None:
    recipe = read_recipe(name)
    assert (recipe.labels, recipe.classes) == (name, ("background", *structures))
    images, labels = training_batch(recipe, 0)
    assert images.shape == (recipe.train.batch_size, *recipe.slice_size, 1)
    assert labels.max() <= len(structures)
    t = recipe.train
    network = build_network(t.architecture, len(recipe.classes), t.base_filters, t.levels, t.dropout)
    assert 2 * network.count_params() < 10_000_000


def test_a_recipe_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(UserError, match="thigh_tissues"):
        read_recipe("hearts")


@pytest.mark.parametrize(("name", "least"), [("thigh_groups", 0.88), ("thigh_tissues", 0.92)])
def test_the_models_of_the_box_say_what_they_are_and_lie_beside_their_recipes(name: str, least: float) -> None:
    folder, recipe = _BOX.parent / name, read_recipe(name)
    card = read_card(folder)
    assert name in {entry.card.name for entry in find_models() if entry.place == "box"}
    assert card.lineage["recipe"] == json.loads(json.dumps(asdict(recipe)))
    assert card.labels == TRUTHS[recipe.truth]()
    assert (folder / "weights.safetensors").stat().st_size < 10_000_000
    assert set(card.scores["contrasts"]) == set(CONTRASTS)
    assert all(scores["mean"] >= least for scores in card.scores["contrasts"].values())
    assert "never on a person" in card.statement


@pytest.mark.parametrize("seed", [5_000_000, 5_000_005])
def test_sides_are_told_in_fat_images_where_muscle_is_as_dark_as_air(seed: int) -> None:
    phantom = make_phantom(seed, "dixon_fat", slices=2)
    grid = plane_grid(phantom.volume, read_recipe("thigh_tissues").train)
    left = find_sides(phantom.volume, grid).left_of(range(2))
    body = phantom.labels > 0
    assert (left == (phantom.labels <= 5))[body].mean() > 0.99


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_the_model_of_the_box_reaches_the_figure_of_its_card(contrast: str, box: tuple[keras.Model, ModelCard]) -> None:
    network, card = box
    phantom = make_phantom(9_000_001, contrast, slices=3, matrix=(208, 320), spacing_mm=(60.0, 1.3))
    found = segment_volume(phantom.volume, network, card).labels
    dice = [
        2 * ((found == b.value) & (phantom.labels == b.value)).sum()
        / max(1, (found == b.value).sum() + (phantom.labels == b.value).sum())
        for b in phantom.table
    ]  # fmt: skip
    assert np.mean(dice) > card.scores["contrasts"][contrast]["mean"] - 0.05


@pytest.mark.parametrize(
    "path",
    [
        "thigh_siemens_dixon/0006-Dixon_TE_345_th.nii.gz",
        pytest.param("legs_qmritools/twoLegs.nii.gz", marks=pytest.mark.long),
    ],
)
def test_a_contact_sheet_shows_what_the_model_of_the_box_does_on_real_scans(
    data: Path, path: str, box: tuple[keras.Model, ModelCard]
) -> None:
    network, card = box
    volume = read_volume(data / path)
    found = segment_volume(volume, network, card).labels
    plane = Plane.of(volume, "axial")
    chosen = [round(i) for i in np.linspace(0, plane.count - 1, 8)[1:-1]]
    scan = np.stack([plane.take(volume.voxels, i) for i in chosen]).astype(np.float64)
    masks = np.stack([plane.take(found, i) for i in chosen])
    grey = np.clip(scan * 255 / np.percentile(scan, 99.5), 0, 255)[..., None].repeat(3, axis=-1)
    colours = card.labels.lookup_rgba(alpha=255)[masks][..., :3]
    shown = np.where(masks[..., None] > 0, 0.5 * grey + 0.5 * colours, grey)
    rows = [np.hstack(images[i : i + 3]) for i in (0, 3) for images in (list(grey), list(shown))]
    sheet = np.ascontiguousarray(np.vstack(rows).astype(np.uint8))
    height, width, _ = sheet.shape
    SCREENS.mkdir(exist_ok=True)
    image = QImage(sheet.data, width, height, 3 * width, QImage.Format.Format_RGB888)
    assert image.save(str(SCREENS / f"box-{path.split('/')[0]}.png"))
    body = scan > 0.1 * np.percentile(scan, 99.5)
    assert (masks > 0)[body].mean() > 0.5  # most of what is bright gets a label: a sheet of bare slices says nothing
    sides = {label.side for label in card.labels if (masks == label.value).any()}
    assert sides == {"left", "right"}

"""Replay and weights: what a batch holds besides the set, and how much a corrected slice counts."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_project import add_person, make_project

from thighview.core.fine_tuning import batch_parts
from thighview.core.labels import Label, LabelTable
from thighview.core.run import BatchEnded, EpochEnded, RunEvent, Started, TrainConfig
from thighview.engine import replay, train
from thighview.engine.augment import IGNORE
from thighview.engine.batches import Slices, TrainBatches
from thighview.engine.loading import load_slices
from thighview.engine.starting import make_plan
from thighview.io.dataset import freeze, read_dataset, update_dataset
from thighview.io.frozen import Replay
from thighview.io.model_card import ModelCard
from thighview.io.models import ModelEntry, read_card
from thighview.io.project import Project
from thighview.io.runs import EventTail, RunFolder, read_config, run_folder
from thighview.io.slice_table import read_sums

TINY = TrainConfig(base_filters=2, levels=3, epochs=2, batch_size=4, input_size=32, seed=5)


def _with(**changes: object) -> TrainConfig:
    return TrainConfig.from_json(TINY.to_json() | changes)


def _slices(n: int, level: float) -> Slices:
    """Slices whose first pixel says which one it is."""
    images = np.full((n, 32, 32), level, np.float32)
    images[:, 0, 0] += np.arange(n)
    ids, ones = np.arange(n, dtype=np.int32), np.ones(n, np.float32)
    return Slices(ids, images, np.zeros((n, 32, 32), np.uint8), -ones, ones)


def _batches(share: float, seed: int = 3, augment: bool = False) -> TrainBatches:
    return TrainBatches(_slices(6, 0.0), 32, 4, seed, augment, None, _slices(5, 100.0), share)


def test_replay_fills_its_part_of_every_batch() -> None:
    plain, mixed = _batches(0.0), _batches(0.5)
    assert (plain.batch_size, plain.replayed, len(plain)) == (4, 0, 2)
    assert (mixed.batch_size, mixed.replayed, len(mixed)) == (2, 2, 3)
    mixed.spare = 77
    seen, shown = [], set()
    for epoch in (1, 2):
        for step in range(3):
            x, y = mixed.batch(epoch, step)
            first = x[:, 0, 0, 0]
            assert x.shape == (4, 32, 32, 1)
            assert (first[:2] < 50).all() and (first[2:] >= 100).all()
            assert y["slots"].tolist() == [2 * step, 2 * step + 1, 77, 77]
            seen += first[:2].tolist() if epoch == 1 else []
            assert first[2] != first[3]
            shown.add(tuple(first[2:]))
    assert sorted(seen) == [0, 1, 2, 3, 4, 5]
    assert len(shown) > 2
    assert plain.batch(1, 0)[0].max() < 50


@pytest.mark.parametrize("augment", [False, True])
def test_a_run_that_goes_on_sees_the_same_batches(augment: bool) -> None:
    one, two = _batches(0.5, augment=augment), _batches(0.5, augment=augment)
    for step in range(3):
        one.batch(1, step)
    for step in range(3):  # the other starts with the second epoch
        a, b = one.batch(2, step), two.batch(2, step)
        assert a[0].tobytes() == b[0].tobytes()
        assert all(a[1][k].tobytes() == b[1][k].tobytes() for k in a[1])
    other = _batches(0.5, seed=4)
    assert any((other.replay_rows(1, k) != one.replay_rows(1, k)).any() for k in range(3))


def test_parts_of_a_batch() -> None:
    assert batch_parts(4, 100, 0.0) == (4, 0)
    assert batch_parts(8, 3, 0.0) == (3, 0)
    assert batch_parts(4, 100, 0.5) == (2, 2)
    assert batch_parts(4, 100, 0.05) == (3, 1)
    assert batch_parts(4, 100, 0.9) == (1, 3)
    assert batch_parts(1, 100, 0.5) == (1, 0)
    assert batch_parts(8, 2, 0.5) == (2, 2)
    assert batch_parts(2, 1, 0.9) == (1, 1)


def _frozen(folder: Path, name: str, config: TrainConfig) -> RunFolder:
    project = Project.open(folder)
    run = run_folder(folder, name)
    freeze(project, run, config)
    project.close()
    return run


def test_corrected_slices_weigh_more_and_validation_never(tmp_path: Path) -> None:
    run = _frozen(make_project(tmp_path, 3), "one", TINY)
    stored = json.loads(run.dataset.read_text())
    for row in stored["slices"]:
        row["edited_px"], row["contour_px"] = (20 * (row["index"] % 3), 80)
    run.dataset.write_text(json.dumps(stored))
    dataset = read_dataset(run)
    index_of = {s.id: s.index for s in dataset.slices}
    for weight in (0.0, 2.0):
        config = _with(edit_weight=weight)
        loaded = load_slices(run, dataset, make_plan("one", dataset, config, None), lambda _line: None)
        assert loaded.val is not None
        wanted = [1 + weight * 0.25 * (index_of[int(i)] % 3) for i in loaded.train.ids]
        assert loaded.train.weights.tolist() == wanted
        assert (loaded.val.weights == 1).all()
    batches = TrainBatches(loaded.train, 32, 4, 0, False, None)
    _, y = batches.batch(1, 0)
    assert y["weights"].tolist() == [wanted[r] for r in batches.order(1)[:4]]


@pytest.mark.usefixtures("eager")
def test_people_the_model_knew_are_shown_again(trained: tuple[Path, RunFolder, list[RunEvent]], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(trained[0], tmp_path / "study"))
    project = Project.open(folder)
    for seed in range(3, 8):
        add_person(project, tmp_path, seed, f"new {seed}")
    project.close()
    train.train_main(folder, "second", _with(epochs=1, replay=0.5, start_from="first"))
    run = run_folder(folder, "second")
    assert read_config(run).start_from == str(folder.absolute() / "models" / "first"), "another of this name may come"
    said = EventTail(run.events).read_all()
    started = next(e for e in said if isinstance(e, Started))
    ended = next(e for e in said if isinstance(e, EpochEnded))
    last = [e for e in said if isinstance(e, BatchEnded)][-1]
    assert last.step == last.steps and last.loss == ended.while_learning.loss, "replayed slices are in neither"
    one, two = read_card(folder / "models" / "first").split["train"]
    assert f"each batch: 50 % replay of 8 slices of 2 people it knew ({one} and {two})" in started.note
    assert started.steps_per_epoch == -(-started.train_slices // 2)
    dataset = read_dataset(run)
    kept = dataset.replay
    assert kept is not None and (kept.share, kept.people, kept.phantoms) == (0.5, (one, two), ())
    assert {dataset.subject_of[i] for i in kept.slice_ids} == set(kept.people) and len(kept.slice_ids) == kept.slices
    lineages = [read_card(folder / "models" / name).lineage for name in ("first", "second")]
    assert [Replay.from_json(lineage["replay"]) for lineage in lineages] == [None, kept]
    table = read_sums(run.slices_of(1))
    assert all((sums.pixels > 0).all() for sums in table.values())
    assert set(table["learning"].ids.tolist()) == {s.id for s in dataset.of_part("train")}


def test_made_up_thighs_are_shown_where_nobody_is_older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "PHANTOMS", 2)
    table = LabelTable((Label(1, "muscle"), Label(2, "femur_marrow", file_id=20)))
    run = _frozen(make_project(tmp_path, 3, table=table), "one", TINY)
    dataset = read_dataset(run)
    said: list[str] = []
    plan = make_plan("one", dataset, _with(replay=0.25, batch_size=8, input_size=64), None)
    loaded = load_slices(run, dataset, plan, said.append)
    assert loaded.replay is not None
    assert len(loaded.replay) == 2 * replay.PHANTOM_SLICES
    assert (loaded.replay.ids < 0).all()
    assert len(set(loaded.replay.ids.tolist())) == len(loaded.replay)
    assert set(np.unique(loaded.replay.labels)) <= {0, 1, 2, IGNORE}
    assert {1, 2} <= set(np.unique(loaded.replay.labels))
    assert "each batch: 25 % replay of 6 slices of 2 made-up thighs (seeds 910000 to 910001)" in loaded.notes
    assert loaded.replayed is not None
    assert [(p.seed, p.contrast) for p in loaded.replayed.phantoms] == [(910_000, "t1"), (910_001, "dixon_water")]
    update_dataset(run, replace(dataset, replay=loaded.replayed))
    assert read_dataset(run).replay == loaded.replayed
    assert any("made-up thighs" in line for line in said)


def test_what_is_replayed_has_the_numbers_that_the_network_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "PHANTOMS", 1)
    run = _frozen(make_project(tmp_path, 3, table=LabelTable((Label(1, "muscle"),))), "one", TINY)
    dataset = read_dataset(run)
    card = ModelCard("old", "unet", 2, 3, 0.0, ("background", "muscle"), dataset.labels, False, 0.0, 64, "unit")
    plan = make_plan("one", dataset, _with(replay=0.5, input_size=64), ModelEntry(card, tmp_path / "old", "user"))
    loaded = load_slices(run, dataset, plan, lambda _line: None)
    assert loaded.replay is not None
    for slices in (loaded.train, loaded.replay):
        assert min(i.min() for i in slices.images) >= 0.0 and max(i.max() for i in slices.images) <= 1.0


def test_no_replay_without_anything_to_show(tmp_path: Path) -> None:
    run = _frozen(make_project(tmp_path, 3), "one", TINY)
    dataset = read_dataset(run)
    for changes, words in (({"replay": 0.5}, "knew nobody"), ({"replay": 0.5, "batch_size": 1}, "no room")):
        plan = make_plan("one", dataset, _with(**changes), None)
        loaded = load_slices(run, dataset, plan, lambda _line: None)
        assert loaded.replay is None
        assert words in loaded.notes[-1]

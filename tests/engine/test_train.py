"""Whole runs on tiny people: what they say, keep, resume, and how they end."""

import contextlib
import json
import os
import platform
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from tiny_project import TABLE, TINY, make_project
from uncompiled import uncompiled

from thighview.core import sums as slice_sums
from thighview.core.errors import UserError
from thighview.core.labels import Label, LabelTable
from thighview.core.run import (
    BatchEnded,
    EpochEnded,
    Failed,
    Finished,
    Paused,
    Preparing,
    RunEvent,
    Scores,
    Started,
    TrainConfig,
)
from thighview.engine import train
from thighview.engine.batches import MeasureBatches, Slices
from thighview.engine.checkpoints import read_checkpoint
from thighview.engine.learner import Learner, optimizer_of, rate_at
from thighview.engine.recording import speaking
from thighview.engine.starting import inherited, is_sided, make_plan
from thighview.engine.unet import build_network, weights_of
from thighview.io.dataset import Dataset, freeze, read_dataset
from thighview.io.model_card import ModelCard
from thighview.io.models import ModelEntry, find_model, read_card, read_weights
from thighview.io.project import Project
from thighview.io.runs import EventTail, RunFolder, read_control, run_folder, write_control
from thighview.io.slice_table import read_sums


def _with(**changes: object) -> TrainConfig:
    return TrainConfig.from_json(TINY.to_json() | changes)


def _events(run: RunFolder, kind: type) -> list:
    return [e for e in EventTail(run.events).read_all() if isinstance(e, kind)]


def test_what_a_run_says(trained: tuple[Path, RunFolder, list[RunEvent]]) -> None:
    _, run, said = trained
    assert EventTail(run.events).read_all() == said
    before = [e.text for e in said if isinstance(e, Preparing)]
    assert len(before) == 4 and before[0].startswith("read 4 slices of ") and before[-1] == "building the network"
    started = said[len(before)]
    assert isinstance(started, Started)
    assert (started.train_subjects, started.val_subjects, started.train_slices, started.steps_per_epoch) == (2, 1, 8, 2)
    assert started.labels == ("thigh", "bone")
    epochs = _events(run, EpochEnded)
    assert [e.epoch for e in epochs] == [1, 2, 3]
    for e in epochs:
        assert e.val.loss is not None and e.val.accuracy is not None
        assert e.while_learning.loss is not None
        assert (run.path / e.slices).exists()
        assert (run.path / e.preview).exists()
        assert len(e.val_dice) == 2
    assert epochs[0].train.loss is not None
    assert epochs[-1].train.loss is not None
    assert epochs[-1].val.loss < epochs[0].val.loss
    assert len(_events(run, BatchEnded)) >= 3
    assert isinstance(said[-1], Finished)
    assert not run.alive


def test_every_number_can_be_recomputed_from_the_table(trained: tuple[Path, RunFolder, list[RunEvent]]) -> None:
    _, run, _ = trained
    dataset = read_dataset(run)
    for epoch in _events(run, EpochEnded):
        found = read_sums(run.path / epoch.slices)
        assert set(found) >= {"learning", "val"}
        assert slice_sums.mean_scores(found["val"], dataset.subject_of, "ce_dice") == epoch.val
        assert slice_sums.learning_scores(found["learning"], dataset.subject_of, "ce_dice") == epoch.while_learning
        assert set(found["learning"].ids.tolist()) == {s.id for s in dataset.of_part("train")}
        assert set(found["val"].ids.tolist()) == {s.id for s in dataset.of_part("validation")}
        assert (found["val"].pixels == 32 * 32).all()
        if epoch.train.loss is not None:
            assert len({dataset.subject_of[int(i)] for i in found["train"].ids}) == 1


def test_the_model_card_tells_where_it_comes_from(trained: tuple[Path, RunFolder, list[RunEvent]]) -> None:
    folder, run, said = trained
    entry = find_model("first", folder)
    card = entry.card
    assert card.classes == ("background", "thigh", "bone")
    assert [b.name for b in card.labels] == ["thigh", "bone"]
    assert card.scores["best_epoch"] == said[-1].best_epoch
    assert card.scores["val"]["dice"] == said[-1].val.dice
    assert card.scores["validation"] == "people"
    assert len(card.split["train"]) == 2
    assert card.lineage["cases"][0]["sha256"]
    assert card.lineage["config"]["epochs"] == 3
    assert read_weights(entry.folder, card)
    with pytest.raises(UserError, match="finished"):
        train.train_main(folder, "first")
    assert isinstance(EventTail(run.events).read_all()[-1], Finished)  # a run that ended well stays so


def test_the_preview_is_one_slice_as_the_network_sees_it(trained: tuple[Path, RunFolder, list[RunEvent]]) -> None:
    _, run, _ = trained
    with np.load(run.preview_of(3)) as shown:
        assert shown["image"].shape == shown["truth"].shape == shown["prediction"].shape == (32, 32)
        assert bool(shown["is_validation"])
        assert shown["colours"].shape == (3, 3)


def test_the_validation_number_is_that_of_keras(trained: tuple[Path, RunFolder, list[RunEvent]]) -> None:
    """One pass by our table, one by ``evaluate``: the same mean over slices."""
    folder, _, _ = trained
    entry = find_model("first", folder)
    network = build_network("unet", 3, 2, TINY.levels)
    rng = np.random.default_rng(0)
    images = rng.normal(size=(8, 32, 32)).astype(np.float32)
    slices = Slices(
        np.arange(8, dtype=np.int32), images, rng.integers(0, 3, (8, 32, 32)).astype(np.uint8),
        np.zeros(8, np.float32), np.ones(8, np.float32),
    )  # fmt: skip
    learner = Learner(network, "ce_dice", 8, 3)
    learner.compile(optimizer=optimizer_of(TINY, 10))
    batches = MeasureBatches(slices, 4, 8)
    ours = slice_sums.slice_losses(learner.measure(batches), "ce_dice").mean()
    theirs = learner.evaluate(batches, verbose=0, return_dict=True)["loss"]
    assert ours == pytest.approx(theirs, abs=1e-6)
    sums = learner.measure(MeasureBatches(slices, 3, 8))
    np.testing.assert_allclose(sums.ce_sum, learner.measure(batches).ce_sum, rtol=1e-5)
    assert entry.card.name == "first"


def _weights(folder: Path, name: str) -> dict[str, np.ndarray]:
    entry = find_model(name, folder)
    return read_weights(entry.folder, read_card(entry.folder))


CUT = _with(epochs=3, ema=0.8, schedule="cosine", optimizer="adamw", loss="combo", patience=9)


@pytest.fixture(scope="module")
def uncut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of three people and a run of CUT that nobody disturbed, ``whole``."""
    folder = make_project(tmp_path_factory.mktemp("uncut"), 3)
    with uncompiled():
        train.train_main(folder, "whole", CUT)
    return folder


class _Killed(BaseException):
    pass


def _cut(folder: Path, config: TrainConfig, epoch: int, how: str) -> RunFolder:
    """A run that is disturbed in an epoch after its first batch, and then goes on."""
    run = run_folder(folder, how)
    disturbed: list[RunEvent] = []

    def disturb(event: RunEvent) -> None:
        if isinstance(event, Paused) and event.paused:
            write_control(run, "run")
        if disturbed or not isinstance(event, BatchEnded) or (event.epoch, event.step) < (epoch, 1):
            return
        disturbed.append(event)
        if how == "kill":
            raise _Killed
        write_control(run, how)

    with contextlib.suppress(_Killed):
        train.train_main(folder, how, config, None, disturb)
    if how == "kill":
        run.lock.write_text(json.dumps({"pid": 1, "started": "before", "host": platform.node()}))
    if how != "pause":
        train.train_main(folder, how)
        assert epoch <= _events(run, Started)[1].first_epoch <= config.epochs
    assert disturbed
    return run


def _assert_same(folder: Path, cut: RunFolder) -> None:
    """Curve and weights are those of ``whole``."""
    whole = _events(run_folder(folder, "whole"), EpochEnded)
    found = {e.epoch: e for e in _events(cut, EpochEnded)}
    assert sorted(found) == [e.epoch for e in whole]
    for a in whole:
        b = found[a.epoch]
        assert a.val.loss == pytest.approx(b.val.loss, abs=1e-5)
        assert a.while_learning.loss == pytest.approx(b.while_learning.loss, abs=1e-5)
        assert a.learning_rate == b.learning_rate
    two = _weights(folder, cut.name)
    for name, array in _weights(folder, "whole").items():
        np.testing.assert_allclose(array, two[name], atol=1e-5)


@pytest.mark.long
def test_a_killed_run_that_is_resumed_ends_at_the_same_weights_compiled(tmp_path: Path) -> None:
    folder = make_project(tmp_path, 3)
    train.train_main(folder, "whole", _with(epochs=6))
    _assert_same(folder, _cut(folder, _with(epochs=6), 4, "kill"))


@pytest.mark.parametrize("how", ["kill", "stop", "pause"])
@pytest.mark.usefixtures("eager")
def test_a_run_that_was_cut_ends_at_the_same_curve(uncut: Path, how: str) -> None:
    """Dropout, averaged weights, a falling rate and the optimiser's moments go on where they were."""
    _assert_same(uncut, _cut(uncut, CUT, 2, how))


@pytest.mark.usefixtures("eager")
def test_pause_and_stop(tmp_path: Path) -> None:
    folder = make_project(tmp_path, 1)
    run = run_folder(folder, "one")
    paused_at: list[float] = []

    def control(event: RunEvent) -> None:
        if isinstance(event, EpochEnded) and event.epoch == 1:
            write_control(run, "pause")
        if isinstance(event, Paused) and event.paused:
            paused_at.append(time.monotonic())
            threading.Timer(0.5, lambda: write_control(run, "run")).start()
        if isinstance(event, Paused) and not event.paused:
            paused_at.append(time.monotonic())
            write_control(run, "stop")

    model = train.train_main(folder, "one", _with(epochs=500), None, control)
    assert paused_at[1] - paused_at[0] > 0.4
    last = _events(run, Finished)[-1]
    assert last.stopped
    assert last.epochs < 500
    assert _events(run, EpochEnded)[-1].train.loss is not None  # the training line reaches the last epoch all the same
    assert read_card(model).scores["validation"] == "none"
    assert last.val.loss is None
    assert not run.control.exists()


@pytest.mark.usefixtures("eager")
def test_one_person_has_no_validation_score_and_the_run_says_so(tmp_path: Path) -> None:
    folder = make_project(tmp_path, 1)
    train.train_main(folder, "one", _with(epochs=1))
    run = run_folder(folder, "one")
    assert "no validation person" in _events(run, Started)[0].note
    epoch = _events(run, EpochEnded)[0]
    assert epoch.val.loss is None
    assert epoch.train.loss is not None


@pytest.mark.usefixtures("eager")
def test_a_loss_that_is_not_a_number_stops_and_keeps_the_last_good_weights(tmp_path: Path) -> None:
    """A real one: the seed's network has no norm, and steps of this size throw it out of all bounds."""
    folder = make_project(tmp_path, 3, table=LabelTable((Label(1, "thigh"),)))
    config = _with(
        architecture="seed_unet", levels=5, base_filters=8, loss="ce", learning_rate=0.3, epochs=40,
        dropout=0.0, honest=False,
    )  # fmt: skip
    with pytest.raises(UserError, match=r"not a number any more \(epoch \d, step 2, .*person \d slice \d") as refused:
        train.train_main(folder, "bad", config)
    assert "smaller learning rate; the last good weights are kept" in refused.value.hint
    run = run_folder(folder, "bad")
    failed = _events(run, Failed)[-1]
    assert failed.message == refused.value.message
    assert failed.lines
    epochs = _events(run, EpochEnded)
    last, best = (read_checkpoint(run.checkpoint, name) for name in ("last", "best"))
    assert last and best
    assert last[1]["epoch"] == len(epochs) >= 1
    for arrays in (last[0], best[0]):
        assert all(np.isfinite(array).all() for name, array in arrays.items() if name.startswith("weight/"))


@pytest.mark.usefixtures("eager")
def test_a_label_that_never_occurs_is_named_and_does_no_harm(tmp_path: Path) -> None:
    folder = make_project(tmp_path, 3)
    run, config = run_folder(folder, "one"), _with(learning_rate=0.03, honest=False)
    project = Project.open(folder)
    freeze(project, run, config, labels=LabelTable((*TABLE, Label(3, "sciatic_nerve"))))
    project.close()
    train.train(run, config)
    note = _events(run, Started)[0].note
    assert "no slice that trains shows sciatic nerve, so it cannot be learnt" in note
    assert "no slice that validates shows sciatic nerve, so it has no validation score" in note
    ended = _events(run, EpochEnded)[-1]
    assert ended.val.loss is not None and ended.val.dice is not None
    assert ended.val_dice[2] is None, "not measured, which is not 0"
    assert ended.val.dice == pytest.approx(np.mean([d for d in ended.val_people[0].dice if d is not None]))
    assert find_model("one", folder).card.scores["val_dice"]["sciatic_nerve"] is None


def test_a_run_of_a_newer_program_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    folder = make_project(tmp_path, 1)
    run = run_folder(folder, "one")
    project = Project.open(folder)
    freeze(project, run, TINY)
    project.close()
    dataset, config = run.dataset.read_text("utf-8"), run.config.read_text("utf-8")
    for newer, words in (
        ((dataset.replace("thighview-run-1", "thighview-run-9"), config), "'thighview-run-9'"),
        ((dataset, json.dumps(json.loads(config) | {"telepathy": 1})), "the setting 'telepathy'"),
    ):
        run.dataset.write_text(newer[0], "utf-8")
        run.config.write_text(newer[1], "utf-8")
        before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
        with pytest.raises(UserError, match=words) as refused:
            train.train_main(folder, "one")
        assert "Open it with the thighview that made it" in refused.value.hint
        assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root on Linux")
    words = ("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place))
    mounted = subprocess.run(words, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


@pytest.mark.usefixtures("eager")
def test_a_full_disk_ends_a_run_with_the_reason_and_it_goes_on_when_there_is_room(small_disk: Path) -> None:
    folder = make_project(small_disk, 1)
    run, ballast = run_folder(folder, "one"), small_disk / "ballast"

    def fill(event: RunEvent) -> None:
        if isinstance(event, BatchEnded) and (event.epoch, event.step) == (2, 1):
            until = time.monotonic() + 20
            while not read_checkpoint(run.checkpoint, "last") and time.monotonic() < until:
                time.sleep(0.01)
            with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while file.write(bytes(4096)):
                    pass

    with pytest.raises(UserError, match="No space left") as refused:
        train.train_main(folder, "one", _with(epochs=3), None, fill)
    assert "room" in refused.value.hint
    kept = read_checkpoint(run.checkpoint, "last")
    assert kept is not None and kept[1]["epoch"] == 1
    assert not run.alive
    ballast.unlink()
    assert read_card(train.train_main(folder, "one")).scores["epochs"] == 3
    assert _events(run, Started)[1].first_epoch == 2
    assert [e.epoch for e in _events(run, EpochEnded)] == [1, 2, 3]
    assert not list(run.path.rglob("*.tmp"))


@pytest.mark.usefixtures("eager")
def test_a_bug_is_told_with_its_last_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_project(tmp_path, 1)

    def broken(*_: object) -> float:
        raise RuntimeError("the spanner is in the works")

    monkeypatch.setattr(Learner, "learn", broken)
    with pytest.raises(UserError, match="spanner"):
        train.train_main(folder, "bad", TINY)
    failed = _events(run_folder(folder, "bad"), Failed)[-1]
    assert "RuntimeError" in failed.lines[-1]


@pytest.mark.usefixtures("eager")
def test_a_listener_that_is_gone_does_not_matter(tmp_path: Path) -> None:
    def gone(_: RunEvent) -> None:
        raise BrokenPipeError

    assert train.train_main(make_project(tmp_path, 1), "one", _with(epochs=1), None, gone).is_dir()


@pytest.mark.usefixtures("eager")
def test_a_run_tells_how_the_model_it_started_from_did_on_the_same_slices(
    trained: tuple[Path, RunFolder, list[RunEvent]], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(trained[0], tmp_path / "study"))
    first = _events(run_folder(folder, "first"), Finished)[0]
    train.train_main(folder, "second", _with(epochs=1), "first")
    end = _events(run_folder(folder, "second"), Finished)[0]
    assert end.parent == "first"
    assert end.parent_val.dice == pytest.approx(first.val.dice, abs=1e-4)
    assert end.parent_val.loss == pytest.approx(first.val.loss, rel=1e-3)
    assert (first.parent, first.parent_val) == ("", Scores())


@pytest.mark.usefixtures("eager")
def test_starting_from_a_model_with_other_labels(
    trained: tuple[Path, RunFolder, list[RunEvent]], tmp_path: Path
) -> None:
    first, _, _ = trained
    parent = find_model("first", first)
    table = LabelTable((Label(1, "bone"), Label(2, "nerve")))
    folder = make_project(tmp_path, 3, table=table)
    run = run_folder(folder, "second")
    train.train_main(folder, "second", _with(epochs=1, base_filters=8), str(parent.folder))
    end = _events(run, Finished)[0]
    assert (end.parent, end.parent_val) == ("first", Scores()), "what it never learnt is no score of it"
    note = _events(run, Started)[0].note
    assert "starts from first; it knows: bone; new to it, learnt from nothing: nerve; left out: thigh" in note
    assert "base filters" in note
    card = find_model("second", folder).card
    assert card.base_filters == 2
    assert card.lineage["parent"]["weights_sha256"] == parent.card.weights_sha256
    assert card.lineage["parent"]["lineage"]["cases"]
    plan = make_plan("x", read_dataset(run), _with(), parent)
    fresh = weights_of(build_network("unet", 3, 2, TINY.levels))
    start, _ = inherited(fresh, plan.card, parent)
    old = read_weights(parent.folder, parent.card)
    np.testing.assert_array_equal(start["head/kernel"][..., 1], old["head/kernel"][..., 2])
    np.testing.assert_array_equal(start["head/kernel"][..., 0], old["head/kernel"][..., 0])
    np.testing.assert_array_equal(start["head/kernel"][..., 2], fresh["head/kernel"][..., 2])
    np.testing.assert_array_equal(start["down1_conv1/kernel"], old["down1_conv1/kernel"])


@pytest.mark.parametrize("command", ["pause", "stop"])
def test_no_command_outlives_the_run_it_was_given_to(tmp_path: Path, command: str) -> None:
    run = RunFolder(tmp_path / "p" / "runs" / "one")
    run.path.mkdir(parents=True)
    with speaking(run, None):
        write_control(run, command)
        assert read_control(run) == command
    assert read_control(run) == "run"


@pytest.mark.parametrize(("size", "held"), [(128, True), (240, False), (2048, False), (16, False)])
def test_an_input_size_is_taken_from_the_model_where_a_training_may_have_it(size: int, held: bool) -> None:
    labels = LabelTable((Label(1, "bone"),))
    card = ModelCard("old", "unet", 2, 5, 0.0, ("background", "bone"), labels, False, 1.5, size)
    dataset = Dataset(labels, (), (), (), "")
    plan = make_plan("x", dataset, TrainConfig(input_size=96), ModelEntry(card, Path("old"), "user"))
    assert plan.config.input_size == plan.card.input_size == (size if held else 96)
    assert plan.card.spacing_mm == 1.5


def test_sides_are_left_to_position_only_when_both_are_there() -> None:
    both = LabelTable((Label(1, "muscle", "left"), Label(2, "muscle", "right"), Label(3, "skin")))
    assert is_sided(both)
    assert not is_sided(both.without(2))
    assert not is_sided(TABLE)


@pytest.mark.usefixtures("eager")
def test_the_seed_network_learns_one_label(tmp_path: Path) -> None:
    folder = make_project(tmp_path, 1, table=LabelTable((Label(1, "thigh"), Label(2, "thigh_bone"))))
    with pytest.raises(UserError, match="one label"):
        train.train_main(folder, "two", _with(architecture="seed_unet", epochs=1, loss="ce"))
    assert rate_at(_with(architecture="seed_unet"), 50, 100) == TINY.learning_rate
    assert rate_at(TINY, 50, 100) == pytest.approx(TINY.learning_rate * 0.5**0.9)
    learner = Learner(build_network("seed_unet", 2, 2, 3), "ce", 4, 2)
    learner.compile(optimizer=optimizer_of(_with(architecture="seed_unet"), 10))
    x = np.random.default_rng(0).normal(size=(4, 32, 32, 1)).astype(np.float32)
    y = {
        "labels": (x[..., 0] > 0).astype(np.uint8),
        "slots": np.arange(4, dtype=np.int32),
        "weights": np.ones(4, np.float32),
    }
    logits = learner.predict_on_batch(x)
    bce = keras.losses.binary_crossentropy(y["labels"][..., None].astype(np.float32), logits, from_logits=True)
    assert learner.learn(x, y) == pytest.approx(float(np.mean(keras.ops.convert_to_numpy(bce))), abs=1e-5)
    assert learner.sums([1, 2, 3, 4], 4).pixels.tolist() == [1024] * 4


@pytest.mark.usefixtures("eager")
def test_an_unknown_run_or_model_is_refused(tmp_path: Path) -> None:
    folder = make_project(tmp_path, 1)
    with pytest.raises(UserError, match="no model"):
        train.train_main(folder, "x", TINY, "nobody")
    run = run_folder(folder, "x")
    assert not run.dataset.exists(), "nothing was frozen"
    with contextlib.closing(Project.open(folder)) as project:
        freeze(project, run, TINY)
    with pytest.raises(UserError, match="keeps its settings"):
        train.train_main(folder, "x", TINY)

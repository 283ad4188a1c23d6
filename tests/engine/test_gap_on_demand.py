"""What a finished run is asked for: averaged weights, the best epoch, the difficulty of its people; it all adds up."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from tiny_project import TABLE, TINY, add_person
from uncompiled import uncompiled

from thighview.app.gap_in_full import EXPLAIN
from thighview.core import selection
from thighview.core.gap_passes import LEARNING, OWN, TRAIN, Judged
from thighview.core.labels import Label, LabelTable
from thighview.core.run import EpochEnded, GapMeasured, PersonScores, Started
from thighview.core.split import assign
from thighview.core.studies import FOLDS
from thighview.core.study_results import RetrainingEnded
from thighview.engine import train
from thighview.engine.checkpoints import read_checkpoint
from thighview.engine.gap_on_demand import OnDemand, explain_run, history_of
from thighview.engine.judging import find_judge, judged_by, judged_by_folds
from thighview.engine.unet import build_network, weights_of
from thighview.io.atomic import write_json_atomic
from thighview.io.child import find_function
from thighview.io.gap_file import FILE_NAME, GapsInFull, read_gaps
from thighview.io.model_card import ModelCard
from thighview.io.models import find_model, write_model
from thighview.io.project import Project
from thighview.io.runs import EventLog, EventTail, RunFolder, run_folder
from thighview.io.studies import Study, study_folder, write_study

CONFIG = replace(TINY, batch_size=2, ema=0.5)
LAST = CONFIG.epochs


class Told:
    def __init__(self) -> None:
        self.steps: list[int] = []
        self.words: list[str] = []

    def __call__(self, done: int, total: int) -> None:
        self.steps.append(done)
        assert done <= total

    def say(self, message: object) -> None:
        self.words.append(str(message))


def judge_of(folder: Path, name: str, **changes: object) -> Path:
    """A model of phantoms that knows one label more than the people have, in another order."""
    labels = LabelTable((*TABLE, Label(3, "extra")))
    card = ModelCard(
        name, "unet", 2, 3, 0.0, ("background", "bone", "extra", "thigh"), labels, False, 0.0, 32,
        lineage={"recipe": {"name": name}}, weights_sha256="0" * 64,
    )  # fmt: skip
    write_model(folder / "models" / name, replace(card, **changes), weights_of(build_network("unet", 4, 2, 3)))
    return folder / "models" / name


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunFolder]:
    """A miniature run with averaged weights and dropout, two people learnt from and two not, and a judge beside it."""
    place = tmp_path_factory.mktemp("demand")
    project = Project.create(place / "study", "study")
    groups = ([f"p{k}{i}" for i in range(4)] for k in range(1000))
    two_and_two = Counter(train=2, validation=2)
    names = next(g for g in groups if Counter(assign(g, project.salt, {}).values()) == two_and_two)
    for seed, name in enumerate(names):
        add_person(project, place, seed, name, reviewed=2)
    project.close()
    with uncompiled():
        train.train_main(project.folder, "one", CONFIG)
        judge_of(project.folder, "judge")
        yield run_folder(project.folder, "one")


def test_all_parts_of_a_run_are_measured_kept_and_add_up(ended: RunFolder) -> None:
    told = Told()
    found = GapsInFull.from_json(explain_run(str(ended.path), told))
    assert told.steps == sorted(told.steps) and told.steps[-1] == 5 and len(told.words) == 4
    assert read_gaps(ended) == found, "it is there again after the window was closed"
    assert found.epochs_done == LAST
    events = EventTail(ended.events).read_all()
    val = {e.epoch: e.val for e in events if isinstance(e, EpochEnded)}
    last, kept = found.at(LAST), found.at(found.kept)
    assert last and kept and {one.epoch for one in found.epochs} == {LAST, found.kept}
    for one in found.epochs:
        assert [(g.label, g.metric) for g in one.gaps] == [
            (label, metric) for label in ("", "thigh", "bone") for metric in ("loss", "accuracy", "dice")
        ]
        for gap in one.gaps:
            assert abs(gap.residual) < 1e-6
            assert gap.difficulty is not None and gap.judge == "judge"
        for gap in one.gaps[:3]:
            assert gap.validation == pytest.approx(getattr(val[one.epoch], gap.metric))
    assert all(gap.ema for gap in last.gaps)
    assert all(gap.selection is not None for gap in kept.gaps)
    said = {gap.metric: gap for e in events if isinstance(e, GapMeasured) and e.epoch == LAST for gap in e.gaps}
    for gap in last.gaps[:3]:  # what the run called lag held the step to averaged weights; the ends are the same
        before = said[gap.metric]
        assert (gap.train, gap.validation) == (before.train, before.validation)
        assert gap.lag != before.lag
    if found.kept != LAST:
        assert any(line.startswith(f"Best epoch chosen: epoch {LAST} was not chosen") for line in last.missing)
        assert any(line.startswith("Averaged weights: only those of the last epoch") for line in kept.missing)


@pytest.fixture(scope="module")
def demand(ended: RunFolder) -> OnDemand:
    """The same, loaded and built."""
    return OnDemand(ended, Told())


def test_own_weights_are_those_of_the_checkpoint_and_averaged_ones_what_the_run_measured(
    ended: RunFolder, demand: OnDemand
) -> None:
    """Measured anew with averaged weights, the last epoch reads what the run read; with its own, something else."""
    last = read_checkpoint(ended.checkpoint, "last")
    assert last is not None
    known = demand._known(LAST)
    anew = {"learning": known["learning"]}
    assert demand._add_last(LAST, last[0], anew) == ""
    for name, sums in known.items():
        np.testing.assert_allclose(anew[name].ce_sum, sums.ce_sum, rtol=1e-4)
    assert not np.allclose(anew[OWN[TRAIN]].ce_sum, known[TRAIN].ce_sum)


def test_an_epoch_that_was_stopped_within_has_no_gap(demand: OnDemand) -> None:
    """Half of the slices learnt from beside all of them measured would call the rest a way of averaging."""
    passes = demand._known(LAST)
    assert demand._epoch(LAST, LAST, passes, None, "no judge").gaps
    learning = passes[LEARNING]
    passes[LEARNING] = learning.chosen(np.arange(len(learning.ids)) < 2)
    cut = demand._epoch(LAST, LAST, passes, None, "no judge")
    said = f"Epoch {LAST} was stopped before its end, so its training score is of other slices."
    assert (cut.gaps, cut.missing) == ((), (said,))
    del passes[LEARNING]
    assert "before its first step" in demand._epoch(LAST, LAST, passes, None, "no judge").missing[0]


def test_a_judge_knows_the_labels_and_none_of_the_people(ended: RunFolder, demand: OnDemand) -> None:
    plan, dataset = demand._plan, demand._dataset
    people = set(dataset.subjects("validation")) | set(dataset.subjects("train"))
    judge = find_model("judge", ended.project)
    own = find_model("one", ended.project)
    assert find_judge(plan, dataset, people, [own]) is None
    assert find_judge(plan, dataset, people, [own, judge]) == judge
    for lineage in (
        {}, {"imported": {}}, {"recipe": {}, "parent": {"lineage": {"imported": {}}}},
        {"cases": [{"part": "train", "subject": sorted(people)[0]}]},
    ):  # fmt: skip
        assert find_judge(plan, dataset, people, [replace(judge, card=replace(judge.card, lineage=lineage))]) is None
    found = judged_by(judge, ended, dataset, plan)
    assert isinstance(found, Judged)
    assert {p.subject for p in found.val} == set(dataset.subjects("validation"))
    assert all(len(p.dice) == 2 for p in (*found.train, *found.val)), "in the classes of the run"


def test_a_study_in_folds_is_the_first_judge(ended: RunFolder, demand: OnDemand, tmp_path: Path) -> None:
    train, others = (set(demand._dataset.subjects(part)) for part in ("train", "validation"))
    folder = study_folder(tmp_path, "folds 1")
    folder.path.mkdir(parents=True)
    write_json_atomic(folder.config, CONFIG.to_json())
    write_study(folder, Study(FOLDS, 2, CONFIG, tuple(sorted(train | others))))
    events = EventLog(folder)
    for number, who in enumerate((train, others), 1):
        assert judged_by_folds(tmp_path, ("thigh", "bone"), CONFIG.loss, train, others) is None
        scores = tuple(PersonScores(name, 0.1 * number, 0.9, (0.8, 0.7 / number)) for name in who)
        events.append(RetrainingEnded(1.0, "folds 1", number, 1.0, ("thigh", "bone"), (), scores))
    events.close()
    found = judged_by_folds(tmp_path, ("thigh", "bone"), CONFIG.loss, train, others)
    assert found is not None and "folds 1" in found.judge
    assert {p.subject for p in found.val} == others and {p.dice[1] for p in found.val} == {0.35}
    assert judged_by_folds(tmp_path, ("bone", "thigh"), CONFIG.loss, train, others) is None
    assert judged_by_folds(tmp_path, ("thigh", "bone"), "dice", train, others) is None
    newer = study_folder(tmp_path, "folds 2")
    newer.path.mkdir()
    write_json_atomic(newer.config, CONFIG.to_json())
    write_json_atomic(newer.file, {"format": "thighview-study-9"})
    assert judged_by_folds(tmp_path, ("thigh", "bone"), CONFIG.loss, train, others) == found


def test_the_window_asks_for_it_by_name() -> None:
    assert find_function(EXPLAIN) is explain_run


def test_a_damaged_result_is_told_and_a_run_said_again_holds(ended: RunFolder, tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text('{"format": "other"}')
    with pytest.raises(Exception, match="is not what it should be"):
        read_gaps(RunFolder(tmp_path))
    events = EventTail(ended.events).read_all()
    started = next(event for event in events if isinstance(event, Started))
    again = [*events, replace(started, first_epoch=2)]
    assert list(history_of(events)) == [1, 2] and list(history_of(again)) == [1]


def test_the_epoch_chosen_without_a_person_is_looked_for_once(
    demand: OnDemand, ended: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The choice is by the loss of all labels: it is the same for every metric and label."""
    looked: list[int] = []
    found = selection.best_epoch

    def look(epochs: dict[int, list[PersonScores]]) -> int:
        looked.append(len(epochs))
        return found(epochs)

    monkeypatch.setattr(selection, "best_epoch", look)
    best = read_checkpoint(ended.checkpoint, "best")
    assert best
    kept = int(best[1]["best"]["epoch"])
    one = demand._epoch(kept, kept, demand._measure(kept) | demand._known(kept), None, "")
    assert len(one.gaps) == 9 and all(gap.selection is not None for gap in one.gaps)
    assert len(looked) == 2, "once for each of the two who validate"


def test_a_judge_keeps_to_the_memory_that_the_run_had_to_keep_to(
    ended: RunFolder, demand: OnDemand, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    step = keras.Model.test_on_batch

    def seen(model: keras.Model, x: np.ndarray, *words: object, **more: object) -> object:
        sizes.append(len(x))
        return step(model, x, *words, **more)

    monkeypatch.setattr(keras.Model, "test_on_batch", seen)
    kept = ended.path / "memory.json"
    kept.write_text('{"at_once": 1}')
    judged_by(find_model("judge", ended.project), ended, demand._dataset, demand._plan)
    kept.unlink()
    assert set(sizes) == {1}

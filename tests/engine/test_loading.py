"""What of a frozen set reaches the network."""

from contextlib import closing
from pathlib import Path

from dicom_files import write_series
from tiny_project import TABLE, add_person

from thighview.core.case import Case
from thighview.core.review import SliceReview, SliceState
from thighview.core.run import TrainConfig
from thighview.engine.loading import load_slices
from thighview.engine.preprocess import plane_grid
from thighview.engine.starting import make_plan
from thighview.io import dataset as sets
from thighview.io.project import Project
from thighview.io.reading import read_volume, sha256_of
from thighview.io.runs import run_folder


def test_a_slice_that_is_missing_in_the_files_is_never_learnt_from(tmp_path: Path) -> None:
    """Not even where it was reviewed, as it could be once."""
    folder = write_series(tmp_path / "scan", [0, 5, 15, 20, 25], InstanceNumber=(1, 2, 4, 5, 6))
    source = read_volume(folder)
    assert source.missing == (2,)
    case = Case.of(source, folder, sha256_of(folder), "one")
    case.labels[:, 1:3, 1:3], case.table = 1, TABLE
    case.reviews = [SliceReview(SliceState.DRAWN)] * 6
    config = TrainConfig(input_size=32, base_filters=4, levels=3)
    run = run_folder(tmp_path / "Study", "one")
    with closing(Project.create(tmp_path / "Study")) as project:
        project.add_case(case, in_training_set=True)
        frozen = sets.freeze(project, run, config)
    _, mask = sets.read_case(run, frozen.cases[0], frozen.labels)
    assert [bool((plane == sets.IGNORE).all()) for plane in mask] == [i == 2 for i in range(6)]
    loaded = load_slices(run, frozen, make_plan("one", frozen, config, None), lambda _: None)
    assert [s.index for s in frozen.slices if s.id in loaded.train.ids] == [0, 1, 3, 4, 5]


def test_a_slice_is_measured_on_the_canvas_on_which_it_is_segmented(tmp_path: Path) -> None:
    """However wide the scans of other people are."""
    config = TrainConfig(input_size=32, base_filters=4, levels=3, spacing_mm=2.0)
    run = run_folder(tmp_path / "Study", "one")
    with closing(Project.create(tmp_path / "Study")) as project:
        for seed, edge in enumerate((32, 48, 90, 32)):
            add_person(project, tmp_path, seed, f"person {seed}", edge=edge)
        frozen = sets.freeze(project, run, config)
    plan = make_plan("one", frozen, config, None)
    loaded = load_slices(run, frozen, plan, lambda _: None)
    assert loaded.val is not None
    size_of = {
        case.case_id: plane_grid(sets.read_case(run, case, frozen.labels)[0], config).size for case in frozen.cases
    }
    by_id = {s.id: s for s in frozen.slices}
    shapes: set[tuple[int, ...]] = set()
    for slices in (loaded.train, loaded.val):
        for i, image in zip(slices.ids.tolist(), slices.images, strict=True):
            assert image.shape == size_of[by_id[i].case_id]
            shapes.add(image.shape)
    assert shapes == {(32, 32), (48, 48), (92, 92)}

"""What of a frozen set reaches the network."""

from contextlib import closing
from pathlib import Path

from dicom_files import write_series
from tiny_project import TABLE

from thighview.core.case import Case
from thighview.core.review import SliceReview, SliceState
from thighview.core.run import TrainConfig
from thighview.engine.loading import load_slices
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

"""A case as a project has stored it, with its scan."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from thighview.core.case import Case
from thighview.core.errors import SeveralScansError, UserError
from thighview.io.known_cases import series_drawn_on
from thighview.io.project import Project
from thighview.io.reading import is_gone, read_known


def load_sound_case(project: Project, case_id: int) -> Case:
    """A case with mask, reviews and history as they were left, for work that nobody looks at.

    Raises
    ------
    UserError
        When its journal is damaged: a person must look at what is left of the mask first.
    """
    case = project.load_case(case_id)
    if case.warnings:
        raise UserError(
            f"The stored mask of {case.title} is damaged, and nobody has looked at what is left of it:"
            f" {case.warnings[0][:1].lower()}{case.warnings[0][1:]}",
            "Open it in the window and look at its slices first.",
        )
    return case


def read_stored_case(project: Project, case_id: int) -> Case:
    """A case with mask, reviews and history as they were left; its scan is read.

    Raises
    ------
    UserError
        When the scan is gone, is not the one the mask was drawn on, or can only be looked at; when the mask is damaged.
    """
    case = load_sound_case(project, case_id)
    source = case.series[0]
    if is_gone(source.path):
        raise UserError(f"The scan of {case.title} is not at {source.path} any more.", "Put it back there.")
    try:
        source.volume = read_known(*source.key, source.sha256)
    except SeveralScansError:
        key = series_drawn_on(project, case_id)
        source = case.series[0] = replace(source, path=key.path, part=key.part, volume=read_known(*key, ""))
    assert source.volume is not None
    shape, affine = project.geometry(case_id)[0]
    if source.volume.shape != shape or not np.allclose(source.volume.affine, affine, atol=1e-3):
        raise UserError(f"The scan of {case.title} lies on another grid than its mask.", "Put the original back.")
    case.need_sized()
    return case


def stored_case_in(folder: Path, case_id: int) -> Case:
    """The same from a project folder, which is opened for reading only; raises what ``Project.open`` raises, too."""
    with closing(Project.open(folder, writable=False)) as project:
        return read_stored_case(project, case_id)

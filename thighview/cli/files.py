"""Commands about single files: info, segment, phantom."""

import hashlib
import json
import os
from argparse import Namespace
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from thighview.cli.progress import Progress, warn
from thighview.core.errors import SeveralScansError, UserError
from thighview.core.known import need_lengths
from thighview.core.volume import Volume

if TYPE_CHECKING:
    from thighview.engine.predict import Segmentation

_MOST_PHANTOMS = 1000
_TOWARDS = {
    "L": "left", "R": "right", "A": "anterior", "P": "posterior", "S": "superior", "I": "inferior",
}  # fmt: skip


def info(args: Namespace) -> int:
    """``thighview info PATH [--json]``: a scan, a folder of DICOM files, or a project."""
    from thighview.io.project import DATABASE
    from thighview.io.reading import inspect

    need_path(args.path)
    is_project = (args.path / DATABASE).is_file()
    found = _project_facts(args.path) if is_project else inspect(args.path).to_json()
    if args.json:
        print(json.dumps(found, indent=1, allow_nan=False))
        return 0
    if is_project:
        _print_project(found)
        return 0
    words = {
        "path": found["path"],
        "kind": found["kind"],
        "shape (z, y, x)": _times(found["shape_zyx"]),
        "spacing (z, y, x)": _times(found["spacing_mm_zyx"], " mm"),
        "axes": f"{found['axes']}: {_axes_words(found['axes'])}",
        "numbers": found["dtype"],
    }
    words |= {name.lower(): value for name, value in found["details"].items() if name != "Format"}
    width = max(map(len, words))
    for name, value in words.items():
        print(f"{name.ljust(width)}  {value}")
    for series in found["series"]:
        facts = ", ".join(f"{key} {_plain(value)}" for key, value in series.items() if value not in (None, "", []))
        print(f"{'series'.ljust(width)}  {facts}")
    for warning in found["warnings"]:
        print(f"{'warning'.ljust(width)}  {warning}")
    return 0


def segment(args: Namespace) -> int:
    """``thighview segment PATH -o OUT.nii.gz``: the mask, and OUT.json beside it."""
    from thighview.io.images import check_ending, write_probabilities
    from thighview.io.masks import need_own_sidecar, sidecar_path, write_mask, write_sidecar
    from thighview.io.models import find_model

    need_path(args.path)
    outputs: list[Path] = [path for path in (args.output, args.probabilities) if path is not None]
    for path in outputs:
        check_ending(path)
        need_room_for(path, args.path)
    need_own_sidecar(args.output)
    if len({path.resolve() for path in outputs}) < len(outputs):
        raise UserError("The mask and the probabilities would be the same file.", "Give them two names.")
    known = _written_with(args.output)
    for path in outputs:
        need_new(path, path.is_file() and known.get(_from(path, args.output)) == _sha256(path))
    model = find_model(args.model)
    volume = read_scan(args.path, args.part)
    for warning in volume.warnings:
        warn(warning)
    need_lengths(volume)

    from thighview.engine.devices import prepare_device

    device = prepare_device(args.device)
    from thighview.engine.openvino_form import computed_on, computing_on, fast_form
    from thighview.engine.predict import batch_for, load_network, segment_volume
    from thighview.engine.preprocess import plane_grid

    network, card = load_network(model.folder)
    form = fast_form(network, device)
    grid = plane_grid(volume, card)
    with Progress(f"Segmenting on {computing_on(device)}") as bar:
        done = 0

        def slice_done(index: int, labels: object, uncertainty: float) -> None:
            nonlocal done
            done = min(done + 1, grid.slices)  # slices that are tidied come once more
            bar.report(done, grid.slices)

        result = segment_volume(
            volume, form, card, slice_done,
            batch=batch_for(grid, card, device != "CPU"), with_probabilities=args.probabilities is not None,
        )  # fmt: skip
    _leave_out_missing(result, volume)
    facts = {
        "model": card.name,
        "weights_sha256": card.weights_sha256,
        "device": computed_on(form, device),
        "source": args.path.name,
        **({"part": args.part} if args.part else {}),
        "warnings": [*volume.warnings, *result.warnings],
        "uncertainty": [None if np.isnan(u) else round(float(u), 4) for u in result.uncertainty],
        "statement": card.statement,
    }
    written: list[Path] = [path for path in (*outputs, sidecar_path(args.output)) if not path.exists()]
    try:
        if args.probabilities is not None and result.probabilities is not None:
            write_probabilities(args.probabilities, result.probabilities, volume)
        write_mask(args.output, result.labels, card.labels, volume)
        known |= {_from(path, args.output): _sha256(path) for path in outputs}
        write_sidecar(args.output, card.labels, **facts, sha256=known)
    except BaseException:
        for path in written:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        raise
    for warning in result.warnings:
        warn(warning)
    print(f"Wrote {args.output}: {grid.slices} slices, model {card.name}, on {facts['device']}.")
    return 0


def phantom(args: Namespace) -> int:
    """``thighview phantom OUT_FOLDER --n N --seed S``: person i of seed S is always the same."""
    from thighview.cli.phantoms import write_phantoms

    if not 1 <= args.n <= _MOST_PHANTOMS:
        raise UserError(f"Expected 1 to {_MOST_PHANTOMS} persons, found {args.n}.")
    if not 0 <= args.seed < 1 << 31:
        raise UserError(f"Expected a seed from 0 to {(1 << 31) - 1}, found {args.seed}.")
    with Progress("Drawing thighs") as bar:
        done = write_phantoms(args.output, args.n, args.seed, bar.report)
    print(done)
    return 0


def need_path(path: Path) -> None:
    """Refuse a path at which there is nothing."""
    if not path.exists():
        raise UserError(f"There is nothing at {path}.", "Check the path.")


def read_scan(path: Path, part: str, option: str = "--part") -> Volume:
    """The scan, or the part of what lies there; where several lie there and none was named, how to name one."""
    from thighview.io.reading import read_volume

    try:
        return read_volume(path, part)
    except SeveralScansError as several:
        raise part_to_be_named(several, f"Say which with {option}") from several


def part_to_be_named(several: SeveralScansError, how: str) -> UserError:
    """The refusal of several scans where nobody can be asked; ``how`` one is named is told where parts have names."""
    from thighview.io.parts import known_parts

    named = [choice for choice in several.choices if choice.part]
    return UserError(several.message, f"{how}; there {known_parts(named)}." if named else several.hint)


def need_room_for(path: Path, *inputs: Path) -> None:
    """Refuse an output before the work, not after it."""
    if not path.parent.is_dir():
        raise UserError(f"The folder {path.parent} does not exist.", "Make it first, or choose another.")
    if not os.access(path.parent, os.W_OK):
        raise UserError(f"Nothing may be written into {path.parent}.", "Choose another folder.")
    if path.is_dir():
        raise UserError(f"{path} is a folder.", "Give the name of a file.")
    if any(path.resolve() == other.resolve() for other in inputs):
        raise UserError(f"{path} is the input itself.", "Choose another name; scans are never overwritten.")


def need_new(path: Path, ours: bool = False) -> None:
    """Refuse to write over a file, unless it is ``ours``: what the same command has made there before."""
    if path.exists() and not ours:
        raise UserError(f"{path} is there already.", "Choose another name, or take it away first.")


def _written_with(mask: Path) -> dict[str, str]:
    """The files, by their way from a mask's folder, that a command wrote with it, each with its SHA-256 then.

    A mask that was corrected since has another, and is the work of a person.
    """
    from thighview.io.masks import sidecar_path

    path = sidecar_path(mask)
    told = json.loads(path.read_bytes()).get("sha256") if path.exists() else None
    return {str(k): str(v) for k, v in told.items()} if isinstance(told, dict) else {}


def _from(path: Path, mask: Path) -> str:
    try:
        return Path(os.path.relpath(path, mask.parent)).as_posix()
    except ValueError:  # on another drive of Windows
        return path.absolute().as_posix()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _leave_out_missing(result: "Segmentation", volume: Volume) -> None:
    """As in the window, nothing is said of slices that are missing in the files: all of each is background, for sure.

    How sure the model was is not told of them, where they are slices it was given.
    """
    missing = list(volume.missing)
    result.labels[missing] = 0
    if result.axis == 0:
        result.uncertainty[missing] = np.nan
    if result.probabilities is not None:
        result.probabilities[missing] = 0
        result.probabilities[missing, ..., 0] = 1


def _project_facts(folder: Path) -> dict[str, Any]:
    """What ``info --json`` says of a project: what is known of a scan stays empty, and its cases come beside it."""
    from thighview.io.project import Project

    project = Project.open(folder, writable=False)
    try:
        cases = [
            {
                "name": case.title, "subject": case.subject, "path": str(case.path), "slices": case.slices,
                "reviewed": sum(n for state, n in case.counts.items() if state.reviewed),
                "in_training_set": case.in_training_set,
            }
            for case in project.cases()
        ]  # fmt: skip
        name = project.name
    finally:
        project.close()
    nothing = dict.fromkeys(("shape_zyx", "spacing_mm_zyx", "axes", "dtype"))
    return {
        "path": str(folder),
        "kind": "project",
        **nothing,
        "series": [],
        "warnings": [],
        "name": name,
        "cases": cases,
    }


def _print_project(found: dict[str, Any]) -> None:
    cases = found["cases"]
    rows = [("path", found["path"]), ("kind", "thighview project"), ("name", found["name"])]
    rows += [("cases", str(len(cases)))]
    for case in cases:
        training = ", in the training set" if case["in_training_set"] else ""
        reviewed = f"{case['reviewed']} of {case['slices']} slices reviewed"
        rows.append(("case", f"{case['name']}, subject {case['subject']}, {reviewed}{training}"))
    for name, value in rows:
        print(f"{name.ljust(5)}  {value}")


def _axes_words(axes: str) -> str:
    """The letters of the axes as words: where slices, rows and columns grow to."""
    towards = [
        f"{what} to {_TOWARDS.get(a, a)}" for what, a in zip(("slices grow", "rows", "columns"), axes, strict=True)
    ]
    return ", ".join(towards)


def _times(numbers: object, unit: str = "") -> str:
    if not isinstance(numbers, (list, tuple)):
        return "not known"
    return " x ".join(f"{n:.4g}" if isinstance(n, float) else str(n) for n in numbers) + unit


def _plain(value: object) -> str:
    return _times(value) if isinstance(value, (list, tuple)) else str(value)

"""Which mask belongs to which image: named, beside it with its name, or a DICOM segmentation that says so."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from thighview.core.errors import UserError
from thighview.io import loader
from thighview.io.dicom_file import is_dicom, read_dataset
from thighview.io.dicom_header import text_of
from thighview.io.facts import believed
from thighview.io.mask_names import stem_of
from thighview.io.mask_seg_in import LABEL_MAP, SEGMENTATION, seg_facts
from thighview.io.npz_in import carries_mask

MARKS = ("_seg", "_mask", "_labels", "_label", "-label", "-seg", "-mask")
"""What a mask's name has behind that of its image."""
_ENDINGS = (
    ".nii.gz", ".nii", ".hdr", ".hdr.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".mgz", ".mgh", ".tif", ".tiff", ".npy",
    ".npz",
)  # fmt: skip
_MOST_FILES = 20_000
_TOLD = ("SOPClassUID", "SeriesInstanceUID", "FrameOfReferenceUID", "Rows")
_NAME_ONE = "Take them in one by one, each with --mask."


@dataclass(frozen=True)
class Pair:
    """An image, and the mask that was drawn on it."""

    image: Path
    mask: Path


@dataclass(frozen=True)
class Pairs:
    """What was found in a folder, and what was left out of it, in sentences."""

    pairs: tuple[Pair, ...]
    notes: tuple[str, ...] = ()


def find_pairs(source: Path, mask: Path | None = None) -> Pairs:
    """Images with masks: the one named, one that has its mask in itself, or those of a folder; only headers are read.

    Raises
    ------
    UserError
        When there is none, or it cannot be told for certain which mask belongs to which image.
    """
    if mask is not None:
        return Pairs((Pair(source, mask),))
    if carries_mask(source):
        return Pairs((Pair(source, source),))
    if not source.is_dir():
        raise UserError(f"{source.name} is one file, and no mask was named.", "Name it with --mask FILE.")
    found = _beside(source)
    if found.pairs:
        return found
    facts, _ = loader.ask("thighview.io.mask_parts:segmentations", source)
    with believed(source):
        pairs = tuple(Pair(Path(image), Path(own)) for image, own in facts["pairs"])
        segs = Pairs(pairs, tuple(map(str, facts["notes"])))
    if segs.pairs:
        return segs
    raise UserError(
        f"{source} holds no image with a mask: no dataset.json of nnU-Net, no pairs like X.nii.gz and X_seg.nii.gz, no "
        "DICOM segmentation.",
        "Name an image and its mask: thighview import PROJECT IMAGE --mask MASK.",
    )


# ---------------------------------------------------------------------- files side by side


def _beside(folder: Path) -> Pairs:
    """``X.nii.gz`` with ``X_seg.nii.gz``, ``X_mask``, ``X_labels`` or ``X.seg.nrrd``, whatever the format of each.

    One of our own ``.npz`` has its mask in itself, unless another one lies beside it.
    """
    files = [
        path for path in sorted(folder.iterdir())
        if path.is_file() and not path.name.startswith(".") and path.name.lower().endswith(_ENDINGS)
    ]  # fmt: skip
    stems = {path: stem_of(path) for path in files}
    both = {path for path in files if path.suffix.lower() == ".npz" and carries_mask(path)}
    masks = {
        path: base for path, stem in stems.items() if path not in both and (base := _image_of(path, stem)) is not None
    }
    images: dict[str, list[Path]] = {}
    for path, stem in stems.items():
        if path not in masks:
            images.setdefault(stem, []).append(path)
    of: dict[Path, list[Path]] = {}
    notes: list[str] = []
    for path, base in masks.items():
        there = images.get(base, [])
        if len(there) > 1:
            listed = _listed([one.name for one in there])
            raise UserError(f"{path.name} may be the mask of several images: {listed}.", _NAME_ONE)
        if there:
            of.setdefault(there[0], []).append(path)
        else:
            notes.append(f"{path.name} was left out: its image {base} is not there.")
    for path in both:
        of.setdefault(path, [path])
    for image, own in of.items():
        if len(own) > 1:
            listed = _listed([one.name for one in own])
            raise UserError(f"{image.name} has several masks beside it: {listed}.", _NAME_ONE)
    if alone := [path.name for paths in images.values() for path in paths if path not in of]:
        notes.append(f"Left out, as no mask lies beside {'it' if len(alone) == 1 else 'them'}: {_listed(alone)}.")
    return Pairs(tuple(Pair(image, of[image][0]) for image in sorted(of)), tuple(notes))


def _image_of(path: Path, stem: str) -> str | None:
    """The name of the image that a file of this name is the mask of; None where it is none by its name."""
    mark = next((mark for mark in MARKS if stem.lower().endswith(mark)), None)
    if mark is not None:
        return stem[: -len(mark)]
    return stem if path.name.lower().endswith(".seg.nrrd") else None


# ---------------------------------------------------------------------- DICOM


def segmentations(folder: Path) -> Pairs:
    """Each DICOM segmentation below a folder, with a file of the series it was drawn on; in a process of its own."""
    first: dict[str, Path] = {}
    frames: dict[str, set[str]] = {}
    segs: list[Path] = []
    for path in _dicom_files(folder):
        try:
            header = read_dataset(path, _TOLD)
        except UserError:
            continue
        series = text_of(header, "SeriesInstanceUID")
        if text_of(header, "SOPClassUID") in (SEGMENTATION, LABEL_MAP):
            segs.append(path)
        elif header.get("Rows") and series:
            first.setdefault(series, path)
            frames.setdefault(text_of(header, "FrameOfReferenceUID"), set()).add(series)
    of: dict[str, list[Path]] = {}
    for path in segs:
        facts = seg_facts(path)
        named = sorted(facts.series_uids & first.keys())
        if not named and not facts.series_uids:
            named = sorted(frames.get(facts.frame_uid, ())) if facts.frame_uid else []
        if len(named) != 1:
            what = f"{len(named)} series" if named else "no series"
            raise UserError(f"The segmentation {path.name} was drawn on {what} of this folder.", _NAME_ONE)
        of.setdefault(named[0], []).append(path)
    for own in of.values():
        if len(own) > 1:
            listed = _listed([path.name for path in own])
            raise UserError(f"One series has several segmentations: {listed}.", _NAME_ONE)
    without = len(first) - len(of)
    notes = (f"Left out: {without} series without a segmentation.",) if without else ()
    return Pairs(tuple(Pair(first[series], own[0]) for series, own in of.items()), notes)


def _dicom_files(root: Path) -> list[Path]:
    """All DICOM files below a folder; links are not followed."""
    found: list[Path] = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(folder) / name
            if name.startswith(".") or path.is_symlink() or not path.is_file():
                continue
            if os.access(path, os.R_OK) and is_dicom(path):
                found.append(path)
            if len(found) > _MOST_FILES:
                raise UserError(f"{root} holds more than {_MOST_FILES:,} DICOM files.", "Choose a smaller folder.")
    return found


def _listed(names: Sequence[str], most: int = 6) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")

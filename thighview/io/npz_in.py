"""Our own ``.npz`` files, as ``npz_out`` writes them: image and mask in one, with all that is said of both."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import UserError
from thighview.core.provenance import Provenance, reviews_told
from thighview.core.segments import Segment
from thighview.io.npz_out import CONVENTION
from thighview.io.numpy_archive import ZIP, Archive, heads_of, member, opened
from thighview.io.numpy_array import ArrayHead, read_head, read_numbers, read_text
from thighview.io.positions import is_transform

_NEEDED = ("labels", "states", "unreviewed_value", "subject", "facts")
_LONGEST_NAME = 64
_SIDES = ("", "left", "right")


@dataclass(frozen=True, eq=False)
class OwnFile:
    """What one of our files says beside its image and mask.

    Parameters
    ----------
    affine : ndarray of float64, shape (4, 4)
        From (z, y, x, 1) of both arrays to LPS mm.
    segments : tuple of Segment
        Its labels by their numbers in the mask; among them that of slices nobody has reviewed.
    provenance : Provenance
        The state of each slice.
    subject : str
        Whose scan it is.
    unsure : frozenset of str
        What the scan did not say, as ``Volume.unsure``.
    missing : tuple of int
        Slices that were not in the files of the scan.
    """

    affine: NDArray[np.float64]
    segments: tuple[Segment, ...]
    provenance: Provenance
    subject: str
    unsure: frozenset[str]
    missing: tuple[int, ...]


def own_file(path: Path, archive: Archive | None, heads: Mapping[str, ArrayHead]) -> OwnFile | None:
    """What an archive says where it is one of ours; None where it is another's.

    Raises
    ------
    UserError
        When it is ours and damaged.
    """
    if not _is_ours(path, archive, heads):
        return None
    try:
        return _facts(path, archive, heads)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"{path.name} calls itself an export of thighview, but what it says of its mask cannot be understood"
            f" ({str(error)[:100]}).",
            "Export it again.",
        ) from error


def own_mask(path: Path) -> tuple[NDArray[np.integer[Any]], OwnFile] | None:
    """The mask of one of our files, (z, y, x), and what is said of it; None of any other file."""
    with opened(path) as archive:
        heads = heads_of(path, archive) if archive else {}
        own = own_file(path, archive, heads)
        if own is None:
            return None
        with member(path, archive, "mask") as stream:
            return read_numbers(stream, read_head(stream, path), path), own


def carries_mask(path: Path) -> bool:
    """Whether a path is one of our files, so that its mask is in it; only headers are read."""
    return _own_at(path) is not None


def subject_in(path: Path) -> str:
    """Whose scan one of our files says it is; empty of anything else."""
    own = _own_at(path)
    return own.subject if own else ""


def _own_at(path: Path) -> OwnFile | None:
    with suppress(UserError, OSError):  # whoever reads it says what is wrong
        if path.is_file() and _starts_like_archive(path):
            with opened(path) as archive:
                return own_file(path, archive, heads_of(path, archive)) if archive else None
    return None


def _starts_like_archive(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(ZIP)) == ZIP


def _is_ours(path: Path, archive: Archive | None, heads: Mapping[str, ArrayHead]) -> bool:
    image, mask, affine = (heads.get(name) for name in ("image", "mask", "affine"))
    if archive is None or image is None or mask is None or affine is None or "affine_convention" not in heads:
        return False
    alike = len(image.shape) == 3 and image.shape == mask.shape and mask.dtype.kind == "u" and affine.shape == (4, 4)
    return (
        alike and image.is_numbers and affine.is_numbers and _words(path, archive, "affine_convention") == [CONVENTION]
    )


def _facts(path: Path, archive: Archive | None, heads: Mapping[str, ArrayHead]) -> OwnFile:
    if lacking := [name for name in _NEEDED if name not in heads]:
        raise ValueError(f"it lacks {lacking[0]!r}")
    affine = _numbers(path, archive, "affine").astype(np.float64)
    if not is_transform(affine):
        raise ValueError("its affine is no position in space")
    rows = [_label(row) for row in json.loads(_word(path, archive, "labels"))]
    beneath = json.loads(_word(path, archive, "facts")).get("model_beneath")
    reviews = reviews_told(_words(path, archive, "states"), beneath)
    count = heads["image"].shape[0]
    if reviews is None or len(reviews) != count:
        raise ValueError(f"a state was expected for each of {count} slices")
    mark = int(_numbers(path, archive, "unreviewed_value"))
    marked = next((segment.file_id for segment in rows if segment.number == mark), 0)
    missing = [int(n) for n in _numbers(path, archive, "missing")] if "missing" in heads else []
    if any(not 0 <= n < count for n in missing):
        raise ValueError("a slice is missing that cannot be")
    unsure = frozenset(_words(path, archive, "unsure")) if "unsure" in heads else frozenset[str]()
    return OwnFile(
        affine, tuple(rows), Provenance(reviews, mark=marked, source=path.name), _name(_word(path, archive, "subject")),
        unsure & {"orientation", "spacing"}, tuple(missing),
    )  # fmt: skip


def _label(row: Any) -> Segment:
    name, side, value, file_id = str(row["name"]), row["side"], row["value"], row["file_id"]
    red, green, blue = (int(n) for n in row["colour"])
    if side not in _SIDES or type(value) is not int or type(file_id) is not int or not 1 <= value <= 255 or not file_id:
        raise ValueError(f"a label that cannot be: {row!r}")
    if min(red, green, blue) < 0 or max(red, green, blue) > 255:
        raise ValueError(f"a colour that cannot be: {row!r}")
    return Segment(file_id, name, side, (red, green, blue), code=value)


def _name(words: str) -> str:
    """A name in one line, as long as names are."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in words).split())[:_LONGEST_NAME]


def _numbers(path: Path, archive: Archive | None, name: str) -> NDArray[Any]:
    with member(path, archive, name) as stream:
        return read_numbers(stream, read_head(stream, path), path)


def _words(path: Path, archive: Archive | None, name: str) -> list[str]:
    with member(path, archive, name) as stream:
        return read_text(stream, read_head(stream, path), path)


def _word(path: Path, archive: Archive | None, name: str) -> str:
    (word,) = _words(path, archive, name)
    return word

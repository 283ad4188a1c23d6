"""Image and mask as one ``.npz`` of NumPy: plain arrays and text, nothing that is pickled."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from thighview.core.labels import LabelTable
from thighview.core.mask import LabelMap
from thighview.core.review import SliceReview
from thighview.core.volume import Volume
from thighview.io.atomic import read_back_differs, write_atomic
from thighview.io.unreviewed import marked

CONVENTION = "affine @ (z, y, x, 1) = (left, posterior, superior, 1) in mm; z, y, x index image and mask"


def write_npz(
    path: Path,
    volume: Volume,
    labels: LabelMap,
    table: LabelTable,
    reviews: Sequence[SliceReview],
    facts: Mapping[str, Any],
) -> None:
    """Write what a training needs of a case into one file, and read it back.

    It holds ``image`` and ``mask`` (z, y, x), ``affine`` with ``affine_convention``, ``spacing_mm_zyx``, ``labels``
    (JSON text), ``states`` and ``reviewed`` per slice, ``unreviewed_value`` (-1 where all are reviewed), ``missing``
    (slices that are not in the scan's files), ``unsure`` (what the scan does not say of its position), ``subject`` and
    ``facts`` (JSON text). ``npz_in`` reads it again. Slices nobody has reviewed carry ``unreviewed_value`` in the mask.

    Raises
    ------
    UserError
        When it cannot be written, or no number is left to mark unreviewed slices.
    """
    mask, with_mark, mark = marked(labels, table, reviews)
    rows = [
        {"value": b.value, "name": b.name, "side": b.side, "colour": list(b.colour), "file_id": b.file_id}
        for b in with_mark
    ]
    arrays: dict[str, Any] = {
        "image": volume.voxels,
        "mask": mask,
        "affine": volume.affine,
        "affine_convention": np.array(CONVENTION),
        "spacing_mm_zyx": np.array(volume.spacing_mm),
        "labels": np.array(json.dumps(rows, ensure_ascii=False)),
        "states": np.array([review.state.word for review in reviews]),
        "reviewed": np.array([review.state.reviewed for review in reviews]),
        "unreviewed_value": np.array(mark.value if mark else -1),
        "missing": np.array(volume.missing, np.int32),
        "unsure": np.array(sorted(volume.unsure), "U16"),
        "subject": np.array(str(facts.get("subject", ""))),
        "facts": np.array(json.dumps(dict(facts), ensure_ascii=False, allow_nan=False)),
    }

    def write(file: BinaryIO) -> None:
        np.savez_compressed(file, allow_pickle=False, **arrays)

    def check(temporary: Path) -> None:
        with np.load(temporary, allow_pickle=False) as back:
            if set(back.files) != set(arrays) or not all(_same(back[name], array) for name, array in arrays.items()):
                raise read_back_differs(path)

    write_atomic(path, write, check)


def _same(a: Any, b: Any) -> bool:
    return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")

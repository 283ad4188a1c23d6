"""A mask taken apart into plain data and arrays for the way between two processes, and put together again."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.segments import MaskFile, Segment
from thighview.core.volume import Volume
from thighview.io import mask_pairs, mask_seg_in


def read_seg_parts(
    path: str, steps_mm: Sequence[Sequence[float]] | None = None
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """A DICOM segmentation for a child process; ``steps_mm`` as in :func:`mask_seg_in.read_seg`."""
    return parts_of(mask_seg_in.read_seg(Path(path), steps_mm))


def is_seg(path: str) -> dict[str, Any]:
    """Whether a DICOM file is a segmentation."""
    return {"seg": mask_seg_in.is_seg(Path(path))}


def segmentations(path: str) -> dict[str, Any]:
    """The DICOM segmentations below a folder, each with a file of its series."""
    found = mask_pairs.segmentations(Path(path))
    return {"pairs": [[str(pair.image), str(pair.mask)] for pair in found.pairs], "notes": list(found.notes)}


def parts_of(mask: MaskFile) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Plain data that JSON can carry, and the layers by name."""
    facts: dict[str, Any] = {
        "name": mask.name,
        "affine": mask.grid.affine.tolist(),
        "kind": mask.grid.kind,
        "details": mask.grid.details,
        "segments": [
            [s.file_id, s.name, s.side, list(s.colour) if s.colour else None, s.layer, s.code, s.automatic]
            for s in mask.segments
        ],
        "partial": mask.partial,
        "frame_uid": mask.frame_uid,
        "series_uids": sorted(mask.series_uids),
        "notes": list(mask.notes),
    }
    return facts, {f"layer{i}": layer for i, layer in enumerate(mask.layers)}


def mask_of_parts(facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> MaskFile:
    """The inverse of :func:`parts_of`."""
    layers = tuple(arrays[f"layer{i}"] for i in range(len(arrays)))
    grid = Volume(
        layers[0], np.array(facts["affine"], np.float64), str(facts["name"]), str(facts["kind"]), (),
        {str(key): str(value) for key, value in facts["details"].items()},
    )  # fmt: skip
    segments = tuple(
        Segment(int(i), str(name), str(side), (c[0], c[1], c[2]) if c else None, int(layer), int(code), bool(automatic))
        for i, name, side, c, layer, code, automatic in facts["segments"]
    )
    return MaskFile(
        str(facts["name"]), grid, layers, segments, bool(facts["partial"]), str(facts["frame_uid"]),
        frozenset(map(str, facts["series_uids"])), tuple(map(str, facts["notes"])),
    )  # fmt: skip

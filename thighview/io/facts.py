"""A volume, and what is said of one, taken apart into plain data and arrays for the way between two processes."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import UserError
from thighview.core.volume import Volume


@dataclass(frozen=True)
class Inspection:
    """What ``thighview info`` says of a path; ``series`` has one plain dict per series or volume found."""

    path: str
    kind: str
    shape_zyx: tuple[int, int, int]
    spacing_mm_zyx: tuple[float, float, float]
    axes: str
    dtype: str
    series: tuple[dict[str, Any], ...]
    warnings: tuple[str, ...]
    affine_lps: tuple[tuple[float, ...], ...] = ()
    """From (z, y, x, 1) to LPS mm, four rows."""
    details: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def of(
        path: Path | str, volume: Volume, series: Sequence[dict[str, Any]], warnings: Sequence[str] = ()
    ) -> "Inspection":
        """What is said of a path of which this volume was read."""
        return Inspection(
            str(path), volume.kind, volume.shape, volume.spacing_mm, volume.axes, volume.voxels.dtype.name,
            tuple(series), (*warnings, *volume.warnings), tuple(map(tuple, volume.affine.tolist())), volume.details,
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Plain data with the keys of the command line's contract."""
        return asdict(self) | {
            "shape_zyx": list(self.shape_zyx),
            "spacing_mm_zyx": [round(value, 6) for value in self.spacing_mm_zyx],
            "series": list(self.series),
            "warnings": list(self.warnings),
            "affine_lps": [[round(value, 6) for value in row] for row in self.affine_lps],
        }

    @staticmethod
    def from_json(facts: Mapping[str, Any]) -> "Inspection":
        """The inverse of :meth:`to_json`."""
        z, y, x = (int(n) for n in facts["shape_zyx"])
        dz, dy, dx = (float(mm) for mm in facts["spacing_mm_zyx"])
        return Inspection(
            str(facts["path"]), str(facts["kind"]), (z, y, x), (dz, dy, dx), str(facts["axes"]), str(facts["dtype"]),
            tuple(dict(row) for row in facts["series"]), tuple(map(str, facts["warnings"])),
            tuple(tuple(map(float, row)) for row in facts["affine_lps"]),
            {str(key): str(value) for key, value in facts["details"].items()},
        )  # fmt: skip


def volume_facts(volume: Volume) -> dict[str, Any]:
    """A volume without its voxels, as plain data."""
    return {
        "affine": volume.affine.tolist(),
        "name": volume.name,
        "kind": volume.kind,
        "warnings": list(volume.warnings),
        "details": volume.details,
        "file_geometry": volume.file_geometry.hex(),
        "unsure": sorted(volume.unsure),
        "frame_uid": volume.frame_uid,
        "series_uid": volume.series_uid,
        "missing": list(volume.missing),
    }


def volume_of(facts: Mapping[str, Any], voxels: NDArray[Any]) -> Volume:
    """The volume of :func:`volume_facts`."""
    return Volume(
        voxels,
        np.array(facts["affine"], np.float64),
        str(facts["name"]),
        str(facts["kind"]),
        tuple(map(str, facts["warnings"])),
        {str(key): str(value) for key, value in facts["details"].items()},
        bytes.fromhex(facts["file_geometry"]),
        frozenset(map(str, facts["unsure"])),
        str(facts["frame_uid"]),
        str(facts["series_uid"]),
        tuple(sorted({int(index) for index in facts["missing"]} & set(range(len(voxels))))),
    )


@contextmanager
def believed(path: Path) -> Generator[None]:
    """What is made here of another process's answer; a UserError where that is not what was asked for."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UserError(f"What was read from {path.name} is not what was asked for ({error}).") from error

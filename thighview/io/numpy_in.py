"""NumPy files: one array (``.npy``), or several with what belongs to them (``.npz``), also the bundles of Dafne.

They do not say which axis is which. Where an ``affine`` is there, it is taken as the other programs of Python write it:
from the axes of the array, in their order, to millimetres to the right, front and head. Else slices lie along the axis
that differs in length from two alike, or the first one, and the sides are not known. A bundle of Dafne (``data``,
``mask_NAME``, ``resolution``) has rows, columns, slices. All of this is said, never taken silently. Only our own files
say what their affine means (``npz_in``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import ScanChoice, UserError
from thighview.core.volume import Volume
from thighview.io import numbers, parts
from thighview.io.names import stem
from thighview.io.npz_in import OwnFile, own_file
from thighview.io.numpy_archive import ZIP, Archive, heads_of, member, opened
from thighview.io.numpy_array import MAGIC, ArrayHead, read_head, read_numbers
from thighview.io.positions import NOT_KNOWN, SPACING_NOT_KNOWN, affine_of, doubts, is_transform, unknown, unsure

_MASK = "mask_"
_SPACINGS = ("resolution", "spacing", "voxel_spacing", "voxel_size", "zooms", "pixdim")
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class _Scan:
    """One scan of a file: the member it lies in (empty: the file itself), or one index along an axis of that."""

    title: str
    member: str
    head: ArrayHead
    along: int | None = None
    index: int = 0

    @property
    def axes(self) -> tuple[int, ...]:
        """Which axes of the array are those of space."""
        return tuple(axis for axis in range(len(self.head.shape)) if axis != self.along)


def starts(first: bytes) -> bool:
    """Whether these are the first bytes of an array, or of an archive that may hold some."""
    return first.startswith((MAGIC, ZIP))


def files_of(path: Path) -> tuple[Path, ...]:
    """The file itself."""
    return (path,)


def read_numpy(path: Path, part: str = "") -> Volume:
    """Read one scan of a ``.npy`` or ``.npz`` file; nothing in it is ever run.

    Parameters
    ----------
    path : Path
        The file.
    part : str
        Which of several: the name of an array, or the number, from 1, of one along its fourth axis.

    Raises
    ------
    SeveralScansError
        When the file holds several scans and none is named.
    UserError
        When it is damaged, too large for the memory, holds no scan, or has no such part.
    """
    with opened(path) as archive:
        heads = heads_of(path, archive)
        dafne = "data" in heads and ("resolution" in heads or any(name.startswith(_MASK) for name in heads))
        own = own_file(path, archive, heads)
        scans = _scans(path, heads)
        chosen = _chosen(path, part, scans, "data" if dafne else "image" if own else "")
        scan = scans[chosen]
        with member(path, archive, scan.member) as stream:
            stored = read_numbers(stream, read_head(stream, path), path, scan.along, scan.index)
        facts = {} if archive is None else _facts(path, archive, heads)
    if own:
        return _of_own(path, scan, own, stored)
    warnings: list[str] = []
    order = _order([scan.head.shape[axis] for axis in scan.axes], dafne, "affine" in facts)
    voxels, details = _shown(np.ascontiguousarray(stored.transpose(order)), path)
    affine, position_from = _position(facts, scan, order, dafne, warnings)
    details |= {"Format": "Dafne bundle" if dafne else "NumPy", "Position from": position_from}
    name = stem(path)
    if len(scans) > 1:
        details["Array"] = scan.title
        name = f"{name}, {scan.title}"
    said = (*warnings, *doubts(affine), *numbers.odd_words(voxels))
    return Volume(voxels, affine, name, "numpy", said, details, unsure=unsure(position_from, said))


def _of_own(path: Path, scan: _Scan, own: OwnFile, stored: NDArray[Any]) -> Volume:
    """Image or mask of one of our own files, as it was when it was exported."""
    voxels, details = _shown(stored, path)
    mark = own.provenance.mark
    names = [segment.name for segment in own.segments if segment.file_id != mark]
    details |= {"Format": "NumPy, exported by thighview", "Position from": "affine", "Mask in it": ", ".join(names)}
    said = [f"The scan it was exported from does not say how it lies: {NOT_KNOWN}"] * ("orientation" in own.unsure)
    said += [SPACING_NOT_KNOWN] * ("spacing" in own.unsure)
    said += [*doubts(own.affine), *numbers.odd_words(voxels)]
    not_known = own.unsure | unsure("affine", said)
    name = stem(path) if scan.member == "image" else f"{stem(path)}, {scan.title}"
    return Volume(
        voxels, own.affine, name, "numpy", tuple(said), details, unsure=not_known, missing=own.missing,
    )  # fmt: skip


def bundle_masks(path: Path) -> dict[str, NDArray[np.bool_]]:
    """The masks of a Dafne bundle by name, in the file's order, on the voxels of :func:`read_numpy`.

    Empty where the file is none or has no masks.

    Raises
    ------
    UserError
        When it is damaged, or a mask has another shape than the image.
    """
    found: dict[str, NDArray[np.bool_]] = {}
    with opened(path) as archive:
        heads = heads_of(path, archive) if archive else {}
        if archive is None or "data" not in heads:
            return {}
        shape = heads["data"].shape
        for name, head in heads.items():
            if not name.startswith(_MASK) or not head.is_numbers:
                continue
            if head.shape != shape or len(shape) != 3:
                raise UserError(
                    f"The mask {name[len(_MASK) :]!r} of {path.name} has {_times(head.shape)} voxels, the image "
                    f"{_times(shape)}.",
                    "Save the bundle again.",
                )
            with member(path, archive, name) as stream:
                stored = read_numbers(stream, read_head(stream, path), path)
            found[name[len(_MASK) :]] = np.ascontiguousarray(stored.transpose(_order(shape, True, False)) != 0)
    return found


# ---------------------------------------------------------------------- what a file holds


def _scans(path: Path, heads: Mapping[str, ArrayHead]) -> list[_Scan]:
    """Arrays of three axes, those of four along the shortest of them, or, where there is neither, those of two."""
    images = {
        name: head
        for name, head in heads.items()
        if head.is_numbers
        and not name.startswith(_MASK)
        and name not in ("affine", *_SPACINGS)
        and min(head.shape, default=0) > 0
    }
    scans: list[_Scan] = []
    for name, head in images.items():
        if len(head.shape) == 3 and head.shape[2] in (3, 4) and head.dtype == np.uint8 and min(head.shape[:2]) > 16:
            continue  # a colour picture
        if len(head.shape) == 3:
            scans.append(_Scan(name, name, head))
        elif len(head.shape) == 4:
            along = _apart(head.shape)
            count = head.shape[along]
            titles = [f"{name} {n + 1} of {count}".strip() for n in range(count)] if count > 1 else [name]
            scans += [_Scan(title, name, head, along, n) for n, title in enumerate(titles)]
    if not scans:
        scans = [
            _Scan(name, name, head) for name, head in images.items() if len(head.shape) == 2 and min(head.shape) > 16
        ]
    if not scans:
        shapes = ", ".join(
            f"{name} {_times(head.shape) or 'a number'}".strip() for name, head in list(heads.items())[:6]
        )
        raise UserError(
            f"{path.name} holds no scan: an array of three axes was expected, found {shapes}.",
            "Save the image alone as an array of three axes.",
        )
    return scans


def _apart(shape: Sequence[int]) -> int:
    """Of four axes the one that is none of space: the shortest of the first and the last."""
    return 0 if shape[0] <= shape[-1] else len(shape) - 1


def _chosen(path: Path, part: str, scans: Sequence[_Scan], image: str) -> int:
    """Which scan is meant; where a file says which one is its ``image``, that one."""
    of_one = len({scan.member for scan in scans}) == 1
    choices = [
        ScanChoice(
            f"volume {n} of {len(scans)}" if of_one and scan.along is not None else f"array {scan.title}",
            path,
            str(n) if of_one and scan.along is not None else scan.title,
            description=f"{_times(scan.head.shape)} numbers, {scan.head.dtype.name}",
        )
        for n, scan in enumerate(scans, 1)
    ]
    if image and not part:
        return next(n for n, scan in enumerate(scans) if scan.member == image)
    return parts.choose(path, part, choices, "arrays that could be scans")


# ---------------------------------------------------------------------- where it lies


def _facts(path: Path, archive: Archive, heads: Mapping[str, ArrayHead]) -> dict[str, NDArray[np.float64]]:
    """Affine and spacing, as far as they are there and are what they should be."""
    facts: dict[str, NDArray[np.float64]] = {}
    for name in ("affine", *_SPACINGS):
        head = heads.get(name)
        if head is None or not head.is_numbers or head.dtype.kind == "c":
            continue
        wanted = ((4, 4), (3, 4)) if name == "affine" else ((3,), (2,), (1, 3))
        if head.shape in wanted:
            with member(path, archive, name) as stream:
                found = read_numbers(stream, read_head(stream, path), path).astype(np.float64)
            facts.setdefault("affine" if name == "affine" else "spacing", found if name == "affine" else found.ravel())
    return facts


def _order(shape: Sequence[int], dafne: bool, placed: bool) -> tuple[int, ...]:
    """Which axes of the array become (z, y, x)."""
    if len(shape) == 2:
        return (0, 1)
    if dafne:
        return (2, 0, 1)
    if placed:
        return (2, 1, 0)
    odd = [axis for axis in range(3) if shape.count(shape[axis]) == 1] if len(set(shape)) == 2 else []
    z = odd[0] if odd else 0
    return (z, *(axis for axis in range(3) if axis != z))


def _shown(stored: NDArray[Any], path: Path) -> tuple[NDArray[Any], dict[str, str]]:
    """Voxels (z, y, x) and what is said of their numbers."""
    voxels = stored if stored.ndim == 3 else stored[None]
    details = {"Stored numbers": voxels.dtype.name}
    if voxels.dtype.kind == "c":
        return numbers.magnitude(voxels), details | {"Shown": "the magnitude of complex numbers"}
    if voxels.dtype.kind == "f" and voxels.dtype.itemsize > 8:
        voxels = voxels.astype(np.float64)
    return numbers.narrowed(voxels, path.name), details


def _position(
    facts: Mapping[str, NDArray[np.float64]], scan: _Scan, order: tuple[int, ...], dafne: bool, warnings: list[str]
) -> tuple[NDArray[np.float64], str]:
    """The matrix from (z, y, x, 1) to LPS mm, and what gave it."""
    matrix = facts.get("affine")
    if matrix is not None and len(order) == 3:
        full = np.eye(4)
        full[: len(matrix)] = matrix
        columns = (_RAS_TO_LPS @ full)[:3, [*order[::-1], 3]]
        affine = affine_of(columns[:, :3], columns[:, 3])
        if is_transform(affine):
            warnings.append(
                "A NumPy file does not say what its affine means: it was taken as that of a NIfTI file, to right, "
                "front and head. Check left and right."
            )
            return affine, "affine"
        warnings.append("The affine of this file is no position in space; it was passed over.")
    told = facts.get("spacing")
    spacing = [1.0, 1.0, 1.0]
    if told is None or not (np.isfinite(told).all() and (told > 0).all()) or len(told) < len(order):
        warnings.append(SPACING_NOT_KNOWN)
    else:
        spacing = [1.0] * (3 - len(order)) + [float(told[axis]) for axis in order]
        if not dafne:
            warnings.append("The spacing of this file was taken in the order of its array's axes: check lengths.")
    count = scan.head.shape[scan.axes[order[0]]] if len(order) == 3 else 1
    warnings.append(
        f"A NumPy file does not say how the scan lies in the patient ({count} slices were taken): {NOT_KNOWN}"
    )
    z, y, x = spacing
    return unknown((z, y, x)), "nothing"


def _times(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))

"""The header of a NIfTI file: taken apart and put together by nibabel, checked before anything is allocated."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import UserError
from thighview.core.known import LENGTHS_NOT_KNOWN, TWO_POSITIONS
from thighview.core.scan_key import QFORM
from thighview.core.volume import Volume
from thighview.io.positions import NOT_KNOWN, SPACING_NOT_KNOWN, doubts, is_transform

_SIZES = (348, 540)
_MAGIC = (b"n+1\0", b"n+2\0\r\n\x1a\n")
_MAGIC_APART = (b"ni1\0", b"ni2\0\r\n\x1a\n")
_ANALYZE = 0
_PLAIN = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64")
_COMPLEX = ("complex64", "complex128")
_BEFORE_SCALING = 112
"""Up to here an Analyze 7.5 header is like that of NIfTI-1; what follows is other things, names of people too."""
_POSITION = (
    "pixdim", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y",
    "qoffset_z", "srow_x", "srow_y", "srow_z",
)  # fmt: skip
_UNIT_MM = {1: ("metres", 1000.0), 3: ("micrometres", 0.001)}
_MAX_DIM = _MAX_CODE = 32767
_MAX_OFFSET = 16 << 20
_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_FORMS_MAY_DIFFER_MM = 0.1
_HALF_TURN = 3 * float(np.finfo(np.float32).eps)
"""Below this the rotation is by 180 degrees, and what is left is the rounding of 32-bit numbers."""
_SIDES_NOT_KNOWN = b"left and right are not known"
"""Description in a file of ours whose position is how its scan was shown, and no more: its codes would claim more."""
_TELL = "Convert it again from the scanner's files, or repair its header."


@dataclass(frozen=True)
class NiftiHeader:
    """What a reader needs of the header; made by :func:`parse_header`, which has checked it.

    Parameters
    ----------
    version : int
        1 or 2; 0 is Analyze 7.5.
    apart : bool
        Whether the voxels lie in a file of their own.
    big_endian : bool
        Byte order of the header.
    shape : tuple of int
        (i, j, k).
    volumes : int
        How many volumes the file holds.
    dtype : dtype
        Of the stored numbers, with their byte order.
    offset : int
        Bytes before the first voxel, in the file that holds the voxels.
    slope, inter : float
        True number = slope * stored + inter; 1 and 0 where the file says none.
    affine : ndarray of float64, shape (4, 4)
        From (z, y, x, 1) to LPS mm.
    other_affine : ndarray of float64, shape (4, 4), or None
        The same by the form that was not taken, where both are coded and they differ.
    position_from : str
        The form that gave it, with its code.
    names_unit : bool
        Whether it says what its lengths are; where it does not they are mm, as is common.
    position : bytes
        Both forms, their codes and the unit as the file has them, for ``Volume.file_geometry``: a NIfTI-1 header
        without anything else.
    """

    version: int
    apart: bool
    big_endian: bool
    shape: tuple[int, int, int]
    volumes: int
    dtype: np.dtype[np.generic]
    offset: int
    slope: float
    inter: float
    affine: NDArray[np.float64]
    other_affine: NDArray[np.float64] | None
    position_from: str
    names_unit: bool
    position: bytes
    warnings: tuple[str, ...]

    @property
    def format(self) -> str:
        """Name of the format, for people."""
        return f"NIfTI-{self.version}{' pair' if self.apart else ''}" if self.version else "Analyze 7.5"

    @property
    def volume_bytes(self) -> int:
        """Bytes of one stored volume."""
        return math.prod(self.shape) * self.dtype.itemsize


def header_size(first: bytes) -> int:
    """Size of the header that starts with these 4 bytes: 348 or 540; 0 when it is none."""
    sizes = (int.from_bytes(first[:4], "little"), int.from_bytes(first[:4], "big"))
    return next((size for size in _SIZES if size in sizes), 0)


def is_whole_file(start: bytes) -> bool:
    """Whether a file with these first 540 bytes (or fewer) has header and voxels in one, as its mark says."""
    size = header_size(start)
    return size > 0 and _magic(start, size) in _MAGIC


def _magic(data: bytes, size: int) -> bytes:
    return data[344:348] if size == _SIZES[0] else data[4:12]


@np.errstate(all="ignore")
def parse_header(data: bytes, by_qform: bool = False) -> NiftiHeader:
    """Read a header of 348 (NIfTI-1, or Analyze 7.5 where it has no mark) or 540 bytes (NIfTI-2).

    ``by_qform``: where it gives two positions that differ, take the qform, as a person has chosen.

    Raises
    ------
    UserError
        When it is not a NIfTI header, says something that cannot be, or has no qform that can be taken.
    """
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    version = _SIZES.index(len(data)) + 1
    magic = _magic(data, len(data))
    order = "<" if int.from_bytes(data[:4], "little") == len(data) else ">"
    warnings: list[str] = []
    if magic not in (*_MAGIC, *_MAGIC_APART):
        if version == 2:
            raise UserError("This is not a NIfTI file: its mark is missing.", "Open a .nii or .nii.gz file.")
        version = _ANALYZE
        _say_scale(data, order, warnings)
        data = data[:_BEFORE_SCALING] + bytes(len(data) - _BEFORE_SCALING)
    raw: Any = (Nifti2Header if version == 2 else Nifti1Header)(data, order, check=False)
    offset, least = float(raw["vox_offset"]), len(data) + 4 if magic in _MAGIC else 0
    if not (offset.is_integer() and least <= offset <= _MAX_OFFSET):
        raise UserError(f"The header says the voxels start at byte {offset:g}, which cannot be.", _TELL)
    slope, inter = _scaling(float(raw["scl_slope"]), float(raw["scl_inter"]), warnings)
    shape, volumes = _shape(raw["dim"].tolist())
    for name in ("sform_code", "qform_code"):
        if not 0 <= raw[name] <= _MAX_CODE:
            raw[name] = 0
    raw["xyzt_units"] = int(raw["xyzt_units"]) & 7
    affine, other, position_from = _affine(raw, shape, version, by_qform, warnings)
    if raw["descrip"].item() == _SIDES_NOT_KNOWN:
        warnings.append(f"The scan this file was made of does not say how it lies: {NOT_KNOWN}")
        position_from = "nothing"
    position: Any = Nifti1Header(endianness="<")
    for name in (*_POSITION, "xyzt_units"):
        position[name] = raw[name]
    position["pixdim"][4:] = 1
    return NiftiHeader(
        version, magic not in _MAGIC, order == ">", shape, volumes, _dtype(raw), int(offset), slope, inter, affine,
        other, position_from, int(raw["xyzt_units"]) != 0, position.binaryblock, tuple(warnings),
    )  # fmt: skip


def check_extensions(data: bytes, big_endian: bool) -> None:
    """Walk the bytes between header and voxels: 4 flag bytes, then extensions that must fill the space exactly."""
    if not data[:1] or data[0] == 0:
        return
    at = 4
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big" if big_endian else "little", signed=True)
        if size < 16 or size % 16 or at + size > len(data):
            raise UserError("The extensions of this file's header do not end where the voxels start.", _TELL)
        at += size


def build_header(volume: Volume, dtype: np.dtype[np.generic], channels: int = 0, intent: str = "none") -> bytes:
    """A fresh NIfTI-1 header, 352 bytes little-endian, with a volume's position and without a word of its source's.

    Without a position from a file there is an sform, and the same as a qform where the axes are at right angles. Where
    left and right are not known, its description says so: without any form it would be shown another way round.

    Parameters
    ----------
    channels : int
        Length of the fourth axis; 0 for a file without one.
    intent : str
        ``label`` for a label map.
    """
    from nibabel.nifti1 import Nifti1Header

    if max(volume.shape) > _MAX_DIM:
        raise UserError(f"A NIfTI file holds at most {_MAX_DIM} voxels along an axis, found {max(volume.shape)}.")
    header: Any = Nifti1Header(volume.file_geometry or None, "<", check=False)
    if not volume.file_geometry:
        matrix = _TO_LPS @ volume.affine[:, [2, 1, 0, 3]]
        rotation = matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0)
        square = np.allclose(rotation.T @ rotation, np.eye(3), atol=1e-5)
        header.set_qform(matrix, int(square))
        header.set_sform(matrix, 1)
        header.set_xyzt_units("mm")
    if "orientation" in volume.unsure and (header["sform_code"] or header["qform_code"]):
        header["descrip"] = _SIDES_NOT_KNOWN
    header.set_data_shape((*volume.shape[::-1], *([channels] if channels else [])))
    header.set_data_dtype(dtype)
    header.set_intent(intent)
    header.set_slope_inter(1, 0)
    header.set_data_offset(352)
    return header.binaryblock + bytes(4)


def _affine(
    raw: Any, shape: tuple[int, int, int], version: int, by_qform: bool, warnings: list[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None, str]:
    """The matrix from (z, y, x, 1) to LPS mm, the one by the other form where that differs, and which was taken.

    The sform holds where its code is above 0, else the qform; a coded form that is no transform at all is
    passed over with a warning. Where both hold and differ, a person may have chosen the qform.
    """
    pixdim = np.array(raw["pixdim"][:4], np.float64)
    forms: list[tuple[str, NDArray[np.float64]]] = []
    for name, matrix in (("sform", raw.get_sform()), ("qform", _qform(raw, pixdim))):
        code = int(raw[f"{name}_code"])
        if code and matrix is not None and is_transform(matrix):
            forms.append((f"{name}, code {code}", matrix))
        elif code:
            warnings.append(f"The {name} of this file (code {code}) is no position in space; it was passed over.")
    apart = _corners_apart_mm(forms[0][1], forms[1][1], shape) if len(forms) == 2 else 0.0
    differ = apart > _FORMS_MAY_DIFFER_MM
    if by_qform:
        if not differ:
            raise UserError("This file does not give a qform that differs from its sform.", f"Leave {QFORM!r} out.")
        forms.reverse()
    elif differ:
        warnings.append(
            f"This file {TWO_POSITIONS}, sform and qform, {apart:.3g} mm apart; the sform was used, as the standard "
            "of NIfTI has it. Check left and right."
        )
    if forms:
        source, matrix = forms[0]
        source += ", chosen against the sform" * by_qform
        found = [matrix for _, matrix in forms]
    else:
        source, matrix = "nothing", np.diag([*_spacing(pixdim[1:], warnings), 1.0])
        why = "no sform, no qform" if version else "Analyze 7.5 has no place for it"
        warnings.append(f"This file does not say how the scan lies in the patient ({why}): {NOT_KNOWN}")
        found = [matrix]
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    if source.startswith("sform") and not np.allclose(spacing, np.abs(pixdim[1:]), rtol=0.01):
        warnings.append(
            f"The spacings of this file's header and of its sform differ; the sform's was used, {LENGTHS_NOT_KNOWN}."
        )
    if min(pixdim[1:]) < 0:
        used = "the sform's was used" if source.startswith("sform") else "its size was used"
        warnings.append(f"This file gives a negative spacing; {used}.")
    factor = _millimetres(int(raw["xyzt_units"]), float(spacing.max()), warnings)
    affine, *others = ((_TO_LPS @ np.diag([factor, factor, factor, 1.0]) @ m)[:, [2, 1, 0, 3]] for m in found)
    warnings.extend(doubts(affine))
    return affine, (others[0] if differ else None), source


def _qform(raw: Any, pixdim: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Like nibabel's, for rotations and spacings that it refuses too; None where the numbers are no rotation."""
    from nibabel.affines import from_matvec
    from nibabel.quaternions import quat2mat

    quaternion = np.array([raw[f"quatern_{axis}"] for axis in "bcd"], np.float64)
    rest = 1.0 - float(quaternion @ quaternion)
    if not rest > -1e-3:
        return None
    rotation = quat2mat([math.sqrt(rest) if rest > _HALF_TURN else 0.0, *quaternion])
    zooms = np.abs(pixdim[1:]) * [1.0, 1.0, -1.0 if pixdim[0] < 0 else 1.0]
    return from_matvec(rotation * zooms, [raw[f"qoffset_{axis}"] for axis in "xyz"])


def _spacing(told: NDArray[np.float64], warnings: list[str]) -> NDArray[np.float64]:
    known = np.isfinite(told) & (told != 0)
    if not known.all():
        warnings.append(SPACING_NOT_KNOWN)
    return np.where(known, np.abs(told), 1.0)


def _millimetres(units: int, spacing: float, warnings: list[str]) -> float:
    """Factor from the file's unit to mm."""
    if units not in _UNIT_MM:
        return 1.0
    unit, factor = _UNIT_MM[units]
    if 0.01 <= spacing * factor <= 200.0:
        return factor
    warnings.append(
        f"This file says its lengths are {unit}, which cannot be ({spacing:.3g} between voxels); "
        "millimetres were taken."
    )
    return 1.0


def _shape(dim: list[int]) -> tuple[tuple[int, int, int], int]:
    """(i, j, k) and the count of volumes."""
    if not 1 <= dim[0] <= 7:
        raise UserError(f"The header says the image has {dim[0]} dimensions, which cannot be.", _TELL)
    shape = [*dim[1 : dim[0] + 1], 1, 1, 1, 1][: max(4, dim[0])]
    size = " x ".join(map(str, shape[: max(3, dim[0])]))
    if min(shape) < 1 or max(shape) > _MAX_DIM:
        raise UserError(f"The header gives the image size {size}, which cannot be.", _TELL)
    if max(shape[4:], default=1) > 1:
        raise UserError(f"This file holds vectors ({size}), not a scan.", "Open the scan itself.")
    return (shape[0], shape[1], shape[2]), shape[3]


def _dtype(raw: Any) -> np.dtype[np.generic]:
    name, bits = raw.get_value_label("datatype"), int(raw["bitpix"])
    if name not in (*_PLAIN, *_COMPLEX):
        what = f"colour ({name})" if name.startswith("RGB") else f"of type {name.strip('<>')}"
        raise UserError(
            f"The numbers of this file are {what}; a scan of plain grey values was expected.",
            "Open the scan itself, or convert this file to grey values.",
        )
    dtype: np.dtype[np.generic] = raw.get_data_dtype()
    if bits != dtype.itemsize * 8:
        raise UserError(f"The header says {dtype.name} numbers of {bits} bits, which cannot be.", _TELL)
    return dtype


def _say_scale(data: bytes, order: str, warnings: list[str]) -> None:
    """Where SPM put a scaling into an Analyze header: it is no part of the format, so it is said, not used."""
    (found,) = np.frombuffer(data, f"{order}f4", 1, _BEFORE_SCALING)
    if np.isfinite(found) and found not in (0, 1):
        warnings.append(f"Some programs would scale this Analyze file by {found:g}; stored numbers are shown.")


def _scaling(slope: float, inter: float, warnings: list[str]) -> tuple[float, float]:
    """Slope and intercept to apply; a slope of 0 or none means no scaling (the NIfTI-1 standard)."""
    if slope == 0:
        return 1.0, 0.0
    if not math.isfinite(slope):
        warnings.append("The header gives no scaling that can be used (scl_slope); stored numbers are shown.")
        return 1.0, 0.0
    if not math.isfinite(inter):
        raise UserError(f"The header's scaling intercept is {inter}, which cannot be.", _TELL)
    return slope, inter


def _corners_apart_mm(a: NDArray[np.float64], b: NDArray[np.float64], shape: tuple[int, int, int]) -> float:
    corners = np.array([[i, j, k, 1] for i in (0, shape[0]) for j in (0, shape[1]) for k in (0, shape[2])])
    return float(np.linalg.norm(corners @ (a - b).T, axis=1).max())

"""The header of a NIfTI file: read and checked before anything is allocated, and written again."""

import math
import struct
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import UserError

HEADER_BYTES = {1: 348, 2: 540}
_MAGIC = {1: b"n+1\0", 2: b"n+2\0\r\n\x1a\n"}
_PAIR_MAGIC = (b"ni1\0", b"ni2\0")
_TYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"
}  # fmt: skip
_OTHER_TYPES = {1: "one bit", 32: "complex", 128: "colour (RGB)", 1536: "128-bit float", 1792: "complex",
                2048: "complex", 2304: "colour (RGBA)"}  # fmt: skip
_CODES = {np.dtype(name): code for code, name in _TYPES.items()}
_UNIT_MM = {1: ("metres", 1000.0), 3: ("micrometres", 0.001)}
_MAX_DIM = 32767
_MAX_OFFSET = 16 << 20
_LABEL_INTENT = 1002
_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_FORMS_MAY_DIFFER_MM = 0.1
_HALF_TURN = 3 * float(np.finfo(np.float32).eps)
"""Below this the rotation is by 180 degrees, and what is left is the rounding of 32-bit numbers."""
_GEOMETRY = struct.Struct("<4d B 2h 3d 3d 12d")
_TELL = "Convert it again from the scanner's files, or repair its header."


@dataclass(frozen=True)
class NiftiGeometry:
    """Where the voxels lie, as the file says it: both transforms with their codes, in the file's own units.

    Parameters
    ----------
    pixdim : tuple of float
        qfac and the spacing along i, j, k.
    units : int
        Code of the unit of length: 1 metres, 2 millimetres, 3 micrometres, 0 not said.
    qform_code, sform_code : int
        0 means the transform is not given.
    quatern, qoffset : tuple of float
        Rotation (b, c, d) and position of the qform.
    srow : tuple of float
        The sform's three rows of four.
    """

    pixdim: tuple[float, ...]
    units: int
    qform_code: int
    sform_code: int
    quatern: tuple[float, ...]
    qoffset: tuple[float, ...]
    srow: tuple[float, ...]

    def to_bytes(self) -> bytes:
        """All of it, opaque, for ``Volume.file_geometry``."""
        return _GEOMETRY.pack(
            *self.pixdim, self.units, self.qform_code, self.sform_code, *self.quatern, *self.qoffset, *self.srow
        )

    @staticmethod
    def from_bytes(data: bytes) -> "NiftiGeometry":
        """The geometry of :meth:`to_bytes`."""
        v = _GEOMETRY.unpack(data)
        return NiftiGeometry(v[0:4], v[4], v[5], v[6], v[7:10], v[10:13], v[13:25])

    @staticmethod
    def from_affine(affine: NDArray[np.float64]) -> "NiftiGeometry":
        """Geometry of a ``Volume.affine``: an sform, and the same as a qform where the axes are at right angles."""
        matrix = _TO_LPS @ affine[:, [2, 1, 0, 3]]
        spacing = np.linalg.norm(matrix[:3, :3], axis=0)
        rotation = matrix[:3, :3] / spacing
        square = bool(np.allclose(rotation.T @ rotation, np.eye(3), atol=1e-5))
        qfac = -1.0 if np.linalg.det(rotation) < 0 else 1.0
        quatern = _quaternion(rotation * [1.0, 1.0, qfac]) if square else (0.0, 0.0, 0.0)
        origin, srow = matrix[:3, 3].tolist(), matrix[:3].ravel().tolist()
        return NiftiGeometry((qfac, *spacing.tolist()), 2, int(square), 1, quatern, tuple(origin), tuple(srow))

    def affine(self, shape: tuple[int, int, int]) -> tuple[NDArray[np.float64], str, list[str]]:
        """The matrix from (z, y, x, 1) to LPS mm, where it came from, and what is doubtful about it.

        The sform holds where its code is above 0, else the qform; a coded form that is no transform at all is
        passed over with a warning. ``shape`` is (i, j, k).
        """
        warnings: list[str] = []
        forms: list[tuple[str, NDArray[np.float64]]] = []
        for name, code, matrix in (
            ("sform", self.sform_code, self._sform()),
            ("qform", self.qform_code, self._qform()),
        ):
            if code <= 0:
                continue
            if matrix is None or not _is_transform(matrix):
                warnings.append(f"The {name} of this file (code {code}) is no position in space; it was passed over.")
            else:
                forms.append((name, matrix))
        if len(forms) == 2 and (apart := _corners_apart_mm(forms[0][1], forms[1][1], shape)) > _FORMS_MAY_DIFFER_MM:
            warnings.append(
                f"The two positions this file gives, sform and qform, lie {apart:.3g} mm apart; the sform was used. "
                "Check left and right."
            )
        if forms:
            source, matrix = forms[0]
        else:
            source, matrix = "none", np.diag([*self._spacing(warnings), 1.0])
            warnings.append(
                "This file does not say how the scan lies in the patient (no sform, no qform): "
                "left and right, front and back are not known."
            )
        factor = self._millimetres(warnings, np.linalg.norm(matrix[:3, :3], axis=0))
        matrix = np.diag([factor, factor, factor, 1.0]) @ matrix
        if source == "sform" and self._differs_from_pixdim(matrix, factor):
            warnings.append("The spacing of this file's header and of its sform differ; the sform's was used.")
        if source == "qform" and min(self.pixdim[1:]) < 0:
            warnings.append("This file gives a negative spacing; its size was used.")
        return (_TO_LPS @ matrix)[:, [2, 1, 0, 3]], source, warnings

    def _sform(self) -> NDArray[np.float64]:
        matrix = np.eye(4)
        matrix[:3] = np.array(self.srow).reshape(3, 4)
        return matrix

    def _qform(self) -> NDArray[np.float64] | None:
        """The NIfTI-1 standard's method 2; None where the numbers are no rotation."""
        b, c, d = self.quatern
        rest = 1.0 - (b * b + c * c + d * d)
        if not rest > -1e-3:
            return None
        if rest < _HALF_TURN:
            norm = math.sqrt(b * b + c * c + d * d)
            a, b, c, d = 0.0, b / norm, c / norm, d / norm
        else:
            a = math.sqrt(rest)
        rotation = np.array(
            [
                [a * a + b * b - c * c - d * d, 2 * b * c - 2 * a * d, 2 * b * d + 2 * a * c],
                [2 * b * c + 2 * a * d, a * a + c * c - b * b - d * d, 2 * c * d - 2 * a * b],
                [2 * b * d - 2 * a * c, 2 * c * d + 2 * a * b, a * a + d * d - c * c - b * b],
            ]
        )
        qfac = -1.0 if self.pixdim[0] < 0 else 1.0
        matrix = np.eye(4)
        matrix[:3, :3] = rotation * (np.abs(self.pixdim[1:4]) * [1.0, 1.0, qfac])
        matrix[:3, 3] = self.qoffset
        return matrix

    def _spacing(self, warnings: list[str]) -> list[float]:
        spacing = [abs(value) if math.isfinite(value) and value != 0 else 1.0 for value in self.pixdim[1:4]]
        if spacing != [abs(value) for value in self.pixdim[1:4]]:
            warnings.append("The spacing of this file is not given either: 1 mm was put in; lengths are wrong.")
        return spacing

    def _millimetres(self, warnings: list[str], spacing: NDArray[np.float64]) -> float:
        """Factor from the file's unit to mm."""
        if self.units == 0:
            warnings.append("This file does not name its unit of length; millimetres were taken.")
        if self.units not in _UNIT_MM:
            return 1.0
        unit, factor = _UNIT_MM[self.units]
        if 0.01 <= float(spacing.max()) * factor <= 200.0:
            return factor
        warnings.append(
            f"This file says its lengths are {unit}, which cannot be ({spacing.max():.3g} between voxels); "
            "millimetres were taken."
        )
        return 1.0

    def _differs_from_pixdim(self, matrix: NDArray[np.float64], factor: float) -> bool:
        told = np.abs(self.pixdim[1:4]) * factor
        return not np.allclose(np.linalg.norm(matrix[:3, :3], axis=0), told, rtol=0.01)


@dataclass(frozen=True)
class NiftiHeader:
    """What a reader needs of the header; made by :func:`parse_header`, which has checked it.

    Parameters
    ----------
    shape : tuple of int
        (i, j, k), then (t,) when the file holds several volumes.
    dtype : dtype
        Of the stored numbers, with their byte order.
    offset : int
        Bytes before the first voxel.
    slope, inter : float
        True number = slope * stored + inter; 1 and 0 where the file says none.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    offset: int
    slope: float
    inter: float
    geometry: NiftiGeometry
    version: int
    warnings: tuple[str, ...] = ()

    @cached_property
    def volumes(self) -> int:
        """How many volumes the file holds."""
        return self.shape[3] if len(self.shape) == 4 else 1

    @cached_property
    def volume_bytes(self) -> int:
        """Bytes of one stored volume."""
        return math.prod(self.shape[:3]) * self.dtype.itemsize


def header_size(first: bytes) -> int:
    """Size of the header that starts with these 4 bytes: 348 or 540; 0 when it is none."""
    sizes = (int.from_bytes(first[:4], "little"), int.from_bytes(first[:4], "big"))
    return next((size for size in HEADER_BYTES.values() if size in sizes), 0)


def parse_header(data: bytes) -> NiftiHeader:
    """Read a header of 348 (NIfTI-1) or 540 bytes (NIfTI-2).

    Raises
    ------
    UserError
        When it is not a NIfTI header, or says something that cannot be.
    """
    version = 2 if len(data) == HEADER_BYTES[2] else 1
    order = "<" if int.from_bytes(data[:4], "little") == len(data) else ">"

    def take(layout: str, at: int) -> tuple[float, ...]:
        return struct.unpack_from(order + layout, data, at)

    magic = data[344:348] if version == 1 else data[4:12]
    if magic[:4] in _PAIR_MAGIC:
        raise UserError(
            "This is half of a .hdr and .img pair, which cannot be opened.", "Convert it to one .nii.gz file first."
        )
    if magic != _MAGIC[version]:
        raise UserError("This is not a NIfTI file: its mark is missing.", "Open a .nii or .nii.gz file.")
    if version == 1:
        dim, (datatype, bitpix) = take("8h", 40), take("2h", 70)
        pixdim, (offset, slope, inter), units = take("8f", 76), take("3f", 108), data[123]
        codes, quaternion, srow = take("2h", 252), take("6f", 256), take("12f", 280)
    else:
        (datatype, bitpix), dim = take("2h", 12), take("8q", 16)
        pixdim, (offset,), (slope, inter) = take("8d", 104), take("q", 168), take("2d", 176)
        codes, quaternion, srow = take("2i", 344), take("6d", 352), take("12d", 400)
        units = int(take("i", 500)[0])
    warnings: list[str] = []
    if not (math.isfinite(offset) and offset == int(offset) and len(data) + 4 <= offset <= _MAX_OFFSET):
        raise UserError(f"The header says the voxels start at byte {offset:g}, which cannot be.", _TELL)
    slope, inter = _scaling(slope, inter, warnings)
    geometry = NiftiGeometry(
        pixdim[:4], int(units) & 7, _code(codes[0]), _code(codes[1]), quaternion[:3], quaternion[3:], srow
    )
    return NiftiHeader(
        _shape([int(d) for d in dim]), _dtype(int(datatype), int(bitpix), order), int(offset), slope, inter, geometry,
        version, tuple(warnings),
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


def build_header(shape: tuple[int, int, int], dtype: np.dtype[np.generic], geometry: NiftiGeometry) -> bytes:
    """A fresh NIfTI-1 header of a label map, 352 bytes little-endian, without a word of the source's.

    Parameters
    ----------
    shape : tuple of int
        (i, j, k).
    """
    if max(shape) > _MAX_DIM:
        raise UserError(f"A NIfTI file holds at most {_MAX_DIM} voxels along an axis, found {max(shape)}.")
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *shape, 1, 1, 1, 1)
    struct.pack_into("<3h", header, 68, _LABEL_INTENT, _CODES[dtype], dtype.itemsize * 8)
    struct.pack_into("<8f", header, 76, *geometry.pixdim, 0.0, 0.0, 0.0, 0.0)
    struct.pack_into("<3f", header, 108, 352.0, 1.0, 0.0)
    header[123] = geometry.units
    struct.pack_into("<2h", header, 252, geometry.qform_code, geometry.sform_code)
    struct.pack_into("<6f", header, 256, *geometry.quatern, *geometry.qoffset)
    struct.pack_into("<12f", header, 280, *geometry.srow)
    header[344:348] = _MAGIC[1]
    return bytes(header)


def _shape(dim: list[int]) -> tuple[int, ...]:
    if not 1 <= dim[0] <= 7:
        raise UserError(f"The header says the image has {dim[0]} dimensions, which cannot be.", _TELL)
    shape = [*dim[1 : dim[0] + 1], 1, 1, 1][: max(3, dim[0])]
    if min(shape) < 1 or max(shape) > _MAX_DIM:
        raise UserError(f"The header gives the image size {' x '.join(map(str, shape))}, which cannot be.", _TELL)
    if any(size > 1 for size in shape[4:]):
        size = " x ".join(map(str, shape))
        raise UserError(f"This file holds vectors ({size}), not a scan.", "Open the scan itself.")
    return (*shape[:3], shape[3]) if len(shape) > 3 and shape[3] > 1 else tuple(shape[:3])


def _dtype(datatype: int, bitpix: int, order: str) -> np.dtype[np.generic]:
    name = _TYPES.get(datatype)
    if name is None:
        what = _OTHER_TYPES.get(datatype, f"of type {datatype}")
        raise UserError(f"The numbers of this file are {what}; a scan of plain grey values was expected.")
    dtype = np.dtype(order + name)
    if bitpix != dtype.itemsize * 8:
        raise UserError(f"The header says {dtype.name} numbers of {bitpix} bits, which cannot be.", _TELL)
    return dtype


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


def _code(value: float) -> int:
    return int(value) if -32768 <= value <= 32767 else 0


def _is_transform(matrix: NDArray[np.float64]) -> bool:
    return bool(np.isfinite(matrix).all()) and 1e-12 < abs(float(np.linalg.det(matrix[:3, :3]))) < 1e12


def _corners_apart_mm(a: NDArray[np.float64], b: NDArray[np.float64], shape: tuple[int, int, int]) -> float:
    corners = np.array([[i, j, k, 1] for i in (0, shape[0]) for j in (0, shape[1]) for k in (0, shape[2])])
    return float(np.linalg.norm(corners @ (a - b).T, axis=1).max())


def _quaternion(rotation: NDArray[np.float64]) -> tuple[float, float, float]:
    """(b, c, d) of a proper rotation, with a >= 0: the eigenvector of Bar-Itzhack's symmetric 4x4 matrix."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation.tolist()
    k = np.array(
        [
            [xx - yy - zz, xy + yx, xz + zx, zy - yz],
            [xy + yx, yy - xx - zz, yz + zy, xz - zx],
            [xz + zx, yz + zy, zz - xx - yy, yx - xy],
            [zy - yz, xz - zx, yx - xy, xx + yy + zz],
        ]
    )
    b, c, d, a = np.linalg.eigh(k)[1][:, -1].tolist()
    return (-b, -c, -d) if a < 0 else (b, c, d)

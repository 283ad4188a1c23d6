"""DICOM segmentations on their way in: binary, fractional and label maps; frames lie where they say, not by order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import UserError
from thighview.core.segments import MaskFile, Segment, named, numbers_in
from thighview.core.volume import Volume
from thighview.io.dicom_file import COPY_AGAIN, read_dataset
from thighview.io.dicom_header import text_of
from thighview.io.mask_codes import rgb_of_lab, side_of_code
from thighview.io.nifti import budget_bytes

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

SEGMENTATION, LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"
MANUFACTURER = "thighview"
"""What our own segmentations say of who made them."""
_THRESHOLD = 0.5
_MOST_SLICES, _MOST_SIDE, _MOST_FRAMES = 8192, 8192, 1 << 17
_SAME_PLACE_MM = 0.01
_UNEVEN_SHARE = 0.05
"""How far a frame may be from its even place, as a share of the step between slices: as far as a slice of a scan."""
_BACKGROUND = ("DCM", "125040")
_EXPORT_AGAIN = "Export the segmentation again."


@dataclass(frozen=True)
class _Frame:
    """One frame: the segment it shows (0 where its pixels are numbers), where it lies, and its place in the file."""

    segment: int
    position: NDArray[np.float64]
    place: int


@dataclass(frozen=True)
class SegFacts:
    """What a segmentation says of itself: the series it was drawn on, its frame of reference, and its label."""

    series_uids: frozenset[str]
    frame_uid: str
    title: str


def is_seg(path: Path) -> bool:
    """Whether a DICOM file is a segmentation."""
    try:
        return text_of(read_dataset(path, ("SOPClassUID",)), "SOPClassUID") in (SEGMENTATION, LABEL_MAP)
    except UserError:
        return False


def seg_facts(path: Path) -> SegFacts:
    """What a segmentation says of the images it was drawn on; its pixels are not looked at."""
    dataset = _dataset(path)
    return SegFacts(_series(dataset), text_of(dataset, "FrameOfReferenceUID"), text_of(dataset, "SeriesDescription"))


def read_seg(path: Path, steps_mm: Sequence[Sequence[float]] | None = None) -> MaskFile:
    """Read a segmentation, of whatever type, onto a grid of its own.

    Slices without a frame are empty. Of a fractional one, voxels of at least half the maximum are taken, and
    ``notes`` says so. Segments that share voxels come in several layers.

    Parameters
    ----------
    path : Path
        The file.
    steps_mm : three vectors of three numbers, optional
        From one voxel of the scan to the next along each of its axes, LPS mm: the step between slices is taken from
        them where the file does not say how far apart its own lie.

    Raises
    ------
    UserError
        When it is damaged, too large, or its frames make no stack of slices.
    """
    dataset = _dataset(path)
    try:
        return _read(dataset, path, None if steps_mm is None else np.array(steps_mm, np.float64))
    except UserError:
        raise
    except (NotImplementedError, RuntimeError) as error:
        syntax = getattr(getattr(dataset.file_meta, "TransferSyntaxUID", None), "name", "unknown")
        raise UserError(
            f"The pixels of {path.name} are compressed in a way that cannot be read here ({syntax}).",
            "Convert it with gdcmconv first.",
        ) from error
    except Exception as error:
        raise UserError(f"{path.name} is damaged: what it says of its segments cannot be read.", COPY_AGAIN) from error


def _dataset(path: Path) -> "Dataset":
    try:
        return read_dataset(path)
    except UserError as error:
        raise UserError(f"{path.name} cannot be opened: it is {error.message}.", error.hint) from error


def _read(dataset: "Dataset", path: Path, steps_mm: NDArray[np.float64] | None) -> MaskFile:
    kind = text_of(dataset, "SegmentationType")
    if kind not in ("BINARY", "FRACTIONAL", "LABELMAP"):
        raise UserError(f"{path.name} is a segmentation of the type {kind or 'that it does not name'!r}.")
    rows, columns, count = int(dataset.Rows), int(dataset.Columns), int(dataset.get("NumberOfFrames") or 1)
    if not (1 <= rows <= _MOST_SIDE and 1 <= columns <= _MOST_SIDE and 1 <= count <= _MOST_FRAMES):
        raise UserError(f"{path.name} says it has {count:,} frames of {columns} x {rows}, which cannot be.", COPY_AGAIN)
    frames, directions, spacing, told = _frames(dataset, count, kind == "LABELMAP", path)
    step, rest = _step(frames, directions, told, steps_mm, path)
    grid = _grid(path, frames, directions, spacing, step, rest, (rows, columns))
    pixels = _pixels(dataset, count, kind)
    segments, notes = _segments(dataset)
    if kind == "LABELMAP":
        layers, segments = _label_layers(dataset, frames, rest, grid, pixels, segments)
    else:
        layers, segments = _painted_layers(frames, rest, grid, pixels, segments, path)
    if kind == "FRACTIONAL":
        what = {"PROBABILITY": "probabilities", "OCCUPANCY": "shares"}.get(
            text_of(dataset, "SegmentationFractionalType")
        )
        notes.append(
            f"{path.name} holds {what or 'fractions'}, not a mask: voxels of at least {_THRESHOLD:.0%} were taken."
        )
    grid = replace(grid, voxels=layers[0])
    frame_uid = text_of(dataset, "FrameOfReferenceUID")
    return MaskFile(path.name, grid, layers, segments, True, frame_uid, _series(dataset), tuple(notes))


def _series(dataset: "Dataset") -> frozenset[str]:
    return frozenset(text_of(item, "SeriesInstanceUID") for item in dataset.get("ReferencedSeriesSequence") or ())


# ---------------------------------------------------------------------- where the frames lie


def _frames(
    dataset: "Dataset", count: int, is_map: bool, path: Path
) -> tuple[list[_Frame], NDArray[np.float64], tuple[float, float], float]:
    """Frames, directions of rows and columns, spacing between rows and columns, and between slices (0: not said)."""
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [None])[0]
    single = dataset.get("PerFrameFunctionalGroupsSequence") or ()
    if len(single) != count:
        raise UserError(f"{path.name} does not say where its {count} frames lie.", _EXPORT_AGAIN)
    found: list[_Frame] = []
    turned: list[NDArray[np.float64]] = []
    measures: list[tuple[float, float, float]] = []
    for place, own in enumerate(single):
        position = _inside(own, shared, "PlanePositionSequence", path)
        plane = _inside(own, shared, "PlaneOrientationSequence", path)
        measure = _inside(own, shared, "PixelMeasuresSequence", path)
        segment = 0
        if not is_map:
            segment = int(_inside(own, shared, "SegmentIdentificationSequence", path).ReferencedSegmentNumber)
        found.append(_Frame(segment, np.array([float(v) for v in position.ImagePositionPatient]), place))
        turned.append(np.array([float(v) for v in plane.ImageOrientationPatient]).reshape(2, 3))
        gap = measure.get("SpacingBetweenSlices")
        apart = float(gap) if gap is not None and gap != "" else 0.0
        measures.append((float(measure.PixelSpacing[0]), float(measure.PixelSpacing[1]), abs(apart)))
    directions, spacing = turned[0], measures[0]
    square = np.allclose(directions @ directions.T, np.eye(2), atol=1e-3)
    if not (square and min(spacing[:2]) > 0 and np.isfinite(spacing).all()):
        raise UserError(f"The position of {path.name} in the patient cannot be.", COPY_AGAIN)
    if any(np.abs(one - directions).max() > 1e-3 for one in turned) or len(set(measures)) > 1:
        raise UserError(f"The frames of {path.name} do not lie side by side: their planes differ.", _EXPORT_AGAIN)
    return found, directions, spacing[:2], spacing[2]


def _inside(own: "Dataset", shared: "Dataset | None", name: str, path: Path) -> "Dataset":
    """The first item of a functional group, of the frame itself or of all of them."""
    for groups in (own, shared):
        if groups is not None and groups.get(name):
            return groups[name].value[0]
    raise UserError(f"{path.name} does not say where its frames lie ({name} is missing).", _EXPORT_AGAIN)


def _step(
    frames: Sequence[_Frame],
    directions: NDArray[np.float64],
    told: float,
    steps_mm: NDArray[np.float64] | None,
    path: Path,
) -> tuple[NDArray[np.float64], list[int]]:
    """From one slice to the next, LPS mm, and the slice each frame belongs to, from 0.

    Frames may be few: of all distances that could lie between slices the first is taken of which every gap between
    frames is a multiple: what the file says, that of the scan along the same axis, the smallest gap. That of the scan
    comes first where the file says less (it may mean the gap between slices), and where all frames lie in one plane,
    which fits any distance.
    """
    normal = np.cross(*directions)
    along = np.array([frame.position @ normal for frame in frames])
    start = int(np.argmin(along))
    away = along - along[start]
    if not np.isfinite(away).all():
        raise UserError(f"The position of {path.name} in the patient cannot be.", COPY_AGAIN)
    gaps = np.unique(np.round(away, 4))
    smallest = float(np.diff(gaps).min()) if len(gaps) > 1 else 0.0
    scan = _step_of_scan(steps_mm, normal)
    of_scan = float(np.linalg.norm(scan)) if scan is not None else 0.0
    for length in (of_scan if len(gaps) == 1 or told < of_scan else 0.0, told, of_scan, smallest, 1.0):
        if length <= _SAME_PLACE_MM:
            continue
        index = np.rint(away / length).astype(np.int64)
        if (
            np.abs(away - index * length).max() > max(_SAME_PLACE_MM, _UNEVEN_SHARE * length)
            or index.max() > _MOST_SLICES
        ):
            continue
        step = normal * length
        if scan is not None and abs(np.linalg.norm(scan) - length) < _UNEVEN_SHARE * length:
            step = scan if scan @ normal > 0 else -scan  # a stack may lean: the scan's own step does, too
        last = int(np.argmax(index))
        if index[last]:
            step = (frames[last].position - frames[start].position) / index[last]
        off = np.array([f.position - frames[start].position - i * step for f, i in zip(frames, index, strict=True)])
        if np.abs(off).max() > max(0.05, _UNEVEN_SHARE * length):
            raise UserError(f"The frames of {path.name} do not lie one behind the other.", _EXPORT_AGAIN)
        return step, [int(i) for i in index]
    raise UserError(f"The frames of {path.name} do not follow each other evenly.", _EXPORT_AGAIN)


def _step_of_scan(steps: NDArray[np.float64] | None, normal: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The scan's own step along the axis that runs across these frames; None where it has no such axis."""
    if steps is None:
        return None
    lean = np.abs(steps @ normal) / np.linalg.norm(steps, axis=1)
    axis = int(np.argmax(lean))
    return steps[axis] if lean[axis] > 0.9 else None


def _grid(
    path: Path,
    frames: Sequence[_Frame],
    directions: NDArray[np.float64],
    spacing: tuple[float, float],
    step: NDArray[np.float64],
    index: Sequence[int],
    size: tuple[int, int],
) -> Volume:
    """Where the slices lie, from the first frame to the last; its voxels are still to come."""
    affine = np.eye(4)
    affine[:3, 0] = step
    affine[:3, 1], affine[:3, 2] = directions[1] * spacing[0], directions[0] * spacing[1]
    affine[:3, 3] = frames[int(np.argmin(index))].position
    shape = (max(index) + 1, *size)
    if int(np.prod([int(n) for n in shape])) * 2 > budget_bytes():
        raise UserError(f"{path.name} is too large for this computer's memory.", "Export it with fewer slices.")
    return Volume(np.broadcast_to(np.uint8(0), shape), affine, path.stem, "dicom", (), {"Format": "DICOM SEG"})


# ---------------------------------------------------------------------- pixels


def _pixels(dataset: "Dataset", count: int, kind: str) -> Iterator[NDArray[Any]]:
    """The frames in the order of the file: bool for segments, numbers for a label map."""
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    size = rows * columns
    if int(dataset.get("BitsAllocated") or 0) == 1:
        data = np.frombuffer(dataset.PixelData, np.uint8)
        if dataset.file_meta.TransferSyntaxUID.is_compressed or data.size * 8 < count * size:
            raise UserError("The pixels of this segmentation are cut short, or packed in an unknown way.", COPY_AGAIN)
        for place in range(count):
            first, last = place * size // 8, -(-(place + 1) * size // 8)
            bits = np.unpackbits(data[first:last], bitorder="little")
            start = place * size - first * 8
            yield bits[start : start + size].reshape(rows, columns).astype(bool)
        return
    from pydicom.pixels.utils import iter_pixels

    least = _THRESHOLD * int(dataset.get("MaximumFractionalValue") or 255) if kind == "FRACTIONAL" else 1
    for frame in iter_pixels(dataset, raw=True):
        if frame.shape != (rows, columns):
            raise UserError(f"A frame of this segmentation has the shape {frame.shape}.", COPY_AGAIN)
        yield frame if kind == "LABELMAP" else frame >= least


def _painted_layers(
    frames: Sequence[_Frame],
    index: Sequence[int],
    grid: Volume,
    pixels: Iterator[NDArray[Any]],
    segments: tuple[Segment, ...],
    path: Path,
) -> tuple[tuple[NDArray[Any], ...], tuple[Segment, ...]]:
    """Each segment in the first layer in which it hides nothing, with its own number."""
    planes: dict[int, dict[int, NDArray[np.bool_]]] = {segment.file_id: {} for segment in segments}
    for frame, z, inside in zip(frames, index, pixels, strict=True):
        if frame.segment not in planes:
            raise UserError(
                f"A frame of {path.name} shows segment {frame.segment}, which it does not name.", COPY_AGAIN
            )
        if z in planes[frame.segment]:
            raise UserError(f"{path.name} has two frames of one segment in one place.", _EXPORT_AGAIN)
        planes[frame.segment][z] = inside
    layers: list[NDArray[np.uint16]] = []
    placed: list[Segment] = []
    for segment in segments:
        own = planes[segment.file_id]
        free = (i for i, layer in enumerate(layers) if not any((layer[z][m] > 0).any() for z, m in own.items()))
        at = next(free, len(layers))
        if at == len(layers):
            layers.append(np.zeros(grid.shape, np.uint16))
        for z, inside in own.items():
            layers[at][z][inside] = segment.file_id
        placed.append(replace(segment, layer=at, code=segment.file_id))
    return tuple(layers or [np.zeros(grid.shape, np.uint16)]), tuple(placed)


def _label_layers(
    dataset: "Dataset",
    frames: Sequence[_Frame],
    index: Sequence[int],
    grid: Volume,
    pixels: Iterator[NDArray[Any]],
    segments: tuple[Segment, ...],
) -> tuple[tuple[NDArray[Any], ...], tuple[Segment, ...]]:
    """The numbers of a label map; its padding value is background, and so is 0 unless a segment has that number.

    Frames in one place lie in layers of their own: the format cannot overlap otherwise.
    """
    padding = dataset.get("PixelPaddingValue")
    zero = next((s for s in segments if s.file_id == 0), None)
    free = next(i for i in range(1, 1 << 16) if i not in {s.file_id for s in segments})
    layers: list[NDArray[np.uint16]] = []
    used: list[set[int]] = []
    for z, numbers in zip(index, pixels, strict=True):
        plane = numbers.astype(np.uint16)
        if zero is not None:
            plane[numbers == 0] = free
        if padding:
            plane[numbers == int(padding)] = 0
        at = next((i for i, taken in enumerate(used) if z not in taken), len(layers))
        if at == len(layers):
            layers.append(np.zeros(grid.shape, np.uint16))
            used.append(set())
        used[at].add(z)
        layers[at][z] = plane
    if zero is not None:
        segments = tuple(replace(s, file_id=free) if s.file_id == 0 else s for s in segments)
    segments = tuple(s for s in segments if s.file_id != padding)
    own = {s.file_id: s for s in segments}
    placed: list[Segment] = []
    for at, layer in enumerate(layers):
        placed += [replace(own.get(n, Segment(n)), layer=at, code=n) for n in numbers_in(layer) if n]
    empty = [s for s in segments if s.file_id not in {p.file_id for p in placed}]
    order = {s.file_id: place for place, s in enumerate(segments)}
    return tuple(layers), tuple(sorted((*placed, *empty), key=lambda s: (order.get(s.file_id, len(order)), s.layer)))


# ---------------------------------------------------------------------- what the segments are


def _segments(dataset: "Dataset") -> tuple[tuple[Segment, ...], list[str]]:
    """What the file says of its segments, without that of a label map that is called background.

    One of ours in which a model had a part may have slices that nobody has reviewed, and has no place to say so: it
    counts as the model's. The sides in ours are those of the codes: a name that was cut may end in anything.
    """
    ours = text_of(dataset, "Manufacturer") == MANUFACTURER
    found: list[Segment] = []
    notes: list[str] = []
    for item in dataset.get("SegmentSequence") or ():
        code = (item.get("SegmentedPropertyTypeCodeSequence") or [None])[0]
        label, number = text_of(item, "SegmentLabel"), int(item.SegmentNumber)
        if code is not None and (text_of(code, "CodingSchemeDesignator"), text_of(code, "CodeValue")) == _BACKGROUND:
            continue
        if number == 0 and label.lower() == "background":
            continue
        name, side, doubt = named(label, _side(item), believed=ours)
        notes += [doubt] if doubt else []
        lab = item.get("RecommendedDisplayCIELabValue")
        colour = rgb_of_lab((int(lab[0]), int(lab[1]), int(lab[2]))) if lab and len(lab) == 3 else None
        made = text_of(item, "SegmentAlgorithmType")
        automatic = made == "AUTOMATIC" or (ours and made != "MANUAL")
        found.append(Segment(number, name, side, colour, automatic=automatic))
    return tuple(found), notes


def _side(item: "Dataset") -> str:
    """Side of the patient from the modifiers of what a segment shows, and of where."""
    for group, modifiers in (
        ("SegmentedPropertyTypeCodeSequence", "SegmentedPropertyTypeModifierCodeSequence"),
        ("AnatomicRegionSequence", "AnatomicRegionModifierSequence"),
    ):
        for code in item.get(group) or ():
            for modifier in code.get(modifiers) or ():
                side = side_of_code(text_of(modifier, "CodingSchemeDesignator"), text_of(modifier, "CodeValue"))
                if side:
                    return side
    return ""

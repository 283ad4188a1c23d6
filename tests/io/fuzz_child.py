"""Small files of every format, changed in many ways and read: each opens or is refused in a sentence.

Run as a program it is the child of the fuzz tests: within bounds of memory and time it prints one JSON line of what
came of it, or ends with the traceback of what it should never have met.
"""

import bz2
import faulthandler
import gzip
import io
import json
import resource
import struct
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from thighview.core.errors import SeveralScansError, UserError
from thighview.io import formats

ROOM_BYTES = 512 << 20
HANGS_AFTER_S = 20.0
SLOW_S = 5.0
VOXELS = np.random.default_rng(0).integers(-300, 900, (4, 6, 8)).astype(np.int16)
EXTREMES = [0, 1, -1, 2, 255, 256, 32767, -32768, 65535, 2**31 - 1, -(2**31), 2**32 - 1]
WORDS = [b"0", b"-1", b"1e9", b"nan", b"inf", b"4294967296", b"99999999999999999999", b"", b"(", b"'", b"%d", b"LIST"]


def _nifti() -> bytes:
    import nibabel

    image = nibabel.Nifti1Image(VOXELS.T, np.diag([1.5, 1.25, 5, 1]))
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(6, b"words"))
    return image.to_bytes()


def _nrrd() -> bytes:
    header = (
        "NRRD0005\n# words\ntype: int16\ndimension: 3\nspace: left-posterior-superior\nsizes: 8 6 4\n"
        "space directions: (1.5,0,0) (0,1.25,0) (0,0,5)\nkinds: domain domain domain\nendian: little\n"
        'encoding: gzip\nspace origin: (1,2,3)\nspace units: "mm" "mm" "mm"\n\n'
    )
    return header.encode() + gzip.compress(VOXELS.tobytes(), mtime=0)


def _nrrd_bzip2() -> bytes:
    return _nrrd().partition(b"\n\n")[0].replace(b"gzip", b"bzip2") + b"\n\n" + bz2.compress(VOXELS.tobytes())


def _metaimage() -> bytes:
    header = (
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\nCompressedData = True\n"
        "TransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 1 2 3\nElementSpacing = 1.5 1.25 5\nDimSize = 8 6 4\n"
        "ElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    )
    return header.encode() + zlib.compress(VOXELS.tobytes())


def _mgh() -> bytes:
    from nibabel.freesurfer.mghformat import MGHImage

    return MGHImage(VOXELS.T, np.diag([1.5, 1.25, 5, 1])).to_bytes()


def _npz() -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, image=VOXELS, affine=np.diag([1.5, 1.25, 5, 1]), mask_a=VOXELS > 0)
    return file.getvalue()


def _npy() -> bytes:
    file = io.BytesIO()
    np.save(file, VOXELS)
    return file.getvalue()


def _tiff() -> bytes:
    import tifffile

    file = io.BytesIO()
    tifffile.imwrite(file, VOXELS, imagej=True, metadata={"axes": "ZYX", "spacing": 5, "unit": "mm"})
    return file.getvalue()


def _tiff_deflate() -> bytes:
    import tifffile

    file = io.BytesIO()
    tifffile.imwrite(file, VOXELS, photometric="minisblack", compression="zlib", metadata=None)
    return file.getvalue()


Packing = Callable[[bytes], bytes]


def _plain(content: bytes) -> bytes:
    return content


def packed(content: bytes) -> bytes:
    """Compressed with gzip, always to the same bytes."""
    return gzip.compress(content, 1, mtime=0)


SEEDS: dict[str, list[tuple[Callable[[], bytes], Packing]]] = {
    "nii": [(_nifti, _plain)],
    "nii.gz": [(_nifti, packed), (lambda: packed(_nifti()), _plain)],
    "nrrd": [(_nrrd, _plain), (_nrrd_bzip2, _plain)],
    "mha": [(_metaimage, _plain)],
    "mgh": [(_mgh, _plain), (_mgh, packed)],
    "npz": [(_npz, _plain), (_npy, _plain)],
    "tiff": [(_tiff, _plain), (_tiff_deflate, _plain)],
}
"""By the ending of the file: what is changed, and how it is packed afterwards."""


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """Changed in one to four places, each in one of the ways in which files come to harm, or are made to do some."""
    data = bytearray(content)
    for _ in range(int(rng.choice([1, 1, 1, 2, 3, 4]))):
        size = len(data)
        if size < 8:
            break
        near = int(rng.integers(min(size, 700)) if rng.random() < 0.7 else rng.integers(size))
        way = int(rng.integers(8))
        if way == 0:
            data[near] ^= 1 << int(rng.integers(8))
        elif way == 1:
            data[near : near + 4] = rng.bytes(min(4, size - near))
        elif way == 2:
            layout = str(rng.choice(["<h", ">h", "<i", ">i"]))
            wide = struct.calcsize(layout)
            at = min(near // wide * wide, size - wide)
            value = int(rng.choice(EXTREMES))
            struct.pack_into(layout, data, at, (value + 2 ** (8 * wide - 1)) % 2 ** (8 * wide) - 2 ** (8 * wide - 1))
        elif way == 3:
            value = float(rng.choice([np.nan, np.inf, -np.inf, 0.0, 1e30, -1.0, 1e-30]))
            struct.pack_into(str(rng.choice(["<f", ">f"])), data, min(near // 4 * 4, size - 4), value)
        elif way == 4:
            del data[near : near + int(rng.integers(1, 40))]
        elif way == 5:
            data[near:near] = rng.bytes(int(rng.integers(1, 40)))
        elif way == 6:
            del data[int(rng.integers(size)) :]
        else:
            digits = [i for i, b in enumerate(data[:700]) if 48 <= b < 58]
            at = int(rng.choice(digits)) if digits else near
            data[at : at + 1] = WORDS[int(rng.integers(len(WORDS)))]
    return bytes(data)


def read(path: Path) -> str:
    """What comes of a file: a word."""
    try:
        try:
            formats.read_file(path)
        except SeveralScansError as several:
            formats.read_file(*several.choices[-1].key)
        formats.files_of(path)
    except UserError as error:
        said = str(error)
        assert said.strip() and "\n" not in said and len(said) < 2000, said
        return "refused"
    return "opened"


def run(ending: str, seed: int, count: int, folder: Path) -> Counter[str]:
    """Read so many changed files of a format."""
    found: Counter[str] = Counter()
    seeds = [(make(), packing) for make, packing in SEEDS[ending]]
    path = folder / f"a.{ending}"
    for content, packing in seeds:  # what is not changed opens, and all libraries are loaded
        path.write_bytes(packing(content))
        assert read(path) == "opened", ending
    limit = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + ROOM_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        content, packing = seeds[number % len(seeds)]
        path.write_bytes(packing(mutated(content, rng)))
        faulthandler.dump_traceback_later(HANGS_AFTER_S, exit=True)
        start = time.monotonic()
        try:
            found[read(path)] += 1
        except BaseException:
            sys.stderr.write(f"{ending}, seed {seed}, number {number}\n")
            (folder / "culprit").write_bytes(path.read_bytes())
            raise
        if time.monotonic() - start > SLOW_S:
            raise TimeoutError(f"{ending}, seed {seed}, number {number}: {time.monotonic() - start:.1f} s")
        faulthandler.cancel_dump_traceback_later()
    return found


if __name__ == "__main__":
    endings, first, many, place = sys.argv[1].split(","), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    print(json.dumps({ending: run(ending, first, many, place) for ending in endings}))

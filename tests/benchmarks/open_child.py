"""One program opens one scan: prints a JSON list of seconds and of what memory it takes. Run as a script with:

    PROGRAM     ours, nibabel, SimpleITK or pydicom
    ROUNDS      how often
    PATH        the scan

Memory is the greatest ever, of this process and of its children, beyond what stood there when all was imported.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def ours(path: Path) -> Callable[[], Any]:
    """As the window opens it: what reads DICOM waits for it, and has seen nothing of it."""
    import nibabel  # noqa: F401 - by the first header only

    from thighview.io import loader, reading

    if path.is_dir():
        loader.end()
        loader.prepare()
        time.sleep(0.6)
    return lambda: reading.read_volume(path)


def with_nibabel(path: Path) -> Callable[[], Any]:
    """All voxels, as they are stored; the checksum is not looked at."""
    import nibabel

    return lambda: np.asanyarray(nibabel.load(path).dataobj)


def with_simpleitk(path: Path) -> Callable[[], Any]:
    """A file, or the series of a folder."""
    import SimpleITK as sitk  # noqa: N813

    def read() -> Any:
        if not path.is_dir():
            return sitk.GetArrayViewFromImage(sitk.ReadImage(str(path)))
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(path)))
        return sitk.GetArrayViewFromImage(reader.Execute())

    return read


def with_pydicom(path: Path) -> Callable[[], Any]:
    """Read, sorted along the normal and stacked, without one check."""
    import pydicom

    def read() -> Any:
        images = [pydicom.dcmread(file) for file in path.iterdir()]
        way = np.array(images[0].ImageOrientationPatient, float)
        normal = np.cross(way[:3], way[3:])
        images.sort(key=lambda image: float(np.dot(image.ImagePositionPatient, normal)))
        return np.stack([image.pixel_array for image in images])

    return read


def peak_mb() -> float:
    """Of this process and the one that reads DICOM."""
    from thighview.io import loader

    return sum(peak_mb_of(pid) for pid in ("self", *map(str, loader.idle_processes())))


def peak_mb_of(pid: str) -> float:
    """The most memory that a process ever had; what it took from its parent does not count."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def main(program: str, rounds: str, path: str) -> None:
    """Measure; the first round is timed as well, nothing is kept from one to the next."""
    make = {"ours": ours, "nibabel": with_nibabel, "SimpleITK": with_simpleitk, "pydicom": with_pydicom}[program]
    times: list[float] = []
    before = after = 0.0
    for number in range(int(rounds)):
        read = make(Path(path))
        before = before or peak_mb()
        began = time.perf_counter()
        found = read()
        times.append(time.perf_counter() - began)
        after = max(after, peak_mb()) if number else peak_mb()
        del found
    print(json.dumps({"seconds": times, "peak_mb": after - before}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

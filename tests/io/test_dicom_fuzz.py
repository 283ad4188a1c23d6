"""Damaged DICOM files by the thousand: each is opened or refused in a sentence, within bounds of memory and time."""

from pathlib import Path

import dicom_fuzz
import numpy as np
import pytest
from dicom_files import write_series
from test_dicom_frames import write_enhanced
from test_dicom_pixels import repack

from thighview.io.children import Child, LostError

PACKINGS = ("raw", "RLELossless", "JPEGLSLossless", "JPEG2000Lossless", "JPEGLosslessProcess14_1", "frames")

ABORTS = ("JPEGLosslessProcess14_1",)
"""What only GDCM can decode: it ends its process on some damaged ones, and the program says so in a sentence."""

SLOW = ("JPEGLSLossless",)
"""What takes its decoder some seconds for a few damaged ones, however small; then it refuses them."""


class Last:
    """The seed that was told last."""

    seed = -1

    def __call__(self, done: int, total: int) -> None:
        """A seed."""
        self.seed = done

    def say(self, message: object) -> None:
        """Nothing."""


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("count", [100, pytest.param(10_000, marks=pytest.mark.long)])
def test_damaged_files_are_opened_or_refused(tmp_path: Path, packing: str, count: int) -> None:
    voxels = (np.random.default_rng(4).integers(0, 4000, (32, 40)) // 40 * 40).astype("<u2")
    folder = write_series(tmp_path / "a", [0], Rows=32, Columns=40, PixelData=voxels.tobytes())
    if packing == "frames":
        write_enhanced(folder / "000", [0, 4, 8])
    elif packing != "raw":
        repack(folder, tmp_path / "b", packing)
        folder = tmp_path / "b"
    first, last = 0, Last()
    refused = opened = 0
    wrong, slow, crashes = list[str](), list[int](), list[str]()
    while first < count:
        one = Child(dicom_fuzz.body, str(folder), "000", first, count - first)
        try:
            found, _ = one.follow(last, lambda: False, silence_s=20)
        except LostError as error:  # in the program: a sentence, and the next child
            crashes.append(f"{last.seed}: {error}")
            first = last.seed + 1
            continue
        finally:
            one.end()
        refused, opened = found["refused"], found["opened"]
        wrong, slow = wrong + found["wrong"], slow + found["slow"]
        break
    assert not wrong
    assert len(slow) <= (count / 500 if packing in SLOW else 0)
    assert len(crashes) <= (count / 500 if packing in ABORTS else 0)
    assert crashes or (refused > count // 20 and opened > count // 20)

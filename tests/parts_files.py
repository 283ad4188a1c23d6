"""A file of several volumes, written for tests."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from thighview.core.volume import Volume
from thighview.io.images import write_probabilities


def write_volumes(path: Path, volumes: Sequence[Volume]) -> Path:
    """A 4-D NIfTI file of these volumes, which lie in one place."""
    write_probabilities(path, np.stack([v.voxels for v in volumes], axis=-1).astype(np.float32), volumes[0])
    return path

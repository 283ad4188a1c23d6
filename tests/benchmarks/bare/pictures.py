"""Bare pictures: a scan and its mask in pyqtgraph, row-major integer pixels, explicit levels, a 256-entry table."""

import numpy as np
import pyqtgraph
from PySide6.QtCore import QRectF

from thighview.core.labels import LabelTable


class BarePicture:
    """One slice of a stack with its mask in a view of ``size`` x ``size`` pixels."""

    def __init__(self, voxels: np.ndarray, labels: np.ndarray, table: LabelTable, size: int) -> None:
        self._voxels, self._labels = voxels, labels
        self._levels = (float(voxels.min()), float(voxels.max()))
        self.view = pyqtgraph.GraphicsView()
        self.view.resize(size, size)
        self._scan = pyqtgraph.ImageItem(axisOrder="row-major")
        self._scan.setLookupTable(np.arange(256, dtype=np.uint8))
        self._mask = pyqtgraph.ImageItem(axisOrder="row-major")
        self._mask.setLookupTable(table.lookup_rgba(alpha=102))
        for item in (self._scan, self._mask):
            self.view.addItem(item)
        _, height, width = voxels.shape
        self.view.setRange(QRectF(0, 0, width, height), padding=0)
        self.view.show()

    def show(self, index: int) -> None:
        """Bring one slice to painted pixels."""
        self._scan.setImage(self._voxels[index], levels=self._levels)
        self._mask.setImage(self._labels[index], levels=(0, 255))
        self.view.viewport().repaint()

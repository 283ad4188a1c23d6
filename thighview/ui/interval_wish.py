"""Half the width of the 95 % interval that is wanted, in the units of a metric."""

from PySide6.QtWidgets import QDoubleSpinBox, QSizePolicy

from thighview.core.gap import PER_CENT
from thighview.ui.cards import pad_number

_RANGES = {True: (0.1, 50.0, 1, 0.5, 2.0), False: (0.0001, 10.0, 4, 0.005, 0.01)}
"""Points or plain: least, most, decimals, step, value at first."""


class IntervalWish(QDoubleSpinBox):
    """``± 2.0 points`` for a metric in per cent, ``± 0.0100`` for any other."""

    def __init__(self) -> None:
        super().__init__()
        self._points = False
        self.setToolTip("Half the width of the 95 % interval that you want")
        pad_number(self)
        self.setPrefix("± ")
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def show_units_of(self, metric: str) -> None:
        """Take on the units of a metric, with the value that is usual for them."""
        self._points = metric in PER_CENT
        low, high, decimals, step, first = _RANGES[self._points]
        self.setDecimals(decimals)
        self.setRange(low, high)
        self.setSingleStep(step)
        self.setValue(first)
        self.setSuffix(" points" if self._points else "")

    @property
    def wanted(self) -> float:
        """What is wanted, in the metric's own unit: 0.02 for 2 points."""
        return self.value() / (100.0 if self._points else 1.0)

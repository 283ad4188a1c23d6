"""What is looked at and how: a frozen snapshot, replaced as a whole."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ViewState:
    """How the open case is shown and which tool is in the hand. Views compare the old with the new one.

    Parameters
    ----------
    cursor : tuple of int
        Voxel (z, y, x) under the linked crosshair; its part along a view's axis is that view's slice.
    window : tuple of float
        Intensities drawn black and white.
    opacity : float
        Of the masks, 0 to 1.
    outline : bool
        Draw the masks' outlines instead of filling them.
    masks_shown : bool
        False while the hide key is held.
    hidden_labels : frozenset of int
        Values not drawn.
    active_label : int
        Value the tools paint; 0 erases.
    tool : str
        ``navigate``, ``brush``, ``eraser``, ``polygon`` or ``fill``.
    brush_radius_mm : float
        Radius of brush and eraser.
    layout : str
        ``three`` views or ``axial`` only.
    radiological : bool
        Patient right on screen left.
    crosshair, letters : bool
        Whether they are drawn.
    """

    cursor: tuple[int, int, int] = (0, 0, 0)
    window: tuple[float, float] = (0.0, 1.0)
    opacity: float = 0.4
    outline: bool = False
    masks_shown: bool = True
    hidden_labels: frozenset[int] = frozenset()
    active_label: int = 1
    tool: str = "navigate"
    brush_radius_mm: float = 6.0
    layout: str = "three"
    radiological: bool = True
    crosshair: bool = True
    letters: bool = True

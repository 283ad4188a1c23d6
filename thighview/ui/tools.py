"""Tools: what the left button does on a slice. Each gesture is a generator that reads top to bottom.

The slice view starts a tool with a press, sends it what happens next, and closes it on Escape, which takes back
whatever was painted. ``Session.edit`` is the only way a tool changes the mask.
"""

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass

from thighview.app.open_edit import OpenEdit
from thighview.app.session import Session
from thighview.core.brush import Drawn, Point, flood, polygon, stroke
from thighview.core.labels import PALETTE, Label
from thighview.core.planes import Plane


@dataclass(frozen=True)
class Aim:
    """The slice a gesture works on, however the person scrolls meanwhile."""

    plane: Plane
    index: int


@dataclass(frozen=True)
class Happening:
    """Something the hand did.

    Parameters
    ----------
    kind : {"press", "move", "release", "double", "back", "close"}
        ``back`` takes a point back, ``close`` is Enter, ``double`` a double click.
    point : (row, column)
        On the shown slice, pixels.
    reach_mm : float
        How far on the patient a click may be off and still mean a point (some screen pixels).
    invert : bool
        Ctrl is held: paint erases.
    """

    kind: str
    point: Point = (0.0, 0.0)
    reach_mm: float = 1.0
    invert: bool = False


Sketch = tuple[Point, ...]
"""Corners to draw while a gesture is under way; the last one follows the hand."""
Gesture = Generator[Sketch, Happening, None]


def brush(session: Session, aim: Aim, start: Happening) -> Gesture:
    """Paint the active label while the button is down; with Ctrl, erase. Release keeps it, Escape takes it back."""
    yield from _stroke(session, aim, start, 0 if start.invert else active_label(session))


def eraser(session: Session, aim: Aim, start: Happening) -> Gesture:
    """Take every label away under the disc; with Ctrl, paint."""
    yield from _stroke(session, aim, start, active_label(session) if start.invert else 0)


def outline(session: Session, aim: Aim, start: Happening) -> Gesture:
    """Click corners; a double click, Enter, or a click on the first corner fills the shape with the active label."""
    corners = [start.point]
    here = start
    while True:
        here = yield (*corners, here.point)
        if here.kind == "press":
            if len(corners) > 2 and _distance_mm(aim.plane, here.point, corners[0]) <= here.reach_mm:
                break
            corners.append(here.point)
        elif here.kind == "back":
            if len(corners) > 1:
                corners.pop()
        elif here.kind in ("double", "close"):
            break
    drawn = polygon(corners, (aim.plane.rows, aim.plane.columns))
    if drawn is None:
        session.refused.emit("A polygon needs three corners that enclose something.")
        return
    value = active_label(session)
    name = step_name(session, aim, "Polygon", value)
    with session.edit(name, "polygon", aim.plane.slice_region(aim.index)) as edit:
        _paint(edit, aim, drawn, value)


def fill(session: Session, aim: Aim, start: Happening) -> Gesture:
    """Give the connected area under the click the active label; background only where it is enclosed."""
    case = session.case
    if case is None:
        return
    row, column = (math.floor(v + 0.5) for v in start.point)
    plane = aim.plane
    if not (0 <= row < plane.rows and 0 <= column < plane.columns):
        return
    value = 0 if start.invert else active_label(session)
    labels = plane.take(case.labels, aim.index)
    found = int(labels[row, column])
    if found == value:
        session.refused.emit("This area has the active label already.")
        return
    box, inside = drawn = flood(labels, (row, column))
    open_ended = (inside[0].any() and box.r0 == 0) or (inside[-1].any() and box.r1 == plane.rows)
    open_ended = open_ended or (inside[:, 0].any() and box.c0 == 0) or (inside[:, -1].any() and box.c1 == plane.columns)
    if found == 0 and open_ended:
        session.refused.emit("Fill needs a closed outline: here it would run to the edge of the slice. Close it first.")
        return
    name = step_name(session, aim, "Fill", value)
    with session.edit(name, "fill", plane.region_of(box, aim.index)) as edit:
        _paint(edit, aim, drawn, value)
        while (yield ()).kind != "release":
            pass


@dataclass(frozen=True)
class Tool:
    """What a tool is called, how it looks, and what it does; ``gesture`` is None for looking around."""

    name: str
    words: str
    icon: str
    shortcut: str
    tip: str
    gesture: Callable[[Session, Aim, Happening], Gesture] | None = None
    round: bool = False


TOOLS: dict[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool(
            "navigate", "Look around", "navigate", "N",
            "Click moves the crosshair in all views. Wheel: slice, Ctrl+wheel: zoom, right drag: brightness and "
            "contrast, middle drag: move, double click: fit to the body.",
        ),
        Tool(
            "brush", "Brush", "brush", "B",
            "Paint the active label with a disc, round in millimetres. Ctrl+wheel or [ ] changes its size, "
            "holding Ctrl erases, Esc takes the stroke back.",
            brush, True,
        ),
        Tool(
            "eraser", "Eraser", "eraser", "E",
            "Take labels away under the disc. X swaps brush and eraser, holding Ctrl paints.",
            eraser, True,
        ),
        Tool(
            "polygon", "Polygon", "polygon", "P",
            "Click corners; double click, Enter or a click on the first corner fills the shape. Backspace takes the "
            "last corner back, Esc drops it.",
            outline,
        ),
        Tool(
            "fill", "Fill", "fill", "K",
            "Click inside a closed outline to fill it, or on an area to give it the active label.",
            fill,
        ),
    )
}  # fmt: skip


def active_label(session: Session) -> int:
    """The value to paint; a case without labels gets its first one."""
    case, value = session.case, session.view.active_label
    if case is None or case.table.get(value):
        return value
    labels = tuple(case.table)
    if labels:
        value = labels[0].value
    else:
        value = max(1, value)
        session.set_table(
            case.table.with_label(Label(value, f"label_{value}", "", PALETTE[(value - 1) % len(PALETTE)]))
        )
    session.update_view(active_label=value)
    return value


def step_name(session: Session, aim: Aim, what: str, value: int) -> str:
    """What a step is called in the history: ``Brush · muscle left · slice 12``."""
    label = session.case.table.get(value) if session.case else None
    where = "slice" if aim.plane.through == 0 else aim.plane.view
    return " · ".join([what, *([label.key.replace("_", " ")] if label else []), f"{where} {aim.index + 1}"])


def _stroke(session: Session, aim: Aim, start: Happening, value: int) -> Gesture:
    plane = aim.plane
    name = step_name(session, aim, "Brush" if value else "Eraser", value)
    with session.edit(name, "brush" if value else "eraser", plane.slice_region(aim.index)) as edit:
        last = here = start
        while here.kind != "release":
            radius_mm = session.view.brush_radius_mm
            drawn = stroke(last.point, here.point, radius_mm, plane.spacing_mm, (plane.rows, plane.columns))
            if drawn:
                _paint(edit, aim, drawn, value)
            last = here
            here = yield ()


def _paint(edit: OpenEdit, aim: Aim, drawn: Drawn, value: int) -> None:
    box, inside = drawn
    edit.paint(aim.plane.region_of(box, aim.index), aim.plane.stored(inside), value)


def _distance_mm(plane: Plane, a: Point, b: Point) -> float:
    down, along = plane.spacing_mm
    return math.hypot((a[0] - b[0]) * down, (a[1] - b[1]) * along)

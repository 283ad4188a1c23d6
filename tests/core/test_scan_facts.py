from dataclasses import replace

import numpy as np
import pytest

from thighview.core.known import LENGTHS_NOT_KNOWN
from thighview.core.planes import Plane
from thighview.core.scan_facts import affine_text, geometry_rows
from thighview.core.volume import Volume


def volume(degrees: float = 0.0, details: dict[str, str] | None = None, unsure: frozenset[str] = frozenset()) -> Volume:
    """5 slices of 8 x 8 at 2 x 1 x 1 mm, axial, turned about the left-right axis."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turned = np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ np.array([[0, 0, 1], [0, 1, 0], [2, 0, 0]])
    affine = np.eye(4)
    affine[:3, :3] = turned
    return Volume(np.zeros((5, 8, 8), np.int16), affine, details=details or {}, unsure=unsure)


def test_what_is_said_of_an_upright_scan() -> None:
    rows = dict(geometry_rows(volume(details={"Slice thickness": "1.5 mm"})))
    assert rows["Matrix"] == "8 × 8 × 5"
    assert rows["Spacing"] == "1 × 1 × 2 mm"
    assert rows["Field of view"] == "8 × 8 × 10 mm"
    assert rows["Between slices"] == "2 mm from centre to centre, 1.5 mm thick, a gap of 0.5 mm"
    assert rows["Axes"] == "x to the left, y to the back, z to the head"
    assert rows["Tilt"] == "none"


@pytest.mark.parametrize(("thick", "words"), [("2 mm", "no gap"), ("2.5 mm", "an overlap of 0.5 mm")])
def test_slices_that_touch_or_overlap(thick: str, words: str) -> None:
    assert dict(geometry_rows(volume(details={"Slice thickness": thick})))["Between slices"].endswith(words)


def test_tilt_and_shear_are_told_apart() -> None:
    assert dict(geometry_rows(volume(20.0)))["Tilt"] == "oblique by 20.0°"
    sheared = volume()
    sheared.affine[1, 0] = 2 * np.tan(np.radians(10))
    assert dict(geometry_rows(sheared))["Tilt"] == "oblique by 10.0°, axes 10.0° off a right angle"


def test_what_the_file_does_not_tell_is_said() -> None:
    rows = dict(geometry_rows(volume(unsure=frozenset({"orientation", "spacing"}))))
    assert "not known" in rows["Axes"]
    assert rows["Spacing"] == "not known" and "Field of view" not in rows
    told = replace(volume(unsure=frozenset({"spacing"})), warnings=(f"So {LENGTHS_NOT_KNOWN}.",))
    rows = dict(geometry_rows(told, told.warnings))
    assert rows["Spacing"].endswith("(not told by the file)") and "Field of view" in rows


def test_the_affine_maps_x_y_z_to_lps() -> None:
    lines = [[float(v) for v in line.split()] for line in affine_text(volume(30.0)).splitlines()]
    at = np.array(lines) @ [3, 2, 1, 1]
    assert at[:3] == pytest.approx(volume(30.0).to_world((1, 2, 3)), abs=1e-3)


def test_an_oblique_scan_names_the_lesser_directions_on_its_edges() -> None:
    assert Plane.of(volume(), "axial").edges == ("A", "L", "P", "R")
    assert Plane.of(volume(20.0), "axial").edges == ("AF", "L", "PH", "R")
    assert Plane.of(volume(-20.0), "axial").edges == ("AH", "L", "PF", "R")
    assert Plane.of(volume(20.0), "sagittal").edges == ("HA", "PH", "FP", "AF")
    assert Plane.of(volume(20.0), "axial", radiological=False).edges == ("AF", "R", "PH", "L")


def test_no_letter_is_put_where_the_file_does_not_say_how_it_lies() -> None:
    assert Plane.of(volume(unsure=frozenset({"orientation"})), "axial").edges == ("?", "?", "?", "?")

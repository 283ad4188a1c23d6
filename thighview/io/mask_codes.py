"""What coded words in mask files mean: sides of the patient, and colours in CIELab."""

_LEFT = {("SCT", "7771000"), ("SRT", "G-A101"), ("SNM3", "G-A101"), ("99SDM", "G-A101")}
_RIGHT = {("SCT", "24028007"), ("SRT", "G-A100"), ("SNM3", "G-A100"), ("99SDM", "G-A100")}
_TO_RGB = ((3.2406, -1.5372, -0.4986), (-0.9689, 1.8758, 0.0415), (0.0557, -0.2040, 1.0570))
"""CIE XYZ to linear sRGB (IEC 61966-2-1)."""
_WHITE = (0.95047, 1.0, 1.08883)
"""XYZ of white, D65: that of sRGB, and the one that the programs writing DICOM segmentations reckon with."""
_KNEE, _SLOPE, _SHIFT = 0.008856, 7.787, 16 / 116


def side_of_code(scheme: str, value: str) -> str:
    """``left`` or ``right`` for a code of laterality; empty for any other, both sides among them."""
    if (scheme.upper(), value) in _LEFT:
        return "left"
    return "right" if (scheme.upper(), value) in _RIGHT else ""


def rgb_of_lab(value: tuple[int, int, int]) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255, of a colour as DICOM keeps it.

    Parameters
    ----------
    value : tuple of int
        L*, a*, b* as 16-bit numbers: 0 to 65535 for 0 to 100, and for -128 to 127 (DICOM PS3.3, C.10.7.1.1).
    """
    light = value[0] / 65535 * 100
    a, b = (v / 65535 * 255 - 128 for v in value[1:])
    y = (light + 16) / 116
    xyz = [_linear(part) * white for part, white in zip((y + a / 500, y, y - b / 200), _WHITE, strict=True)]
    red, green, blue = (_companded(sum(k * v for k, v in zip(row, xyz, strict=True))) for row in _TO_RGB)
    return (red, green, blue)


def _linear(part: float) -> float:
    return part**3 if part**3 > _KNEE else (part - _SHIFT) / _SLOPE


def _companded(linear: float) -> int:
    linear = min(max(linear, 0.0), 1.0)
    curved = 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055
    return round(255 * curved)

"""What of a scan's geometry is known: from its file, or because a person has looked into the doubt about it."""

from collections.abc import Collection

from thighview.core.errors import UserError
from thighview.core.volume import Volume

SIDES_NOT_KNOWN = "left and right, front and back are not known"
"""Part of the warning of every volume that is unsure of its orientation."""
LENGTHS_NOT_KNOWN = "lengths are not known"
"""Part of every warning for which a volume is unsure of its spacing."""

TWO_POSITIONS = "gives two positions"
"""Part of the warning of a file whose two positions differ."""
LOOK_ONLY = "The size of a voxel is not known, so this scan can only be looked at: answer the question above it first."
"""What the window says to whoever wants to do more."""


def sides_known(volume: Volume, checked: Collection[str] = ()) -> bool:
    """Whether left and right are known; ``checked`` are the doubts that a person has looked into."""
    return "orientation" not in volume.unsure or _is_checked(volume, SIDES_NOT_KNOWN, checked)


def lengths_known(volume: Volume, checked: Collection[str] = ()) -> bool:
    """Whether the size of a voxel is known; ``checked`` are the doubts that a person has looked into."""
    return "spacing" not in volume.unsure or _is_checked(volume, LENGTHS_NOT_KNOWN, checked)


def need_lengths(volume: Volume, checked: Collection[str] = ()) -> None:
    """Refuse what needs mm of a scan that can only be looked at.

    Raises
    ------
    UserError
        Where the size of its voxels is not known.
    """
    if not lengths_known(volume, checked):
        why = next((doubt for doubt in volume.warnings if LENGTHS_NOT_KNOWN in doubt), "Lengths are not known.")
        raise UserError(
            f"{volume.name or 'This scan'} can only be looked at: {why[:1].lower() + why[1:]}",
            "Write the true spacing into its file; or, where it is right as it is, confirm it in the window.",
        )


def _is_checked(volume: Volume, mark: str, checked: Collection[str]) -> bool:
    said = {doubt for doubt in volume.warnings if mark in doubt}
    return bool(said) and said.issubset(checked)

"""What of a scan's geometry is known: from its file, or because a person has looked into the doubt about it."""

from collections.abc import Collection
from dataclasses import replace

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


def leaves_as_shown(title: str) -> str:
    """What a person should know of a case that is exported although its left and right are not known."""
    return f"Left and right of {title} are not known: its files have them as they were shown."


def need_lengths(volume: Volume, checked: Collection[str] = (), in_project: bool = False) -> None:
    """Refuse what needs mm of a scan that can only be looked at; in a project a person can confirm its lengths.

    Raises
    ------
    UserError
        Where the size of its voxels is not known.
    """
    if not lengths_known(volume, checked):
        why = next((doubt for doubt in volume.warnings if LENGTHS_NOT_KNOWN in doubt), "Lengths are not known.")
        raise UserError(
            f"{volume.name or 'This scan'} can only be looked at: {why[:1].lower() + why[1:]}",
            "Confirm its lengths in the window, or write the true ones into its file."
            if in_project
            else "Write the true lengths into its file.",
        )


def by_other_position(volume: Volume, by_qform: bool) -> Volume:
    """The volume where the other of the two positions of its file says, which is the qform or the sform."""
    assert volume.other_affine is not None
    now, other = ("qform", "sform") if by_qform else ("sform", "qform")
    return replace(
        volume, affine=volume.other_affine, other_affine=volume.affine,
        warnings=tuple(said for said in volume.warnings if TWO_POSITIONS not in said),
        details={**volume.details, "Position from": f"{now}, chosen against the {other}"},
    )  # fmt: skip


def with_one_position(volume: Volume) -> Volume:
    """The volume for a file of its own, which says the position that was chosen and no other."""
    return volume if volume.other_affine is None else replace(volume, file_geometry=b"", other_affine=None)


def _is_checked(volume: Volume, mark: str, checked: Collection[str]) -> bool:
    said = {doubt for doubt in volume.warnings if mark in doubt}
    return bool(said) and said.issubset(checked)

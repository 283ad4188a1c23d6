"""Gaps in full: what was measured of a finished run on demand, in ``gap.json`` of its folder."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from thighview.core.errors import UserError
from thighview.core.gap import Gap
from thighview.io.atomic import write_json_atomic
from thighview.io.json_files import read_json_if_there
from thighview.io.runs import RunFolder

FILE_NAME = "gap.json"
FORMAT = "thighview-gap-1"
_LARGEST_BYTES = 64 << 20
_AGAIN = "Measure again."


@dataclass(frozen=True)
class EpochInFull:
    """One epoch: its gaps, of all labels and of each, and a sentence for each part that could not be measured."""

    epoch: int
    gaps: tuple[Gap, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class GapsInFull:
    """The epoch that is kept and the last one; ``epochs_done`` is how far the run was, ``measured`` an ISO time, UTC.

    A run that went on since has another last epoch: this then is about weights that are gone.
    """

    measured: str
    epochs_done: int
    kept: int
    epochs: tuple[EpochInFull, ...]

    def at(self, epoch: int) -> EpochInFull | None:
        """What was measured at an epoch."""
        return next((one for one in self.epochs if one.epoch == epoch), None)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"format": FORMAT, **asdict(self)}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> "GapsInFull":
        """The gaps of plain data.

        Raises
        ------
        UserError
            When it is something else.
        """
        try:
            if data["format"] != FORMAT:
                raise ValueError(f"the format is {str(data['format'])[:40]!r}")
            rows = tuple(
                EpochInFull(
                    int(row["epoch"]), tuple(Gap.from_json(gap) for gap in row["gaps"]),
                    tuple(str(said) for said in row["missing"]),
                )
                for row in data["epochs"]
            )  # fmt: skip
            return GapsInFull(str(data["measured"]), int(data["epochs_done"]), int(data["kept"]), rows)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"{FILE_NAME} is not what it should be: {str(error)[:120]}.", _AGAIN) from error


def write_gaps(run: RunFolder, found: GapsInFull) -> None:
    """Write ``gap.json``, whole or not at all."""
    write_json_atomic(run.path / FILE_NAME, found.to_json())


def read_gaps(run: RunFolder) -> GapsInFull | None:
    """What was found earlier; None where nobody has asked.

    Raises
    ------
    UserError
        When the file is there and not readable.
    """
    data = read_json_if_there(run.path / FILE_NAME, _AGAIN, _LARGEST_BYTES, FILE_NAME)
    return None if data is None else GapsInFull.from_json(data)

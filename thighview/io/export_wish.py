"""What is to leave a project, as a person wishes it, which cases that means, and what has left."""

from dataclasses import asdict, dataclass
from typing import Any

from thighview.core.errors import UserError
from thighview.io.project import CaseSummary, Project

FORMATS = ("nnunet", "nifti", "dicomseg", "nrrd", "bids", "npz")


@dataclass(frozen=True)
class ExportWish:
    """What is to be written.

    Parameters
    ----------
    form : str
        One of ``FORMATS``.
    cases : "all", "reviewed" or tuple of int
        Which cases: all, those with reviewed slices, or these. nnU-Net takes those of the training set among them.
    deidentify : bool
        Whether nothing may leave that tells who a person is.
    looked_at : "all" or tuple of int
        Cases whose pictures a person has looked at and found without text burned in.
    mark : str
        Stands in the manifest, so that whoever wished for it knows the folder again.
    """

    form: str
    cases: str | tuple[int, ...] = "all"
    deidentify: bool = False
    looked_at: str | tuple[int, ...] = ()
    mark: str = ""

    def __post_init__(self) -> None:
        if self.form not in FORMATS:
            raise UserError(f"The format {self.form!r} is not known.", f"What can be written: {', '.join(FORMATS)}.")

    @property
    def carries_pixels(self) -> bool:
        """Whether images leave with the masks."""
        return self.form in ("nnunet", "npz") or (self.form == "dicomseg" and self.deidentify)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @staticmethod
    def from_json(row: dict[str, Any]) -> "ExportWish":
        """The wish of plain data made by :meth:`to_json`."""
        chosen = {key: value if isinstance(value, str) else tuple(value) for key, value in row.items() if
                  key in ("cases", "looked_at")}  # fmt: skip
        return ExportWish(
            str(row["form"]), deidentify=bool(row.get("deidentify")), mark=str(row.get("mark", "")), **chosen
        )

    def has_looked_at(self, case_id: int) -> bool:
        """Whether a person has looked at the pictures of a case."""
        looked_at = self.looked_at
        return case_id in looked_at if isinstance(looked_at, tuple) else looked_at == "all"


def chosen_cases(project: Project, wish: ExportWish) -> list[CaseSummary]:
    """The cases a wish means, in the order of the worklist.

    Raises
    ------
    UserError
        When there are none.
    """
    cases = project.cases()
    if not cases:
        raise UserError(f"The project {project.name} has no case.", "Open a scan in it, or import cases.")
    if wish.form == "nnunet":
        cases = [case for case in cases if case.in_training_set]
        if not cases:
            hint = "Open a case and add it to the training set first."
            raise UserError(f"No case of {project.name} is in its training set.", hint)
    if wish.cases == "reviewed":
        cases = [case for case in cases if any(n for state, n in case.counts.items() if state.reviewed)]
        if not cases:
            raise UserError("No slice of any case has been reviewed.", "Accept slices first, or export all cases.")
    elif isinstance(wish.cases, tuple):
        cases = [case for case in cases if case.case_id in wish.cases]
        if not cases:
            raise UserError("The case to export is not in the project.", "Choose others.")
    return cases


@dataclass(frozen=True)
class Exported:
    """What was written, what stayed at home and why, and what a person should know."""

    folder: str
    form: str
    cases: int
    files: int
    left_out: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """One sentence for the end."""
        many = f"{self.cases} case{'s' * (self.cases != 1)}"
        out = f" {len(self.left_out)} could not be written." if self.left_out else ""
        return f"{many} exported to {self.folder}.{out}"

    def __str__(self) -> str:
        return " ".join((self.sentence, *(f"{title}: {why}" for title, why in self.left_out), *self.notes))

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @staticmethod
    def from_json(row: dict[str, Any]) -> "Exported":
        """What :meth:`to_json` made plain."""
        left = tuple((str(title), str(why)) for title, why in row["left_out"])
        return Exported(row["folder"], row["form"], row["cases"], row["files"], left, tuple(row["notes"]))

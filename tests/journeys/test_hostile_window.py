"""Every awkward file through the real window: a case with its doubts on the badge, or one sentence and nothing lost."""

from pathlib import Path

from awkward import may_end, rows

from journeys.conftest import OpenWindow
from thighview.core.errors import SeveralScansError, UserError
from thighview.core.volume import Volume
from thighview.io.images import write_volume


def test_every_awkward_file_ends_as_the_manifest_says(
    room: OpenWindow, hostile: Path, tmp_path: Path, tiny_volume: Volume
) -> None:
    write_volume(tmp_path / "open.nii.gz", tiny_volume)
    hands = room(tmp_path / "open.nii.gz")
    workspace, session = hands.workspace, hands.window.session
    asked: list[SeveralScansError] = []

    def take_the_first(needed: SeveralScansError, answer) -> None:
        asked.append(needed)
        answer([one.key for one in needed.choices[:1]])

    workspace.choice_needed.disconnect()  # instead of the dialog, which has tests of its own
    workspace.choice_needed.connect(take_the_first)
    wrong: list[str] = []
    for row in rows():
        before = session.case
        hands.errors.clear()
        asked.clear()
        workspace.open_path(hostile / row["path"])
        hands.until(lambda before=before: session.case is not before or hands.errors, 60_000)
        if hands.errors:
            found = {"refuse"}
            (error,) = hands.errors
            assert isinstance(error, UserError), (row["id"], error)
            assert error.message
            assert "\n" not in str(error)
            assert session.case is before, row["id"]  # what was open stays open
        elif asked:  # which of several volumes: that is a warning where one is wanted, and none where not
            found = {"open", "open+warn"}
        else:
            found = {"open"} if hands.window.top.badge.isHidden() else {"open+warn"}
        if not found & may_end(row):
            wrong.append(f"{row['id']}: {found}, expected {row['expected']} ({row['expected_detail']})")
        hands.window.notices.clear()
    assert not wrong, "\n".join(wrong)

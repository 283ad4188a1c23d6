"""Where a model comes from, in lines of plain words, from its card alone."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from thighview.core.errors import UserError
from thighview.core.leaks import listed
from thighview.core.run import TrainConfig
from thighview.io.frozen import Replay
from thighview.ui.cards import count
from thighview.ui.train_form import summary

if TYPE_CHECKING:
    from thighview.io.model_card import ModelCard

MOST_PARENTS = 20
_PARTS = (("train", "Trained on"), ("validation", "Validated on"), ("test", "Locked away"))


def lineage_lines(card: "ModelCard") -> list[tuple[str, str]]:
    """(heading, words) lines: settings, seed, program, people by part, ancestors, weights."""
    lineage = card.lineage
    lines: list[tuple[str, str]] = []
    config = lineage.get("config")
    if isinstance(config, Mapping):
        try:
            lines.append(("Settings", summary(TrainConfig.from_json(dict(config)))))
        except UserError:
            lines.append(("Settings", "of another version of the program"))
    for name, key in (("Run", "run"), ("Seed", "seed"), ("Program", "code_version")):
        if key in lineage:
            lines.append((name, f"thighview {lineage[key]}" if key == "code_version" else str(lineage[key])))
    rows = lineage.get("cases")
    cases = [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
    for part, heading in _PARTS:
        mine = [row for row in cases if row.get("part") == part and not row.get("left_out")]
        people = sorted({str(row.get("subject", "")) for row in mine})
        if people:
            lines.append((heading, f"{count(len(people), 'person', 'people')}: {listed(people)}"))
    out = sorted({str(row.get("subject", "")) for row in cases if row.get("left_out")})
    if out:
        lines.append(("Left out", f"{listed(out)}: an earlier model was trained on them"))
    replayed = _replayed(lineage)
    if replayed:
        lines.append(("Each batch", replayed))
    parents = _ancestors(lineage)
    lines.append(("Started from", " ← ".join(parents) if parents else "random weights"))
    lines.append(("Weights", f"SHA-256 {card.weights_sha256[:16]}…" if card.weights_sha256 else "unknown"))
    return lines


def _replayed(lineage: Mapping[str, Any]) -> str:
    """What was shown again beside the training set; empty where nothing was."""
    try:
        found = Replay.from_json(lineage.get("replay"))
    except (KeyError, TypeError, ValueError):
        return ""
    return found.words if found else ""


def _ancestors(lineage: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    node: object = lineage.get("parent")
    while isinstance(node, Mapping) and len(found) < MOST_PARENTS:
        found.append(str(node.get("name", "?")))
        further = node.get("lineage")
        node = further.get("parent") if isinstance(further, Mapping) else None
    return found

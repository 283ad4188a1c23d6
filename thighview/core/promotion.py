"""Which model of a project is the one in use: a new one is a candidate until a person promotes it.

Models are known by the SHA-256 of their weights: one trained anew under an old name is a candidate again.
"""

from dataclasses import dataclass, replace
from typing import Any, cast

STATES = ("active", "held", "candidate")
MOST_KEPT = 50


@dataclass(frozen=True)
class Promotions:
    """``line``: models that were active, the one of now last. ``held``: those a person decided against."""

    line: tuple[str, ...] = ()
    held: frozenset[str] = frozenset()

    @property
    def active(self) -> str:
        """Weights of the model in use; empty while none was promoted."""
        return self.line[-1] if self.line else ""

    @property
    def earlier(self) -> str:
        """Weights of the model that was in use before; empty where there is no way back."""
        return self.line[-2] if len(self.line) > 1 else ""

    def state_of(self, weights: str) -> str:
        """``active``, ``held`` or ``candidate``."""
        return "active" if weights == self.active else "held" if weights in self.held else "candidate"

    def promoted(self, weights: str, instead_of: str = "") -> "Promotions":
        """This model in use; ``instead_of`` is what was used so far where nothing had been promoted yet."""
        line = self.line or ((instead_of,) if instead_of else ())
        if line and line[-1] == weights:
            return replace(self, line=line)
        return Promotions((*line, weights)[-MOST_KEPT:], self.held - {weights})

    def holding(self, weights: str) -> "Promotions":
        """A decision against this model; the one in use cannot be held, it is rolled back."""
        return self if weights == self.active else replace(self, held=self.held | {weights})

    def rolled_back(self) -> "Promotions":
        """The earlier model in use again, the one of now held."""
        return Promotions(self.line[:-1], self.held | {self.active}) if self.earlier else self

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"line": list(self.line), "held": sorted(self.held)}

    @staticmethod
    def from_json(data: object) -> "Promotions":
        """What :meth:`to_json` gave; whatever else is there is left aside."""
        rows = cast("dict[str, object]", data) if isinstance(data, dict) else {}
        line, held = (_words(rows.get(name)) for name in ("line", "held"))
        return Promotions(tuple(line), frozenset(held))


def _words(found: object) -> list[str]:
    rows = cast("list[object]", found) if isinstance(found, list) else []
    return [word for word in rows if isinstance(word, str) and word]

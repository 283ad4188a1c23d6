"""Which epochs of a run are worth a checkpoint of their own, and when it has stopped getting better."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from thighview.core.run import TrainConfig
from thighview.engine.checkpoints import last_facts


@dataclass(frozen=True)
class Best:
    """The epoch of the best score so far, and the score; epoch 0 before there is one."""

    epoch: int = 0
    score: float = 0.0


@dataclass
class Bests:
    """Best honest training loss (on epochs that were probed) and best validation Dice so far."""

    train: Best = Best()
    dice: Best = Best()

    def take(self, epoch: int, train_loss: float | None, val_dice: float | None) -> dict[str, Best]:
        """Note the scores of an epoch; the checkpoints it is the best for: ``best_train``, ``best_dice``."""
        found: dict[str, Best] = {}
        if train_loss is not None and (not self.train.epoch or train_loss < self.train.score):
            found["best_train"] = self.train = Best(epoch, train_loss)
        if self._better(val_dice):
            found["best_dice"] = self.dice = Best(epoch, float(val_dice or 0.0))
        return found

    def over(self, epoch: int, patience: int, val_dice: float | None = None) -> bool:
        """Whether so many epochs up to this one brought no better validation Dice; never where it is not measured.

        ``val_dice`` is that of this epoch, as long as it is not taken yet.
        """
        waited = epoch - self.dice.epoch
        return bool(patience and self.dice.epoch and waited >= patience) and not self._better(val_dice)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @staticmethod
    def from_json(data: dict[str, Any]) -> "Bests":
        """Of plain data; what is missing is not known yet."""
        return Bests(**{name: Best(**data[name]) for name in ("train", "dice") if name in data})

    def _better(self, val_dice: float | None) -> bool:
        return val_dice is not None and (not self.dice.epoch or val_dice > self.dice.score)


def is_over(checkpoint: Path, config: TrainConfig) -> bool:
    """Whether the last checkpoint of a run is of its last epoch, or of the one at which its patience ended."""
    facts = last_facts(checkpoint)
    epoch = int(facts.get("epoch", 0))
    return epoch >= config.epochs or Bests.from_json(facts.get("bests", {})).over(epoch, config.patience)

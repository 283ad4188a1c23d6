"""Building a model of the box from made-up thighs alone: ``thighview train --recipe NAME -o FOLDER``."""

import json
import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from thighview.core.errors import UserError
from thighview.core.phantom import make_phantom
from thighview.core.phantom_names import CONTRASTS, TRUTHS
from thighview.core.run import BatchEnded, EpochEnded, Finished, RunEvent, Scores, Started
from thighview.engine.checkpoints import restore, snapshot
from thighview.engine.losses import slice_loss, slice_terms
from thighview.engine.phantom_batches import ahead, guard_batch
from thighview.engine.precision import computing_in, without_trial
from thighview.engine.preprocess import classes_of
from thighview.engine.recipe_config import Recipe
from thighview.engine.seeding import set_seeds
from thighview.engine.unet import assign_weights, build_network, weights_of
from thighview.io.atomic import write_bytes_atomic, write_json_atomic
from thighview.io.model_card import ModelCard
from thighview.io.models import write_model

log = logging.getLogger(__name__)

CHECKPOINT_SECONDS = 240.0
STATEMENT = (
    "Trained only on computer-generated thighs, never on a person's scan; not validated on patients. "
    "For research, not for clinical decisions: check every slice, correct, and retrain."
)
INTENDED_USE = (
    "A first mask on axial MRI of one or both thighs between knee and groin, of any common contrast, "
    "to be corrected slice by slice and learnt from."
)
LIMITS = (
    "Hip and lower leg were never shown, the knee hardly: what is drawn there is wrong. Nor were implants, tumours and "
    "operated legs. Muscles that have turned to fat are often missed. How good it is on people's thighs was not "
    "measured: its Dice is that of made-up ones."
)
_MEMORY = 0.99
_MEMORY_STEPS = 5
Weights = dict[str, NDArray[np.float32]]


def build_from_recipe(
    recipe: Recipe,
    folder: Path,
    say: Callable[[RunEvent], None] = lambda event: None,
    stop: Callable[[], bool] = lambda: False,
    device: str = "CPU",
) -> ModelCard | None:
    """Train a recipe's model and write it into a folder.

    What was learned so far is kept in ``FOLDER.checkpoint`` at least every 5 minutes; started again with the same
    recipe and folder, it goes on from there, to the same batches.

    Parameters
    ----------
    recipe : Recipe
    folder : Path
        The model folder to write.
    say : callable
        Takes the events of the run.
    stop : callable
        Asked after every batch; true ends the training with a checkpoint and no model.
    device : str
        As :func:`thighview.engine.devices.prepare_device` calls it.

    Returns
    -------
    ModelCard or None
        The card as written; None when it was stopped.
    """
    kept = folder.with_name(folder.name + ".checkpoint")
    learner = _Learner(recipe, device)
    step = learner.resume(kept)
    say(_started(recipe, step, device))
    guard = guard_batch(recipe)
    saved, began, first = time.monotonic(), time.monotonic(), step
    guard_scores = Scores()
    for image, tissues in ahead(recipe, step, recipe.steps):
        loss = learner.learn(image, tissues)
        step += 1
        epoch, within = (step - 1) // recipe.steps_per_epoch + 1, (step - 1) % recipe.steps_per_epoch + 1
        if step % 5 == 0:
            say(BatchEnded(time.time(), recipe.name, epoch, within, recipe.steps_per_epoch, loss))
        if within == recipe.steps_per_epoch:
            guard_scores = learner.score(*guard)
            left = (time.monotonic() - began) / (step - first) * (recipe.steps - step)
            say(_epoch_ended(recipe, epoch, learner, guard_scores, time.monotonic() - began, left))
        if stop():
            learner.keep(kept, step)
            return None
        if time.monotonic() - saved > CHECKPOINT_SECONDS or step == recipe.steps:
            learner.keep(kept, step)
            saved = time.monotonic()
    card = _write(recipe, folder, learner)
    shutil.rmtree(kept, ignore_errors=True)
    say(Finished(time.time(), recipe.name, str(folder), recipe.train.epochs, recipe.train.epochs, False, guard_scores))
    return card


class _Learner:
    """The network, its optimiser, and the running mean of its weights, which is what is kept in the end.

    On a processor that has bfloat16 it computes in it, in half the time of float32. Of the means at the ends of
    the epochs, the one with the best Dice on the guard slices is the model.
    """

    def __init__(self, recipe: Recipe, device: str) -> None:
        t = recipe.train
        set_seeds(t.seed)
        self.recipe = recipe
        self.classes = recipe.classes
        with computing_in(without_trial(device)):
            self.network = build_network(t.architecture, len(self.classes), t.base_filters, t.levels, t.dropout)
        rate = keras.optimizers.schedules.PolynomialDecay(t.learning_rate, recipe.steps, t.learning_rate / 100, 0.9)
        kinds: dict[str, Any] = {
            "adam": keras.optimizers.Adam,
            "adamw": keras.optimizers.AdamW,
            "rmsprop": keras.optimizers.RMSprop,
            "sgd": keras.optimizers.SGD,
        }
        self.optimizer = kinds[t.optimizer](rate, global_clipnorm=5.0)

        def loss(tissues: Any, logits: Any) -> Any:
            return slice_loss(slice_terms(tissues, logits), t.loss)

        self.network.compile(optimizer=self.optimizer, loss=loss)
        self.optimizer.build(self.network.trainable_variables)
        self.mean: Weights = weights_of(self.network)
        self.best: Weights = dict(self.mean)
        self.best_dice = -1.0
        self.step = 0

    def learn(self, image: NDArray[np.float32], tissues: NDArray[np.uint8]) -> float:
        """One step; returns its loss."""
        self.network.reset_metrics()
        loss = float(np.asarray(self.network.train_on_batch(image, tissues)))
        if not np.isfinite(loss):
            raise UserError("The loss is no longer a finite number.", "Lower the learning rate of the recipe.")
        self.step += 1
        if self.step % _MEMORY_STEPS == 0:
            share = np.float32(min(_MEMORY**_MEMORY_STEPS, self.step / (self.step + 50)))
            for name, array in weights_of(self.network).items():
                self.mean[name] = np.asarray(share * self.mean[name] + (1 - share) * array, np.float32)
        return loss

    def score(self, images: NDArray[np.float32], tissues: NDArray[np.uint8]) -> Scores:
        """Loss, accuracy and Dice (pooled per label, mean over labels) of the averaged weights on guard slices.

        The best are kept.
        """
        own = weights_of(self.network)
        assign_weights(self.network, self.mean)
        logits = np.concatenate([np.asarray(self.network.predict_on_batch(i[None])) for i in images])
        assign_weights(self.network, own)
        terms = slice_terms(tissues, logits)
        loss = float(_numpy(slice_loss(terms, self.recipe.train.loss)).mean())
        found = classes_of(logits)
        dice = [_dice(found == c, tissues == c) for c in range(1, len(self.classes))]
        known = [d for d in dice if d is not None]
        mean = float(np.mean(known)) if known else None
        if mean is not None and mean >= self.best_dice:
            self.best, self.best_dice = dict(self.mean), mean
        return Scores(loss, float((found == tissues).mean()), mean)

    def keep(self, folder: Path, step: int) -> None:
        """Write a checkpoint: weights, their mean, the best mean, the optimiser's numbers; the note is written last."""
        folder.mkdir(parents=True, exist_ok=True)
        arrays = snapshot(self.network, self.optimizer)
        arrays |= {f"mean/{k}": v for k, v in self.mean.items()} | {f"best/{k}": v for k, v in self.best.items()}
        write_bytes_atomic(folder / f"step_{step:07d}.safetensors", safetensors.numpy.save(arrays))
        write_json_atomic(
            folder / "checkpoint.json", {"step": step, "best_dice": self.best_dice, "recipe": _plain(self.recipe)}
        )
        for old in folder.glob("step_*.safetensors"):
            if old.name != f"step_{step:07d}.safetensors":
                old.unlink(missing_ok=True)

    def resume(self, folder: Path) -> int:
        """Go on from a checkpoint of the same recipe; returns the steps already done."""
        note = folder / "checkpoint.json"
        if not note.exists():
            return 0
        data = json.loads(note.read_text("utf-8"))
        if data.get("recipe") != _plain(self.recipe):
            raise UserError(f"{folder} holds a training of another recipe.", "Remove that folder, or name another one.")
        step = int(data["step"])
        arrays = safetensors.numpy.load((folder / f"step_{step:07d}.safetensors").read_bytes())
        self.mean = {k.removeprefix("mean/"): v for k, v in arrays.items() if k.startswith("mean/")}
        self.best = {k.removeprefix("best/"): v for k, v in arrays.items() if k.startswith("best/")}
        self.best_dice = float(data["best_dice"])
        own = {k: v for k, v in arrays.items() if not k.startswith(("mean/", "best/"))}
        restore(self.network, self.optimizer, own)
        self.step = step
        return step


def _numpy(tensor: Any) -> NDArray[Any]:
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(tensor)))


def _plain(recipe: Recipe) -> dict[str, Any]:
    """The recipe as JSON gives it back."""
    return json.loads(json.dumps(asdict(recipe)))


def _started(recipe: Recipe, step: int, device: str) -> Started:
    return Started(
        time.time(), recipe.name, device, recipe.train.epochs, recipe.steps_per_epoch,
        recipe.steps * recipe.train.batch_size, recipe.people, recipe.guard_slices, recipe.guard_slices, True,
        recipe.classes[1:], step // recipe.steps_per_epoch + 1,
    )  # fmt: skip


def _epoch_ended(
    recipe: Recipe, epoch: int, learner: _Learner, guard: Scores, seconds: float, left: float
) -> EpochEnded:
    rate = float(_numpy(learner.optimizer.learning_rate))
    return EpochEnded(
        time.time(),
        recipe.name,
        epoch,
        recipe.train.epochs,
        seconds,
        rate,
        Scores(),
        guard,
        Scores(),
        seconds_left=left,
    )


def _dice(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float | None:
    """2 |A and B| / (|A| + |B|), None when both are empty."""
    total = int(found.sum()) + int(truth.sum())
    return None if total == 0 else 2 * int((found & truth).sum()) / total


def _write(recipe: Recipe, folder: Path, learner: _Learner) -> ModelCard:
    """Write the model, test the very file on unseen phantoms, and write it again with its figures."""
    t = recipe.train
    card = ModelCard(
        recipe.name, t.architecture, t.base_filters, t.levels, t.dropout, recipe.classes, TRUTHS[recipe.truth](), True,
        t.spacing_mm, t.input_size, statement=STATEMENT, mirrored=True, tidied=True,
        intended_use=INTENDED_USE, limits=LIMITS,
        split={"train": f"{recipe.people} made-up people", "test": asdict(recipe.test)},
        lineage={"recipe": _plain(recipe), "steps": recipe.steps, "data": "phantoms only, no scan of a person"},
    )  # fmt: skip
    card = _write_beside_recipe(folder, card, learner.best)
    test = recipe.test
    if test.phantoms_per_contrast:
        scores = score_on_phantoms(folder, recipe.truth, test.first_seed, test.phantoms_per_contrast, test.slices)
        card = _write_beside_recipe(folder, replace(card, scores=scores), learner.best)
    return card


def _write_beside_recipe(folder: Path, card: ModelCard, weights: Weights) -> ModelCard:
    """Write a model folder and leave the recipe that lies in it."""
    path = folder / "recipe.json"
    text = path.read_bytes() if path.exists() else None
    try:
        return write_model(folder, card, weights, half=True)
    finally:
        if text is not None and not path.exists():
            write_bytes_atomic(path, text)


def score_on_phantoms(folder: Path, truth: str, first_seed: int, per_contrast: int, slices: int) -> dict[str, Any]:
    """3-D Dice of a model on phantoms, through the same path as the app's; the same people in every contrast.

    ``truth`` is ``tissues`` or ``groups``.

    Returns
    -------
    dict
        ``mean`` over everything; ``worst_case`` (contrast, seed, dice: the mean of its labels); ``worst`` (contrast,
        seed, label, dice); ``contrasts``: for each its mean and the mean of each label; ``phantoms``; ``first_seed``.
    """
    from thighview.engine.predict import load_network, segment_volume

    network, card = load_network(folder)
    table = TRUTHS[truth]()
    rows: list[tuple[str, int, str, float]] = []
    for contrast in CONTRASTS:
        for seed in range(first_seed, first_seed + per_contrast):
            phantom = make_phantom(seed, contrast, slices=slices, beyond=True)
            found = segment_volume(phantom.volume, network, card).labels
            wanted = phantom.truth(truth)
            for label in table:
                dice = _dice(found == label.value, wanted == label.value)
                if dice is not None:
                    rows.append((contrast, seed, label.key, dice))
    keys = [label.key for label in table]
    worst = min(rows, key=lambda row: row[3])
    cases = {(c, s): float(np.mean([r[3] for r in rows if r[:2] == (c, s)])) for c, s, _, _ in rows}
    worst_case = min(cases, key=lambda case: cases[case])

    def mean(chosen: list[float]) -> float:
        return round(float(np.mean(chosen)), 4)

    return {
        "what": "3-D Dice on made-up people with one measure beyond those of training, mean over phantoms and labels",
        "phantoms": per_contrast * len(CONTRASTS),
        "first_seed": first_seed,
        "slices": slices,
        "mean": mean([r[3] for r in rows]),
        "worst_case": {
            "contrast": worst_case[0],
            "seed": worst_case[1],
            "dice": round(cases[worst_case], 4),
        },
        "worst": {"contrast": worst[0], "seed": worst[1], "label": worst[2], "dice": round(worst[3], 4)},
        "contrasts": {
            c: {
                "mean": mean([r[3] for r in rows if r[0] == c]),
                "labels": {k: mean([r[3] for r in rows if r[0] == c and r[2] == k]) for k in keys},
            }
            for c in CONTRASTS
        },
    }

"""Child of ``engine/test_backends.py``: the same small tasks under the backend that ``KERAS_BACKEND`` names.

Arguments: a folder with ``scan.nii.gz`` and a folder for the answers. Where a checkpoint of another backend lies beside
the scan (``begun.checkpoint``), that training goes on here, too. Prints which backends were imported.
"""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import safetensors.numpy

from thighview.cli import main
from thighview.core.run import BatchEnded, RunEvent
from thighview.engine.devices import prepare_device
from thighview.io.reading import read_volume

Answers = dict[str, Any]
NETWORKS = (("unet", 4, ("ce_dice", "combo", "focal_tversky")), ("seed_unet", 2, ("ce_dice",)))
EPOCHS, STEPS, STOPPED_AFTER = 2, 3, 4


def networks() -> Answers:
    """Logits of both networks, and of each loss its value, its sums and the gradient of every weight."""
    import keras

    from thighview.engine.learner import Learner
    from thighview.engine.unet import assign_weights, build_network, weights_of

    rng = np.random.default_rng(1)
    images = rng.standard_normal((3, 16, 24, 1)).astype(np.float32)
    found: Answers = {}
    for architecture, classes, losses in NETWORKS:
        network = build_network(architecture, classes, 8, 2)
        start: dict[str, np.ndarray] = {}
        for name, weight in sorted(weights_of(network).items()):
            spread = np.sqrt(2 / max(1, np.prod(weight.shape[:-1])))
            start[name] = np.float32(spread * rng.standard_normal(weight.shape) + name.endswith("gamma"))
        labels = rng.integers(0, classes, (3, 16, 24)).astype(np.uint8)
        labels[0, :4] = 255
        truth = {"labels": labels, "weights": np.array([1, 2, 0.5], np.float32), "slots": np.arange(3, dtype=np.int32)}
        assign_weights(network, start)
        found[f"{architecture} logits"] = np.asarray(network.predict_on_batch(images))
        for kind in losses:
            assign_weights(network, start)
            learner = Learner(network, kind, 3, classes)
            learner.compile(optimizer=keras.optimizers.SGD(1.0))  # the step is the gradient
            found[f"{architecture} {kind} loss"] = learner.learn(images, truth)
            found[f"{architecture} {kind} sums"] = learner.slice_table.rows(3)
            after = weights_of(network)
            found[f"{architecture} {kind} gradients"] = np.concatenate([(start[n] - after[n]).ravel() for n in start])
    return found


def segmented(given: Path, out: Path) -> Answers:
    """What the model of the box says of a scan, on the command line."""
    mask, probabilities = out / "mask.nii.gz", out / "p.nii.gz"
    words = ["segment", given / "scan.nii.gz", "-o", mask, "--probabilities", probabilities, "--device", "cpu"]
    assert main([str(word) for word in words]) == 0
    return {"box labels": read_volume(mask).voxels, "box probabilities": _numbers(probabilities)}


def _numbers(path: Path) -> np.ndarray:
    import nibabel

    return np.asarray(nibabel.load(path).dataobj)


def train(folder: Path, stop_after: int = 0, short: bool = False, epochs: int = EPOCHS) -> list[float]:
    """Losses of a miniature of the box's recipe, in float32 or in bfloat16 whatever this processor has."""
    from thighview.engine import precision
    from thighview.engine.recipe import build_from_recipe
    from thighview.engine.recipe_config import read_recipe

    whole = read_recipe("thigh_tissues")
    config = replace(whole.train, epochs=epochs, batch_size=2, input_size=64, base_filters=8, levels=3, spacing_mm=3.0)
    test = replace(whole.test, phantoms_per_contrast=0)
    small = replace(
        whole, train=config, steps_per_epoch=STEPS, people=8, slice_size=(64, 96), guard_slices=2, test=test
    )
    said: list[RunEvent] = []
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) == stop_after

    with mock.patch.object(precision, "has_bfloat16", lambda: short):
        card = build_from_recipe(small, folder, said.append, stop)
    assert (card is None) == bool(stop_after)
    assert (folder / "weights.safetensors").exists() != bool(stop_after)
    return [event.loss for event in said if isinstance(event, BatchEnded)]


def trained(given: Path, out: Path) -> Answers:
    """The last checkpoints of trainings: in one go; stopped and gone on with; begun by another backend; in bfloat16."""
    last = EPOCHS * STEPS
    found: Answers = {}

    def keep(name: str, losses: list[float]) -> None:
        kept = out / f"{name}.checkpoint" / f"step_{last:07d}.safetensors"
        found.update({f"{name} {key}": array for key, array in safetensors.numpy.load(kept.read_bytes()).items()})
        found[f"{name} losses"] = losses

    keep("whole", train(out / "whole", last))
    train(out / "parts", STOPPED_AFTER)
    shutil.copytree(out / "parts.checkpoint", out / "left.checkpoint")
    keep("parts", train(out / "parts", last - STOPPED_AFTER))
    train(out / "parts")  # nothing is left to learn: the model is written
    if (given / "begun.checkpoint").exists():
        shutil.copytree(given / "begun.checkpoint", out / "begun.checkpoint")
        keep("begun", train(out / "begun", last - STOPPED_AFTER))
    keep("short", train(out / "short", last, short=True))
    return found


def child(given: Path, out: Path) -> None:
    """Do everything and write it down."""
    prepare_device("cpu")
    np.savez(out / "answers.npz", allow_pickle=False, **networks(), **segmented(given, out), **trained(given, out))
    print(json.dumps(sorted({"tensorflow", "jax", "torch"} & sys.modules.keys())))


if __name__ == "__main__":
    child(Path(sys.argv[1]), Path(sys.argv[2]))

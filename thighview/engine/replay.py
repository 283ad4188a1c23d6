"""What a network is shown again while it learns something new, so that it does not forget.

Rehearsal is the one remedy against forgetting that is known to work for segmentation (arXiv 2407.21216). Slices of the
pool have ids of their own, below zero: they are nobody's in the run's set, and no score is made of them.
"""

from collections.abc import Callable

import numpy as np

from thighview.core.errors import UserError
from thighview.core.fine_tuning import batch_parts
from thighview.core.phantom_names import CONTRASTS, phantom_lookup
from thighview.engine.batches import Slices, slices_of
from thighview.engine.starting import Plan
from thighview.io.dataset import Dataset, FrozenPhantom, Replay, read_phantom

PHANTOM_SEED = 910_000
"""Made-up people of the pool; those who validate have other seeds."""
PHANTOMS, PHANTOM_SLICES = 8, 3


def known_people(dataset: Dataset, plan: Plan) -> list[str]:
    """Training people whom the model that a run starts from was trained on, sorted; none when nobody is new."""
    people = dataset.subjects("train")
    before = set(plan.parent.card.split.get("train", ())) if plan.parent else set[str]()
    known = [subject for subject in people if subject in before]
    return known if len(known) < len(people) else []


def replay_pool(
    dataset: Dataset, plan: Plan, train: Slices, log: Callable[[str], None]
) -> tuple[Slices | None, Replay | None, str]:
    """The slices to replay, what they are, and what to say about it; (None, None, "") where nothing is asked for.

    People whom the model knew before, when there are any besides new ones; else made-up thighs in every contrast,
    where the labels are those of a phantom.

    Parameters
    ----------
    dataset : Dataset
    plan : Plan
    train : Slices
        The run's training slices.
    log : callable
        Is told what was drawn.
    """
    config = plan.config
    if config.replay <= 0:
        return None, None, ""
    if config.batch_size < 2:
        return None, None, "no replay: a batch of one slice has no room for it"
    known = known_people(dataset, plan)
    phantoms: list[FrozenPhantom] = []
    ids: tuple[int, ...] = ()
    if known:
        of = dataset.subject_of
        rows = [row for row, i in enumerate(train.ids) if of[int(i)] in known]
        pool, ids = train.chosen(rows), tuple(int(train.ids[row]) for row in rows)
    elif phantom_lookup(dataset.labels) is not None:
        pool, phantoms = _made_up(dataset, plan, log)
    else:
        return (
            None,
            None,
            ("no replay: the model knew nobody in the set before, and the labels are not those of a made-up thigh"),
        )
    own, replayed = batch_parts(config.batch_size, len(train), config.replay)
    share = replayed / (own + replayed)
    record = Replay(share, len(pool), tuple(known), ids, tuple(phantoms))
    pool = Slices(-1 - np.arange(len(pool), dtype=np.int32), pool.images, pool.labels, pool.air, np.ones_like(pool.air))
    return pool, record, f"each batch: {record.words}"


def _made_up(dataset: Dataset, plan: Plan, log: Callable[[str], None]) -> tuple[Slices, list[FrozenPhantom]]:
    parts: list[Slices] = []
    used: list[FrozenPhantom] = []
    for k in range(PHANTOMS):
        phantom = FrozenPhantom(PHANTOM_SEED + k, CONTRASTS[k % len(CONTRASTS)], PHANTOM_SLICES, f"replay {k + 1}")
        volume, mask = read_phantom(phantom, dataset.labels)
        indices = range(phantom.slices)
        try:
            parts.append(slices_of(volume, mask, plan.config, indices, indices, plan.classes, plan.card.normalisation))
            used.append(phantom)
        except UserError as error:  # too coarse for the pixels of this network: another person will do
            log(f"a made-up thigh is left out of the replay: {error.message}")
    if not parts:
        raise UserError("No made-up thigh fits the pixels of this network.", "Train without replay.")
    pool = Slices.join(parts)
    log(f"drew {len(pool)} slices of made-up thighs to replay")
    return pool, used

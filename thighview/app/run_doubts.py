"""What the numbers of a run do not measure: told from its settings, its frozen set, its start and its weights."""

from contextlib import suppress

from thighview.core.doubts import config_doubts, head_warning
from thighview.core.errors import UserError
from thighview.core.leaks import slices_on_both_sides
from thighview.core.twins import twin_sentences, twins
from thighview.io.dataset import read_dataset
from thighview.io.models import find_model, head_weights
from thighview.io.runs import RunFolder, read_config


def run_doubts(run: RunFolder) -> list[str]:
    """Sentences for whoever looks at its curves; reads small files, for a worker thread.

    Raises
    ------
    UserError
        When its settings or its frozen set cannot be read.
    """
    config, dataset = read_config(run), read_dataset(run)
    both = slices_on_both_sides(dataset)
    said = [f"{text[:1].upper()}{text[1:]}." for text in (both, *twin_sentences(twins(dataset.cases))) if text]
    said.append(head_warning(head_weights(run.checkpoint / "best.safetensors", "weight/")))
    if config.start_from:
        with suppress(UserError):  # it may be gone by now
            card = find_model(config.start_from, run.project).card
            said += [f"{card.name}: {doubt}" for doubt in card.warnings]
    said += config_doubts(config)
    return list(dict.fromkeys(filter(None, said)))

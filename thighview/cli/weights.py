"""Commands about model files of other programs: import-weights, export-model."""

import json
from argparse import Namespace
from pathlib import Path

from thighview.cli.files import need_new
from thighview.cli.progress import warn
from thighview.core.errors import UserError


def import_weights(args: Namespace) -> int:
    """``thighview import-weights FILE -o FOLDER|--name NAME``: old Keras weights become a model."""
    from thighview.io.paths import models_folder

    if (args.output is None) == (args.name is None):
        raise UserError("The model needs one place.", "Give -o FOLDER, or --name NAME for your own models.")
    folder: Path = args.output if args.output is not None else models_folder() / args.name
    name: str = args.name if args.name is not None else folder.absolute().name
    if args.name is not None and folder.parent != models_folder():
        raise UserError(f"A name has no folders in it, found {args.name!r}.", "Use -o FOLDER for another place.")

    from thighview.engine.old_weights import Wanted, import_old_weights

    card = import_old_weights(args.file, folder, Wanted(name, args.label, args.input_size, args.spacing))
    for sentence in card.warnings:
        warn(sentence)
    print(f"The model {card.name} is in {folder}.")
    return 0


def export_model(args: Namespace) -> int:
    """``thighview export-model MODEL -o OUT --format h5|savedmodel|onnx``."""
    from thighview.io.models import find_model

    model = find_model(args.model)
    told = args.output.with_name(f"{args.output.name}.json")
    ours = told.exists() and _is_told_of_export(told)
    if args.format != "savedmodel" or (args.output.is_dir() and any(args.output.iterdir())):
        need_new(args.output, ours)
    need_new(told, ours)

    from thighview.engine.devices import prepare_device

    prepare_device("cpu")
    from thighview.engine.model_export import export_model as export

    out = export(model, args.output, args.format)
    print(f"The model {model.card.name} is in {out}, what goes in and comes out in {out.name}.json.")
    return 0


def _is_told_of_export(path: Path) -> bool:
    """Whether a file is what stands beside an exported model: its format and its card."""
    try:
        told = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(told, dict) and {"format", "input", "output", "card"} <= told.keys()

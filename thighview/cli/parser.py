"""What can be typed: commands, options, and help that teaches."""

import argparse
import json
import textwrap
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import NoReturn

from thighview import __version__
from thighview.core.errors import UserError

_MAIN = """\
thighview opens thigh MRI, lets a U-Net draw the masks, lets you correct them, and retrains on what you corrected.
For research, not for clinical decisions.

open the window:
  thighview                       empty; drop a scan on it
  thighview PATH ...              scans and DICOM folders become cases, the first is shown; or a project folder
  thighview demo                  a made-up thigh to segment, correct and retrain; without a display, off-screen
  thighview --add-to-menu         put the program into the desktop's menu

without a window:
  thighview info PATH             what a file is
  thighview segment SCAN -o OUT.nii.gz
  thighview import PROJECT SOURCE cases with masks: a folder of them, or one image and its --mask
  thighview train PROJECT         train on the project's reviewed slices
  thighview evaluate MODEL SOURCE Dice, surface distance and volume error, per person and label
  thighview measure IMAGE MASK    areas and volumes
  thighview export PROJECT -o OUT --format nnunet|bids|npz|nifti|nrrd|dicomseg
  thighview phantom OUT_FOLDER    made-up thighs with true masks
  thighview import-weights FILE   an old Keras .h5 or .hdf5 of the seed U-Net becomes a model
  thighview export-model MODEL    a model as .h5, SavedModel or ONNX

Scans: NIfTI and Analyze pairs, DICOM, NRRD, MetaImage, MGH, TIFF stacks, NumPy arrays.
thighview COMMAND --help explains a command. A file named like a command is opened by its path: thighview ./demo
"""

_SEGMENT = """\
Draws the masks of a whole scan and writes them on the scan's own voxels, with OUT.json beside them (labels, model,
SHA-256 of its weights).

  thighview segment scan.nii.gz -o mask.nii.gz
  thighview segment dicom_folder -o mask.nii.gz --model my_run --probabilities p.nii.gz
"""

_IMPORT = """\
Takes cases with masks into a project, which is made when it is not there yet. Images stay where they are. The masks
count as drawn by hand, unless a DICOM segmentation, or the .json that thighview wrote beside a mask, says that an
algorithm drew them or that nobody has reviewed them: then they are not reviewed.

  thighview import PROJECT FOLDER      an nnU-Net raw folder (dataset.json, imagesTr, labelsTr)
  thighview import PROJECT FOLDER      images with masks beside them: X.nii.gz with X_seg.nii.gz, X_mask, X_labels or
                                       X.seg.nrrd; or DICOM series with a segmentation (SEG) of each
  thighview import PROJECT scan.nii.gz --mask labels.seg.nrrd
                                       one image (or DICOM folder) and its mask: NIfTI, NRRD, 3D Slicer, DICOM SEG

A mask must lie on its image; --resample carries one on another grid over to it by nearest neighbours, and says what
that changed. Labels that overlap are refused unless --overlaps says which wins. Of an nnU-Net folder, slices that carry
the ignore label count as not reviewed, and one written by thighview gives back ids, persons and slice states.
"""

_TRAIN = """\
Trains a model on the reviewed slices of the cases in a project's training set, or goes on with a run that was stopped.
The run lies in PROJECT/runs/NAME, the model in PROJECT/models/NAME. The window shows the curves of a run started here.

  thighview train PROJECT                                      default settings
  thighview train PROJECT --run wide --config settings.json    {"base_filters": 32, "epochs": 80}
  thighview train PROJECT --start-from thigh_tissues           go on from a model

Studies train the same set several times, one after the other, in PROJECT/studies/NAME; each says how long it will take.
Nobody of the locked test takes part, nobody is scored by a network that was trained on them, no model is kept.

  thighview train PROJECT --folds 5                            K-fold over people: each is scored once
  thighview train PROJECT --leave-one-out                      as many folds as people
  thighview train PROJECT --learning-curve                     would more people help? 1, 2, 4, ... of them, nested
  thighview train PROJECT --study "folds 1"                    goes on where it was stopped or killed

  thighview train --recipe thigh_tissues -o FOLDER             build a model of the box from made-up thighs
  thighview train --example puzzle                             why validation reads better than training, on phantoms
"""

_EVALUATE = """\
Segments every case of SOURCE with MODEL and compares it with the masks there: Dice, 95th percentile and mean of the
surface distance (mm) and volume error (ml), in 3-D per person, then the mean over persons. A label that is in neither
mask is not counted. In a project only reviewed slices are compared. Then whether the model's probabilities mean what
they say, and the temperature that mends them (from five validation people on).
A person whom the model, or a model it comes from, was trained on is marked "trained on".

  thighview evaluate run_2 PROJECT --part test --against run_1     is run_2 worse than run_1 on the locked people?
      ... --guard                                                  and has it forgotten what made-up thighs show?
"""

_EXPORT = """\
Writes the masks of a project in a form that other programs read, into a new folder. It is there whole or not at all;
every file is read back before it counts, and manifest.json says its SHA-256. A JSON file beside each mask says what has
happened to each slice, and who made which label: a model, a hand, or both.

  nnunet     a raw dataset folder for nnU-Net: the training set, with images; splits by person
  bids       a BIDS derivative: dseg.nii.gz with a table of the labels
  npz        image and mask as plain NumPy arrays
  nifti      the masks as NIfTI, on the scan's own voxels, with the numbers they came with
  nrrd       the masks as .seg.nrrd of 3D Slicer, with names and colours
  dicomseg   DICOM segmentations that refer to the images they were drawn on; for cases from DICOM

Slices nobody has reviewed carry a label of their own in nnunet ("ignore"), bids and npz ("unreviewed"), whatever was
drawn on them: what a model drew and no person has looked at never becomes training data. nifti, nrrd and dicomseg carry
the mask as it is.

  thighview export PROJECT -o OUT --format bids --deidentify

With --deidentify persons are called by study keys made with the project's secret, UIDs are replaced consistently, and
headers are made anew from a list of what may stay; dicomseg then brings its images along. deidentification.txt says
what stayed behind. Images that may have a name burned into the picture are refused until you have looked at all of
them and say so with --burned-in-checked. Names of labels stay as you typed them.
"""

_WEIGHTS = """\
Makes a model of the weights of an old seed U-Net: .h5 or .hdf5, weights only or a whole model, as Keras 2 saved them,
with or without dropout. Weights are taken in stored order; every shape must be right and one forward pass must work,
else the first mismatch is named. Nothing in the file is run. What its training really measured is said as warnings.

  thighview import-weights unet.hdf5 --name "old thigh"       into your own models
  thighview import-weights unet.hdf5 -o FOLDER --label outer_surface --input-size 512
"""

_EXPORT_MODEL = """\
Writes a model for use elsewhere, reads it back and compares before it is put in place. OUT.json beside it says what
goes in and what comes out.

  h5           weights in the layout of Keras 2, for load_weights of the same network
  savedmodel   the network as a TensorFlow SavedModel folder
  onnx         the network as ONNX; needs pip install 'thighview[onnx]'
"""

_PART = "which of several volumes of a file, as thighview info counts them: 2; qform, alone or behind: place it by that"


def _path(text: str) -> Path:
    """A path as it was typed; the folder one is in, by its name; nothing at all, as of an empty variable, is none."""
    if not text:
        raise argparse.ArgumentTypeError("expected a path, found nothing")
    path = Path(text)
    return path if path.name else path.absolute()


def _settings() -> str:
    """Every setting of a training, as the file of ``--config`` calls it."""
    from thighview.core.fine_tuning import FINE_TUNING
    from thighview.core.run import TrainConfig

    lines = ["settings of F.json, with their defaults:"]
    for setting in fields(TrainConfig):
        limits, default = setting.metadata, setting.default
        choices = " | ".join(limits.get("choices", ()))
        scope = choices or (f"{limits['low']:.10g} to {limits['high']:.10g}" if "low" in limits else "")
        head = f'  "{setting.name}": {json.dumps(default)}' + (f"   {scope}" if scope else "")
        lines += [head, *textwrap.wrap(limits["tip"], 106, initial_indent=" " * 6, subsequent_indent=" " * 6)]
    starting = ", ".join(f'"{name}": {value:g}' for name, value in FINE_TUNING.items())
    told = "Where it starts from a model, network, input size and pixel size are the model's; other defaults"
    return "\n".join((*lines, "", f"{told}: {starting}."))


class Parser(argparse.ArgumentParser):
    """A parser whose refusals are one sentence, like every other refusal of the program.

    ``settings`` gives the end of its help, and is asked for it only when help is wanted: that takes modules which
    nothing else that is typed needs.
    """

    settings: Callable[[], str] | None = None

    def format_help(self) -> str:
        """All that is told by ``--help``."""
        if self.settings is not None:
            self.epilog = self.settings()
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        """Refuse what was typed."""
        raise UserError(f"{message[:1].upper()}{message[1:]}.", f"See {self.prog} --help.")


def window_parser() -> Parser:
    """Parser of ``thighview [PATH ...]``."""
    parser = Parser("thighview", description=_MAIN, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.usage = "thighview [PATH ...] | thighview COMMAND ..."
    parser.add_argument("path", nargs="*", type=_path, metavar="PATH", help="scans, DICOM folders or a project to open")
    parser.add_argument("--version", action="version", version=f"thighview {__version__}")
    parser.add_argument(
        "--add-to-menu", action="store_true", help="put the program into the menu of the desktop (Linux), and end"
    )
    return parser


def command_parser() -> tuple[Parser, tuple[str, ...]]:
    """Parser of ``thighview COMMAND ...``, and the names of the commands."""
    top = Parser("thighview", add_help=False)
    commands = top.add_subparsers(dest="command", required=True, parser_class=Parser)

    def command(name: str, what: str, text: str = "") -> Parser:
        form = argparse.RawDescriptionHelpFormatter
        return commands.add_parser(name, help=what, description=text or what, formatter_class=form)

    def fitting(parser: Parser) -> None:
        parser.add_argument(
            "--resample", action="store_true", help="carry a mask on another grid over to the image, nearest neighbour"
        )
        parser.add_argument(
            "--overlaps",
            choices=("first", "last"),
            default="",
            help="which label of the file wins where they overlap",
        )

    demo = command("demo", "Open the window on a made-up thigh; without a display, walk the whole loop off-screen.")
    demo.add_argument("--out", type=_path, metavar="FOLDER", help="where the off-screen walk leaves its pictures")
    demo.add_argument("--off-screen", action="store_true", help="walk the loop off-screen even where a display is")

    info = command("info", "What a file is: kind, shape, spacing, axes, series found, warnings.")
    info.add_argument("path", type=_path, metavar="PATH", help="file of a scan, DICOM folder, or project")
    info.add_argument("--json", action="store_true", help="as one JSON object on standard output")

    segment = command("segment", "Draw the masks of a scan with a model.", _SEGMENT)
    segment.add_argument("path", type=_path, metavar="PATH", help="file of a scan, or DICOM folder")
    segment.add_argument("-o", "--output", type=_path, required=True, metavar="OUT.nii.gz", help="the mask to write")
    segment.add_argument("--part", default="", metavar="P", help=_PART)
    segment.add_argument("--model", default="thigh_groups", metavar="M", help="name or folder (%(default)s)")
    segment.add_argument(
        "--device",
        choices=("auto", "cpu", "gpu"),
        default="auto",
        help="where to compute; auto takes a GPU if one works",
    )
    segment.add_argument(
        "--probabilities",
        type=_path,
        metavar="P.nii.gz",
        help="also write probabilities: 4-D float32, label last, background first",
    )

    take_in = command("import", "Take cases with masks into a project.", _IMPORT)
    take_in.add_argument("project", type=_path, metavar="PROJECT", help="project folder; made when not there yet")
    take_in.add_argument("source", type=_path, metavar="SOURCE", help="folder of cases, or one image with --mask")
    take_in.add_argument("--mask", type=_path, metavar="FILE", help="the mask of the one image SOURCE")
    take_in.add_argument("--part", default="", metavar="P", help=_PART)
    fitting(take_in)

    train = command("train", "Train a model on a project, or go on with a run.", _TRAIN)
    train.settings = _settings
    train.add_argument("project", type=_path, nargs="?", metavar="PROJECT", help="project folder")
    train.add_argument("--config", type=_path, metavar="F.json", help="settings that differ from the defaults")
    train.add_argument("--run", default="", metavar="NAME", help="name of the run; an unfinished one goes on")
    train.add_argument("--start-from", default=None, metavar="MODEL|none", help="model whose weights are the start")
    train.add_argument("--events", action="store_true", help="print every event of the run as one JSON line")
    study = train.add_mutually_exclusive_group()
    study.add_argument("--folds", type=int, metavar="K", help="a study: K-fold over people")
    study.add_argument("--leave-one-out", action="store_true", help="a study: each person left out once")
    study.add_argument(
        "--learning-curve", type=int, nargs="?", const=0, metavar="K",
        help="a study: Dice against number of training people, in K trainings",
    )  # fmt: skip
    train.add_argument(
        "--study", default="", metavar="NAME", help="name of the study; alone: an unfinished one goes on"
    )
    train.add_argument("--recipe", metavar="NAME", help="build this model of the box from made-up thighs")
    train.add_argument("--example", metavar="NAME", help="play an example through: puzzle, some five minutes")
    train.add_argument("--miniature", action="store_true", help="with --example: small and quick, to see that it works")
    train.add_argument("-o", "--output", type=_path, metavar="FOLDER", help="where the recipe's model goes")

    evaluate = command("evaluate", "Compare a model with masks, per person and label.", _EVALUATE)
    evaluate.add_argument("model", metavar="MODEL", help="name or folder of a model")
    evaluate.add_argument("source", type=_path, metavar="SOURCE", help="project or nnU-Net raw folder")
    evaluate.add_argument("--json", action="store_true", help="as one JSON object on standard output")
    evaluate.add_argument("--part", choices=("train", "validation", "test"), help="only the people of this part")
    evaluate.add_argument("--against", metavar="OLD", help="another model, compared with person by person")
    evaluate.add_argument("--guard", action="store_true", help="with --against: on made-up thighs too, figures apart")
    evaluate.add_argument("--pictures", type=_path, metavar="FOLDER", help=argparse.SUPPRESS)
    evaluate.add_argument("--parent", type=int, metavar="ID", help=argparse.SUPPRESS)
    evaluate.add_argument("--progress", action="store_true", help=argparse.SUPPRESS)
    evaluate.add_argument("--device", choices=("auto", "cpu", "gpu"), default="auto", help=argparse.SUPPRESS)

    measure = command(
        "measure",
        "Voxels, area_mm2 and volume_ml of each label: on every axial slice (across head-foot, however the scan is "
        "stored), and of all.",
    )
    measure.add_argument("image", type=_path, metavar="IMAGE", help="the scan, for its spacing")
    measure.add_argument("mask", type=_path, metavar="MASK", help="its mask: NIfTI, NRRD, 3D Slicer or DICOM SEG")
    measure.add_argument("--part", default="", metavar="P", help=_PART)
    measure.add_argument(
        "--fat",
        type=_path,
        metavar="FAT",
        help="the fat image that goes with IMAGE, the water image: fat fractions too",
    )
    measure.add_argument(
        "--fat-part", default="", metavar="P", help="which of several volumes of FAT; without --fat, of IMAGE"
    )
    fitting(measure)
    measure.add_argument(
        "-o", "--output", type=_path, metavar="OUT.csv", help="write the table here, not on the screen"
    )

    export = command("export", "Write what a project holds for other programs.", _EXPORT)
    export.add_argument("project", type=_path, metavar="PROJECT", help="project folder")
    export.add_argument(
        "-o", "--output", type=_path, required=True, metavar="OUT", help="folder to write; new or empty"
    )
    export.add_argument("--format", required=True, metavar="F", help="nnunet, bids, npz, nifti, nrrd or dicomseg")
    export.add_argument(
        "--cases", choices=("all", "reviewed"), default="all", help="all, or those with reviewed slices (%(default)s)"
    )
    export.add_argument("--deidentify", action="store_true", help="nothing that tells who a person is")
    export.add_argument(
        "--burned-in-checked", action="store_true", help="you have looked at the pictures: no name stands in one"
    )

    phantom = command("phantom", "Write made-up thighs with their true masks as an nnU-Net raw folder.")
    phantom.add_argument("output", type=_path, metavar="OUT_FOLDER", help="folder to write; new or empty")
    phantom.add_argument("--n", type=int, default=4, metavar="N", help="how many persons (%(default)s)")
    phantom.add_argument("--seed", type=int, default=0, metavar="S", help="same seed, same thighs (%(default)s)")

    weights = command("import-weights", "Make a model of an old Keras .h5 or .hdf5 of the seed U-Net.", _WEIGHTS)
    weights.add_argument("file", type=_path, metavar="FILE", help="weights or whole model, saved by Keras 2")
    weights.add_argument("-o", "--output", type=_path, metavar="FOLDER", help="the model folder to make")
    weights.add_argument("--name", metavar="NAME", help="its name among your own models")
    weights.add_argument("--label", default="outer_surface", metavar="NAME", help="what it draws (%(default)s)")
    weights.add_argument(
        "--input-size",
        type=int,
        default=0,
        metavar="N",
        help="edge of its slices, pixels (the file's, or 512)",
    )
    weights.add_argument(
        "--spacing", type=float, default=0.0, metavar="MM", help="its pixel size; 0 fits a slice into the input (0)"
    )

    model = command("export-model", "Write a model as .h5, SavedModel or ONNX.", _EXPORT_MODEL)
    model.add_argument("model", metavar="MODEL", help="name or folder of a model")
    model.add_argument("-o", "--output", type=_path, required=True, metavar="OUT", help="the file or folder to write")
    model.add_argument("--format", required=True, choices=("h5", "savedmodel", "onnx"), help="what to write")
    return top, tuple(commands.choices)

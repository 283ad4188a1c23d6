"""The table of everything a person can do: words, icon, keys, tip, function, and when it is possible.

Menus, buttons and the sheet of shortcuts are made from it; there is no other place where a key is bound.
"""

from dataclasses import dataclass

from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenu, QWidget

from thighview.ui import dialogs
from thighview.ui.icons import icon
from thighview.ui.slice_view import resize_brush
from thighview.ui.tools import TOOLS
from thighview.ui.wishes import (
    LABEL_KEYS,
    Do,
    When,
    Window,
    accept_and_go_on,
    add_images,
    always,
    can_redo,
    can_undo,
    change_layout,
    change_opacity,
    drop_gesture,
    export_masks,
    export_model,
    fit_views,
    go_to_end,
    has_case,
    has_idle_case,
    has_images,
    has_model,
    has_project,
    hide_names,
    import_old_weights,
    label_key,
    name_labels,
    names_hidden,
    next_unreviewed,
    open_mask,
    open_with,
    reopen,
    reset_views,
    save_as,
    show_next_image,
    swap_tools,
    switch,
    take_label,
    take_tool,
    with_folder,
)

MENUS = ("File", "Edit", "View", "Tools", "Review", "Model", "Help")
TABS = ("Segment", "Review", "Measure", "Train", "History")


@dataclass(frozen=True)
class Spec:
    """One thing a person can do.

    Parameters
    ----------
    key : str
        Its name in the program.
    words : str
        Its name in menus; ends in an ellipsis when it asks something first.
    do : callable
        Does it, given the window.
    keys : tuple of str
        Shortcuts, the first one is shown.
    tip : str
        What it is good for, a sentence that teaches.
    menu : str
        One of ``MENUS``; empty for what is only bound to a key.
    icon : str
        Name of its icon, or nothing.
    when : callable
        Whether it is possible now.
    checked : callable or None
        For a switch: whether it is on.
    gap : bool
        A line above it in the menu.
    repeats : bool
        Whether holding the key repeats it.
    """

    key: str
    words: str
    do: Do
    keys: tuple[str, ...] = ()
    tip: str = ""
    menu: str = ""
    icon: str = ""
    when: When = always
    checked: When | None = None
    gap: bool = False
    repeats: bool = False


_OUTLINE, _CROSS, _LETTERS, _RADIOLOGICAL = (switch(f) for f in ("outline", "crosshair", "letters", "radiological"))

ACTIONS: tuple[Spec, ...] = (
    Spec("open", "Open scan…", open_with(dialogs.ask_open_files), ("Ctrl+O",),
         "Open NIfTI, NRRD, MetaImage, MGH, TIFF or NumPy files, or one file of a DICOM series. Dropping them on the "
         "window does the same.", "File", "open"),
    Spec("open_folder", "Open DICOM folder or project…", open_with(dialogs.ask_open_folder), ("Ctrl+Shift+O",),
         "Open a folder: a DICOM series, or a project with its worklist.", "File", "folder"),
    Spec("project", "New project…", with_folder(dialogs.ask_new_project, "new_project"), ("Ctrl+N",),
         "Make a folder for a study: worklist, masks, models and runs in one place. Scans opened then join it.",
         "File"),
    Spec("my_cases", "My cases", lambda w: w.workspace.open_scratch(), (),
         "The project of scans that were opened on their own.", "File"),
    Spec("demo", "Open a made-up thigh", lambda w: w.open_demo(), (),
         "A thigh drawn by the program, to try everything on, in a project of its own. "
         "No patient was scanned for it.", "File", "demo"),
    Spec("add_image", "Add image to this case…", add_images, (),
         "Another series of the same visit: Dixon water and fat, in- and out-of-phase, T1. It is shown in its true "
         "place on the open scan, and shares its mask.", "File", when=has_case, gap=True),
    Spec("open_mask", "Open mask…", open_mask, ("Ctrl+M",),
         "Put a mask over the open scan, as one step that undo takes back: NIfTI, NRRD, a segmentation of 3D Slicer, "
         "or a DICOM segmentation. On another grid, or where labels overlap, it asks first.", "File",
         when=has_idle_case),
    Spec("label_names", "Load label names…", name_labels, (),
         "Name and colour the labels by their numbers, from a label description of ITK-SNAP.", "File",
         when=has_idle_case),
    Spec("save", "Save mask into the project", lambda w: w.workspace.save(), ("Ctrl+S",),
         "Every stroke is on disk already; this also writes the mask as plain NIfTI into the project's masks folder.",
         "File", "save", has_case),
    Spec("save_as", "Save mask as…", save_as, ("Ctrl+Shift+S",), "Write the mask as NIfTI anywhere, with the "
         "label numbers it came with and their names beside it.", "File", when=has_case),
    Spec("move", "Move case to a project…", with_folder(dialogs.ask_project_folder, "move_to_project"), (),
         "Take the open case, with its whole history, into another project.", "File", when=has_idle_case, gap=True),
    Spec("export", "Export masks…", export_masks, ("Ctrl+E",),
         "Write masks for other programs: training data for nnU-Net, BIDS, NumPy, NIfTI, 3D Slicer, DICOM; on demand "
         "de-identified. Slices nobody has reviewed never become training data.", "File", when=has_project),
    Spec("import", "Import cases with masks…", with_folder(dialogs.ask_import_folder, "import_cases"), (),
         "Take in an nnU-Net raw folder, or images with masks beside them (X.nii.gz with X_seg.nii.gz, or DICOM with a "
         "segmentation); the masks count as drawn by hand.", "File",
         when=has_project),
    Spec("quit", "Quit", lambda w: w.close(), ("Ctrl+Q",), "Close the window; everything is saved already.", "File",
         gap=True),

    Spec("undo", "Undo", lambda w: w.session.undo(), ("Ctrl+Z",), "Take the last step back, and go to where it was.",
         "Edit", "undo", can_undo, repeats=True),
    Spec("redo", "Redo", lambda w: w.session.redo(), ("Ctrl+Y", "Ctrl+Shift+Z"), "Do again what was taken back.",
         "Edit", "redo", can_redo, repeats=True),
    Spec("cancel", "Drop the stroke or shape under way", drop_gesture, ("Esc",),
         "Takes back what the gesture has painted so far; without one, it takes the newest notice away.", "Edit"),
    Spec("add_label", "New label…", lambda w: w.add_label(), ("L",), "Add a label and paint with it.", "Edit",
         "plus", has_case, gap=True),

    Spec("previous", "Previous slice", lambda w: w.views.current.step(-1), ("Up", "Left", "PgUp"),
         "One slice back in the view under the mouse. The wheel does the same.", "View", when=has_case, repeats=True),
    Spec("next", "Next slice", lambda w: w.views.current.step(1), ("Down", "Right", "PgDown"),
         "One slice on in the view under the mouse.", "View", when=has_case, repeats=True),
    Spec("first", "First slice", go_to_end(False), ("Home",), "Go to the first slice.", "View", when=has_case),
    Spec("last", "Last slice", go_to_end(True), ("End",), "Go to the last slice.", "View", when=has_case),
    Spec("zoom_in", "Zoom in", lambda w: w.views.current.zoom(1.25), ("+", "="),
         "Enlarge about the mouse.", "View", when=has_case, gap=True, repeats=True),
    Spec("zoom_out", "Zoom out", lambda w: w.views.current.zoom(0.8), ("-",), "Show more about the mouse.", "View",
         when=has_case, repeats=True),
    Spec("fit", "Fit to the body", fit_views, ("F",), "As large as the anatomy goes, leaving the air out.", "View",
         "fit", has_case),
    Spec("reset", "Reset views and window", reset_views, ("R",),
         "Whole slices, and brightness and contrast by percentiles as when the scan was opened.", "View",
         when=has_case),
    Spec("layout", "One view or three", change_layout, ("V",), "The large view alone, or with the other two beside it.",
         "View", "views", has_case, gap=True),
    Spec("enlarge", "Next view large", lambda w: w.views.enlarge_next(), ("G",),
         "Take axial, coronal and sagittal in turn as the large view.", "View", when=has_case),
    Spec("outline", "Masks as outlines", _OUTLINE[0], ("O",), "See the tissue under a mask: draw only its edge.",
         "View", when=has_case, checked=_OUTLINE[1], gap=True),
    Spec("fainter", "Masks fainter", change_opacity(-0.1), (",",), "Let more of the scan through.", "View",
         when=has_case, repeats=True),
    Spec("stronger", "Masks stronger", change_opacity(0.1), (".",), "Let less of the scan through.", "View",
         when=has_case, repeats=True),
    Spec("next_image", "Next image of this case", show_next_image, ("T",),
         "Look at water, fat and the others in turn; the place and the mask stay.", "View", when=has_images),
    Spec("scan_facts", "About this scan…", lambda w: w.show_scan_facts(), ("I",),
         "Size, spacing, axes, affine, scanner and sequence of the open scan, and what is doubtful about it.", "View",
         when=has_case, gap=True),
    Spec("crosshair", "Crosshair", _CROSS[0], ("C",), "The place all views share.", "View", when=has_case,
         checked=_CROSS[1], gap=True),
    Spec("letters", "Orientation letters", _LETTERS[0], (), "L R A P H F on the edges of every view.", "View",
         when=has_case, checked=_LETTERS[1]),
    Spec("radiological", "Patient's right on the left", _RADIOLOGICAL[0], (),
         "The radiological convention; off swaps left and right in axial and coronal views.", "View", when=has_case,
         checked=_RADIOLOGICAL[1]),
    Spec("hide_names", "Hide names", hide_names, (),
         "No person's name in the title of the window and in the top bar, and no place of a scan is remembered: recent "
         "scans are forgotten with the program's end.", "View", checked=names_hidden, gap=True),

    *(Spec(f"tool_{tool.name}", tool.words, take_tool(tool.name), (tool.shortcut,), tool.tip, "Tools", tool.icon,
           has_case, lambda window, name=tool.name: window.session.view.tool == name) for tool in TOOLS.values()),
    Spec("swap", "Swap brush and eraser", swap_tools, ("X",), "The other one of brush and eraser.", "Tools",
         when=has_case, gap=True),
    Spec("smaller", "Smaller brush", lambda w: resize_brush(w.session, 1 / 1.15), ("[",),
         "With brush or eraser in hand, Ctrl+wheel does the same.", "Tools", when=has_case, repeats=True),
    Spec("larger", "Larger brush", lambda w: resize_brush(w.session, 1.15), ("]",),
         "With brush or eraser in hand, Ctrl+wheel does the same.", "Tools", when=has_case, repeats=True),

    Spec("accept", "Accept slice and go on", accept_and_go_on, ("A", "Return", "Enter"),
         "The mask of this slice is right. Only slices you accept ever train a model.", "Review", "check", has_case),
    Spec("reopen", "Reopen slice", reopen, ("U",), "Take the acceptance back.", "Review", when=has_case),
    Spec("next_open", "Next slice to review", next_unreviewed, ("J",), "Skips what is reviewed already.", "Review",
         when=has_case),
    Spec("accept_all", "Accept all at once…", lambda w: w.ask_to_accept_all(), ("Shift+A",),
         "Slices of a model or an opened mask, when you have looked at them all; it asks first.", "Review",
         when=has_idle_case, gap=True),

    Spec("segment", "Segment stack", lambda w: w.segment(), ("Ctrl+R",),
         "Let the chosen model draw the masks of every slice that is neither reviewed nor being edited. "
         "One undo takes it back.", "Model", "play", has_idle_case),
    Spec("cancel_segment", "Cancel segmentation", lambda w: w.workspace.cancel_segment(), ("Ctrl+.",),
         "Slices filled so far are put back.", "Model", "stop", lambda w: w.session.busy_run is not None),
    Spec("old_weights", "Import old weights…", import_old_weights, (),
         "Make a model of a Keras 2 file (.h5, .hdf5) of the seed U-Net. Nothing in the file is run; what does not fit "
         "is refused by its first layer that differs.", "Model", gap=True),
    Spec("export_model", "Export model…", export_model, (),
         "Write the chosen model as Keras weights (.h5), TensorFlow SavedModel or ONNX, for use in other programs.",
         "Model", when=has_model),
    Spec("restart", "Restart the engine", lambda w: w.workspace.engine.restart(), (),
         "Start the process that runs the network again.", "Model"),
    *(Spec(f"tab_{name.lower()}", f"{name} panel", lambda window, name=name: window.show_tab(name),
           (f"Ctrl+{place}",), f"Show the {name} panel.", "Model", gap=place == 1)
      for place, name in enumerate(TABS, 1)),

    Spec("shortcuts", "Shortcuts", lambda w: w.show_shortcuts(), ("?", "F1"), "Everything the keys and the mouse do.",
         "Help", "keys"),
    Spec("about", "About thighview", lambda w: w.show_about(), (), "What this program is, and what it is not.", "Help"),

    *(Spec(f"label_{place + 1}", f"Label {place + 1}", take_label(place), (label_key(place),), when=has_case)
      for place in range(LABEL_KEYS)),
)  # fmt: skip


class Actions:
    """The table as Qt actions of one window."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self.by_key = {spec.key: self._make(spec) for spec in ACTIONS}
        self.refresh()

    def __getitem__(self, key: str) -> QAction:
        return self.by_key[key]

    def refresh(self, *_: object) -> None:
        """Say anew what is possible, what is on, and what undo would do."""
        window = self._window
        for spec in ACTIONS:
            action = self.by_key[spec.key]
            action.setEnabled(spec.when(window))
            if spec.checked:
                action.setChecked(spec.checked(window))
        history = window.session.history
        self.by_key["undo"].setText(f"Undo {history.undo_name}".rstrip())
        self.by_key["redo"].setText(f"Redo {history.redo_name}".rstrip())

    def menu(self, title: str, parent: QWidget) -> QMenu:
        """One menu of the table."""
        menu = QMenu(title, parent)
        for spec in ACTIONS:
            if spec.menu == title:
                if spec.gap:
                    menu.addSeparator()
                menu.addAction(self.by_key[spec.key])
        return menu

    def _make(self, spec: Spec) -> QAction:
        action = QAction(spec.words, self._window.as_widget)
        action.setObjectName(spec.key)
        action.setShortcuts([QKeySequence(key) for key in spec.keys])
        action.setAutoRepeat(spec.repeats)
        action.setToolTip(tip_words(spec))
        action.setCheckable(spec.checked is not None)
        if spec.icon:
            action.setIcon(icon(spec.icon))
        action.triggered.connect(lambda *_: self._do(spec))
        self._window.as_widget.addAction(action)
        return action

    def _do(self, spec: Spec) -> None:
        spec.do(self._window)
        if spec.checked:
            self.by_key[spec.key].setChecked(spec.checked(self._window))


def tip_words(spec: Spec) -> str:
    """The tip with its title and key, a few lines wide."""
    key = f"  ({key_words(spec.keys[0])})" if spec.keys else ""
    lines, line = [f"{spec.words.rstrip('…')}{key}"], ""
    for word in spec.tip.split():
        if len(line) + len(word) > 52:
            lines.append(line)
            line = ""
        line = f"{line} {word}".strip()
    return "\n".join([*lines, line] if line else lines)


def key_words(key: str) -> str:
    """A shortcut as it is written on the keyboard."""
    return {"Up": "↑", "Down": "↓", "Left": "←", "Right": "→", "Return": "Enter"}.get(
        key, key.replace("+", " + ") if len(key) > 1 else key
    )


def sheet() -> list[tuple[str, list[tuple[str, str]]]]:
    """Groups of (keys, what they do) for the sheet of shortcuts."""
    groups: list[tuple[str, list[tuple[str, str]]]] = []
    for menu in MENUS:
        lines = [
            (", ".join(dict.fromkeys(key_words(key) for key in spec.keys)), spec.words.rstrip("…"))
            for spec in ACTIONS
            if spec.menu == menu and spec.keys
        ]
        if lines:
            groups.append((menu, lines))
    return groups

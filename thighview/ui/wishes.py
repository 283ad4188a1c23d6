"""What a person can wish for, each a function of the window; the table in ``actions`` gives them words and keys."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from PySide6.QtWidgets import QWidget

from thighview.app.session import Session
from thighview.app.tasks import OldWeightsError
from thighview.core.scan_key import ScanKey
from thighview.ui import dialogs
from thighview.ui.export_dialog import ask_export
from thighview.ui.export_model_dialog import ask_export_model
from thighview.ui.notices import Notices
from thighview.ui.old_weights_dialog import ask_old_weights
from thighview.ui.views import Views

if TYPE_CHECKING:
    from thighview.app.tasks import Workspace


class Window(Protocol):
    """What an action may ask of the window."""

    @property
    def workspace(self) -> "Workspace":
        """Everything that is open."""
        ...

    @property
    def session(self) -> Session:
        """The open case."""
        ...

    @property
    def views(self) -> Views:
        """The slice views."""
        ...

    @property
    def notices(self) -> Notices:
        """What has been said."""
        ...

    @property
    def as_widget(self) -> QWidget:
        """The parent of questions."""
        ...

    def segment(self) -> None:
        """Run the chosen model."""
        ...

    def show_tab(self, name: str) -> None:
        """Show a panel on the right."""
        ...

    def accept_shown(self) -> bool:
        """Accept the shown slice; an empty one only when wished twice."""
        ...

    def go_to_next(self) -> None:
        """Show the next slice that nobody has reviewed."""
        ...

    def ask_to_accept_all(self) -> None:
        """Ask, in the Review panel, whether all that a model drew, or a file brought, is right."""
        ...

    def show_shortcuts(self) -> None:
        """Show the sheet."""
        ...

    def show_scan_facts(self) -> None:
        """Show what is known of the open scan."""
        ...

    def show_about(self) -> None:
        """Show what this program is."""
        ...

    def add_label(self) -> None:
        """Ask for a new label."""
        ...

    def open_demo(self) -> None:
        """Open a made-up thigh."""
        ...

    def close(self) -> bool:
        """Close the window."""
        ...


LABEL_KEYS = 10
"""So many labels of the list have a key."""

Do = Callable[[Window], object]
When = Callable[[Window], bool]


def always(_: Window) -> bool:
    """Possible at any time."""
    return True


def has_case(window: Window) -> bool:
    """A scan is open."""
    return window.session.case is not None


def has_project(window: Window) -> bool:
    """A project is open."""
    return window.workspace.project_folder is not None


def has_model(window: Window) -> bool:
    """There is a model to choose."""
    return window.workspace.chosen_model is not None


def has_idle_case(window: Window) -> bool:
    """A scan is open and no model is at work on it."""
    return window.session.case is not None and window.session.busy_run is None


def open_with(ask: Callable[[QWidget, Path | None], list[Path]]) -> Do:
    """Ask for something, then open it."""

    def do(window: Window) -> None:
        paths = ask(window.as_widget, window.workspace.settings.last_folder)
        if paths:
            window.workspace.open_paths(paths)

    return do


def open_mask(window: Window) -> None:
    """Ask for a mask, then put it over the scan."""
    path = dialogs.ask_mask_file(window.as_widget, window.workspace.settings.last_folder)
    if path:
        window.workspace.open_mask(path)


def name_labels(window: Window) -> None:
    """Ask for a file of label names, then give them to the labels of the open scan."""
    path = dialogs.ask_label_names(window.as_widget, window.workspace.settings.last_folder)
    if path:
        window.workspace.name_labels(path)


def import_old_weights(window: Window) -> None:
    """Ask for a weights file and what is known of it, then make a model of it and show what is told of that."""
    settings = window.workspace.settings
    names = [model.card.name for model in window.workspace.models]
    said = ask_old_weights(window.as_widget, settings.place_for("old_weights"), names)
    if said:
        settings.keep_place("old_weights", said.path.parent)
        window.show_tab("Segment")
        window.notices.settle(OldWeightsError)
        window.workspace.import_old_weights(said.path, said.name, said.label, said.input_size)


def export_model(window: Window) -> None:
    """Ask for format and place, then write the chosen model there."""
    workspace = window.workspace
    model = workspace.chosen_model
    if model is None:
        return
    said = ask_export_model(window.as_widget, workspace.settings.place_for("export_model"), model.card.name)
    if said:
        workspace.settings.keep_place("export_model", said[0].parent)
        workspace.export_model(model, *said)


def save_as(window: Window) -> None:
    """Ask for a place, then write the mask there."""
    case = window.session.case
    if case:
        start = window.workspace.settings.last_folder / f"{case.title}_mask.nii.gz"
        path = dialogs.ask_save_mask(window.as_widget, start)
        if path:
            window.workspace.save_mask(path)


def with_folder(ask: Callable[[QWidget, Path | None], Path | None], verb: str) -> Do:
    """Ask for a folder, then call a verb of the workspace with it; the next time the same place is proposed."""

    def do(window: Window) -> None:
        settings = window.workspace.settings
        folder = ask(window.as_widget, settings.place_for(verb))
        if folder:
            settings.keep_place(verb, folder.parent)
            getattr(window.workspace, verb)(folder)

    return do


def export_masks(window: Window) -> None:
    """Ask what to export and where to, then write it there; without a case there is nothing to ask."""
    workspace, settings = window.workspace, window.workspace.settings
    if not workspace.cases:
        window.notices.say("There is no case yet: open a scan first.")
        return
    opened, cases = window.session.case, workspace.current_cases
    summary = next((case for case in cases if opened and case.case_id == opened.case_id), None)
    place = settings.place_for("export")
    said = ask_export(window.as_widget, place, cases, summary, settings.export_choice)
    if said:
        folder, wish, settings.export_choice = said
        settings.keep_place("export", folder.parent)
        workspace.export_masks(folder, wish)


def hide_names(window: Window) -> None:
    """The other one of names shown and names hidden."""
    window.workspace.hide_names(not window.workspace.settings.names_hidden)


def names_hidden(window: Window) -> bool:
    """Names are hidden."""
    return window.workspace.settings.names_hidden


def drop_gesture(window: Window) -> None:
    """Take back the stroke or shape under way; without one, take away the newest notice."""
    if not window.views.cancel_gestures():
        window.notices.close_newest()
    window.as_widget.setFocus()  # whatever had the keys, a search for one


def accept_and_go_on(window: Window) -> None:
    """Accept the shown slice and go to the next one nobody has reviewed; a shape under way is closed first."""
    if not window.views.send_key("close") and window.accept_shown():
        window.go_to_next()


def next_unreviewed(window: Window) -> None:
    """Go to the next slice that is not reviewed, from the first again after the last."""
    window.go_to_next()


def reopen(window: Window) -> None:
    """Take the acceptance of the shown slice back."""
    if window.session.case:
        window.session.reopen((window.session.view.cursor[0],))


def take_tool(name: str) -> Do:
    """Take a tool into the hand."""
    return lambda window: window.session.update_view(tool=name)


def swap_tools(window: Window) -> None:
    """The other one of brush and eraser."""
    window.session.update_view(tool="brush" if window.session.view.tool == "eraser" else "eraser")


def label_key(place: int) -> str:
    """The key of the label at this place of the list: 1 to 9, then 0; nothing for the rest."""
    return str((place + 1) % 10) if place < LABEL_KEYS else ""


def take_label(place: int) -> Do:
    """Paint with the label at this place of the list."""

    def do(window: Window) -> None:
        labels = tuple(window.session.case.table) if window.session.case else ()
        if place < len(labels):
            window.session.update_view(active_label=labels[place].value)

    return do


def switch(field: str) -> tuple[Do, When]:
    """Turning a field of the view on and off, and whether it is on."""
    return (
        lambda window: window.session.update_view(**{field: not getattr(window.session.view, field)}),
        lambda window: bool(getattr(window.session.view, field)),
    )


def change_opacity(step: float) -> Do:
    """Make masks stronger or fainter."""

    def do(window: Window) -> None:
        window.session.update_view(opacity=round(min(max(window.session.view.opacity + step, 0.0), 1.0), 2))

    return do


def go_to_end(last: bool) -> Do:
    """Go to the first or last slice."""

    def do(window: Window) -> None:
        view = window.views.current
        view.step((view.plane.count if last else -view.plane.count) if view.plane else 0)

    return do


def reset_views(window: Window) -> None:
    """Whole slices, and the window by percentiles."""
    for view in window.views.by_name.values():
        view.fit(body=False)
    window.session.reset_windows()


def fit_views(window: Window) -> None:
    """Fit every view to the body."""
    for view in window.views.by_name.values():
        view.fit()


def add_images(window: Window) -> None:
    """Ask for further images of the open case."""
    workspace = window.workspace
    paths = dialogs.ask_image_files(window.as_widget, workspace.settings.last_folder)
    if paths:
        workspace.settings.last_folder = paths[0].parent
        workspace.images.add([ScanKey(path) for path in paths])


def has_images(window: Window) -> bool:
    """The open case has more than one image."""
    case = window.session.case
    return case is not None and len(case.images) > 1


def show_next_image(window: Window) -> None:
    """Look at the next image of the case; after the last one at the first."""
    session = window.session
    if session.case is None:
        return
    keys = [0, *(one.series_id for one in session.case.images[1:] if one.on_grid)]
    session.show_image(keys[(keys.index(session.view.base) + 1) % len(keys)])


def change_layout(window: Window) -> None:
    """One view or three."""
    window.session.update_view(layout="three" if window.session.view.layout == "axial" else "axial")


def can_undo(window: Window) -> bool:
    """There is a step to take back."""
    return bool(window.session.history.undo_name)


def can_redo(window: Window) -> bool:
    """There is a step to do again."""
    return bool(window.session.history.redo_name)

"""What the program remembers between starts; a bad file never blocks one."""

import json
from pathlib import Path
from typing import Any, cast

from PySide6.QtCore import QByteArray, QSettings, QStandardPaths

from thighview.core.errors import UserError
from thighview.core.run import TrainConfig
from thighview.core.scan_key import ScanKey
from thighview.io.paths import home

_RECENT, _SLICES = 8, 200


class Settings:
    """Typed settings over one ini file in the program's data folder.

    Every getter falls back to its default when the stored value is missing or makes no sense.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._store = QSettings(str(path or home() / "settings.ini"), QSettings.Format.IniFormat)
        self._aside: dict[str, object] | None = None
        self._unwritten: dict[str, object] = {}

    def sync(self) -> None:
        """Write to disk now."""
        self._store.sync()

    @property
    def aside(self) -> bool:
        """Whether nothing is remembered for good now."""
        return self._aside is not None

    def keep_aside(self, aside: bool) -> None:
        """From now on remember only for the time being, without model and training chosen before; or for good again."""
        if aside != self.aside:
            self._aside = {"last_model": "", "train_config": ""} if aside else None

    # ------------------------------------------------------------------ files

    @property
    def recent(self) -> tuple[ScanKey, ...]:
        """Projects opened last (their folders), newest first, then scans opened last, newest first."""
        return (*self._recent("projects"), *self._recent("scans"))

    def project_of(self, scan: ScanKey) -> Path | None:
        """The project a scan of the recent ones was last opened in, or None."""
        return self._recent("scans").get(scan)

    def last_scan_in(self, project: Path) -> ScanKey | None:
        """The scan that was opened last in this project, or None."""
        return next((scan for scan, home in self._recent("scans").items() if home == project), None)

    def add_recent(self, scan: ScanKey, project: Path) -> None:
        """Put a scan that was opened in a project, or the project itself, at the top of the recent ones of its kind."""
        kind = "projects" if scan.path == project else "scans"
        others = [(key, home) for key, home in self._recent(kind).items() if key.placed(False) != scan.placed(False)]
        rows = [(str(key.path), str(home), key.part) for key, home in [(scan, project), *others][:_RECENT]]
        self._put(f"recent/{kind}", json.dumps(rows))

    def _recent(self, kind: str) -> dict[ScanKey, Path]:
        """``projects`` or ``scans`` opened last, newest first, each with its project's folder."""
        try:
            rows: list[list[str]] = json.loads(self._text(f"recent/{kind}", "[]"))
            return {ScanKey(Path(path), *part): Path(project) for path, project, *part in rows}
        except (ValueError, TypeError):
            return {}

    def slice_of(self, scan: ScanKey) -> int | None:
        """The slice (along the stored axis) of a scan that was looked at last, or None."""
        found = self._slices().get(_line(scan))
        return found if isinstance(found, int) else None

    def keep_slice(self, scan: ScanKey, index: int) -> None:
        """Remember the slice looked at; of the scans left last only."""
        others = {line: known for line, known in self._slices().items() if line != _line(scan)}
        self._put("slices", json.dumps(dict([*others.items(), (_line(scan), index)][-_SLICES:])))

    def _slices(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self._text("slices", "{}")))
        except (ValueError, TypeError):
            return {}

    @property
    def last_project(self) -> Path | None:
        """The project that was open last."""
        folder = self._text("last_project", "")
        return Path(folder) if folder else None

    @last_project.setter
    def last_project(self, folder: Path) -> None:
        self._put("last_project", str(folder))

    @property
    def last_folder(self) -> Path:
        """Where the file dialog opens."""
        return Path(self._text("last_folder", str(Path.home())))

    @last_folder.setter
    def last_folder(self, folder: Path) -> None:
        self._put("last_folder", str(folder))

    def place_for(self, wish: str) -> Path:
        """Where the folder of this wish (``new_project``, ``export``, …) was last; else the documents."""
        kept = self._text(f"place/{wish}", "")
        documents = Path(QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DocumentsLocation))
        return Path(kept) if kept else documents if documents.is_dir() else Path.home()

    def keep_place(self, wish: str, place: Path) -> None:
        """Propose this place the next time."""
        self._put(f"place/{wish}", str(place))

    # ------------------------------------------------------------------ look

    @property
    def geometry(self) -> QByteArray:
        """Place and size of the window."""
        value = self._get("geometry", None)
        return value if isinstance(value, QByteArray) else QByteArray()

    @geometry.setter
    def geometry(self, value: QByteArray) -> None:
        self._put("geometry", value)

    def size_of(self, dialog: str) -> tuple[int, int] | None:
        """Width and height that a person gave a dialog, or None."""
        try:
            width, height = json.loads(self._text(f"sizes/{dialog}", ""))
            return (int(width), int(height)) if 0 < int(width) < 1 << 14 and 0 < int(height) < 1 << 14 else None
        except (ValueError, TypeError):
            return None

    def keep_size(self, dialog: str, width: int, height: int) -> None:
        """Give a dialog this size the next time."""
        self._put(f"sizes/{dialog}", json.dumps([width, height]))

    @property
    def view(self) -> dict[str, Any]:
        """Fields of ViewState that outlive a case: opacity, outline, brush_radius_mm, layout, radiological, ..."""
        kinds: dict[str, type] = {
            "opacity": float,
            "outline": bool,
            "brush_radius_mm": float,
            "layout": str,
            "radiological": bool,
            "crosshair": bool,
            "letters": bool,
        }
        try:
            stored = json.loads(self._text("view", "{}"))
        except ValueError:
            return {}
        if not isinstance(stored, dict):
            return {}
        fields = cast("dict[str, Any]", stored)
        kept = {k: v for k, v in fields.items() if k in kinds and type(v) is kinds[k]}
        if not 0.0 <= kept.get("opacity", 0.4) <= 1.0 or not 0.2 <= kept.get("brush_radius_mm", 6.0) <= 100.0:
            return {}
        return kept

    @view.setter
    def view(self, fields: dict[str, Any]) -> None:
        self._put("view", json.dumps(fields))

    # ------------------------------------------------------------------ work

    @property
    def last_model(self) -> str:
        """Folder of the model chosen last."""
        return self._text("last_model", "")

    @last_model.setter
    def last_model(self, folder: str) -> None:
        self._put("last_model", folder)

    @property
    def train_config(self) -> TrainConfig | None:
        """Training settings used last; None where they were not set by hand."""
        try:
            return TrainConfig.from_json(json.loads(self._text("train_config", "")))
        except (ValueError, TypeError, AttributeError, UserError):
            return None

    @train_config.setter
    def train_config(self, config: TrainConfig | None) -> None:
        self._put("train_config", json.dumps(config.to_json()) if config else "")

    @property
    def export_choice(self) -> dict[str, Any]:
        """What was exported last: ``form``, ``cases`` (``open``, ``reviewed`` or ``all``) and ``deidentify``."""
        try:
            found = json.loads(self._text("export_choice", "{}"))
        except ValueError:
            return {}
        kinds = {"form": str, "cases": str, "deidentify": bool}
        kept = found if isinstance(found, dict) else {}
        return {key: value for key, value in kept.items() if key in kinds and type(value) is kinds[key]}

    @export_choice.setter
    def export_choice(self, choice: dict[str, Any]) -> None:
        self._put("export_choice", json.dumps(choice))

    # ------------------------------------------------------------------ names

    @property
    def names_hidden(self) -> bool:
        """Whether no person's name shows in title and top bar, and no place of a scan is kept on the disk."""
        return self._store.value("names_hidden", "") == "yes"

    @names_hidden.setter
    def names_hidden(self, hidden: bool) -> None:
        self._store.setValue("names_hidden", "yes" if hidden else "")
        if hidden:
            for key in filter(_tells_of_scans, self._store.allKeys()):
                self._unwritten[key] = self._store.value(key)
                self._store.remove(key)
        else:
            for key, value in self._unwritten.items():
                self._store.setValue(key, value)
            self._unwritten.clear()
        self._store.sync()

    def _put(self, key: str, value: object) -> None:
        if self.names_hidden and _tells_of_scans(key):
            self._unwritten[key] = value
            return
        if self._aside is not None:
            self._aside[key] = value
        else:
            self._store.setValue(key, value)

    def _get(self, key: str, default: object) -> object:
        if key in self._unwritten:
            return self._unwritten[key]
        if self._aside is not None and key in self._aside:
            return self._aside[key]
        return self._store.value(key, default)

    def _text(self, key: str, default: str) -> str:
        value = self._get(key, default)
        return value if isinstance(value, str) else default


def _line(scan: ScanKey) -> str:
    """The key as one word; no name of a file has a NUL in it."""
    return "\0".join((str(scan.path), *([scan.part] if scan.part else [])))


def _tells_of_scans(key: str) -> bool:
    """Whether a setting holds paths of scans or of what was made of them, in which names may stand."""
    return key in ("recent/scans", "slices", "last_folder") or key.startswith("place/")

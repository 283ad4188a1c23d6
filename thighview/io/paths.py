"""Where a person's own things live on this machine."""

import os
from pathlib import Path

import platformdirs


def home() -> Path:
    """The folder of the person's projects and models: ``$THIGHVIEW_HOME``, else the system's place for user data."""
    chosen = os.environ.get("THIGHVIEW_HOME", "")
    return Path(chosen).expanduser().absolute() if chosen else Path(platformdirs.user_data_dir("thighview", False))


def scratch_project() -> Path:
    """The project that scans opened on their own belong to."""
    return home() / "My cases"


def models_folder() -> Path:
    """The person's own models, usable from every project."""
    return home() / "models"

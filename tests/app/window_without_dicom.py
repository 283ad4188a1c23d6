"""A window's process that does all there is to do with a DICOM series; prints what it has loaded. Run as a script."""

import sys
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QTimer

from thighview.app import jobs
from thighview.app.tasks import Workspace
from thighview.core.case import Case
from thighview.core.labels import Label, LabelTable
from thighview.core.run import TrainConfig
from thighview.io.dataset import freeze
from thighview.io.nnunet import export_raw
from thighview.io.project import Project
from thighview.io.runs import run_folder
from thighview.io.stored_case import stored_case_in

READERS = ("thighview.io.dicom", "thighview.io.dicom_find", "thighview.io.dicom_pixels")
"""What takes DICOM apart; pydicom itself is imported by nibabel."""


def main(scan: Path, project: Path) -> None:
    """Open the scan in a project, draw and accept, read it again as the panels do, freeze and export."""
    application = QCoreApplication([])
    workspace = Workspace()
    workspace.failed.connect(lambda error: print("failed", error))

    def opened(case: Case | None) -> None:
        if case is None:
            return
        workspace.session.set_table(LabelTable((Label(1, "muscle"),)))
        labels = case.labels.copy()
        labels[1, 1:3, 1:3] = 1
        workspace.session.commit("draw", "brush", labels)
        workspace.session.accept((1,))
        QTimer.singleShot(0, until_hashed)

    def until_hashed() -> None:
        case = workspace.session.case
        if case is None or not case.series[0].sha256 or jobs.running():
            QTimer.singleShot(20, until_hashed)
            return
        case_id = case.case_id
        workspace.close()
        job = jobs.run_in_thread(lambda report, stopped: behind(case_id))
        job.succeeded.connect(lambda _: application.quit())
        job.failed.connect(lambda error: (print("failed", error), application.quit()))

    def behind(case_id: int) -> None:
        assert stored_case_in(project, case_id).volume.shape[0] == 3
        opened_project = Project.open(project)
        opened_project.set_in_training_set(case_id, True)
        freeze(opened_project, run_folder(project, "one"), TrainConfig())
        export_raw(opened_project, project.parent / "raw")
        opened_project.close()

    workspace.session.case_opened.connect(opened)
    workspace.new_project(project)
    workspace.project_changed.connect(lambda _: workspace.open_path(scan))
    application.exec()
    jobs.shutdown()
    print([name for name in READERS if name in sys.modules])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

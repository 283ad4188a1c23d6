"""What the user is doing: Session, jobs, tasks, settings. QtCore, no widgets."""

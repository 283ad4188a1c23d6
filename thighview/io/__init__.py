"""Files in, files out: NIfTI, DICOM, projects, models, training sets. No Qt, no TensorFlow."""

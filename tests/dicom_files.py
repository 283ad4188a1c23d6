"""Small DICOM series, written for tests."""

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid


def write_series(folder, positions, first=0, **values):
    """A small axial series of 4 x 5 images at these heights; slice ``i`` is filled with ``i``.

    ``values`` replace what the header says: a tuple has one for each slice, ``...`` takes an element out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    series = values.pop("SeriesInstanceUID", generate_uid())
    for i, height in enumerate(positions):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, MRImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        slice_ = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
        slice_.SOPClassUID, slice_.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
        slice_.SeriesInstanceUID, slice_.Modality, slice_.SeriesNumber = series, "MR", 3
        slice_.SeriesDescription, slice_.PatientName, slice_.PatientID = "t1_tra", "Doe^Jane", "P-17"
        slice_.Rows, slice_.Columns, slice_.PixelSpacing = 4, 5, [1.25, 0.75]
        slice_.ImageOrientationPatient, slice_.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [-10, -20, height]
        slice_.SamplesPerPixel, slice_.PhotometricInterpretation = 1, "MONOCHROME2"
        slice_.BitsAllocated, slice_.BitsStored, slice_.HighBit, slice_.PixelRepresentation = 16, 12, 11, 0
        slice_.PixelData = np.full((4, 5), i, "<u2").tobytes()
        slice_.InstanceNumber = i + 1
        for name, value in values.items():
            if value is ...:
                delattr(slice_, name)
            else:
                setattr(slice_, name, value[i] if isinstance(value, tuple) else value)
        slice_.save_as(folder / f"{first + i:03d}", enforce_file_format=True)
    return folder


def write_volume(folder, voxels, affine, **values):
    """A series of these int16 voxels (z, y, x) in this place (to LPS mm); rows and columns must be at right angles."""
    dy, dx = (np.linalg.norm(affine[:3, axis]) for axis in (1, 2))
    across = [*(affine[:3, 2] / dx), *(affine[:3, 1] / dy)]
    at = [[float(f"{mm:.10g}") for mm in affine[:3, 3] + z * affine[:3, 0]] for z in range(len(voxels))]
    plain = voxels.astype("<i2")
    return write_series(
        folder, range(len(voxels)), Rows=voxels.shape[1], Columns=voxels.shape[2], PixelSpacing=[float(dy), float(dx)],
        ImageOrientationPatient=[float(f"{v:.12f}") for v in across], ImagePositionPatient=tuple(at),
        BitsStored=16, HighBit=15, PixelRepresentation=1, PixelData=tuple(plane.tobytes() for plane in plain), **values,
    )  # fmt: skip

"""A word that stands for a patient: planted wherever a name can be, and looked for in every byte of a folder."""

import gzip
import io
import zipfile
import zlib
from pathlib import Path

import nibabel
import numpy as np
import pydicom
from export_room import write_thigh_series
from nibabel.nifti1 import Nifti1Extension
from pydicom.dataset import Dataset, FileMetaDataset

CANARY = "ZQXSECRET"
_MOST_UNPACKED = 64 << 20
_DEEPEST = 4

TEXTS = (
    "PatientName", "PatientID", "OtherPatientNames", "PatientBirthName", "PatientMotherBirthName", "PatientAddress",
    "PatientTelephoneNumbers", "PatientComments", "AdditionalPatientHistory", "MedicalAlerts", "Allergies", "StudyID",
    "Occupation", "CountryOfResidence", "RegionOfResidence", "MilitaryRank", "BranchOfService", "EthnicGroup",
    "PatientReligiousPreference", "IssuerOfPatientID", "AdmissionID", "AdmittingDiagnosesDescription",
    "AccessionNumber", "StudyDescription",
    "SeriesDescription", "ProtocolName", "RequestedProcedureDescription", "PerformedProcedureStepDescription",
    "DerivationDescription", "ImageComments", "FrameComments", "StudyComments", "ReferringPhysicianName",
    "PerformingPhysicianName", "NameOfPhysiciansReadingStudy", "OperatorsName", "InstitutionName", "InstitutionAddress",
    "InstitutionalDepartmentName", "StationName", "Manufacturer", "ManufacturerModelName", "DeviceSerialNumber",
    "SoftwareVersions", "PrivateCodingSchemeCreatorUID", "RequestingPhysician", "RequestingService", "VisitComments",
    "CurrentPatientLocation", "PatientState", "BodyPartExamined", "SequenceName", "AcquisitionComments", "TextComments",
    "ContentCreatorName", "DeidentificationMethod", "PositionReferenceIndicator", "RescaleType", "ImageID",
)  # fmt: skip
"""Elements of a DICOM file that the word is planted in as it is."""
_UID = "1.2.826.0.1.3680043.8.498.4242424242424242"


def plant_series(folder: Path) -> int:
    """A DICOM series with the word in every place a name can stand; returns the number of places."""
    write_thigh_series(folder, ImageType=["ORIGINAL", "PRIMARY", CANARY], PatientPosition=CANARY, ScanOptions=CANARY)
    places = 0
    for number, file in enumerate(sorted(folder.iterdir())):
        dataset = pydicom.dcmread(file)
        places = 4
        for keyword in TEXTS:
            if pydicom.datadict.tag_for_keyword(keyword) is not None:
                setattr(dataset, keyword, f"{CANARY} {number}" if "UID" not in keyword else _UID)
                places += 1
        dataset.PatientName = f"{CANARY}^Jane"
        inner = Dataset()
        inner.RequestedProcedureDescription, inner.ScheduledProcedureStepDescription = CANARY, CANARY
        deeper = Dataset()
        deeper.CodeValue, deeper.CodingSchemeDesignator, deeper.CodeMeaning = "1", "99X", CANARY
        inner.RequestedProcedureCodeSequence = [deeper]
        dataset.RequestAttributesSequence = [inner]
        block = dataset.private_block(0x0029, f"{CANARY} HEADER", create=True)
        block.add_new(0x10, "OB", CANARY.encode() * 3 + b"0")
        block.add_new(0x11, "LO", CANARY)
        block.add_new(0x12, "SQ", [inner])
        dataset.add_new(0x60000010, "US", 4)
        dataset.add_new(0x60000011, "US", 5)
        dataset.add_new(0x60000022, "LO", CANARY)
        dataset.add_new(0x60001500, "LO", CANARY)
        dataset.add_new(0x60004000, "LT", CANARY)
        dataset.add_new(0x60003000, "OB", CANARY.encode() + b"0")
        dataset.add_new(0x50000030, "SH", CANARY)
        dataset.add_new(0x00091001, "UN", CANARY.encode() + b"0")
        dataset.add_new(0x00324000, "LT", CANARY.encode("utf-16-le").decode("latin-1"))
        dataset.PixelData += CANARY.encode() + b"0"
        dataset.add_new(0xFFFCFFFC, "OB", CANARY.encode() + b"0")
        dataset.preamble = CANARY.encode().ljust(128, b"\0")
        meta: FileMetaDataset = dataset.file_meta
        meta.SourceApplicationEntityTitle = CANARY
        meta.PrivateInformationCreatorUID, meta.PrivateInformation = _UID, CANARY.encode() + b"0"
        places += 21
        dataset.save_as(file, enforce_file_format=True)
        file.rename(file.with_name(f"{CANARY}_{number}.dcm"))
    return places


def plant_nifti(path: Path) -> int:
    """A NIfTI file with the word in its name and in every text of its header; returns the number of places."""
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.random.default_rng(3).integers(0, 900, (5, 4, 5), dtype=np.int16)
    image = nibabel.Nifti1Image(voxels.T, np.diag([-0.75, -1.25, 4.0, 1.0]))
    fields = ("descrip", "db_name", "aux_file", "intent_name", "data_type")
    for field in fields:
        image.header[field] = CANARY.encode()
    image.header.extensions.append(Nifti1Extension("comment", f"about {CANARY}".encode()))
    nested = Dataset()
    nested.PatientName = CANARY
    image.header.extensions.append(nibabel.nifti1.Nifti1DicomExtension(2, nested))
    nibabel.save(image, path)
    return len(fields) + 2


def hits(data: bytes, depth: int = 0) -> int:
    """How often the word stands in these bytes: in any case, as UTF-8, 16 and 32, packed in gzip, zlib or zip."""
    found = 0
    folded = data.lower()
    for form in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
        found += folded.count(CANARY.lower().encode(form))
    if depth < _DEEPEST:
        found += sum(hits(part, depth + 1) for part in _unpacked(data))
    return found


def _unpacked(data: bytes) -> list[bytes]:
    """What is packed in these bytes, wherever in them it begins."""
    parts: list[bytes] = []
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts += [name.encode() for name in archive.namelist()]
            parts += [archive.read(name) for name in archive.namelist()]
    if data[:2] == b"\x1f\x8b":
        with gzip.open(io.BytesIO(data)) as file:
            parts.append(file.read(_MOST_UNPACKED))
    starts = [at for head in (b"\x1f\x8b\x08", b"\x78\x01", b"\x78\x9c", b"\x78\xda") for at in _find(data, head)]
    for at in starts:
        if at or data[:2] != b"\x1f\x8b":
            packed = zlib.decompressobj(47)
            try:
                part = packed.decompress(data[at:], _MOST_UNPACKED)
            except zlib.error:
                continue
            if packed.eof:  # else it only happened to begin like one
                parts.append(part)
    return parts


def _find(data: bytes, head: bytes) -> list[int]:
    found, at = [], data.find(head)
    while at >= 0:
        found.append(at)
        at = data.find(head, at + 1)
    return found


def hits_in(folder: Path, without: tuple[Path, ...] = ()) -> list[str]:
    """Files below a folder whose name or content holds the word."""
    found: list[str] = []
    for path in sorted(folder.rglob("*")):
        if any(path.is_relative_to(other) for other in without):
            continue
        name = path.relative_to(folder).as_posix()
        if hits(name.encode()) or (path.is_file() and hits(path.read_bytes())):
            found.append(name)
    return found

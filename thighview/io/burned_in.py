"""The gate before pixels leave under a study key: may there be a name in the picture itself?"""

from thighview.io.dicom_header import text_of
from thighview.io.dicom_source import SourceImages, values_of

_DOUBTFUL = {"OT": "other", "SC": "secondary capture", "US": "ultrasound"}
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def burned_in_doubt(source: SourceImages) -> str:
    """Why text may be burned into the images of a series, one sentence; empty where they say that none is.

    A header that says ``NO`` is believed. One that says nothing is believed for what a scanner measured, not for
    screenshots, ultrasound and images made of others.
    """
    for image in source.images:
        header = image.whole
        said = text_of(header, "BurnedInAnnotation").upper()
        if said == "NO":
            continue
        where = f"Slice {image.index + 1}"
        if said == "YES":
            return f"{where} says of itself that text is burned into the picture (BurnedInAnnotation YES)."
        if said:
            return f"{where} does not say clearly whether text is burned into the picture."
        modality = text_of(header, "Modality").upper()
        if modality in _DOUBTFUL or not modality:
            kind = f"of the modality {modality} ({_DOUBTFUL[modality]})" if modality else "of no modality"
            return f"{where} is {kind} and does not say whether text is burned into the picture."
        if text_of(header, "SOPClassUID").startswith(_SECONDARY_CAPTURE):
            return f"{where} is a secondary capture and does not say whether text is burned into the picture."
        kinds = [[word.upper() for word in values_of(one, "ImageType")[:2]] for one in (header, image.flat)]
        if ["DERIVED", "SECONDARY"] in kinds:
            return f"{where} is a secondary image (DERIVED\\SECONDARY) that does not say whether text is burned in."
    return ""

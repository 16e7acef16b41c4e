"""The report's pages as secondary capture (an image for each) or as encapsulated PDF, each in a series of its own."""

from __future__ import annotations

from collections.abc import Sequence

from highdicom.base import SOPClass
from highdicom.sc import SCImage
from highdicom.sr import CodedConcept
from matplotlib.figure import Figure
from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian

from DeepRadScoreLib.report.dicom import PageForm, codes
from DeepRadScoreLib.report.dicom.origin import Origin
from DeepRadScoreLib.report.sheet import to_pdf, to_pixels

SERIES_NUMBER = 7104


def page_objects(origin: Origin, pages: Sequence[Figure], form: PageForm) -> dict[str, SOPClass]:
    """The objects by file name: `page_1.dcm`, `page_2.dcm`... (one series), or `page.dcm` with all pages.

    They refer to no image; patient and study are those of the CT.
    """
    if form is PageForm.PDF:
        return {"page.dcm": _pdf(origin, to_pdf(pages))}
    common = origin.common("page", SERIES_NUMBER, "Report page, unverified")
    made: dict[str, SOPClass] = {}
    for n, pixels in enumerate(to_pixels(pages), start=1):
        page = SCImage.from_ref_dataset(
            ref_dataset=origin.images[0],
            pixel_array=pixels,
            photometric_interpretation="RGB",
            bits_allocated=8,
            coordinate_system="PATIENT",
            patient_orientation=("L", "P"),
            transfer_syntax_uid=ExplicitVRLittleEndian,
            **{**common, "sop_instance_uid": origin.uid(f"page {n}"), "instance_number": n},
        )
        page.PatientOrientation, page.BodyPartExamined = [], "CHEST"
        page.BurnedInAnnotation = _burned_in(origin)
        made[f"page_{n}.dcm"] = page
    return made


def _burned_in(origin: Origin) -> str:
    """Whether the case's name, which may tell who the patient is, stands on the pages."""
    return "NO" if origin.deidentification else "YES"


def _pdf(origin: Origin, pdf: bytes) -> SOPClass:
    """PS3.3 A.45.1, Encapsulated PDF."""
    first = origin.images[0]
    made = SOPClass(
        study_instance_uid=first.StudyInstanceUID,
        sop_class_uid=EncapsulatedPDFStorage,
        modality="DOC",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **origin.common("page", SERIES_NUMBER, "Report page, unverified"),
    )
    made.ConversionType = "WSD"
    made.AcquisitionDateTime = ""
    made.BurnedInAnnotation = _burned_in(origin)
    made.VerificationFlag = "UNVERIFIED"
    made.DocumentTitle = origin.described("Molecular profile of a lung tumour from CT")
    made.ConceptNameCodeSequence = [CodedConcept.from_code(codes.CHEST_CT)]
    made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    made.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    made.EncapsulatedDocumentLength = len(pdf)
    return made

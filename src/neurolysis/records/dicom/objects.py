"""Segmentation, parametric map, measurements and report as DICOM objects, by highdicom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurolysis import __version__
from neurolysis.errors import InputError
from neurolysis.geometry import FloatArray
from neurolysis.records.dicom.source import SourceSeries, identity

UCUM = {
    "°C": ("Cel", "degree Celsius"), "%": ("%", "percent"), "": ("1", "no units"), "min": ("min", "minute"),
    "mm": ("mm", "millimeter"), "V/m": ("V/m", "volt per meter"),
}  # fmt: skip
"""Units as UCUM codes; a unit that is not listed is written as no units, with its text in the label."""
NOTE = "simulated, research use"


@dataclass(frozen=True)
class Region:
    """One segment: a mask (slices, rows, columns) and what it is."""

    label: str
    mask: NDArray[np.bool_]
    kind: str
    """nerve, lesion or target."""


@dataclass(frozen=True)
class Length:
    """One measurement for the report, with its unit as UCUM code."""

    name: str
    value: float
    unit: str = "mm"


@dataclass(frozen=True)
class NeedleLine:
    """A needle as points (n, 3) LPS mm from tip to hub, and its measurements."""

    label: str
    points_mm: FloatArray
    lengths: tuple[Length, ...]


def _kinds() -> dict[str, tuple[Any, Any]]:
    from pydicom.sr.codedict import codes
    from pydicom.sr.coding import Code

    spatial = Code("309825002", "SCT", "Spatial and Relational Concept")
    return {
        "nerve": (codes.SCT.AnatomicalStructure, Code("3057000", "SCT", "Nerve")),
        "target": (codes.SCT.AnatomicalStructure, Code("3057000", "SCT", "Nerve")),
        "lesion": (spatial, Code("111176", "DCM", "Unspecified")),
    }


def segmentation(source: SourceSeries, regions: Sequence[Region]) -> Any:
    """A binary SEG with one segment a region.

    Raises:
        InputError: no region, an empty one, or one of another shape.
    """
    import highdicom as hd

    if not regions:
        raise InputError("a segmentation needs a region")
    for region in regions:
        if region.mask.shape != source.shape:
            raise InputError(
                "a region has another shape than the series", where=region.label, found=region.mask.shape,
                allowed=str(source.shape),
            )  # fmt: skip
        if not region.mask.any():
            raise InputError("a region is empty", where=region.label)
    kinds = _kinds()
    made_by = hd.AlgorithmIdentificationSequence(name="neurolysis", family=_family(), version=__version__)
    described = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=region.label[:64],
            segmented_property_category=kinds[region.kind][0],
            segmented_property_type=kinds[region.kind][1],
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.SEMIAUTOMATIC,
            algorithm_identification=made_by,
        )
        for number, region in enumerate(regions, start=1)
    ]
    return hd.seg.Segmentation(
        source_images=list(source.slices),
        pixel_array=np.stack([region.mask for region in regions], axis=-1).astype(np.uint8),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=described,
        series_description=f"neurolysis segments, {NOTE}",
        content_label="NEUROLYSIS",
        **identity(9001),
    )


def _family() -> Any:
    from pydicom.sr.codedict import codes

    return codes.DCM.ArtificialIntelligence


def parametric_map(
    source: SourceSeries, name: str, values: NDArray[np.floating[Any]], unit: str, *, number: int = 9002
) -> Any:
    """A float parametric map of one field (slices, rows, columns), bit for bit as float32.

    Raises:
        InputError: another shape, or values that are not finite.
    """
    import highdicom as hd
    from pydicom.sr.coding import Code

    if values.shape != source.shape:
        raise InputError("a map has another shape than the series", where=name, found=values.shape)
    if not np.isfinite(values).all():
        raise InputError("a map holds finite values only", where=name)
    code, meaning = UCUM.get(unit, ("1", "no units"))
    data = np.ascontiguousarray(values, np.float32)
    low, high = float(data.min()), float(data.max())
    mapping = hd.pm.RealWorldValueMapping(
        lut_label=name[:16],
        lut_explanation=f"{name} [{unit or '1'}], {NOTE}"[:64],
        unit=Code(code, "UCUM", meaning),
        value_range=(low, high if high > low else low + 1.0),
        slope=1.0,
        intercept=0.0,
    )
    return hd.pm.ParametricMap(
        source_images=list(source.slices),
        pixel_array=data,
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[mapping],
        voi_lut_transformations=[
            hd.VOILUTTransformation(window_center=(low + high) / 2, window_width=max(high - low, 1e-3))
        ],
        series_description=f"{name}, {NOTE}"[:64],
        content_label="NEUROLYSIS",
        **identity(number),
    )


def measurements(source: SourceSeries, needles: Sequence[NeedleLine], lengths: Sequence[Length]) -> Any:
    """A TID 1500 report: each needle as a line in space with its measurements, and the lesion's sizes."""
    import highdicom as hd
    from pydicom.sr.codedict import codes

    frame = source.slices[0].FrameOfReferenceUID
    groups = [_needle_group(one, frame) for one in needles]
    if lengths:
        groups.append(
            hd.sr.MeasurementsAndQualitativeEvaluations(
                tracking_identifier=hd.sr.TrackingIdentifier(hd.UID(), "lesion"),
                measurements=[_measured(one) for one in lengths],
            )
        )
    context = hd.sr.ObservationContext(
        observer_device_context=hd.sr.ObserverContext(
            observer_type=codes.DCM.Device,
            observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(
                uid=hd.UID(),
                name="neurolysis",
                manufacturer_name="neurolysis project",
                model_name="neurolysis",
            ),
        )
    )
    report = hd.sr.MeasurementReport(
        observation_context=context,
        procedure_reported=codes.LN.CTUnspecifiedBodyRegion,
        imaging_measurements=groups,
    )
    return hd.sr.Comprehensive3DSR(
        evidence=list(source.slices),
        content=report,
        is_complete=False,
        is_final=False,
        is_verified=False,
        series_description=f"neurolysis measurements, {NOTE}",
        **{k: v for k, v in identity(9010).items() if k in REPORT_FIELDS},
    )


REPORT_FIELDS = (
    "series_instance_uid", "series_number", "sop_instance_uid", "instance_number", "manufacturer",
)  # fmt: skip


def _needle_group(needle: NeedleLine, frame: str) -> Any:
    import highdicom as hd

    region = hd.sr.ImageRegion3D(
        graphic_type=hd.sr.GraphicTypeValues3D.POLYLINE,
        graphic_data=np.asarray(needle.points_mm, np.float32),
        frame_of_reference_uid=frame,
    )
    return hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(hd.UID(), needle.label),
        referenced_region=region,
        measurements=[_measured(one) for one in needle.lengths],
    )


def _measured(one: Length) -> Any:
    """The name of a measurement is this project's own code: no standard code for it was looked up."""
    import highdicom as hd
    from pydicom.sr.coding import Code

    return hd.sr.Measurement(
        name=Code(one.name.upper().replace(" ", "_")[:16], "99NEUROLYSIS", one.name[:64]),
        value=float(one.value),
        unit=Code(one.unit, "UCUM", "millimeter" if one.unit == "mm" else one.unit),
    )


def encapsulated_pdf(source: SourceSeries, pdf: bytes, title: str) -> Any:
    """The report as an Encapsulated PDF of the same patient and study.

    Raises:
        InputError: not a PDF.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian

    if not pdf.startswith(b"%PDF-"):
        raise InputError("the report is not a PDF", found=pdf[:8])
    made, first, fields = Dataset(), source.slices[0], identity(9011)
    for keyword in PATIENT_AND_STUDY:
        setattr(made, keyword, first.get(keyword, "") or "")
    now = datetime.now()
    made.SOPClassUID, made.SOPInstanceUID = EncapsulatedPDFStorage, fields["sop_instance_uid"]
    made.SeriesInstanceUID, made.SeriesNumber = fields["series_instance_uid"], fields["series_number"]
    made.InstanceNumber, made.Modality, made.ConversionType = 1, "DOC", "WSD"
    made.Manufacturer, made.ManufacturerModelName = fields["manufacturer"], "neurolysis"
    made.SoftwareVersions, made.SeriesDescription = __version__, f"neurolysis report, {NOTE}"
    made.ContentDate, made.ContentTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    made.AcquisitionDateTime = ""
    made.BurnedInAnnotation, made.DocumentTitle = "YES", title[:1024]
    made.ConceptNameCodeSequence = []
    made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    made.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    made.EncapsulatedDocumentLength = len(pdf)
    made.SpecificCharacterSet = "ISO_IR 192"
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    return made


PATIENT_AND_STUDY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyID", "StudyDate",
    "StudyTime", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip

"""DICOM out and in: segmentation, parametric maps, measurements, the report, and a PACS by DICOMweb."""

"""DICOM files read with pydicom: headers, pixels, and the order of slices and frames."""

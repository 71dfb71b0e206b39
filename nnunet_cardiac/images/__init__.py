"""Image files: NIfTI, NRRD and MetaImage, read whole or not at all."""

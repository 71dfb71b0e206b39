"""Pictures and the self-contained result page of an evaluated segmentation."""

"""Segmentation metrics, volumes and clinical indices of a folder of label maps."""

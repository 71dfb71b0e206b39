"""Converters of public and own cardiac MR data sets to nnU-Net's raw format."""

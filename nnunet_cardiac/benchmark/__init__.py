"""Measurements of the networks that need no data set."""

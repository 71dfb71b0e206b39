"""Checks before any long work: of the machine, of a raw data set, of a plans file and of a checkpoint."""

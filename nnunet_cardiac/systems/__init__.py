"""The published systems, one file each. Imports neither torch nor numpy."""

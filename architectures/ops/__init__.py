"""Arithmetic and bookkeeping that no paper is about: layouts, chunking, precision, checkpointing, resampling."""

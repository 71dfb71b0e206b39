"""Synthetic cine and late-enhancement cardiac MR with exact ground truth, generated from a seed."""

"""Size and speed of the networks."""

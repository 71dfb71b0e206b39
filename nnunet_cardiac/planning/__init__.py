"""Everything that writes or reads a plans file, and the order of trainings that follows from it."""

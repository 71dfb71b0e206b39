"""Parts of a training recipe: losses, augmentation, schedules, early stopping, precision, seeds."""

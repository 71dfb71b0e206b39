"""From nothing to a result page: phantom, planning, both stages, prediction, evaluation."""

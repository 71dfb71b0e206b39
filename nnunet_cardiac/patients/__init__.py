"""Who is a patient, and how patients are shared out among folds: one definition for the whole package."""

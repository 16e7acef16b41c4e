"""The phantom cohort: CT-like volumes in which each endpoint depends on known causes. Synthetic: not for patients."""

"""Deep-RadScore: a molecular and prognostic profile from a lung CT and its tumour segmentation."""

__version__ = "0.1.0"

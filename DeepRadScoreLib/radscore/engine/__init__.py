"""Feature extraction of our own: pyradiomics' values without pyradiomics."""

"""A profile as DICOM objects in the study of its CT. Import it inside functions: highdicom is slow to load."""

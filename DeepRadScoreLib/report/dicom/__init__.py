"""A profile as DICOM objects that file with the CT's study. Imported late: highdicom takes its time to load."""

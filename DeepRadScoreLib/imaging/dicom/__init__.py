"""What hospitals send: CT, SEG and RTSTRUCT objects in DICOM. Imported late: pydicom takes its time to load."""

"""All targets by name."""

from __future__ import annotations

from fuzzing import bundles, dicom_objects, documents, feature_tables, tables, volumes

FAMILIES = (documents, tables, feature_tables, bundles, volumes, dicom_objects)
TARGETS = {target.name: target for family in FAMILIES for target in family.TARGETS}

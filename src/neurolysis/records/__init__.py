"""Records on the wire: FHIR R4 as plain dictionaries."""

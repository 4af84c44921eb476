"""The content of a case as FHIR R4 resources, and back: pure mappings on plain dictionaries.

One case is one FHIR Patient with everything about it, so that who may read a case may read its resources
and nobody else; the same person in two cases is two Patients with one identifier.
"""

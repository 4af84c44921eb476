"""Published JSON Schemas: the nouns, the plan's record, and what each technique adds."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from neurolysis.delivery.technique import protocol_models, techniques
from neurolysis.errors import UnknownNameError

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_models() -> dict[str, type[BaseModel]]:
    """Every model with a published schema, by the name of the command ``schema``."""
    from neurolysis.aftercare.care import AftercarePlan
    from neurolysis.anesthesia.prepare import Step3
    from neurolysis.app.plan_record import PlanRecord
    from neurolysis.approval import Approval
    from neurolysis.assessment import Assessment
    from neurolysis.case import Case
    from neurolysis.delivered import Delivered
    from neurolysis.evidence.clinical import EvidenceRow
    from neurolysis.injury import Injury
    from neurolysis.instrument import Cannula, Generator
    from neurolysis.outcome import Outcome
    from neurolysis.plan import Plan
    from neurolysis.procedure import Consent, Procedure
    from neurolysis.prognosis import Prognosis
    from neurolysis.scene import Nerve, TissueProperties

    models: dict[str, type[BaseModel]] = {
        "aftercare": AftercarePlan,
        "anaesthesia": Step3,
        "approval": Approval,
        "assessment": Assessment,
        "cannula": Cannula,
        "case": Case,
        "consent": Consent,
        "delivered": Delivered,
        "evidence-row": EvidenceRow,
        "generator": Generator,
        "injury": Injury,
        "nerve": Nerve,
        "outcome": Outcome,
        "plan": Plan,
        "plan-result": PlanRecord,
        "procedure": Procedure,
        "prognosis": Prognosis,
        "tissue-properties": TissueProperties,
    }
    for name, item in techniques().items():
        models[f"{name}-protocol"] = item.protocol
        models.update(item.schemas)
    return dict(sorted(models.items()))


def json_schema(name: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a model by name.

    A plan's protocol is any protocol of a registered technique.

    Raises:
        UnknownNameError: listing the names.
    """
    models = schema_models()
    if name not in models:
        raise UnknownNameError("no such schema", found=name, allowed=list(models))
    schema = models[name].model_json_schema()
    _open_protocol(schema)
    version = schema.get("properties", {}).get("schema_version", {}).get("const", 1)
    return {"$schema": DIALECT, "$id": f"urn:neurolysis:schema:{name}:{version}", **schema}


def _open_protocol(schema: dict[str, Any]) -> None:
    """Put the registered protocols in the place of the base protocol, which has no fields of its own."""
    definitions = schema.get("$defs", {})
    if "Protocol" not in definitions:
        return
    choices = []
    for name, model in protocol_models().items():
        part = model.model_json_schema(ref_template="#/$defs/{model}")
        definitions.update(part.pop("$defs", {}))
        definitions[f"protocol-{name}"] = part
        choices.append({"$ref": f"#/$defs/protocol-{name}"})
    definitions["Protocol"] = {"anyOf": choices, "description": "The recipe of a registered technique."}

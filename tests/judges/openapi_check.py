"""Whether a file is an OpenAPI 3.1 document, by openapi-spec-validator, and whether the bodies of
its requests and answers fit the schemas that it names.

usage: openapi_check.py OPENAPI.yaml
"""

import json
import pathlib
import sys

import yaml
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator


def main(path: pathlib.Path) -> int:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    problems = [
        f"{'/'.join(map(str, error.absolute_path))}: {error.message}"
        for error in OpenAPIV31SpecValidator(document, base_uri=path.as_uri()).iter_errors()
    ]
    samples = path.parent / "samples"
    bodies = [
        (document["paths"]["/ingest/v1/records"]["post"]["requestBody"]["content"]
         ["application/cloudevents-batch+json"]["schema"]["items"],
         [name for name in sorted(samples.glob("*.json"))
          if name.stem not in ("acknowledgement", "have", "manifest-answer")]),
        (document["paths"]["/ingest/v1/records"]["post"]["responses"]["200"]["content"]
         ["application/json"]["schema"], [samples / "acknowledgement.json"]),
        (document["paths"]["/ingest/v1/streams/{stream}"]["get"]["responses"]["200"]["content"]
         ["application/json"]["schema"], [samples / "have.json"]),
        (document["paths"]["/ingest/v1/streams/{stream}/manifests/{sequence}"]["get"]["responses"]
         ["200"]["content"]["application/json"]["schema"], [samples / "manifest-answer.json"]),
    ]
    seen = 0
    for schema, names in bodies:
        schema = json.loads((path.parent / schema["$ref"]).read_text(encoding="utf-8"))
        for name in names:
            seen += 1
            body = json.loads(name.read_text(encoding="utf-8"))
            for error in Draft202012Validator(schema).iter_errors(body):
                problems.append(f"{name.name}: {error.message}")
    for problem in problems:
        print(problem)
    print(f"{len(document['paths'])} paths, {seen} bodies, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve()))

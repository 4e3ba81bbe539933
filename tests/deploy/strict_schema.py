"""Manifests of Kubernetes held strictly against the pinned schemas of `schemas/`: a field that a schema does not know is an error.

python tests/deploy/strict_schema.py CRD.yaml…      pins the stored version of each CRD
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

FOLDER = Path(__file__).with_name("schemas")

VERSIONS = {
    "ConfigMap": "v1",
    "Job": "batch/v1",
    "PersistentVolumeClaim": "v1",
    "PodMonitor": "monitoring.coreos.com/v1",
    "PrometheusRule": "monitoring.coreos.com/v1",
    "RayCluster": "ray.io/v1",
    "RayJob": "ray.io/v1",
}
"""`apiVersion` of each kind whose schema is pinned."""

_NAMES = {"type": "object", "additionalProperties": {"type": "string"}}
_METADATA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "namespace": {"type": "string"}, "labels": _NAMES, "annotations": _NAMES},
    "required": ["name"],
    "additionalProperties": False,
}
"""A CRD leaves it to Kubernetes; of its fields these are the ones that a manifest states."""


def problems(manifest: dict[str, Any]) -> list[str]:
    """What is wrong with a manifest, each with its place. A kind without a schema here is wrong."""
    kind = str(manifest.get("kind"))
    if kind not in VERSIONS:
        return [f"{kind}: no schema in {FOLDER.name}/"]
    name = f"{kind} {manifest.get('metadata', {}).get('name')}"
    found = sorted((error.json_path, error.message) for error in _validator(kind).iter_errors(manifest))
    return [f"{name}: {path}: {message}" for path, message in found]


@cache
def _validator(kind: str) -> Draft202012Validator:
    schema = json.loads(gzip.decompress((FOLDER / f"{kind}.json.gz").read_bytes()))
    schema["properties"]["metadata"] = _METADATA
    schema["properties"]["apiVersion"] = {"const": VERSIONS[kind]}
    schema["required"] = sorted({*schema.get("required", ()), "apiVersion", "kind", "metadata"})
    return Draft202012Validator(strict(schema))


def strict(schema: Any) -> Any:
    """A structural schema of Kubernetes as plain JSON schema that knows every field or refuses it.

    >>> strict({"type": "object", "properties": {"port": {"x-kubernetes-int-or-string": True}}})["additionalProperties"]
    False
    """
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: value if key in ("enum", "default", "required") else strict(value) for key, value in schema.items()}
    if "properties" in schema and isinstance(schema["properties"], dict):
        made["properties"] = {name: strict(one) for name, one in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            made.setdefault("additionalProperties", False)
    if schema.get("x-kubernetes-int-or-string"):
        made.pop("type", None)
        made["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    if schema.get("nullable"):
        return {"anyOf": [{"type": "null"}, made]}
    return made


def documents(text: str) -> Iterator[dict[str, Any]]:
    """The manifests of a file."""
    yield from (document for document in yaml.safe_load_all(text) if document)


def pin(crd: Path) -> Path:
    """Writes the schema of a CRD's stored version, and returns where."""
    content = yaml.safe_load(crd.read_text(encoding="utf-8"))["spec"]
    (version,) = [one for one in content["versions"] if one["storage"]]
    path = FOLDER / f"{content['names']['kind']}.json.gz"
    text = json.dumps(version["schema"]["openAPIV3Schema"], sort_keys=True, separators=(",", ":"))
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    return path


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        print(pin(Path(argument)))

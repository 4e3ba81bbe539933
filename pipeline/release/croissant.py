"""The Croissant description of a release (version 1.1, with the RAI vocabulary), which machines read: files, records, and how they came about.

Format: https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html and https://docs.mlcommons.org/croissant/docs/croissant-rai-spec.html
"""

from __future__ import annotations

import json
from typing import Any

from voxmill.pipeline.release import statements as said
from voxmill.pipeline.release.release_facts import ReleaseFacts

_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "arrayShape": "cr:arrayShape",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_LICENCES = {
    "cc0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "public-domain": "https://creativecommons.org/publicdomain/mark/1.0/",
}
_COLUMNS = (
    ("key", "sc:Text", "Names the sample: its files in the tar are KEY.flac and KEY.json."),
    ("text", "sc:Text", "What is said, in the words that the recognisers agree on; empty where there is none to trust."),
    ("language", "sc:Text", "Language of the text, as BCP 47."),
    ("tier", "sc:Text", "How far the text can be trusted: high, weak, unlabelled, event."),
    ("agreement", "sc:Float", "Agreement of the recognisers over the words, from 0 to 1."),
    ("weight", "sc:Float", "Weight of the label in training."),
    ("split", "sc:Text", "train, dev or test."),
    ("licence", "sc:Text", "SPDX identifier in lower case."),
    ("recording_id", "sc:Text", "The recording that the sample was cut from."),
    ("start", "sc:Integer", "Where it begins there, in samples at 16 kHz."),
    ("num_samples", "sc:Integer", "Its length, in samples at 16 kHz."),
    ("audio_sha256", "sc:Text", "SHA-256 of the FLAC file."),
)
"""Columns of the sidecars that are described: (name, type, meaning)."""


def croissant(facts: ReleaseFacts, url: str | None, creator: str | None, published: str) -> str:
    """JSON-LD, for the folder of the sidecars. `url`: where the data set will be found, `creator`: who made it, if that is known; `published`: a date (ISO 8601)."""
    licences = [licence_url(one.value) for one in facts.licences]
    document = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": facts.name,
        "description": f"{facts.hours:.2f} hours of speech with transcripts on which several recognisers agree, in {facts.samples} samples.",
        "license": licences if len(licences) != 1 else licences[0],
        **({"url": url} if url else {}),
        "version": "1.0.0",
        "datePublished": published,
        "inLanguage": [one.value for one in facts.languages if one.value != "not known"],
        **({"creator": {"@type": "sc:Organization", "name": creator}} if creator else {}),
        "citeAs": f"{creator + '. ' if creator else ''}{facts.name}. Made with voxmill {facts.version}, {published[:4]}.",
        "isLiveDataset": False,
        **_responsible(facts),
        "distribution": [
            _files(
                "sidecars",
                "*-[0-9][0-9][0-9].parquet",
                "application/x-parquet",
                "One row for each sample of a shard.",
            ),
            _files(
                "shards", "*.tar", "application/x-tar", "Samples: KEY.flac (16 kHz, mono) and KEY.json, as WebDataset has them."
            ),
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "samples",
                "name": "samples",
                "description": "The samples, without their sound.",
                "key": {"@id": "samples/key"},
                "field": [_field("samples", *column) for column in _COLUMNS],
            }
        ],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def licence_url(name: str) -> str:
    """The address of a licence, from its SPDX identifier."""
    if name in _LICENCES:
        return _LICENCES[name]
    kind, _, version = name.removeprefix("cc-").rpartition("-")
    if name.startswith("cc-") and kind:
        return f"https://creativecommons.org/licenses/{kind}/{version}/"
    return f"https://spdx.org/licenses/{name}"


def _files(name: str, pattern: str, kind: str, what: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet", "@id": name, "name": name, "description": what, "encodingFormat": kind, "includes": pattern,
    }  # fmt: skip


def _field(of: str, column: str, kind: str, what: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"{of}/{column}",
        "name": column,
        "description": what,
        "dataType": kind,
        "source": {"fileSet": {"@id": "sidecars"}, "extract": {"column": column}},
    }


def _responsible(facts: ReleaseFacts) -> dict[str, Any]:
    """The RAI vocabulary: how the data came about, and what is known to be wrong with it."""
    return {
        "rai:dataCollection": said.collection(facts),
        "rai:dataCollectionType": ["Web Scraping", "Secondary Data Analysis"],
        "rai:dataCollectionMissingData": said.missing(facts),
        "rai:dataPreprocessingProtocol": said.preprocessing(facts),
        "rai:dataAnnotationProtocol": said.annotation(facts),
        "rai:machineAnnotationTools": list(facts.engines),
        "rai:annotationsPerItem": str(len(facts.engines)),
        "rai:dataBiases": said.biases(facts),
        "rai:dataLimitations": said.limitations(facts),
        "rai:personalSensitiveInformation": said.personal(facts),
        "rai:dataUseCases": said.uses(facts),
        "rai:dataReleaseMaintenancePlan": said.maintenance(facts),
    }

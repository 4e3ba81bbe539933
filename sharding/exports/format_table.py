"""The formats of `voxmill export-data`, by name."""

from __future__ import annotations

from voxmill.sharding.exports.export_format import ExportFormat
from voxmill.sharding.exports.hf_datasets import HF, HF_WEBDATASET
from voxmill.sharding.exports.jsonl_files import JSONL
from voxmill.sharding.exports.kaldi_folders import ESPNET, KALDI
from voxmill.sharding.exports.lhotse_cuts import LHOTSE, LHOTSE_FILES
from voxmill.sharding.exports.nemo_manifests import NEMO, NEMO_FILES
from voxmill.sharding.exports.url_lists import URLS

FORMATS: dict[str, ExportFormat] = {
    one.name: one for one in (HF, HF_WEBDATASET, NEMO, NEMO_FILES, LHOTSE, LHOTSE_FILES, KALDI, ESPNET, JSONL, URLS)
}

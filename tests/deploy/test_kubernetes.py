"""What `kubectl apply -k` would send: built, strictly within the schemas, and what Ray's autoscaler makes of it."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.strict_schema import documents, problems
from voxmill.pipeline.config import RunConfig

ROOT = Path(__file__).resolve().parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
KINDS = {
    "kubernetes/job": ["ConfigMap", "RayJob"],
    "kubernetes/cluster": ["ConfigMap", "RayCluster"],
    "monitoring": ["ConfigMap", "PodMonitor", "PrometheusRule"],
}
WITH_WEIGHTS = {
    "kubernetes/job": ["ConfigMap", "Job", "PersistentVolumeClaim", "RayJob"],
    "kubernetes/cluster": ["ConfigMap", "Job", "PersistentVolumeClaim", "RayCluster"],
}

kubectl = pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed")


@cache
def built(folder: Path) -> list[dict[str, Any]]:
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(documents(done.stdout))


def one(kind: str, manifests: list[dict[str, Any]]) -> dict[str, Any]:
    (found,) = [manifest for manifest in manifests if manifest["kind"] == kind]
    return found


def machines(manifests: list[dict[str, Any]]) -> dict[str, Any]:
    """The spec of the Ray cluster, of its own or inside a job."""
    kind = "RayJob" if any(manifest["kind"] == "RayJob" for manifest in manifests) else "RayCluster"
    spec = one(kind, manifests)["spec"]
    cluster: dict[str, Any] = spec["rayClusterSpec"] if kind == "RayJob" else spec
    return cluster


@pytest.fixture
def with_weights(tmp_path: Path) -> Path:
    """deploy/ with the line taken in that docs/how-to/cluster-kubernetes.md says to take in."""
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    for name in ("job", "cluster"):
        file = tmp_path / "deploy" / "kubernetes" / name / "kustomization.yaml"
        text = file.read_text(encoding="utf-8")
        assert "# components: [../weights]" in text
        file.write_text(text.replace("# components: [../weights]", "components: [../weights]"), encoding="utf-8")
    return tmp_path / "deploy"


@kubectl
@pytest.mark.parametrize("folder", KINDS)
def test_what_is_applied_is_within_the_schemas(folder: str) -> None:
    manifests = built(ROOT / "deploy" / folder)
    assert [manifest["kind"] for manifest in manifests] == KINDS[folder]
    assert [line for manifest in manifests for line in problems(manifest)] == []


@kubectl
@pytest.mark.parametrize("folder", WITH_WEIGHTS)
def test_weights_on_a_volume_reach_every_pod(folder: str, with_weights: Path) -> None:
    manifests = built(with_weights / folder)
    assert sorted(manifest["kind"] for manifest in manifests) == WITH_WEIGHTS[folder]
    assert [line for manifest in manifests for line in problems(manifest)] == []
    cluster = machines(manifests)
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        assert "/home/ray/.cache/voxmill" in [mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]]
        assert "weights" in [volume["name"] for volume in pod["volumes"]]


@kubectl
@pytest.mark.parametrize("folder", WITH_WEIGHTS)
def test_one_image_for_all(folder: str, with_weights: Path) -> None:
    lines = yaml.safe_dump_all(built(with_weights / folder)).splitlines()
    assert {line.split("image:")[1].strip() for line in lines if " image:" in line} == {"voxmill:latest"}


@kubectl
def test_job_and_cluster_are_the_same_machines() -> None:
    assert machines(built(KUBERNETES / "job")) == machines(built(KUBERNETES / "cluster"))


@kubectl
def test_what_ray_s_autoscaler_reads_from_it() -> None:
    from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr

    cluster = one("RayCluster", built(KUBERNETES / "cluster"))
    cluster = {**cluster, "metadata": {**cluster["metadata"], "namespace": "default"}}
    config = _derive_autoscaling_config_from_ray_cr(cluster)
    types = {name: (t["min_workers"], t["max_workers"], t["resources"]) for name, t in config["available_node_types"].items()}
    assert types["headgroup"][2]["CPU"] == 0, "the head computes nothing"
    assert types["cpu"][:2] == (0, 50)
    assert types["cpu"][2]["CPU"] == 8
    assert types["gpu"][:2] == (0, 16)
    assert types["gpu"][2]["GPU"] == 1
    assert config["available_node_types"]["gpu"]["idle_timeout_s"] == 600


@kubectl
def test_the_config_is_one_that_a_run_takes() -> None:
    text = one("ConfigMap", built(KUBERNETES / "job"))["data"]["run.yaml"]
    config = RunConfig.model_validate(yaml.safe_load(text))
    assert (config.executor.kind, config.executor.address) == ("ray", "auto")


@kubectl
def test_ray_is_the_one_that_is_pinned() -> None:
    pins = (ROOT / "constraints" / "py3.11.txt").read_text(encoding="utf-8")
    version = machines(built(KUBERNETES / "cluster"))["rayVersion"]
    assert (
        f"\nray=={version} " in pins or f"\nray[data,default]=={version} " in pins or f"\nray[default,data]=={version} " in pins
    )


def test_a_wrong_manifest_is_found() -> None:
    pod = {"containers": [{"name": "r", "image": "i", "resorces": {}}]}
    cluster = {"headGroupSpec": {"template": {"spec": pod}}, "autoscalerOptions": {"version": "v3"}, "enableAutoscaling": True}
    wrong = {"apiVersion": "ray.io/v1", "kind": "RayCluster", "metadata": {"name": "x"}, "spec": cluster}
    found = problems(wrong)
    assert [line.split(": ")[1] for line in found] == [
        "$.spec", "$.spec.autoscalerOptions.version", "$.spec.headGroupSpec.template.spec.containers[0]",
    ]  # fmt: skip
    assert "'resorces' was unexpected" in found[2]
    assert problems({**wrong, "apiVersion": "ray.io/v1alpha1"})[0].startswith(
        "RayCluster x: $.apiVersion: 'ray.io/v1' was expected"
    )
    assert problems({"kind": "Pod"}) == ["Pod: no schema in schemas/"]

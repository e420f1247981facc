"""The manifests of deploy/kubernetes, as kubectl renders them: their schemas, the restricted profile, and what fits."""

import copy
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from typing import Any

import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from digitline.cli.main import COMMANDS
from tests.deploy import custom
from tests.served import ROOT

FOLDER = ROOT / "deploy/kubernetes"
pytestmark = pytest.mark.cluster

VARIANTS = ["overlays/cpu", "overlays/gpu", "overlays/mounted", "kserve", "training/job", "training/cluster"]
VERSIONS = ["1.35", "1.36", "1.37"]
BUILT_IN = {"Namespace", "Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy"}
BUILT_IN |= {"ConfigMap"}
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}

Object = dict[str, Any]


@cache
def text(variant: str) -> str:
    if not shutil.which("kubectl"):
        pytest.skip("there is no kubectl; apt-get install kubernetes-client")  # CI has one
    done = subprocess.run(["kubectl", "kustomize", FOLDER / variant], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rendered(variant: str) -> list[Object]:
    return list(YAML(typ="safe").load_all(text(variant)))


def one(variant: str, kind: str) -> Object:
    [found] = [each for each in rendered(variant) if each["kind"] == kind]
    return found


def pods(value: Any) -> Iterator[Object]:
    """The specifications of pods anywhere within an object."""
    if isinstance(value, list):
        for each in value:
            yield from pods(each)
    elif isinstance(value, dict):
        if "containers" in value:
            yield value
        for each in value.values():
            yield from pods(each)


def unrestricted(pod: Object) -> set[str]:
    """Which rules of the profile `restricted` (Pod Security Standards of 1.37) a pod's specification breaks."""
    own = pod.get("securityContext", {})
    found = {name for name in ("hostNetwork", "hostPID", "hostIPC") if pod.get(name)}
    found |= {f"volume {kind}" for each in pod.get("volumes", []) for kind in set(each) - {"name"} - VOLUMES}
    found |= {"sysctls"} if own.get("sysctls") else set()
    for each in [*pod["containers"], *pod.get("initContainers", []), *pod.get("ephemeralContainers", [])]:
        context = own | each.get("securityContext", {})
        drops = context.get("capabilities", {})
        rules = {
            "privileged": not context.get("privileged"),
            "allowPrivilegeEscalation": context.get("allowPrivilegeEscalation") is False,
            "capabilities.drop": drops.get("drop") == ["ALL"],
            "capabilities.add": set(drops.get("add", [])) <= {"NET_BIND_SERVICE"},
            "runAsNonRoot": context.get("runAsNonRoot") is True,
            "runAsUser": context.get("runAsUser") != 0,
            "seccompProfile": context.get("seccompProfile", {}).get("type") in ("RuntimeDefault", "Localhost"),
            "hostPort": not any(port.get("hostPort") for port in each.get("ports", [])),
            "procMount": context.get("procMount", "Default") == "Default",
        }
        found |= {rule for rule, kept in rules.items() if not kept}
    return found


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_object_fits_the_schema_of_its_kind(variant: str) -> None:
    for each in rendered(variant):
        if each["kind"] in BUILT_IN:
            for version in VERSIONS:
                kubernetes_validate.validate(each, version, strict=True)
        else:
            assert custom.misfits(each) == []


def test_a_misspelt_field_fits_no_schema() -> None:
    budget = one("overlays/cpu", "PodDisruptionBudget")
    budget["spec"]["maxUnavailble"] = budget["spec"].pop("maxUnavailable")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(budget, VERSIONS[-1], strict=True)


@pytest.mark.parametrize(
    ("variant", "kind", "path", "value"),
    [
        ("overlays/cpu", "ServiceMonitor", ["spec", "endpoints", 0, "bearer"], "key"),
        ("overlays/cpu", "ServiceMonitor", ["spec", "endpoints", 0, "interval"], 15),
        ("kserve", "InferenceService", ["spec", "predictor", "minReplica"], 1),
        ("training/job", "RayJob", ["spec", "rayClusterSpec", "headGroup"], {}),
        ("training/cluster", "RayCluster", ["spec", "workerGroupSpecs", 0, "replicas"], "3"),
        ("training/cluster", "RayCluster", ["spec", "workerGroupSpecs", 0, "template", "spec", "nodeSelektor"], {}),
    ],
)
def test_a_wrong_field_of_a_custom_kind_is_found(variant: str, kind: str, path: list[Any], value: Any) -> None:
    found = one(variant, kind)
    *before, last = path
    place: Any = found
    for name in before:
        place = place[name]
    place[last] = value
    assert custom.misfits(found) == [".".join(map(str, path))]


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_pod_keeps_the_restricted_profile_and_a_read_only_root(variant: str) -> None:
    found = list(pods(rendered(variant)))
    assert found
    for pod in found:
        assert unrestricted(pod) == set()
        assert pod["automountServiceAccountToken"] is False
        mounted = {each["name"] for each in pod["volumes"]}
        for container in pod["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"]
            assert {"cpu", "memory"} <= set(container["resources"]["limits"])
            assert {each["name"] for each in container["volumeMounts"]} <= mounted


@pytest.mark.parametrize(
    ("rule", "of_pod", "of_container"),
    [
        ("privileged", {}, {"securityContext": {"privileged": True}}),
        ("allowPrivilegeEscalation", {}, {"securityContext": {"allowPrivilegeEscalation": True}}),
        ("capabilities.drop", {}, {"securityContext": {"capabilities": {"drop": ["NET_RAW"]}}}),
        ("capabilities.add", {}, {"securityContext": {"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}}}),
        ("runAsNonRoot", {"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}}, {}),
        ("runAsUser", {}, {"securityContext": {"runAsUser": 0}}),
        ("seccompProfile", {"securityContext": {"runAsNonRoot": True}}, {}),
        ("hostPort", {}, {"ports": [{"containerPort": 3000, "hostPort": 3000}]}),
        ("procMount", {}, {"securityContext": {"procMount": "Unmasked"}}),
        ("hostNetwork", {"hostNetwork": True}, {}),
        ("hostPID", {"hostPID": True}, {}),
        ("hostIPC", {"hostIPC": True}, {}),
        ("sysctls", {"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}}, {}),
        ("volume hostPath", {"volumes": [{"name": "tmp", "hostPath": {"path": "/"}}]}, {}),
    ],
)
def test_a_pod_that_breaks_a_rule_is_found(rule: str, of_pod: Object, of_container: Object) -> None:
    pod = copy.deepcopy(one("overlays/cpu", "Deployment")["spec"]["template"]["spec"])
    for name, change in of_container.items():
        old = pod["containers"][0].get(name)
        pod["containers"][0][name] = old | change if isinstance(old, dict) else change
    for name, change in of_pod.items():
        kept = pod.get(name, {}) if rule == "sysctls" else {}
        pod[name] = kept | change if isinstance(change, dict) else change
    assert rule in unrestricted(pod)


def test_service_autoscaler_budget_policy_and_monitor_are_about_the_deployment_s_pods() -> None:
    template = one("overlays/cpu", "Deployment")["spec"]["template"]
    labels = template["metadata"]["labels"]
    [port] = template["spec"]["containers"][0]["ports"]
    service, monitor = (one("overlays/cpu", kind) for kind in ("Service", "ServiceMonitor"))
    assert one("overlays/cpu", "Deployment")["spec"]["selector"]["matchLabels"] == labels
    assert service["spec"]["selector"] == labels
    assert [each["targetPort"] for each in service["spec"]["ports"]] == [port["name"]]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["endpoints"][0]["port"] in {each["name"] for each in service["spec"]["ports"]}
    for kind in ("PodDisruptionBudget", "NetworkPolicy"):
        spec = one("overlays/cpu", kind)["spec"]
        assert (spec.get("selector") or spec["podSelector"])["matchLabels"] == labels
    target = one("overlays/cpu", "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert target == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "digitline"}


def test_the_overlays_differ_in_image_gpu_and_the_champion_s_place() -> None:
    found = {}
    for name in ("cpu", "gpu", "mounted"):
        [container] = one(f"overlays/{name}", "Deployment")["spec"]["template"]["spec"]["containers"]
        settings = {each["name"]: each["value"] for each in container["env"]}
        tag = container["image"].rpartition(":")[2]
        limits = container["resources"]["limits"]
        found[name] = (tag, limits.get("nvidia.com/gpu"), settings.get("DIGITLINE_CHAMPION"))
        assert settings["DIGITLINE_KEY_FILE"] == "/etc/digitline/keys"
    assert found == {
        "cpu": ("cpu", None, None),
        "gpu": ("cuda", "1", None),
        "mounted": ("cpu", None, "/models/champion"),
    }


@pytest.mark.parametrize("variant", ["training/job", "training/cluster"])
def test_only_the_pods_of_training_reach_a_cluster_s_ports(variant: str) -> None:
    [policy] = [each for each in rendered(variant) if each["kind"] == "NetworkPolicy"]
    assert policy["spec"]["podSelector"] == {}
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    own, operator = policy["spec"]["ingress"]
    assert [list(each) for each in own["from"]] == [["podSelector"]]  # of this namespace, as it names none
    assert operator["ports"] == [{"protocol": "TCP", "port": 8265}]
    cluster = next(each for each in rendered(variant) if each["kind"].startswith("Ray"))["spec"]
    labels = own["from"][0]["podSelector"]["matchLabels"]
    groups = cluster.get("rayClusterSpec", cluster)
    templates = [groups["headGroupSpec"]["template"], *(each["template"] for each in groups["workerGroupSpecs"])]
    for template in [*templates, *([cluster["submitterPodTemplate"]] if "submitterPodTemplate" in cluster else [])]:
        assert labels.items() <= template["metadata"]["labels"].items()
    assert groups["authOptions"] == {"mode": "token"}
    assert len({container["image"] for pod in pods(cluster) for container in pod["containers"]}) == 1


def test_the_job_runs_a_command_that_exists() -> None:
    script = one("training/job", "ConfigMap")["data"]["train.sh"]
    assert subprocess.run(["sh", "-n"], input=script, text=True, check=False).returncode == 0
    [line] = [line for line in script.splitlines() if " digitline " in line]
    assert line.split(" digitline ")[1].split()[0] in COMMANDS

"""The fields of custom kinds that the manifests use, from what their projects document; others count as misfits.

ServiceMonitor: prometheus-operator 0.86, monitoring.coreos.com/v1. RayCluster and RayJob: KubeRay 1.5.1, ray.io/v1.
InferenceService: KServe 0.21, serving.kserve.io/v1beta1, whose predictor is a pod's specification and own fields.
The templates of pods are held against Kubernetes's own schema.
"""

from collections.abc import Iterator
from typing import Any

import kubernetes_validate

VERSION = "1.37"
Fields = dict[str, Any]

SELECTOR: Fields = {"matchLabels": dict}
SECRET_KEY: Fields = {"name": str, "key": str, "optional": bool}
MONITOR: Fields = {
    "selector": SELECTOR,
    "namespaceSelector": {"any": bool, "matchNames": list},
    "jobLabel": str,
    "targetLabels": list,
    "endpoints": [
        {
            "port": str,
            "path": str,
            "scheme": str,
            "interval": str,
            "scrapeTimeout": str,
            "honorLabels": bool,
            "authorization": {"type": str, "credentials": SECRET_KEY},
        }
    ],
}
POD = "pod"  # a PodTemplateSpec
CLUSTER: Fields = {
    "rayVersion": str,
    "authOptions": {"mode": str},
    "enableInTreeAutoscaling": bool,
    "suspend": bool,
    "headGroupSpec": {"serviceType": str, "rayStartParams": dict, "template": POD},
    "workerGroupSpecs": [
        {
            "groupName": str,
            "replicas": int,
            "minReplicas": int,
            "maxReplicas": int,
            "numOfHosts": int,
            "rayStartParams": dict,
            "template": POD,
        }
    ],
}
JOB: Fields = {
    "entrypoint": str,
    "submissionMode": str,
    "shutdownAfterJobFinishes": bool,
    "ttlSecondsAfterFinished": int,
    "activeDeadlineSeconds": int,
    "backoffLimit": int,
    "runtimeEnvYAML": str,
    "suspend": bool,
    "rayClusterSpec": CLUSTER,
    "submitterPodTemplate": POD,
}
OWN_OF_PREDICTOR: Fields = {
    "minReplicas": int,
    "maxReplicas": int,
    "scaleTarget": int,
    "scaleMetric": str,
    "containerConcurrency": int,
    "timeout": int,
    "canaryTrafficPercent": int,
}
METADATA: Fields = {"name": str, "namespace": str, "labels": dict, "annotations": dict}
SPECS: dict[tuple[str, str], Fields] = {
    ("monitoring.coreos.com/v1", "ServiceMonitor"): MONITOR,
    ("ray.io/v1", "RayCluster"): CLUSTER,
    ("ray.io/v1", "RayJob"): JOB,
    ("serving.kserve.io/v1beta1", "InferenceService"): {"predictor": "predictor"},
}


def misfits(found: dict[str, Any]) -> list[str]:
    """The paths of an object's fields that its kind has not, or whose value has another type."""
    spec = SPECS[found["apiVersion"], found["kind"]]
    return list(walk(found, {"apiVersion": str, "kind": str, "metadata": METADATA, "spec": spec}, ""))


def walk(value: Any, fields: Any, path: str) -> Iterator[str]:
    if fields in (POD, "predictor"):
        yield from of_pod(value, path, predictor=fields == "predictor")
    elif isinstance(fields, dict) and isinstance(value, dict):
        for name, each in value.items():
            yield from walk(each, fields[name], f"{path}{name}.") if name in fields else [path + name]
    elif isinstance(fields, list) and isinstance(value, list):
        for place, each in enumerate(value):
            yield from walk(each, fields[0], f"{path}{place}.")
    elif not isinstance(fields, type) or type(value) is not fields:
        yield path.removesuffix(".")


def of_pod(value: dict[str, Any], path: str, *, predictor: bool) -> Iterator[str]:
    """What the schema of a Pod says of a template, or of a predictor without its own fields."""
    template = value
    if predictor:
        own = {name: each for name, each in value.items() if name in OWN_OF_PREDICTOR}
        yield from walk(own, OWN_OF_PREDICTOR, path)
        template = {"spec": {name: each for name, each in value.items() if name not in own}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, **template}
    try:
        kubernetes_validate.validate(pod, VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        place = [str(each) for each in error.path]
        unknown = error.message.split("'")[1] if error.validator == "additionalProperties" else None
        inner = [*place, *([unknown] if unknown else [])]
        yield path + ".".join(inner[1:] if predictor else inner)

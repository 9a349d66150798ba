"""Work pools of Docker and Kubernetes, filled in as Prefect's workers do."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from prefect.utilities.templating import apply_values

from tests.support.paths import ROOT

OURS = ["kubernetes-cpu", "kubernetes-gpu"]


def pod(name: str, **chosen: Any) -> dict[str, Any]:
    """Spec of the pod that a run gets where the form has those values."""
    pool = json.loads((ROOT / "deployments" / "pools" / f"{name}.json").read_text())
    variables = pool["variables"]["properties"]
    assert set(chosen) <= set(variables)
    values = {key: field["default"] for key, field in variables.items() if "default" in field} | chosen
    filled = apply_values(pool["job_configuration"], values)
    return filled["job_manifest"]["spec"]["template"]["spec"]


@pytest.mark.parametrize("name", OURS)
def test_the_volume_is_writable_for_the_user_of_the_image(name: str) -> None:
    image = "gpu" if name.endswith("gpu") else "control"
    dockerfile = Path(ROOT / "docker" / f"{image}.Dockerfile").read_text()
    groups = {group for _, group in re.findall(r"^USER (\d+):(\d+)$", dockerfile, re.MULTILINE)}
    assert groups == {str(pod(name)["securityContext"]["fsGroup"])}


def test_jobs_run_on_tainted_gpu_nodes_and_under_a_runtime_class_where_one_is_named() -> None:
    spec = pod("kubernetes-gpu")
    assert spec["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert "runtimeClassName" not in spec
    assert spec["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    spec = pod("kubernetes-gpu", runtime_class="nvidia", tolerations=[])
    assert (spec["runtimeClassName"], spec["tolerations"]) == ("nvidia", [])
    assert not {"tolerations", "runtimeClassName"} & set(pod("kubernetes-cpu"))

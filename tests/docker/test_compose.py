"""What can be said of the container set-up without an engine: the Compose file, the image's recipe, the role script."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

DOCKER = Path(__file__).resolve().parent.parent.parent / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ["prepare", "web", "worker-inference", "worker-default", "worker-batch", "dispatcher", "beat"]
RECIPE = (DOCKER / "Dockerfile").read_text()


def test_every_process_of_the_supervisor_is_a_service() -> None:
    assert {"postgres", "valkey", *OURS} == set(SERVICES)


def test_only_the_web_port_is_published() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["web"]


@pytest.mark.parametrize("name", OURS)
def test_our_containers_have_no_rights_to_lose(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not any("docker.sock" in volume for volume in service["volumes"])


@pytest.mark.parametrize(
    "name", ["SECRET_KEY", "POSTGRES_PASSWORD", "OWNER_DB_PASSWORD", "APP_DB_PASSWORD", "REDIS_PASSWORD"]
)
def test_a_missing_secret_stops_the_start(name: str) -> None:
    text = (DOCKER / "compose.yaml").read_text()
    assert f"${{{name}:?" in text
    assert not re.search(rf"\$\{{{name}(:-[^}}]*)?\}}", text)
    assert f"\n{name}=\n" in (DOCKER / "env.example").read_text()


@pytest.mark.parametrize("name", ["web", "postgres", "valkey"])
def test_what_others_wait_for_has_a_health_check(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]


def test_only_the_migrations_connect_as_the_owner() -> None:
    owners = [name for name in OURS if "app_owner" in str(SERVICES[name].get("environment", {}))]
    assert owners == ["prepare"]


def test_the_image_runs_as_nobody_special() -> None:
    assert re.search(r"^USER 10001:10001$", RECIPE, re.MULTILINE)


def test_no_image_is_left_to_chance() -> None:
    images = [service["image"] for service in SERVICES.values() if service["image"] != "nlpsuite:local"]
    assert images
    assert all(re.search(r":[\w.-]*\d", image) for image in images)


def test_the_role_script_is_valid_shell() -> None:
    checked = subprocess.run(["sh", "-n", str(DOCKER / "init-roles.sh")], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_models_worker_has_a_thread_for_each_call_that_is_admitted(settings: Any) -> None:
    command = SERVICES["worker-inference"]["command"]
    threads = int(command[command.index("-c") + 1])
    assert threads >= sum(settings.INFERENCE_QUEUE_BOUNDS.values()) + settings.INFERENCE_MAX_GENERATIONS

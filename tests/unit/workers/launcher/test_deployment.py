"""The files that put a fleet into containers: valid, without secrets, never root; and the snippets of docs/fleet.md."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest
import yaml

from proctor.cli import COMMANDS, command
from tests.support import ROOT

COMPOSE = (ROOT / "docker-compose.yml").read_text("utf-8")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]
OURS = {name: service for name, service in SERVICES.items() if str(service["image"]).startswith("proctor-")}
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
STAGES = re.split(r"(?m)^FROM ", DOCKERFILE)[1:]


def fenced(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / "fleet.md").read_text("utf-8"), re.DOTALL)


def test_the_compose_file_is_one_by_the_specifications_schema() -> None:
    checker = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run(
        [*checker, ROOT / "docker-compose.yml"], capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "ok -- validation done"), done.stdout


def test_all_services_of_a_fleet_are_there_and_only_gpus_need_a_profile_of_theirs() -> None:
    always = {name for name, service in SERVICES.items() if "profiles" not in service}
    assert always == {"valkey", "postgres", "flower", "api", "worker-cpu"}
    (device,) = SERVICES["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert (SERVICES["worker-gpu"]["profiles"], device["capabilities"]) == (["gpu"], ["gpu"])


def test_no_secret_stands_in_the_file_and_each_must_be_given() -> None:
    variables = re.findall(r"(?<!\$)\$\{([A-Z_]+)([^}]*)\}", COMPOSE)
    assert all(rest.startswith(":?") for _, rest in variables), variables
    offered = re.findall(r"(?m)^([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text("utf-8"))
    assert {name for name, _ in variables} == {name for name, _ in offered}
    assert {value for _, value in offered} == {""}


def test_what_runs_for_long_has_a_health_check_and_comes_back() -> None:
    lasting = {name: service for name, service in SERVICES.items() if name != "submit"}
    assert [name for name, service in lasting.items() if "healthcheck" not in service] == []
    assert {service["restart"] for service in lasting.values()} == {"unless-stopped"}


def test_what_is_published_is_published_on_loopback() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_images_are_pinned_and_nothing_runs_as_root() -> None:
    bases = [stage.split()[0] for stage in STAGES]
    others = [
        service["image"] for service in SERVICES.values() if service["image"] not in ("proctor-light", "proctor-worker")
    ]
    assert all(re.search(r":\d", image) for image in [bases[0], *others])
    assert bases[1:] == ["light"]
    assert all(re.findall(r"(?m)^USER (\S+)", stage)[-1] == "proctor" for stage in STAGES)
    assert {SERVICES["valkey"]["user"], SERVICES["postgres"]["user"]} == {"valkey", "postgres"}
    assert {service["build"]["target"] for service in OURS.values()} == {"light", "worker"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_holds_no_capability_and_can_gain_none(name: str) -> None:
    service = SERVICES[name]
    assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges:true"])
    # The images of Valkey and PostgreSQL change their owner only where they begin as root, which these don't.
    assert not {"cap_add", "privileged"} & set(service)


def test_what_the_image_copies_is_let_in_and_is_every_room() -> None:
    let_in = set(re.findall(r"(?m)^!(\S+)$", (ROOT / ".dockerignore").read_text("utf-8")))
    copied = {name for line in re.findall(r"(?m)^COPY (.+) \S+$", DOCKERFILE) for name in line.split()}
    assert copied == let_in
    assert all((ROOT / name).exists() for name in copied)
    built = re.search(r"(?m)^packages = \[(.*)\]", (ROOT / "pyproject.toml").read_text("utf-8"))
    assert built is not None
    assert set(re.findall(r'"(\w+)"', built[1])) <= copied


@pytest.mark.parametrize("name", sorted(OURS))
def test_each_command_of_ours_is_one_that_proctor_knows_with_options_that_it_takes(name: str) -> None:
    verb, *words = OURS[name]["command"]
    context = command(COMMANDS[verb]).make_context(verb, list(words))
    assert context.params


def test_a_worker_has_longer_to_leave_than_it_waits_for_its_pack() -> None:
    from workers.launcher.process import COLD_S
    from workers.launcher.run import WARM_S

    assert float(SERVICES["worker-cpu"]["stop_grace_period"].removesuffix("s")) > WARM_S + 2 * COLD_S
    (kubernetes,) = (yaml.safe_load(text) for text in fenced("yaml"))
    assert kubernetes["kind"] == "Deployment"
    assert kubernetes["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > WARM_S + 2 * COLD_S


def test_the_job_script_of_the_docs_is_a_shell_script() -> None:
    (script,) = fenced("bash")
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "exec srun proctor worker" in script

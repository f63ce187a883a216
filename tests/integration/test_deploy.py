"""What deploy/ holds is right as far as it can be known without systemd, a container engine and a cluster."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from evertick.cli import cli
from evertick.settings import Settings, load

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = ("evertick.service", "evertick-web@.service", "evertick-worker@.service")
EXPOSURE = 1.1
"""What `systemd-analyze security` gives at most: 0 is nothing, 10 is everything."""


def options(command: str) -> set[str]:
    found = typer.main.get_command(cli).commands[command]  # type: ignore[attr-defined]
    return {name for parameter in found.params for name in parameter.opts}


def check_command(arguments: list[str]) -> None:
    """``serve --host …`` as the command line knows it, with values for all options."""
    command, *rest = arguments
    assert set(rest[::2]) <= options(command), arguments
    assert len(rest) % 2 == 0 and not any(value.startswith("-") for value in rest[1::2])


def check_settings(given: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """All are settings of Evertick, or of uvicorn; together they are possible."""
    for name in list(os.environ):
        if name.startswith("EVERTICK_"):
            monkeypatch.delenv(name)
    for name, value in given.items():
        assert name.startswith("EVERTICK_") or name in ("FORWARDED_ALLOW_IPS", "POSTGRES_PASSWORD"), name
        monkeypatch.setenv(name, value)
    return load()


def environment(file: Path, *, commented: bool = False) -> dict[str, str]:
    lines = [
        line.removeprefix("#") if commented and re.match(r"#\w+=", line) else line
        for line in file.read_text().splitlines()
    ]
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


# --- systemd ---------------------------------------------------------------------------------------------------------


def unit(name: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / "systemd" / name).read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, value = line.split("=", 1)
            found.setdefault(key, []).append(value)
    return found


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units as they are, but for a program that is there."""
    for file in (DEPLOY / "systemd").glob("evertick*.*"):
        (tmp_path / file.name).write_text(file.read_text().replace("/opt/evertick/bin/evertick", "/bin/true"))
    return tmp_path


def analyze(*arguments: str, cwd: Path) -> str:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.fail("systemd-analyze is missing; install systemd (Debian: apt-get install systemd)")
    done = subprocess.run([program, *arguments], cwd=cwd, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_systemd_understands_every_unit(installed: Path) -> None:
    assert (
        analyze("verify", "--man=no", *(str(f) for f in sorted(installed.glob("evertick*.s*"))), cwd=installed).strip()
        == ""
    )


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_exposes_little(installed: Path, name: str) -> None:
    plain = name.replace("@", "")
    if plain != name:  # an instance of a template
        (installed / plain).write_text((installed / name).read_text())
    said = analyze(
        "security", "--offline=true", f"--threshold={EXPOSURE * 10:.0f}", str(installed / plain), cwd=installed
    )
    level = re.search(r"exposure level for \S+: ([\d.]+)", said)
    assert level and float(level[1]) <= EXPOSURE, said


def test_the_units_are_hardened_alike_and_call_what_there_is() -> None:
    def hardening(name: str) -> list[str]:
        lines = (
            (DEPLOY / "systemd" / name).read_text().partition("DynamicUser=")[2].partition("[Install]")[0].splitlines()
        )
        return [line for line in lines if not line.startswith("StateDirectory=")]

    assert hardening(UNITS[0]) == hardening(UNITS[1]) == hardening(UNITS[2])
    for name in UNITS:
        read = unit(name)
        program, *arguments = read["ExecStart"][0].replace("%i", "8001").split()
        assert program == "/opt/evertick/bin/evertick"
        check_command(arguments)
        data = arguments[arguments.index("--data") + 1]
        assert data == f"/var/lib/{read['StateDirectory'][0]}".replace("%i", "8001")
        assert read["Type"] == ["notify"], "see test_notify"
        stop = int(read["TimeoutStopSec"][0])
        assert stop > max(load().stop_grace, 30)
    assert unit("evertick.socket")["ListenStream"] == ["127.0.0.1:8000"]


def test_the_example_of_the_environment_is_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    example = DEPLOY / "systemd" / "evertick.env.example"
    check_settings(environment(example), monkeypatch)
    several = environment(example, commented=True) | {"EVERTICK_API_TOKEN": "0123456789abcdef"}
    assert check_settings(several, monkeypatch).mode == "distributed"


# --- nginx -----------------------------------------------------------------------------------------------------------


def test_nginx_takes_the_site(tmp_path: Path) -> None:
    site = (DEPLOY / "nginx" / "evertick.conf").read_text()
    assert "listen 80;" in site
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/nginx.pid;\nerror_log stderr;\nevents {{}}\n"
        f"http {{\naccess_log off;\nclient_body_temp_path {tmp_path}/body;\nproxy_temp_path {tmp_path}/proxy;\n"
        f"fastcgi_temp_path {tmp_path}/f;\nuwsgi_temp_path {tmp_path}/u;\nscgi_temp_path {tmp_path}/s;\n"
        f"{site.replace('listen 80;', 'listen 127.0.0.1:18080;')}\n}}\n"
    )
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    assert nginx, "nginx is missing; make test installs it"
    done = subprocess.run(
        [nginx, "-t", "-q", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and "warn" not in done.stderr, done.stderr


def test_the_site_of_the_containers_is_the_same() -> None:
    def body(text: str) -> str:
        return text[text.index("upstream") :]

    own = body((DEPLOY / "nginx" / "evertick.conf").read_text())
    for number in (1, 2):
        own = own.replace(f"server 127.0.0.1:800{number} ", f"server web{number}:8000 ")
    assert body((DEPLOY / "containers" / "nginx.conf").read_text()) == own


# --- containers ------------------------------------------------------------------------------------------------------

SERVICE_KEYS = {"image", "build", "env_file", "environment", "read_only", "tmpfs", "cap_drop", "security_opt", "pids_limit",
                "restart", "stop_grace_period", "depends_on", "networks", "command", "mem_limit", "memswap_limit",
                "healthcheck", "deploy", "volumes", "ports", "shm_size"}  # fmt: skip


@pytest.fixture
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "containers" / "compose.yaml").read_text())
    return found


def test_compose_bounds_and_watches_every_service(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(services) == {"web1", "web2", "worker", "nginx", "postgres", "redis"}
    for name, service in services.items():
        assert set(service) <= SERVICE_KEYS, name
        assert service["mem_limit"] and service["restart"] == "unless-stopped"
        assert name == "worker" or service["healthcheck"]["test"]
        assert set(service["networks"]) <= set(compose["networks"])
        for needed, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"} and "healthcheck" in services[needed]
        if "build" in service:
            assert service["read_only"] and service["cap_drop"] == ["ALL"]
            assert (DEPLOY / "containers" / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
            check_command(service["command"])
    assert services["nginx"]["ports"] == ["127.0.0.1:8000:80"]
    for volume in services["nginx"]["volumes"]:
        assert (DEPLOY / "containers" / volume.split(":")[0]).is_file()


def test_the_settings_of_compose_are_possible(compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    example = environment(DEPLOY / "containers" / "evertick.env.example")
    settings = check_settings({**example, **compose["services"]["worker"]["environment"]}, monkeypatch)
    assert settings.mode == "distributed" and settings.stop_grace < 60
    assert example["POSTGRES_PASSWORD"] in str(example["EVERTICK_DATABASE_URL"])
    redis = compose["services"]["redis"]["command"]
    assert int(redis[redis.index("--maxmemory") + 1].removesuffix("mb")) < int(
        compose["services"]["redis"]["mem_limit"].removesuffix("m")
    )


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """The instructions of a Containerfile, continued lines joined."""
    for line in re.sub(r"\\\n", " ", text).splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, rest = line.partition(" ")
            yield name, " ".join(rest.split())


def test_the_containerfile_is_slim_unprivileged_and_pinned() -> None:
    """hadolint reads it too: make lint-deploy. It was not built where it was written: there is no engine there."""
    read = list(instructions((DEPLOY / "containers" / "Containerfile").read_text()))
    names = [name for name, _ in read]
    assert set(names) <= {"FROM", "COPY", "RUN", "ENV", "WORKDIR", "USER", "EXPOSE", "STOPSIGNAL", "ENTRYPOINT", "CMD"}
    bases = [rest for name, rest in read if name == "FROM"]
    assert all(re.fullmatch(r"docker\.io/library/python:3\.\d+-slim-\w+( AS build)?", base) for base in bases)
    assert len({base.removesuffix(" AS build") for base in bases}) == 1, "both stages of one Python"
    last = read[len(names) - 1 - names[::-1].index("FROM") :]
    runs = [rest for name, rest in read if name == "RUN"]
    assert "--require-hashes" in runs[0] and "--no-deps --no-index" in runs[1]
    final = dict(last)
    user = final["USER"]
    assert user == "10001:10001" and names.index("USER") > names.index("FROM")
    assert [name for name, _ in last].index("USER") > [name for name, _ in last].index("RUN")
    root = Path(__file__).parents[2]
    for name, rest in read:
        if name == "COPY" and "--from" not in rest:
            source = rest.split()[0]
            assert source == "dist/*.whl" or (root / source).exists(), source
    check_command(yaml.safe_load(final["CMD"]))
    assert yaml.safe_load(final["ENTRYPOINT"]) == ["evertick"]
    assert final["EXPOSE"] == "8000"
    variables = dict(re.findall(r"(\w+)=(\S+)", final["ENV"]))
    assert {f"EVERTICK_{name.upper()}" for name in Settings.model_fields} >= {
        v for v in variables if v.startswith("EVERTICK_")
    }


# --- Kubernetes ------------------------------------------------------------------------------------------------------


@pytest.fixture
def manifests() -> dict[tuple[str, str], Any]:
    read = yaml.safe_load_all((DEPLOY / "kubernetes" / "evertick.yaml").read_text())
    return {(each["kind"], each["metadata"]["name"]): each for each in read}


def test_the_pods_may_do_little_and_are_bounded(manifests: dict[tuple[str, str], Any]) -> None:
    """The shapes are held against the schemas of Kubernetes by make lint-deploy."""
    for name in ("evertick-web", "evertick-worker"):
        deployment = manifests["Deployment", name]["spec"]
        template = deployment["template"]
        pod = template["spec"]
        assert template["metadata"]["labels"] == deployment["selector"]["matchLabels"]
        assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == 10001
        assert pod["automountServiceAccountToken"] is False
        (container,) = pod["containers"]
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] and context["capabilities"] == {"drop": ["ALL"]}
        assert context["allowPrivilegeEscalation"] is False
        assert container["resources"]["limits"]["memory"] == "256Mi"
        check_command(container["args"])
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}
        assert {source: ref["name"] for each in container["envFrom"] for source, ref in each.items()} == {
            "configMapRef": "evertick", "secretRef": "evertick"
        }  # fmt: skip
    (web,) = manifests["Deployment", "evertick-web"]["spec"]["template"]["spec"]["containers"]
    assert (
        web["readinessProbe"]["httpGet"]["path"] == "/readyz" and web["livenessProbe"]["httpGet"]["path"] == "/healthz"
    )
    assert web["ports"] == [{"name": "http", "containerPort": int(web["args"][web["args"].index("--port") + 1])}]
    service = manifests["Service", "evertick"]["spec"]
    assert service["selector"] == manifests["Deployment", "evertick-web"]["spec"]["selector"]["matchLabels"]
    assert manifests["PodDisruptionBudget", "evertick-web"]["spec"]["selector"]["matchLabels"] == service["selector"]


def test_the_settings_of_kubernetes_are_possible(
    manifests: dict[tuple[str, str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {**manifests["ConfigMap", "evertick"]["data"], **manifests["Secret", "evertick"]["stringData"]}
    settings = check_settings(given, monkeypatch)
    grace = manifests["Deployment", "evertick-worker"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert settings.mode == "distributed" and settings.stop_grace < grace

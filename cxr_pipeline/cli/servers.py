"""Starts the Dagster and MLflow servers of this installation, waits until both answer, and ends both together."""

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from rich.console import Console

from cxr_pipeline.errors import CxrError
from cxr_pipeline.settings import Settings

_START_SECONDS = 120


def serve(settings: Settings) -> None:
    """Runs both servers until Ctrl-C; raises CxrError when one of them ends by itself."""
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)  # a shell that starts this with `&` has it ignored
    dagster_address = f"http://127.0.0.1:{settings.ui_port}"
    servers = {"Dagster": start_dagster(settings)}
    addresses = {"Dagster": dagster_address, "MLflow": settings.mlflow_address}
    if not settings.tracking_uri.startswith("http"):
        servers["MLflow"] = start_mlflow(settings)
    try:
        _await_answers(servers, addresses)
        for name, address in addresses.items():
            Console().print(f"  {name:8} {address}", highlight=False)
        Console().print("  Ctrl-C ends both.")
        while all(server.poll() is None for server in servers.values()):
            time.sleep(0.5)
        raise CxrError(f"{_ended(servers)} ended by itself: its output above says why.")
    except KeyboardInterrupt:
        Console().print("Ending both servers ...")
    finally:
        for server in servers.values():
            server.terminate()
        for server in servers.values():
            server.wait(30)


def start_dagster(settings: Settings) -> subprocess.Popen[bytes]:
    """`dagster dev` on this project's workspace: webserver and daemon."""
    options = ["dev", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(settings.ui_port), "--log-level", "warning"]
    return _start("dagster", options, {"DAGSTER_HOME": dagster_home()})


def start_mlflow(settings: Settings) -> subprocess.Popen[bytes]:
    """An MLflow server over the embedded store."""
    settings.mlflow_home.mkdir(parents=True, exist_ok=True)
    options = ["server", "--backend-store-uri", settings.tracking_uri, "--workers", "1"]
    options += ["--host", "127.0.0.1", "--port", str(settings.mlflow_port)]
    options += ["--default-artifact-root", (settings.mlflow_home / "artifacts").resolve().as_uri()]
    # Job execution and telemetry are off: the first takes 1.5 GB, the second phones out.
    return _start(
        "mlflow", options, {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    )


def dagster_home() -> str:
    """The folder that holds `dagster.yaml`: DAGSTER_HOME, else the working directory; raises CxrError elsewhere."""
    home = Path(os.environ.get("DAGSTER_HOME") or Path.cwd())
    if not (home / "dagster.yaml").is_file():
        raise CxrError(f"No dagster.yaml in {home}: run this in the project's root, or set DAGSTER_HOME to it.")
    return str(home.resolve())


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _start(program: str, options: list[str], variables: dict[str, str]) -> subprocess.Popen[bytes]:
    # The program of this environment, also when the environment is not activated.
    beside = Path(sys.executable).with_name(program)
    command = str(beside) if beside.exists() else shutil.which(program) or program
    return subprocess.Popen([command, *options], env={**os.environ, **variables})


def _await_answers(servers: dict[str, subprocess.Popen[bytes]], addresses: dict[str, str]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not all(_answers(address) for address in addresses.values()):
        if any(server.poll() is not None for server in servers.values()):
            raise CxrError(f"{_ended(servers)} did not start: its output above says why (is the port free?).")
        if time.monotonic() > deadline:
            raise CxrError(f"The servers did not answer within {_START_SECONDS} s at {', '.join(addresses.values())}.")
        time.sleep(0.3)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except (urllib.error.URLError, OSError):
        return False


def _ended(servers: dict[str, subprocess.Popen[bytes]]) -> str:
    return " and ".join(name for name, server in servers.items() if server.poll() is not None)

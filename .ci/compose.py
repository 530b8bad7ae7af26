"""Checks the compose files without an engine, for .ci/release: their members are known, and the roles of aws.yaml work with exactly
their commands and variables, as processes on the emulator.

    .ci/compose.py PROGRAM
"""

import http.client
import importlib.metadata
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

import yaml

PROGRAM = os.path.abspath(sys.argv[1])
FOLDER = "packaging/compose"
# https://github.com/compose-spec/compose-spec/blob/main/05-services.md, as far as the files use it.
SERVICE = {
    "build", "cap_drop", "command", "depends_on", "environment", "healthcheck", "image", "ports", "read_only", "restart",
    "security_opt", "stop_grace_period", "tmpfs", "volumes",
}
BUILD = {"context", "dockerfile", "dockerfile_inline"}
HEALTHCHECK = {"disable", "interval", "retries", "start_period", "test", "timeout"}
CONDITIONS = {"service_completed_successfully", "service_healthy", "service_started"}


def check(path):
    """Reads a file, and checks what an engine would refuse."""
    with open(path) as file:
        compose = yaml.safe_load(file)
    unknown = {key for key in compose if not key.startswith("x-")} - {"name", "services", "volumes"}
    assert not unknown, f"{path}: {unknown}"
    for name, service in compose["services"].items():
        for what, known in [(service, SERVICE), (service.get("build", {}), BUILD), (service.get("healthcheck", {}), HEALTHCHECK)]:
            assert set(what) <= known, f"{path}, {name}: {set(what) - known}"
        assert "image" in service or "build" in service, f"{path}, {name} has neither an image nor a build"
        for variable, value in service.get("environment", {}).items():
            assert isinstance(value, str), f"{path}, {name}: {variable} is no text"
        for other, how in service.get("depends_on", {}).items():
            assert other in compose["services"] and how["condition"] in CONDITIONS, f"{path}, {name}: {other}"
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            is_there = os.path.exists(os.path.join(FOLDER, source)) if source.startswith(".") else source in compose["volumes"]
            assert is_there, f"{path}, {name}: {source}"
        if "dockerfile" in service.get("build", {}):
            context = os.path.join(FOLDER, service["build"]["context"])
            assert os.path.exists(os.path.join(context, service["build"]["dockerfile"])), f"{path}, {name}"
        for port in service.get("ports", []):
            # Nothing is reachable from other machines by default.
            assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port), f"{path}, {name}: {port}"
    return compose


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


def eventually(what, limit=60):
    until = time.monotonic() + limit
    while True:
        try:
            return what()
        except (AssertionError, OSError, http.client.HTTPException):
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def ask(port, method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"content-type": "application/json", "prefer": "wait=10"} if body else {}
    connection.request(method, path, json.dumps(body) if body else None, headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def run_on_emulator(compose):
    emulator, api = free_port(), free_port()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "ORDERS_"))}

    def adapted(service):
        values = {name: value.replace("emulator:4566", f"127.0.0.1:{emulator}") for name, value in service["environment"].items()}
        if "ORDERS_LISTEN" in values:
            values["ORDERS_LISTEN"] = f"127.0.0.1:{api}"
        return {**inherited, **values}

    processes = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            pinned = re.search(r"ministack==([\d.]+)", compose["services"]["emulator"]["build"]["dockerfile_inline"])[1]
            assert importlib.metadata.version("ministack") == pinned, "aws.yaml names another version of the emulator"
            command = [os.path.join(os.path.dirname(sys.executable), "ministack")]
            variables = {**inherited, "GATEWAY_PORT": str(emulator), "BIND_HOST": "127.0.0.1", "TMPDIR": folder}
            log = open(os.path.join(folder, "emulator.log"), "w")
            processes.append(subprocess.Popen(command, env=variables, stdout=log, stderr=log, cwd=folder))
            eventually(lambda: socket.create_connection(("127.0.0.1", emulator), 2).close())
            services = compose["services"]
            script = os.path.join(FOLDER, "resources.py")
            subprocess.run([sys.executable, script], env=adapted(services["resources"]), check=True)
            subprocess.run([PROGRAM, *services["table"]["command"]], env=adapted(services["table"]), check=True)
            roles = {}
            for name in ["api", "consumer", "dead-letters", "expiry"]:
                log = open(os.path.join(folder, f"{name}.log"), "w")
                roles[name] = subprocess.Popen([PROGRAM, *services[name]["command"]], env=adapted(services[name]), stderr=log)
                processes.append(roles[name])

            def is_ready():
                assert ask(api, "GET", "/readyz?for=writes")[0] == 200

            eventually(is_ready)
            item = {"sku": "tea", "quantity": 2, "unit_price": 450}
            status, body = ask(api, "POST", "/v1/orders", {"customer_id": "c-1", "currency": "EUR", "items": [item]})
            order = json.loads(body)
            # An order, and not a receipt: the consumer has recorded the event.
            assert status < 300 and order["object"] == "order" and order["status"] == "pending", (status, order)
            health = [PROGRAM, "health", "--url", f"http://127.0.0.1:{api}"]
            subprocess.run(health, check=True, stdout=subprocess.DEVNULL)
            for name, role in roles.items():
                assert role.poll() is None, f"{name} has ended: {open(os.path.join(folder, name + '.log')).read()}"
                role.send_signal(signal.SIGTERM)
            for name, role in roles.items():
                assert role.wait(60) == 0, f"{name} ended with {role.returncode}"
        finally:
            for process in processes:
                if process.poll() is None:
                    process.kill()
                process.wait()


check(f"{FOLDER}/embedded.yaml")
run_on_emulator(check(f"{FOLDER}/aws.yaml"))
print("the compose files are well-formed, and an order went through the roles of aws.yaml")

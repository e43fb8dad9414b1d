"""The API's documents: they are valid, a running stack answers as they say, and a client that is made of one works.

    check.py <folder of the built programs> [further arguments of `schemathesis run`]
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator

from stack import Api, running

HERE = pathlib.Path(__file__).resolve().parent
DOCS = HERE.parents[1] / "docs"
BIN = pathlib.Path(sys.executable).parent

# the same in each run, so that a failure can be repeated; another one finds other things
SEED = os.environ.get("TOWPATH_TEST_SEED", "20261122")
EXAMPLES = os.environ.get("TOWPATH_TEST_EXAMPLES", "10")
PHASES = ["coverage", "fuzzing"]
# many times what it takes
MINUTES = 40

# Not among them: that data which does not fit is refused, because SFTPGo's dialect takes fields that it does not know; that data which
# fits is taken, because names that are taken and policies are no matter of schemas; and that a mistyped key is a 401, because
# SFTPGo's clients are told of it with a 400.
CHECKS = ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
          "response_schema_conformance", "unsupported_method", "allow_header_conformance"]


def valid():
    for name, validator in [("openapi.json", OpenAPIV31SpecValidator), ("openapi-3.0.json", OpenAPIV30SpecValidator)]:
        document = json.loads((DOCS / name).read_text())
        validator(document).validate()
        calls = sum(len(methods) for methods in document["paths"].values())
        print(f"docs/{name} is valid OpenAPI {document['openapi']}: {calls} calls", flush=True)


def answers_as_described(env, further):
    """schemathesis calls everything with what the document says may be sent, and with what may not."""
    api = Api(env)
    # no limit that a test would reach; tokens learn of it when they are made
    api.must("PATCH", f"/organizations/{api.organization}", {"RateLimit": {"DefaultRequests": 100_000}},
             {"Authorization": f"Bearer {env['TOWPATH_API_KEY']}"})
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE), "TOWPATH_STACK": json.dumps(env)}
    with tempfile.TemporaryDirectory(prefix="towpath-openapi-") as folder:
        report = pathlib.Path(folder) / "report.ndjson"
        subprocess.run([BIN / "st", "run", DOCS / "openapi.json", "--url", env["TOWPATH_API_URL"], "--seed", SEED,
                        "--max-examples", EXAMPLES, "--workers", "1", "--phases", ",".join(["examples", *PHASES]),
                        "--checks", ",".join(CHECKS), "--max-redirects", "0", "--request-timeout", "30",
                        "--continue-on-failure", "--no-color", "--report", "ndjson", "--report-ndjson-path", report, *further],
                       env=environment, cwd=folder, check=True, timeout=MINUTES * 60)
        if not further:
            everything_was_called(report)


def everything_was_called(report):
    """A run that ends early says no word about it."""
    paths = json.loads((DOCS / "openapi.json").read_text())["paths"]
    calls = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    called = {phase: set() for phase in PHASES}
    for line in report.read_text().splitlines():
        ended = json.loads(line).get("ScenarioFinished")
        if ended and ended["phase"] in called and ended["status"] == "success":
            called[ended["phase"]].add(ended["recorder"]["label"])
    for phase, labels in called.items():
        if labels != calls:
            raise SystemExit(f"{phase}: {sorted(calls - labels)} were not called")
    print(f"schemathesis called all {len(calls)} calls, in each of the phases {' and '.join(PHASES)}")


def clients_work(env):
    with tempfile.TemporaryDirectory(prefix="towpath-openapi-") as folder:
        config = pathlib.Path(folder) / "config.yaml"
        config.write_text("package_name_override: towpath_client\npost_hooks: []\n")
        subprocess.run([BIN / "openapi-python-client", "generate", "--path", DOCS / "openapi-3.0.json", "--meta", "none",
                        "--config", config, "--output-path", pathlib.Path(folder) / "towpath_client", "--fail-on-warning"],
                       cwd=folder, check=True)
        subprocess.run([sys.executable, HERE / "client.py"], input=json.dumps(env), text=True, cwd=folder, check=True,
                       env={**os.environ, "PYTHONPATH": folder})


def main():
    programs, further = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2:]
    valid()
    with running(programs) as env:
        clients_work(env)
        answers_as_described(env, further)


main()

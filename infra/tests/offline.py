"""An AWS for one test run, on one loopback port, and the ways to it. Nothing here can reach AWS itself: endpoints are loopback,
credentials are made up, and the proxies lead nowhere.
"""

import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import boto3

ROOT = pathlib.Path(__file__).resolve().parents[2]
REGION = "us-east-1"
ACCOUNT = "000000000000"
NOWHERE = "http://127.0.0.1:9"


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def free_ports(count):
    """The first of so many in a row, below those that the system gives to whoever asks for any."""
    for first in random.sample(range(20000, 30000, count), 100):
        try:
            for port in range(first, first + count):
                with socket.socket() as found:
                    found.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise AssertionError(f"no {count} free ports in a row")


def wait_for(what, condition, seconds=30):
    """The first true answer of the condition."""
    until = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > until:
            raise AssertionError(f"{what} did not come within {seconds} s")
        time.sleep(0.1)


class Process:
    """A program that this run has started, and that alone it stops, by its id."""

    def __init__(self, name, arguments, environment, folder):
        self.name, self.log = name, folder / f"{name}.log"
        with self.log.open("wb") as log:
            self.child = subprocess.Popen(arguments, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          cwd=folder, start_new_session=True)

    def text(self):
        return self.log.read_text(errors="replace")

    def alive(self):
        if self.child.poll() is not None:
            raise AssertionError(f"{self.name} has ended with {self.child.returncode}:\n{self.text()[-3000:]}")
        return True

    def stop(self):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(self.child.pid, signal.SIGKILL)
                self.child.wait()


class Offline:
    """ministack, and what a test asks of it."""

    def __init__(self, folder, ministack):
        self.folder, self.port, self.keys = folder, free_port(), {}
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder),
            "AWS_ENDPOINT_URL": self.endpoint, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "HTTP_PROXY": NOWHERE, "HTTPS_PROXY": NOWHERE, "http_proxy": NOWHERE, "https_proxy": NOWHERE,
            "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost", "SAM_CLI_TELEMETRY": "0",
        }
        # AUTH: what no policy allows is refused, but to `test`, whom it takes for the account's root.
        # The functions inherit its environment. Receivers of the tests' webhooks are here, so loopback is allowed to them.
        environment = {**self.environment, "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(self.port),
                       "TOWPATH_WEBHOOK_LOOPBACK": "1", "AUTH": "true"}
        self.process = Process("ministack", [ministack], environment, folder)
        wait_for("ministack", lambda: self.process.alive() and self.answers())

    def answers(self):
        try:
            with urllib.request.urlopen(f"{self.endpoint}/_ministack/health", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def client(self, service):
        return boto3.client(service, endpoint_url=self.endpoint, region_name=REGION, aws_access_key_id="test",
                            aws_secret_access_key="test")

    def keys_with_the_rights_of(self, role):
        """Of a user who has exactly the role's policies, for programs that read no session token from here."""
        if role in self.keys:
            return self.keys[role]
        iam = self.client("iam")
        user = f"as-{role}"[:64]
        iam.create_user(UserName=user)
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            # ministack asks for an action that AWS does not have: batches need the right to send
            text = json.dumps(document).replace('"sqs:SendMessage"', '"sqs:SendMessage", "sqs:SendMessageBatch"')
            text = re.sub(r'"Action": ("sqs:SendMessage", "sqs:SendMessageBatch")', r'"Action": [\1]', text)
            iam.put_user_policy(UserName=user, PolicyName=name, PolicyDocument=text)
        key = iam.create_access_key(UserName=user)["AccessKey"]
        self.keys[role] = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
        return self.keys[role]

    def outputs(self, stack):
        described = self.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}

    def resources(self, stack):
        """Of a stack and of all nested in it: {(name of the nested stack or "", logical id): physical id}."""
        found = {}
        listed = self.client("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
        for resource in listed:
            logical, physical = resource["LogicalResourceId"], resource["PhysicalResourceId"]
            if resource["ResourceType"] == "AWS::CloudFormation::Stack":
                found.update({(logical, inner): it for (_, inner), it in self.resources(physical).items()})
            else:
                found["", logical] = physical
        return found


class Answer:
    """What came over HTTP."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:300]!r}"


class Redirects(urllib.request.HTTPRedirectHandler):
    """Are answers."""

    def redirect_request(self, *_):
        return None


def request(url, method="GET", headers=None, body=None):
    """`body`: bytes as they are, anything else as JSON."""
    raw = isinstance(body, bytes)
    data = body if raw or body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/octet-stream" if raw else "application/json", **(headers or {})}
    asked = urllib.request.Request(url, method=method, headers=headers, data=data)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), Redirects)
    try:
        with opener.open(asked, timeout=40) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.headers, error.read())


def program(name):
    """A built program; missing is a failure and no reason to skip."""
    path = pathlib.Path(os.environ.get("TOWPATH_PROGRAMS", ROOT / "target/debug")) / name
    assert path.is_file(), f"{path} is not built: `make test-deploy` builds it"
    return path


def stripped(name, folder):
    """A copy without symbols, which is quicker to pack."""
    copy = folder / name
    shutil.copy(program(name), copy)
    subprocess.run(["strip", copy], check=True)
    return copy

"""Deploys the template to an AWS on this machine, with `sam deploy` itself, and uses what is then there: each route with the real
programs, a message through the queue to a webhook, and a node with exactly the settings that its task definition gives it.

What the offline AWS cannot do is left out by name below, and a test says so when that has changed.
"""

import base64
import hashlib
import hmac
import http.client
import http.server
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import uuid
import zipfile

import boto3
import pytest
from botocore.exceptions import ClientError

from offline import ACCOUNT, Offline, Process, ROOT, free_port, free_ports, program, request, stripped, wait_for
from templates import INFRA, load, unwrapped

SAM = os.environ["TOWPATH_SAM"]
STACK = "towpath"
HTTPS = "door.example.com"

# Stacks that ministack 1.5.33 cannot make, with the resource type that it does not know. cfn-lint and the other tests
# read them; nothing runs them.
LEFT_OUT = {
    "sftp-scaling.yaml": "AWS::ApplicationAutoScaling::ScalableTarget",
    "ftps-slot.yaml": "AWS::EC2::EIP",
}


WITH_KEYS = """#!/bin/sh
export AWS_ACCESS_KEY_ID=$ITS_AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY=$ITS_AWS_SECRET_ACCESS_KEY
exec "$LAMBDA_TASK_ROOT/program"
"""


def with_keys(archive):
    """The archive, its program behind WITH_KEYS."""
    made = io.BytesIO()
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(made, "w") as new:
        for name, content in [("bootstrap", WITH_KEYS), ("program", old.read("bootstrap"))]:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o100755 << 16
            new.writestr(entry, content)
    return made.getvalue()


class Deployment:
    """The stack, its addresses and the first accounts."""

    def __init__(self, offline, folder):
        self.offline, self.folder = offline, folder
        self.infra = folder / "infra"
        shutil.copytree(INFRA, self.infra, ignore=shutil.ignore_patterns("build", "tests"))
        self.leave_out()
        self.package()
        self.deploy()
        self.outputs = offline.outputs(STACK)
        self.resources = offline.resources(STACK)
        self.accounts = FirstAccounts(folder)
        self.settle_functions()
        self.told = self.make_first_accounts()
        self.copy_accounts()
        api = self.outputs["ApiUrl"].removeprefix("https://").split(".")[0]
        self.host = f"{api}.execute-api.localhost:{offline.port}"

    def leave_out(self):
        template = self.infra / "template.yaml"
        text, count = re.subn(r"\n  SftpScaling:\n(    .*\n|\n(?=    ))+", "\n", template.read_text())
        assert count == 1, "template.yaml has no stack SftpScaling any more"
        # Its function is called by hand below: here it would be called while its secrets are not resolved
        text, count = re.subn(r"\n  OrganizationId:\n    Description: .*\n    Value: .*\n", "\n", text)
        assert count == 1, "template.yaml does not tell the first organization any more"
        template.write_text(text)
        setup = self.infra / "stacks" / "setup.yaml"
        text, count = re.subn(r"\n  FirstAccounts:\n(    .*\n)+\nOutputs:\n.*\n", "\n", setup.read_text())
        assert count == 1, "setup.yaml has no custom resource any more"
        setup.write_text(text)

    def package(self):
        programs = self.folder / "programs"
        programs.mkdir()
        for name in ["management", "token", "files", "share", "webhook", "housekeeping", "setup"]:
            if (ROOT / "functions/src/bin" / f"{name}.rs").exists():
                stripped(name, programs)
        subprocess.run([sys.executable, INFRA / "package.py", programs, self.infra / "build"], check=True)

    def deploy(self):
        self.offline.client("s3").create_bucket(Bucket="artefacts")
        # not --resolve-s3: sam's own bucket is a SAM template, which ministack knows with further packages only
        deployed = subprocess.run(
            [SAM, "deploy", "--template-file", self.infra / "template.yaml", "--stack-name", STACK, "--s3-bucket", "artefacts",
             "--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset", "--no-progressbar", "--parameter-overrides",
             "NodeRepository=towpath-node", "NodeTag=1", "ResumeDays=3", "AlarmEmail=operator@example.com",
             "OrganizationName=FirstOfAll", "AdminName=first-admin", "OperatorName=first-operator", "RootUserName=first-root",
             "CorsOrigin=https://files.example.com", f"HttpsDomain={HTTPS}",
             f"HttpsCertificateArn=arn:aws:acm:us-east-1:{ACCOUNT}:certificate/{uuid.UUID(int=1)}"],
            env=self.offline.environment, cwd=self.folder, text=True, capture_output=True, timeout=300, check=False)
        (self.folder / "sam.log").write_text(deployed.stdout + deployed.stderr)
        assert deployed.returncode == 0, (deployed.stdout + deployed.stderr)[-4000:] + self.offline.process.text()[-2000:]

    def settle_functions(self):
        """What CloudFormation does and ministack does not in nested stacks, and whom the functions are."""
        secrets, functions = self.offline.client("secretsmanager"), self.offline.client("lambda")
        # The first accounts come from a stack of `make dev`, so what they sealed must open here, too.
        secrets.put_secret_value(SecretId=self.outputs["SealingSecretArn"], SecretString=self.accounts.sealing_secret)

        def resolved(match):
            return secrets.get_secret_value(SecretId=match.group(1))["SecretString"]

        # 1. dynamic references stay as they are: resolved here, as they are written
        for function in ["Management", "Token", "Files", "Share", "Webhook", "Housekeeping", "Setup"]:
            stack = "Setup" if function == "Setup" else "Functions"
            name = self.resources[stack, function]
            variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
            variables = {key: re.sub(r"\{\{resolve:secretsmanager:(.+):SecretString\}\}", resolved, value)
                         for key, value in variables.items()}
            assert not any("{{" in value for value in variables.values()), variables
            # 3. The credentials of a role come with a session token, which programs do not read beside an endpoint. So each gets
            # keys of a user with exactly the policies of its role, by a line of shell before the same program.
            keys = self.offline.keys_with_the_rights_of(self.resources[stack, f"{function}Role"])
            variables |= {f"ITS_{key}": value for key, value in keys.items()}
            functions.update_function_configuration(FunctionName=name, Environment={"Variables": variables})
            archive = self.infra / "build" / f"{function.lower()}.zip"
            deployed = functions.get_function_configuration(FunctionName=name)["CodeSha256"]
            assert deployed == base64.b64encode(hashlib.sha256(archive.read_bytes()).digest()).decode()
            functions.update_function_code(FunctionName=name, ZipFile=with_keys(archive))
        # 2. numbers of parameters stay text, which its poller cannot compare
        for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
            functions.update_event_source_mapping(UUID=mapping["UUID"], ScalingConfig={"MaximumConcurrency": 10})

    def make_first_accounts(self, kind="Create"):
        """What CloudFormation does for the custom resource; answers what it was told."""
        told = Receiver()
        event = {"RequestType": kind, "ResponseURL": told.url, "StackId": "arn:aws:cloudformation:stack", "RequestId": "r1",
                 "ResourceType": "Custom::TowpathFirstAccounts", "LogicalResourceId": "FirstAccounts", "ResourceProperties": {}}
        answer = self.offline.client("lambda").invoke(FunctionName=self.resources["Setup", "Setup"], Payload=json.dumps(event))
        assert "FunctionError" not in answer, answer["Payload"].read()
        [(_, body)] = told.came
        return json.loads(body)

    def copy_accounts(self):
        table = self.offline.client("dynamodb")
        for item in self.accounts.items:
            table.put_item(TableName=self.outputs["Table"], Item=item)

    def log(self, function, most=3000):
        """The end of a function's log, for whoever reads a failure."""
        group = self.resources["Functions", f"{function}Log"]
        pages = self.offline.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
        return "\n".join(event["message"] for page in pages for event in page["events"])[-most:]

    def call(self, path, method="GET", headers=None, body=None):
        """Through API Gateway."""
        return request(self.offline.endpoint + path, method, {"Host": self.host, **(headers or {})}, body)


class FirstAccounts:
    """What the first start of `make dev` makes, as items of its table."""

    def __init__(self, folder):
        state = folder / "dev"
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "TOWPATH_STATE_DIR": str(state)}
        dev = Process("towpath-dev", [program("towpath-dev"), "--port-base", str(free_ports(10))], environment, folder)
        try:
            wait_for("`make dev`", lambda: dev.alive() and "ready" in dev.text().split(), 60)
            lines = [line.split("=", 1) for line in (state / "dev.env").read_text().splitlines() if "=" in line]
            self.env = {key: value.strip("'\"") for key, value in lines}
            self.sealing_secret = (state / "secrets").read_text().splitlines()[1]
            client = boto3.client("dynamodb", endpoint_url=self.env["AWS_ENDPOINT_URL"], region_name="us-east-1",
                                  aws_access_key_id="test", aws_secret_access_key="test")
            items = client.scan(TableName=self.env["TOWPATH_TABLE"])["Items"]
            self.items = [item for item in items if not item["pk"]["S"].startswith("NODE")]
        finally:
            dev.stop()
        self.organization = self.env["TOWPATH_ORGANIZATION_ID"]


class Receiver:
    """Of webhooks; keeps what came."""

    def __init__(self):
        self.came = []

        class Hook(http.server.BaseHTTPRequestHandler):
            def do_PUT(handler):  # noqa: N805
                handler.do_POST()

            def do_POST(handler):  # noqa: N805
                body = handler.rfile.read(int(handler.headers["Content-Length"]))
                self.came.append((handler.headers, body))
                handler.send_response(200)
                handler.end_headers()

            def log_message(handler, *_):  # noqa: N805
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def topics(self):
        return [json.loads(body)["Topic"] for _, body in self.came]


def test_the_first_accounts_can_sign_in(deployment):
    assert deployment.told["Status"] == "SUCCESS", deployment.told
    organization = deployment.told["Data"]["OrganizationId"]
    secrets = deployment.offline.client("secretsmanager")

    def first(which):
        return secrets.get_secret_value(SecretId=deployment.outputs[f"{which}PasswordSecretArn"])["SecretString"]

    admin = sign_in(deployment, "/api/v2/token", "first-admin", first("Admin"))
    answer = deployment.call(f"/organizations/{organization}", headers=admin)
    assert answer.status == 200 and answer.json["Name"] == "FirstOfAll", answer
    # since the accounts of `make dev` were copied over it, the deployment's operator is theirs; but it can sign in
    sign_in(deployment, "/api/v2/token", "first-operator", first("Operator"))
    sign_in(deployment, "/api/v2/user/token", "first-root", first("Root"))
    assert len({first(which) for which in ["Admin", "Operator", "Root"]}) == 3
    # a change of the stack finds them
    assert deployment.make_first_accounts("Update")["Status"] == "SUCCESS"
    sign_in(deployment, "/api/v2/token", "first-admin", first("Admin"))


def a_file_was_created(deployment, path):
    """A message as a node writes it (domain/src/queue_message.rs)."""
    event = {"id": str(uuid.uuid4()), "topic": "file.created", "created_at": int(time.time() * 1000),
             "organization": deployment.accounts.organization, "actor": {"kind": "User", "id": "acme-partner"},
             "file": {"path": path, "folder": False, "size": 7}}
    return json.dumps({"kind": "event", "v": 1, "event": event})


@pytest.fixture(scope="module")
def offline(tmp_path_factory):
    folder = tmp_path_factory.mktemp("offline")
    started = Offline(folder, os.path.join(os.path.dirname(sys.executable), "ministack"))
    yield started
    started.process.stop()


@pytest.fixture(scope="module")
def deployment(offline, tmp_path_factory):
    return Deployment(offline, tmp_path_factory.mktemp("deployment"))


def sign_in(deployment, path, name, password):
    """The headers of who has signed in."""
    basic = base64.b64encode(f"{name}:{password}".encode()).decode()
    answer = deployment.call(path, headers={"Authorization": f"Basic {basic}"})
    if answer.status != 200:
        pytest.fail(f"{answer}\n{deployment.log('Token')}")
    return {"Authorization": f"Bearer {answer.json['access_token']}"}


@pytest.fixture(scope="module")
def token(deployment):
    env = deployment.accounts.env
    return sign_in(deployment, "/api/v2/token", env["TOWPATH_ADMIN_USER"], env["TOWPATH_ADMIN_PASSWORD"])


@pytest.fixture(scope="module")
def operator(deployment):
    env = deployment.accounts.env
    return sign_in(deployment, "/api/v2/token", env["TOWPATH_OPERATOR_USER"], env["TOWPATH_OPERATOR_PASSWORD"])


@pytest.fixture(scope="module")
def bucket(deployment):
    """Its name. AWS is plain HTTP here, which the bucket's policy refuses, as it should; then it is in the way."""
    name, s3 = deployment.outputs["Bucket"], deployment.offline.client("s3")
    [statement] = json.loads(s3.get_bucket_policy(Bucket=name)["Policy"])["Statement"]
    assert statement["Effect"] == "Deny" and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    keys = deployment.offline.keys_with_the_rights_of(deployment.resources["Functions", "FilesRole"])
    theirs = boto3.client("s3", endpoint_url=deployment.offline.endpoint, region_name="us-east-1",
                          aws_access_key_id=keys["AWS_ACCESS_KEY_ID"], aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"])
    with pytest.raises(ClientError, match="AccessDenied"):
        theirs.list_objects_v2(Bucket=name)
    s3.delete_bucket_policy(Bucket=name)
    theirs.list_objects_v2(Bucket=name)
    with pytest.raises(ClientError, match="AccessDenied"):
        theirs.put_object(Bucket=name, Key="elsewhere", Body=b"")
    with pytest.raises(ClientError, match="AccessDenied"):
        theirs.list_multipart_uploads(Bucket=name)
    return name


class User:
    """A credential that is signed in to the API."""

    def __init__(self, deployment, admin, name):
        self.deployment, self.name = deployment, name
        users = f"/organizations/{deployment.accounts.organization}/users"
        made = deployment.call(users, "POST", admin, {"UserName": name, "Permission": "full"})
        assert made.status == 201, made
        self.token = sign_in(deployment, "/api/v2/user/token", name, made.json["Password"])

    def call(self, rest, status, method="GET", headers=None, body=None):
        answer = self.deployment.call(f"/api/v2/user/{rest}", method, {**self.token, **(headers or {})}, body)
        if answer.status != status:
            pytest.fail(f"{method} {rest}: {answer}\n{self.deployment.log('Files')}")
        return answer


@pytest.fixture(scope="module")
def webhook(deployment, token):
    receiver = Receiver()
    made = deployment.call(f"/organizations/{deployment.accounts.organization}/webhooks", "POST", token, {
        "Alias": "mine", "Url": receiver.url, "Type": "webhook", "Topics": ["file.created", "user.login", "user.login-failed"]})
    assert made.status == 201, made
    receiver.id, receiver.secret = made.json["Id"], made.json["Secret"]
    yield receiver
    receiver.server.shutdown()


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_is_left_out_cannot_be_deployed_here(offline, name):
    """When this fails ministack has learnt it: take the stack out of LEFT_OUT."""
    with pytest.raises(ClientError, match="Unrecognized resource types") as refused:
        offline.client("cloudformation").create_stack(
            StackName=f"left-out-{name[:4]}", TemplateBody=(INFRA / "stacks" / name).read_text(),
            Parameters=[{"ParameterKey": key, "ParameterValue": "1"} for key in load(INFRA / "stacks" / name)["Parameters"]])
    assert LEFT_OUT[name] in str(refused.value)


def test_everything_else_was_deployed(deployment):
    """Each stack, each resource that no condition leaves out."""
    stacks = {load(INFRA / "template.yaml")["Resources"][name]["Properties"]["TemplateURL"].split("/")[-1]
              for name, _ in deployment.resources if name}
    assert stacks == {path.name for path in (INFRA / "stacks").glob("*.yaml")} - set(LEFT_OUT)
    unmade = []
    for nested, resource in load(INFRA / "template.yaml")["Resources"].items():
        file = INFRA / resource["Properties"]["TemplateURL"]
        if file.name in LEFT_OUT:
            continue
        for logical, inner in load(file)["Resources"].items():
            # called by hand: see make_first_accounts
            if logical != "FirstAccounts" and "Condition" not in inner and (nested, logical) not in deployment.resources:
                unmade.append((nested, logical))
    assert not unmade


def test_each_route_reaches_its_function(deployment, token):
    """An answer of ours carries X-Request-Id, and the routes differ in what only their own function says."""
    organization = deployment.accounts.organization
    asked = {
        "ANY /organizations": ("/organizations", {}, 401),
        "ANY /organizations/{proxy+}": (f"/organizations/{organization}/users", token, 200),
        "ANY /api/v2/{proxy+}": ("/api/v2/version", token, 200),
        "ANY /openapi.json": ("/openapi.json", {}, 200),
        "ANY /openapi-3.0.json": ("/openapi-3.0.json", {}, 200),
        "ANY /docs": ("/docs", {}, 200),
        "ANY /docs/{proxy+}": ("/docs/page.js", {}, 200),
        "ANY /api/v2/token": ("/api/v2/token", {}, 401),
        "ANY /api/v2/logout": ("/api/v2/logout", {}, 401),
        "ANY /api/v2/user/token": ("/api/v2/user/token", {}, 401),
        "ANY /api/v2/user/logout": ("/api/v2/user/logout", {}, 401),
        "ANY /.well-known/jwks.json": ("/.well-known/jwks.json", {}, 200),
        # management knows none of these: it would say 404
        "ANY /api/v2/user/dirs": ("/api/v2/user/dirs", {}, 401),
        "ANY /api/v2/user/files": ("/api/v2/user/files", {}, 401),
        "ANY /api/v2/user/files/{proxy+}": ("/api/v2/user/files/metadata", {}, 401),
        "ANY /api/v2/user/file-actions/{proxy+}": ("/api/v2/user/file-actions/move", {}, 405),
        "ANY /api/v2/user/streamzip": ("/api/v2/user/streamzip", {}, 405),
        "ANY /api/v2/user/jobs/{proxy+}": ("/api/v2/user/jobs/1", {}, 401),
        "ANY /api/v2/user/upload-sessions": ("/api/v2/user/upload-sessions", {}, 405),
        "ANY /api/v2/user/upload-sessions/{proxy+}": ("/api/v2/user/upload-sessions/1", {}, 401),
        "ANY /s/{proxy+}": ("/s/none", {}, 404),
        "ANY /share-assets/{proxy+}": ("/share-assets/any/portal.css", {}, 200),
        "ANY /api/v2/shares/{proxy+}": ("/api/v2/shares/none", {}, 404),
    }
    gateway = deployment.offline.client("apigatewayv2")
    routes = {route["RouteKey"] for route in gateway.get_routes(ApiId=deployment.resources["Api", "Api"])["Items"]}
    assert routes == set(asked), "a route that this test does not ask, or the other way round"
    for key, (path, headers, status) in asked.items():
        answer = deployment.call(path, headers=headers)
        if answer.status != status:
            pytest.fail(f"{key}: {answer}\n{deployment.log('Management')}\n{deployment.log('Files')}")
        assert answer.headers["X-Request-Id"], (key, "was not answered by the program")
    keys = deployment.call("/.well-known/jwks.json").json["keys"]
    assert [key["crv"] for key in keys] == ["Ed25519"]
    assert deployment.call("/nothing").status == 404
    assert "X-Request-Id" not in deployment.call("/nothing").headers, "unknown paths start no function"


def test_lists_that_are_whole_partitions(deployment, token, operator):
    """DynamoDB takes no empty text for what a key begins with."""
    keys = f"/organizations/{deployment.accounts.organization}/api-keys"
    made = deployment.call(keys, "POST", token, {"Name": "ci", "Expiration": "30d"})
    assert made.status == 201, made
    listed = [deployment.call("/organizations", headers=operator),
              deployment.call(f"{keys}/{made.json['Id']}/requests", headers=token)]
    assert [answer.status for answer in listed] == [200, 200], listed
    assert deployment.accounts.organization in listed[0].body.decode()


def test_a_whole_request_with_a_body(deployment, token):
    users = f"/organizations/{deployment.accounts.organization}/users"
    made = deployment.call(users, "POST", token, {"UserName": "acme-partner", "Permission": "read-write"})
    assert made.status == 201 and made.json["Password"], made
    assert made.json["Host"] == deployment.outputs["SftpHost"]
    read = deployment.call(f"{users}/{made.json['Id']}", headers=token)
    assert read.json["Password"] == made.json["Password"], "sealed by one call, opened by another"


def test_a_message_reaches_the_webhook_function(deployment, webhook):
    """From outside: an event as a node writes it, through the queue and its mapping, to the receiver, signed."""
    deployment.offline.client("sqs").send_message(
        QueueUrl=deployment.outputs["EventsQueueUrl"],
        MessageBody=a_file_was_created(deployment, "/in/orders.csv"))
    headers, body = wait_for("the delivery", lambda: webhook.came and webhook.came[0])
    signature = "sha256=" + hmac.new(webhook.secret.encode(), body, hashlib.sha256).hexdigest()
    assert headers["X-Hub-Signature"] == signature
    assert json.loads(body)["Topic"] == "file.created"


def test_the_api_sends_messages_too(deployment, token, webhook):
    path = f"/organizations/{deployment.accounts.organization}/webhooks/{webhook.id}/ping"
    assert deployment.call(path, "POST", token).status == 202
    wait_for("the ping", lambda: "webhook.ping" in webhook.topics())


def test_a_message_that_fails_stays_and_the_others_go(deployment, webhook):
    """ReportBatchItemFailures: one unreadable message among nine."""
    sqs, queue = deployment.offline.client("sqs"), deployment.outputs["EventsQueueUrl"]
    before = len(webhook.came)
    bodies = ["this is no message"] + [a_file_was_created(deployment, f"/in/{at}") for at in range(9)]
    sqs.send_message_batch(QueueUrl=queue, Entries=[{"Id": str(at), "MessageBody": body} for at, body in enumerate(bodies)])
    wait_for("nine deliveries", lambda: len(webhook.came) >= before + 9)

    def left():
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        return sum(map(int, sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"].values()))

    wait_for("one message to be left", lambda: left() == 1)
    assert len(webhook.came) == before + 9, "none was delivered twice"


def test_a_job_is_done(deployment, token, bucket):
    jobs = f"/organizations/{deployment.accounts.organization}"
    started = deployment.call(f"{jobs}/quota-scans", "POST", token)
    assert started.status == 202, started
    job = f"{jobs}/jobs/{started.json['Id']}"

    def over():
        shown = deployment.call(job, "GET", token).json
        assert shown["State"] != "Failed" and shown["Failures"] == 0, f"{shown}\n{deployment.log('Housekeeping')}"
        return shown["State"] == "Succeeded" and shown
    assert wait_for("the recount", over)["Failures"] == 0


def test_a_refused_sign_in_is_announced(deployment, token, webhook):
    """By the token function, which may send to the queue for that alone."""
    user = User(deployment, token, "refused-partner")
    basic = base64.b64encode(f"{user.name}:wrong".encode()).decode()
    assert deployment.call("/api/v2/user/token", headers={"Authorization": f"Basic {basic}"}).status == 401
    wait_for("the event", lambda: "user.login-failed" in webhook.topics())


def test_queue_and_table_are_as_the_programs_need_them(deployment):
    sqs = deployment.offline.client("sqs")
    attributes = sqs.get_queue_attributes(QueueUrl=deployment.outputs["EventsQueueUrl"], AttributeNames=["All"])["Attributes"]
    assert json.loads(attributes["RedrivePolicy"])["deadLetterTargetArn"].endswith(
        deployment.outputs["EventsDeadQueueUrl"].split("/")[-1])
    dynamodb = deployment.offline.client("dynamodb")
    table = dynamodb.describe_table(TableName=deployment.outputs["Table"])["Table"]
    assert [index["IndexName"] for index in table["GlobalSecondaryIndexes"]] == ["sweep"]


def test_a_file_comes_and_goes_through_the_gateway(deployment, token, webhook, bucket):
    """Each with the rights of the function's role: folders, small files, copies, addresses at S3, both ways."""
    user, s3 = User(deployment, token, "rest-partner"), deployment.offline.client("s3")
    user.call("dirs?path=in/deep&mkdir_parents=true", 201, "POST")
    content = bytes(range(256)) * 2000
    user.call("files/upload?path=in/data.bin", 201, "POST", {"X-SFTPGO-MTIME": "1603696766908"}, content)
    [folder, file] = sorted(user.call("dirs?path=in", 200).json, key=lambda entry: "size" in entry)
    assert folder["name"] == "deep" and (file["name"], file["size"]) == ("data.bin", len(content))
    assert file["last_modified"] == "2020-10-26T07:19:26Z"
    key = f"{deployment.accounts.organization}/files/home/{user.name}/in/data.bin"
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == content, "bytes survive base64"
    wait_for("its event", lambda: any(b"in/data.bin" in body for _, body in webhook.came))

    redirect = user.call("files?path=in/data.bin", 302)
    address = redirect.headers["Location"]
    assert "X-Amz-Signature=" in address and urllib.parse.urlparse(address).port == deployment.offline.port, address
    got = request(address)
    assert got.status == 200 and got.body == content, got
    assert 'filename="data.bin"' in got.headers["Content-Disposition"]
    assert request(address.replace("in/data.bin", "in/other.bin").replace("in%2Fdata.bin", "in%2Fother.bin")).status == 403

    user.call("file-actions/copy?path=in/data.bin&target=in/copy.bin", 200, "POST")
    user.call("files?path=in/copy.bin&target=in/deep/moved.bin", 200, "PATCH")
    user.call("files/metadata?path=in/deep/moved.bin", 200, "PATCH", None, {"modification_time": 1603696766000})
    user.call("dirs?path=in&target=out", 200, "PATCH")
    assert user.call("files/metadata?path=out/deep/moved.bin", 200).json["size"] == len(content)
    user.call("files?path=out/data.bin", 200, "DELETE")
    user.call("files?path=out/data.bin", 404)
    user.call("dirs?path=out", 200, "DELETE")
    assert user.call("dirs?path=/", 200).json == []


def test_a_large_file_goes_to_s3_in_parts(deployment, token, bucket):
    user = User(deployment, token, "parts-partner")
    content = os.urandom(1 << 20) * 9
    session = user.call("upload-sessions", 201, "POST", None, {"path": "large.bin", "size": len(content)}).json
    at = f"upload-sessions/{session['id']}"
    assert session["part_count"] == len(session["parts"]) == 2
    size = session["part_size"]
    for part in session["parts"]:
        piece = content[(part["number"] - 1) * size:][:size]
        sent = request(part["url"], "PUT", None, piece)
        assert sent.status == 200 and sent.headers["ETag"], sent
        assert user.call(at, 200).json["received"] == list(range(1, part["number"] + 1))
    user.call("files/metadata?path=large.bin", 404)
    user.call(f"{at}/complete", 201, "POST")
    assert request(user.call("files?path=large.bin", 302).headers["Location"]).body == content
    given_up = user.call("upload-sessions", 201, "POST", None, {"path": "other.bin", "size": len(content)}).json
    user.call(f"upload-sessions/{given_up['id']}", 200, "DELETE")
    assert "Uploads" not in deployment.offline.client("s3").list_multipart_uploads(Bucket=bucket)
    user.call("files?path=large.bin", 200, "DELETE")


def through_the_balancer(port, method, address, body=b"", headers=None):
    """What the balancer makes of a request to the HTTPS door: the same in HTTP, behind a PROXY header."""
    assert address.startswith(f"https://{HTTPS}/"), address
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.sock = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.sock.sendall(b"PROXY TCP4 203.0.113.8 203.0.113.1 40000 443\r\n")
    connection.request(method, address.removeprefix(f"https://{HTTPS}"), body, {"Host": HTTPS, **(headers or {})})
    answer = connection.getresponse()
    try:
        return answer.status, answer.read()
    finally:
        connection.close()


# A balancer: writes who the client is, then passes everything on.
BALANCER = """
import os, socket, sys, threading
node = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
node.sendall(b"PROXY TCP4 203.0.113.7 203.0.113.1 40000 22\\r\\n")
def back():
    while piece := node.recv(65536):
        os.write(1, piece)
    os._exit(0)
threading.Thread(target=back, daemon=True).start()
while piece := os.read(0, 65536):
    node.sendall(piece)
node.shutdown(socket.SHUT_WR)
threading.Event().wait(20)
"""


def test_a_node_runs_with_what_its_task_definition_says(deployment, token, webhook, bucket):
    """The real program with exactly that environment, but for what must differ here: the ports, where AWS is, and that the balancer is
    this machine. A file goes in over SFTP, comes to the bucket, and is announced; the HTTPS door knows the tickets of the API."""
    offline, folder = deployment.offline, deployment.folder
    task = offline.client("ecs").describe_task_definition(taskDefinition=deployment.resources["Sftp", "Task"])
    container = task["taskDefinition"]["containerDefinitions"][0]
    environment = {entry["name"]: entry["value"] for entry in container["environment"]}
    secrets = offline.client("secretsmanager")
    # ministack loses which secrets a container gets, so the template is asked; the root's outputs have the same names
    template = load(INFRA / "stacks/sftp.yaml")["Resources"]["Task"]["Properties"]["ContainerDefinitions"][0]
    assert len(template["Secrets"]) == len(container["secrets"]) == 3
    for secret in unwrapped(template["Secrets"]):
        value = secrets.get_secret_value(SecretId=deployment.outputs[secret["ValueFrom"]["Ref"]])
        environment[secret["Name"]] = value["SecretString"]
    assert environment["TOWPATH_PROXY_TRUSTED"] == "10.87.0.0/24,10.87.1.0/24"
    assert environment["TOWPATH_RESUME_HOURS"] == "72"
    assert environment["TOWPATH_BUCKET_OWNER"] == ACCOUNT
    assert environment["TOWPATH_HTTPS_LISTEN"] == "0.0.0.0:8443"
    keys = offline.keys_with_the_rights_of(deployment.resources["Nodes", "NodeRole"])
    sftp, side, https = free_port(), free_port(), free_port()
    environment.update({
        "TOWPATH_HTTPS_LISTEN": f"127.0.0.1:{https}",
        "TOWPATH_SFTP_LISTEN": f"127.0.0.1:{sftp}", "TOWPATH_METRICS_LISTEN": f"127.0.0.1:{side}",
        "TOWPATH_PROXY_TRUSTED": "127.0.0.1", "AWS_ENDPOINT_URL": offline.endpoint,
        **keys})
    node = Process("protocol-node", [program("protocol-node")], environment, folder)
    try:
        wait_for("the node", lambda: node.alive() and f"listening sftp 127.0.0.1:{sftp}" in node.text())
        assert request(f"http://127.0.0.1:{side}/readyz").status == 200
        users = f"/organizations/{deployment.accounts.organization}/users"
        made = deployment.call(users, "POST", token, {"UserName": "node-partner", "Permission": "full"})
        assert made.status == 201, made
        balancer, askpass = folder / "balancer.py", folder / "askpass"
        balancer.write_text(BALANCER)
        askpass.write_text(f"#!/bin/sh\nprintf '%s\\n' '{made.json['Password']}'\n")
        askpass.chmod(0o700)
        (folder / "hello.txt").write_text("hello\n")
        batch = folder / "batch"
        with (folder / "large").open("wb") as large:
            large.truncate(20 << 20)
        # parts, an append by copying parts, a folder's rename, deletes
        batch.write_text(f"""put {folder}/hello.txt hello.txt
            rename hello.txt bye.txt
            get bye.txt {folder}/back.txt
            mkdir in
            put {folder}/large in/large
            !head -c 1000 /dev/zero >> {folder}/large
            reput {folder}/large in/large
            rename in out
            ls -l out
            get out/large {folder}/large.back
            rm out/large
            rmdir out
            """)
        # BatchMode would forbid passwords; `-b` sets it, and what comes first counts
        sent = subprocess.run(
            ["sftp", "-o", "BatchMode=no", "-b", batch, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
             "-o", "PubkeyAuthentication=no", "-o", f"ProxyCommand={sys.executable} {balancer} {sftp}", "node-partner@towpath"],
            env={"PATH": os.environ["PATH"], "HOME": str(folder), "SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force",
                 "DISPLAY": ":0"},
            capture_output=True, text=True, timeout=60, check=False)
        assert sent.returncode == 0, sent.stderr + node.text()[-3000:]
        assert (folder / "back.txt").read_text() == "hello\n"
        assert (folder / "large.back").stat().st_size == (20 << 20) + 1000
        listed = offline.client("s3").list_objects_v2(Bucket=bucket)["Contents"]
        keys = [entry["Key"] for entry in listed if not entry["Key"].endswith("/")]
        assert keys == [f"{deployment.accounts.organization}/files/home/node-partner/bye.txt"]
        wait_for("the upload's event", lambda: any(b"hello.txt" in body for _, body in webhook.came))
        over_https(deployment, token, https)
        assert '"source-ip":"203.0.113.7"' in node.text(), "the client's address is the one that the balancer named"
    finally:
        node.stop()
    assert node.child.returncode == 0, node.text()[-2000:]
    assert "AccessDenied" not in node.text(), "also not where the node goes on without it"


def over_https(deployment, token, port):
    """Through the API to the node's door: the two share a secret, and nobody comes past the balancer."""
    user = User(deployment, token, "door-partner")
    content = os.urandom(1 << 20) * 10
    address = user.call(f"files/upload?path=big.bin&size={len(content)}", 307, "POST").headers["Location"]
    with pytest.raises(OSError):
        request(f"http://127.0.0.1:{port}{urllib.parse.urlparse(address).path}", "PUT", None, content)
    assert through_the_balancer(port, "PUT", address[:-2] + "AA", content[:10])[0] in (401, 403, 404)
    status, said = through_the_balancer(port, "PUT", address, content)
    assert status == 201, said
    assert user.call("files/metadata?path=big.bin", 200).json["size"] == len(content)
    address = user.call("streamzip", 307, "POST", None, ["/big.bin"]).headers["Location"]
    status, archive = through_the_balancer(port, "POST", address, b'["/big.bin"]', {"Content-Type": "application/json"})
    assert status == 200
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.read("big.bin") == content
    user.call("files?path=big.bin", 200, "DELETE")


def test_no_function_was_refused_anything(deployment):
    """Also not where it goes on without it."""
    for function in ["Management", "Token", "Files", "Share", "Webhook", "Housekeeping"]:
        log = deployment.log(function, 10_000_000)
        assert "REPORT" in log or "answered" in log, f"{function} has no log"
        assert "AccessDenied" not in log and "not authorized" not in log, function


def test_what_cannot_be_made_again_survives_its_stack(offline):
    """Each by itself: ministack forgets DeletionPolicy in nested stacks."""
    cloudformation = offline.client("cloudformation")
    kept = {}
    for name, parameters in [("data", {"ExistingBucket": "", "ResumeDays": "1", "CorsOrigin": ""}),
                             ("secrets", {"HttpsDoor": "yes"})]:
        cloudformation.create_stack(
            StackName=f"kept-{name}", TemplateBody=(INFRA / "stacks" / f"{name}.yaml").read_text(),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()])
        cloudformation.get_waiter("stack_create_complete").wait(StackName=f"kept-{name}", WaiterConfig={"Delay": 1})
        kept.update(offline.resources(f"kept-{name}"))
        cloudformation.delete_stack(StackName=f"kept-{name}")
        cloudformation.get_waiter("stack_delete_complete").wait(StackName=f"kept-{name}", WaiterConfig={"Delay": 1})
    assert kept["", "Table"] in offline.client("dynamodb").list_tables()["TableNames"]
    assert kept["", "Bucket"] in [bucket["Name"] for bucket in offline.client("s3").list_buckets()["Buckets"]]
    queues = [url.split("/")[-1] for url in offline.client("sqs").list_queues().get("QueueUrls", [])]
    for queue, stays in [("EventsQueue", False), ("EventsDeadQueue", True), ("JobsQueue", False), ("JobsDeadQueue", True)]:
        assert (kept["", queue].split("/")[-1] in queues) == stays, queue
    secrets = [secret["Name"] for secret in offline.client("secretsmanager").list_secrets()["SecretList"]]
    for secret in ["SealingSecret", "SigningPassphrase", "HostKeySecret", "OperatorPassword", "AdminPassword", "RootPassword"]:
        assert kept["", secret] in secrets, secret
        assert len(offline.client("secretsmanager").get_secret_value(
            SecretId=kept["", secret])["SecretString"]) >= 32


def test_removing_the_deployment_removes_what_runs(deployment):
    """The last test. (Not by `sam delete`, which takes addresses of S3 itself alone.)"""
    offline = deployment.offline
    cloudformation = offline.client("cloudformation")
    cloudformation.delete_stack(StackName=STACK)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})
    assert offline.client("lambda").list_functions()["Functions"] == []
    assert offline.client("apigatewayv2").get_apis()["Items"] == []
    assert offline.client("ecs").list_clusters()["clusterArns"] == []

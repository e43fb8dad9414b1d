"""Roles, the table of permissions and the programs' calls say the same.

What a program calls is read from the program: an SDK operation is in its symbols if and only if the linker found a way to it from
`main`. So this needs no traffic that happens to reach everything. What it cannot see: the resource of a call (each program
knows one table, one bucket and its queues by name, so there is no choice), the key that is asked for, and whether a way that exists is
ever taken.
"""

import functools
import re
import subprocess

import pytest
import yaml

from offline import ROOT, program
from templates import INFRA, load, unwrapped

PERMISSIONS = yaml.safe_load((INFRA / "permissions.yaml").read_text())
ROLES = {"management": ("functions.yaml", "ManagementRole"), "token": ("functions.yaml", "TokenRole"),
         "files": ("functions.yaml", "FilesRole"), "share": ("functions.yaml", "ShareRole"),
         "webhook": ("functions.yaml", "WebhookRole"),
         "housekeeping": ("functions.yaml", "HousekeepingRole"), "setup": ("setup.yaml", "SetupRole"), "node": ("nodes.yaml", "NodeRole")}
PROGRAMS = {part: "protocol-node" if part == "node" else part for part in ROLES}
BUILT = [part for part in ROLES if part == "node" or (ROOT / "functions/src/bin" / f"{part}.rs").exists()]
AWS_IN_ITS_NAME = ("Lambda:", "S3:")

# Resources as the templates write them.
RESOURCES = {
    "{'Ref': 'TableArn'}": "table",
    "{'Fn::Sub': '${TableArn}/index/sweep'}": "index",
    "{'Ref': 'BucketArn'}": "bucket",
    "{'Fn::Sub': '${BucketArn}/*/files/*'}": "files",
    "{'Fn::Sub': '${BucketArn}/*/exports/*'}": "exports",
    "{'Ref': 'BucketKeyArn'}": "bucket-key",
    "{'Ref': 'EventsQueueArn'}": "events-queue",
    "{'Ref': 'SlowEventsQueueArn'}": "slow-events-queue",
    "{'Ref': 'JobsQueueArn'}": "jobs-queue",
    "{'Ref': 'EventBusArn'}": "event-bus",
    "{'Fn::Sub': 'arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:identity/*'}": "mail",
}

# What an operation needs: https://docs.aws.amazon.com/service-authorization/
NEEDS = {
    "dynamodb BatchGetItem": [("table", "dynamodb:BatchGetItem")],
    "dynamodb BatchWriteItem": [("table", "dynamodb:BatchWriteItem")],
    "dynamodb DeleteItem": [("table", "dynamodb:DeleteItem")],
    "dynamodb GetItem": [("table", "dynamodb:GetItem")],
    "dynamodb PutItem": [("table", "dynamodb:PutItem")],
    "dynamodb Query": [("table", "dynamodb:Query")],
    "dynamodb UpdateItem": [("table", "dynamodb:UpdateItem")],
    # a transaction needs what is in it, see WRITES
    "dynamodb TransactWriteItems": [],
    "s3 AbortMultipartUpload": [("files", "s3:AbortMultipartUpload")],
    "s3 CompleteMultipartUpload": [("files", "s3:PutObject")],
    "s3 CopyObject": [("files", "s3:GetObject"), ("files", "s3:PutObject")],
    "s3 CreateMultipartUpload": [("files", "s3:PutObject")],
    "s3 DeleteObject": [("files", "s3:DeleteObject")],
    "s3 GetObject": [("files", "s3:GetObject")],
    "s3 HeadObject": [("files", "s3:GetObject"), ("bucket", "s3:ListBucket")],
    "s3 ListMultipartUploads": [("bucket", "s3:ListBucketMultipartUploads")],
    "s3 ListObjectsV2": [("bucket", "s3:ListBucket")],
    "s3 ListParts": [("files", "s3:ListMultipartUploadParts")],
    "s3 PutObject": [("files", "s3:PutObject")],
    "s3 UploadPart": [("files", "s3:PutObject")],
    "s3 UploadPartCopy": [("files", "s3:GetObject"), ("files", "s3:PutObject")],
    "eventbridge PutEvents": [("event-bus", "events:PutEvents")],
    "sesv2 SendEmail": [("mail", "ses:SendEmail"), ("mail", "ses:SendRawEmail")],
    # to which queue, see QUEUES
    "sqs SendMessageBatch": [],
    # linked into every program with the SDK's clients: directory buckets and roles of profiles, neither of which exist here
    "s3 CreateSession": [],
    "sts AssumeRole": [],
    "sts AssumeRoleWithWebIdentity": [],
}
WRITES = {"Put": "dynamodb:PutItem", "Update": "dynamodb:UpdateItem", "Delete": "dynamodb:DeleteItem",
          "ConditionCheck": "dynamodb:ConditionCheckItem"}

# Who makes tables of events, which lie beside the files: what that needs of S3.
EXPORTS = {"store::objects::exports::": {"presign_export": ["s3:GetObject"],
                                         "begin_export": ["s3:PutObject"], "put_export": ["s3:PutObject"],
                                         "read_export": ["s3:GetObject", "s3:ListMultipartUploadParts"],
                                         "delete_export": ["s3:DeleteObject"]}}
# Who has nothing to do with files: what it asks of S3 is about these tables.
NO_FILES = ["management"]

# Who sends to which.
QUEUES = {"events-queue": "store::messages::Messages::send::", "slow-events-queue": "store::messages::Messages::send_slow::",
          "jobs-queue": "store::messages::JobMessages::send"}


def statements(part):
    """Also those that a condition may leave out."""
    file, role = ROLES[part]
    policies = load(INFRA / "stacks" / file)["Resources"][role]["Properties"]["Policies"]
    for policy in policies:
        yield from unwrapped(policy["PolicyDocument"]["Statement"])


def granted(part):
    found = {}
    for statement in statements(part):
        assert statement["Effect"] == "Allow"
        resource = str(statement["Resource"])
        log = re.fullmatch(r"\{'Fn::GetAtt': \['(\w+)Log', 'Arn'\]\}", resource)
        name = "log" if log and log.group(1).lower() == part else RESOURCES.get(resource)
        assert name, f"{part}: the resource {resource} has no name here"
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert not found.setdefault(name, set()) & set(actions), f"{part}: twice on {name}"
        found[name] |= set(actions)
    return found


@functools.cache
def symbols(part):
    path = program(PROGRAMS[part])
    listed = subprocess.run(["nm", "-C", path], check=True, capture_output=True, text=True).stdout
    assert "aws_sdk_dynamodb" in listed, f"{path} has no symbols: this needs a debug build"
    return listed


def operations(part):
    # what is only signed, for somebody else to send, stops before it is sent
    found = re.findall(r"aws_sdk_(\w+)::operation::\w+::(\w+)::orchestrate(?:_with_stop_point)?\b", symbols(part))
    return {f"{service} {operation}" for service, operation in found}


def called(part):
    found = set()
    for operation in operations(part):
        assert operation in NEEDS, f"{part} calls {operation}: say in NEEDS which permission that is"
        found |= set(NEEDS[operation])
    if part in NO_FILES:
        found -= {(resource, action) for resource, action in found if resource in ["files", "bucket"]}
    for module, needs in EXPORTS.items():
        for name, actions in needs.items():
            # a method of `Objects`, as the linker names it
            if re.search(rf"<impl store::objects::Objects>::{name}\b|{module}.*{name}\b", symbols(part)):
                found |= {("exports", action) for action in actions}
    if "dynamodb TransactWriteItems" in operations(part):
        kinds = set(re.findall(r"aws_sdk_dynamodb::types::_\w+::(Put|Update|Delete|ConditionCheck)Builder::build\b", symbols(part)))
        assert kinds, f"{part} writes transactions of nothing"
        found |= {("table", WRITES[kind]) for kind in kinds}
    if any(asks in symbols(part) for asks in ["store::intents::Intents::overdue", "store::jobs::Jobs::due", "Records::due_deliveries"]):
        found.add(("index", "dynamodb:Query"))
    sends = {queue for queue, sender in QUEUES.items() if sender in symbols(part)}
    assert bool(sends) == ("sqs SendMessageBatch" in operations(part)), f"{part} sends to {sends}"
    found |= {(queue, "sqs:SendMessage") for queue in sends}
    return found


@pytest.mark.parametrize("part", ROLES)
def test_the_role_is_what_the_table_says(part):
    assert granted(part) == {resource: set(actions) for resource, actions in PERMISSIONS[part].items()}


@pytest.mark.parametrize("part", BUILT)
def test_the_table_is_what_the_program_calls(part):
    own = {(resource, action) for resource, actions in PERMISSIONS[part].items() for action, why in actions.items()
           if not why.startswith(AWS_IN_ITS_NAME)}
    assert own == called(part)


def test_four_places_ask_the_index():
    """What `called` looks for."""
    found = [path.name for path in (ROOT / "store/src").rglob("*.rs")
             for _ in re.finditer(r"\.index_name\(", path.read_text())]
    assert sorted(found) == ["create.rs", "deliveries.rs", "intents.rs", "jobs.rs", "retention.rs"], "one makes it"


def every_role():
    for path in sorted((INFRA / "stacks").glob("*.yaml")):
        for name, resource in load(path)["Resources"].items():
            if resource["Type"] == "AWS::IAM::Role":
                yield path.name, name, resource["Properties"]


def test_no_role_has_more_than_its_policies():
    for file, name, role in every_role():
        assert not {"ManagedPolicyArns", "PermissionsBoundary"} & set(role), (file, name)


def test_wildcards_are_those_that_cannot_be_names():
    allowed = {("StartRole", "*", ("ecr:GetAuthorizationToken",)),
               ("WebhookRole", "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:identity/*", None),
               *((role, "${BucketArn}/*/files/*", None) for role in ["FilesRole", "ShareRole", "HousekeepingRole", "NodeRole"]),
               *((role, "${BucketArn}/*/exports/*", None) for role in ["ManagementRole", "HousekeepingRole"])}
    for file, name, role in every_role():
        for policy in role["Policies"]:
            for statement in unwrapped(policy["PolicyDocument"]["Statement"]):
                actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                assert not any("*" in action for action in actions), (file, name, actions)
                resource = statement["Resource"]
                resource = resource.get("Fn::Sub", "") if isinstance(resource, dict) else resource
                if "*" in str(resource):
                    assert {(name, resource, tuple(actions)), (name, resource, None)} & allowed, (file, name, resource)

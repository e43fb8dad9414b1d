"""The templates are in order, and agree with the programs where both say the same thing."""

import os
import re
import subprocess
import sys

import pytest

from offline import ROOT
from templates import INFRA, load, stacks, unwrapped

ALL = [INFRA / "template.yaml", *sorted((INFRA / "stacks").glob("*.yaml"))]
SAM = os.environ["TOWPATH_SAM"]


def source(path):
    return (ROOT / path).read_text()


def constant(path, name):
    found = re.search(rf"\b{name}: \w+ = ([\d_]+);", source(path))
    assert found, f"{path} has no number {name} any more"
    return int(found.group(1).replace("_", ""))


def test_cfn_lint_finds_nothing():
    lint = os.path.join(os.path.dirname(sys.executable), "cfn-lint")
    done = subprocess.run([lint, "--regions", "us-east-1", "eu-west-1",
                           "--", *ALL], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_sam_finds_them_valid(path, tmp_path):
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "SAM_CLI_TELEMETRY": "0", "AWS_REGION": "us-east-1",
                   "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "HTTPS_PROXY": "http://127.0.0.1:9"}
    done = subprocess.run([SAM, "validate", "--lint", "--template-file", path], env=environment, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_stacks_get_the_parameters_that_they_have_and_no_others():
    for name, resource in load(INFRA / "template.yaml")["Resources"].items():
        given = set(resource["Properties"].get("Parameters", {}))
        assert given == set(load(INFRA / resource["Properties"]["TemplateURL"]).get("Parameters", {})), name


def test_outputs_that_are_asked_for_are_there():
    root = load(INFRA / "template.yaml")
    files = {name: resource["Properties"]["TemplateURL"] for name, resource in root["Resources"].items()}
    asked = set(re.findall(r"'Fn::GetAtt': \['(\w+)', 'Outputs\.(\w+)'\]", str(root)))
    assert len(asked) > 20
    for stack, output in asked:
        assert output in load(INFRA / files[stack])["Outputs"], (stack, output)


def routes_of(path, **prefixes):
    """Every path of a router. `prefixes` says, for each function in which paths are put together, with what each of them begins."""
    found = []
    for function in re.split(r"^(?=(?:pub(?:\(crate\))? )?fn )", source(path), flags=re.MULTILINE)[1:]:
        name = re.search(r"fn (\w+)", function).group(1)
        routes = re.findall(r'\.route\(\s*(?:(&path\()?"([^"]+)"|(one),)', function)
        assert len(routes) == len(re.findall(r"\.route\(", function)), f"{path}: a route of {name} is written in another way"
        for built, written, one in routes:
            if one:
                found += re.findall(r'let one = "([^"]+)";', function)
            elif built:
                found += [prefix + written for prefix in prefixes[name]]
            else:
                found.append(written)
    assert len(found) == len(set(found))
    return found


def test_routes_lead_to_the_function_that_serves_them():
    """API Gateway takes the most particular route; here each path of the programs' routers is asked."""
    functions = stacks()["functions.yaml"]["Resources"]
    routes = {resource["Properties"]["RouteKey"].removeprefix("ANY "): resource["Properties"]["Target"]["Fn::Sub"]
              for resource in functions.values() if resource["Type"] == "AWS::ApiGatewayV2::Route"}

    def function(path):
        if path in routes:
            found = routes[path]
        else:
            greedy = [key for key in routes if key.endswith("{proxy+}") and path.startswith(key.removesuffix("{proxy+}"))]
            assert greedy, f"no route leads to {path}"
            found = routes[max(greedy, key=len)]
        return re.fullmatch(r"integrations/\$\{(\w+)Integration\}", found).group(1)

    tokens = routes_of("functions/src/token.rs")
    assert len(tokens) == 5
    assert {path: function(path) for path in tokens} == dict.fromkeys(tokens, "Token")
    assert {key for key, target in routes.items() if "Token" in target} == set(tokens), "and nothing else is the token function's"
    files = routes_of("functions/src/files.rs", routes=["/api/v2/user"])
    assert len(files) >= 10 and "/api/v2/user/upload-sessions/{id}/complete" in files
    assert {path: function(path) for path in files} == dict.fromkeys(files, "Files")
    asked = {max((key for key in routes if key == path or key.endswith("/{proxy+}") and path.startswith(key.removesuffix("{proxy+}"))),
                 key=len) for path in files}
    assert {key for key, target in routes.items() if "Files" in target} == asked, "and nothing else is that of files"
    share = routes_of("functions/src/share.rs")
    assert len(share) == 8 and {path: function(path) for path in share} == dict.fromkeys(share, "Share")
    theirs = routes_of("functions/src/sftpgo.rs", resources=["/api/v2"], second_factors=["/api/v2/admin", "/api/v2/user"])
    ours = routes_of("functions/src/management.rs", resources=["/organizations/{organization}"])
    assert {"/api/v2/users", "/api/v2/apikeys/{id}", "/api/v2/user/totp/save"} <= set(theirs) and len(theirs) >= 30
    assert {"/organizations", "/organizations/{organization}"} <= set(ours) and len(ours) >= 15
    public = routes_of("functions/src/docs.rs")
    assert {"/openapi.json", "/openapi-3.0.json", "/docs"} <= set(public)
    everything = theirs + ours + public
    assert {path: function(path) for path in everything} == dict.fromkeys(everything, "Management")


def test_the_table_is_the_one_that_the_programs_make():
    table = stacks()["data.yaml"]["Resources"]["Table"]["Properties"]
    text = source("store/src/table.rs") + source("store/src/table/create.rs")
    name = {key: re.search(rf'const {key}: &str = "(\w+)";', text).group(1)
            for key in ["PK", "SK", "TTL", "SWEEP_INDEX", "SWEEP_SHARD", "SWEEP_AT"]}
    types = {attribute["AttributeName"]: attribute["AttributeType"] for attribute in table["AttributeDefinitions"]}
    made = re.findall(r"\.attribute_definitions\(attribute\((\w+), ScalarAttributeType::(\w)\)", text)
    assert types == {name[key]: kind for key, kind in made} and len(made) == 4
    keys = [[key["AttributeName"], key["KeyType"]] for key in table["KeySchema"]]
    assert keys == [[name["PK"], "HASH"], [name["SK"], "RANGE"]]
    [index] = table["GlobalSecondaryIndexes"]
    assert index["IndexName"] == name["SWEEP_INDEX"] and index["Projection"]["ProjectionType"] == "ALL"
    assert [key["AttributeName"] for key in index["KeySchema"]] == [name["SWEEP_SHARD"], name["SWEEP_AT"]]
    assert table["TimeToLiveSpecification"] == {"AttributeName": name["TTL"], "Enabled": True}
    assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] and table["SSESpecification"]["SSEEnabled"]


def test_queues_fit_their_functions():
    data, functions = stacks()["data.yaml"]["Resources"], stacks()["functions.yaml"]["Resources"]
    for queue, function in [("EventsQueue", "Webhook"), ("SlowEventsQueue", "Webhook"), ("JobsQueue", "Housekeeping")]:
        visible, timeout = data[queue]["Properties"]["VisibilityTimeout"], functions[function]["Properties"]["Timeout"]
        assert visible >= 6 * timeout, "what AWS asks for"
    receives = data["EventsQueue"]["Properties"]["RedrivePolicy"]["maxReceiveCount"]
    assert receives == constant("store/src/resources.rs", "MAX_RECEIVES")
    assert data["EventsQueue"]["Properties"]["VisibilityTimeout"] >= constant("store/src/resources.rs", "VISIBILITY_SECONDS")
    mapping = functions["WebhookFromQueue"]["Properties"]
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["BatchSize"] == constant("functions/src/webhook.rs", "AT_ONCE"), "all of a batch side by side"


def test_what_nobody_can_make_again_is_retained():
    kept = {("data.yaml", "AWS::DynamoDB::Table"), ("data.yaml", "AWS::S3::Bucket"), ("data.yaml", "AWS::S3::BucketPolicy"),
            ("secrets.yaml", "AWS::SecretsManager::Secret")}
    for file, template in stacks().items():
        for name, resource in template["Resources"].items():
            # what it signs counts for a minute
            if name == "TicketSecret":
                continue
            if (file, resource["Type"]) in kept or name.endswith("DeadQueue"):
                policies = {resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy")}
                assert policies == {"Retain"}, (file, name)


def test_uploads_that_nodes_keep_are_not_aborted_by_the_bucket():
    """A week for the upload itself, on top of how long it is kept afterwards."""
    days = {key: int(value["AbortDays"]) for key, value in stacks()["data.yaml"]["Mappings"]["Resume"].items()}
    allowed = load(INFRA / "template.yaml")["Parameters"]["ResumeDays"]["AllowedValues"]
    assert list(days) == allowed
    for file in ["sftp.yaml", "ftps-slot.yaml"]:
        hours = {key: int(value["Hours"]) for key, value in stacks()[file]["Mappings"]["Resume"].items()}
        assert hours == {key: 24 * int(key) for key in allowed}
        assert all(days[key] * 24 >= hours[key] + 7 * 24 for key in allowed)


def containers():
    for file in ["sftp.yaml", "ftps-slot.yaml"]:
        for container in stacks()[file]["Resources"]["Task"]["Properties"]["ContainerDefinitions"]:
            if container["Name"] == "node":
                yield file, container


def variables(container):
    return {entry["Name"]: entry["Value"] for entry in unwrapped(container["Environment"])}


def test_a_node_can_stop_in_time():
    """Twice the time for transfers, and what main.rs and the doors take after that."""
    text = source("protocol-node/src/main.rs")
    settling, farewell = (int(re.search(rf"const {name}: Duration = Duration::from_secs\((\d+)\)", text).group(1))
                          for name in ["SETTLING", "FAREWELL"])
    for file, container in containers():
        drain = int(variables(container)["TOWPATH_DRAIN_SECONDS"])
        # docs/SETTINGS.md: 20 s for clean-ups
        assert 2 * drain + 20 + settling + farewell <= container["StopTimeout"] <= 120, file


def test_variables_are_settings():
    """Every TOWPATH_ name in the templates is one that the programs read."""
    asked = source("docs/SETTINGS.md")
    for path in ALL:
        for name in set(re.findall(r"\bTOWPATH_[A-Z_]+\b", path.read_text())):
            assert f"`{name}`" in asked, (path.name, name)


def test_nodes_have_memory_for_their_budget_and_their_connections():
    """docs/SETTINGS.md: 96 MiB for the program, 19 for each core, up to 1.25 MiB for each session."""
    for file in ["sftp.yaml", "ftps-slot.yaml"]:
        for name, size in stacks()[file]["Mappings"]["Size"].items():
            cores = -(-int(size["Cpu"]) // 1024)
            left = int(size["Memory"]) - int(size["Budget"]) - 96 - 19 * cores
            assert left >= 0.5 * int(size["Connections"]), (file, name, left)


def test_the_two_kinds_of_nodes_are_the_same_where_they_can_be():
    (_, sftp), (_, ftps) = containers()
    common = {name for name in variables(sftp) if not name.startswith("TOWPATH_HTTPS_")}
    assert {name: variables(ftps)[name] for name in common} == {name: variables(sftp)[name] for name in common}
    assert {name for name in set(variables(ftps)) - common if not name.startswith("TOWPATH_FTPS_")} == set()
    assert sftp["ReadonlyRootFilesystem"] and ftps["ReadonlyRootFilesystem"]
    assert sftp["User"] == ftps["User"] != "0:0"
    assert stacks()["sftp.yaml"]["Mappings"] == stacks()["ftps-slot.yaml"]["Mappings"]


def test_balancers_and_nodes_agree_on_headers_and_ports():
    for file, container in containers():
        resources = stacks()[file]["Resources"]
        environment = variables(container)
        assert environment["TOWPATH_PROXY_PROTOCOL"] == "required"
        groups = [r["Properties"] for r in resources.values() if r["Type"] == "AWS::ElasticLoadBalancingV2::TargetGroup"]
        for group in groups:
            attributes = {attribute["Key"]: attribute["Value"] for attribute in group["TargetGroupAttributes"]}
            assert attributes["proxy_protocol_v2.enabled"] == "true" and attributes["preserve_client_ip.enabled"] == "false"
            # an HTTP probe would begin with a PROXY header as well, and fail
            assert group["HealthCheckProtocol"] == "TCP" and group.get("HealthCheckPort") in (None, "2121")
        ports = {group["Port"] for group in groups}
        listened = {int(environment[name].rsplit(":", 1)[1]) for name in environment if name.endswith("_LISTEN")} - {9464}
        assert environment["TOWPATH_METRICS_LISTEN"] == "127.0.0.1:9464", "for the container's own health check alone"
        if file == "sftp.yaml":
            assert ports == listened == {2222, 8443}
        else:
            first, last = map(int, environment["TOWPATH_FTPS_PASSIVE_PORTS"].split("-"))
            assert ports == (listened - {2222}) | set(range(first, last + 1))
            assert len(ports) <= 5, "an ECS service takes five target groups"
        mapped = {port["ContainerPort"] for port in unwrapped(container["PortMappings"])}
        served = {balanced["ContainerPort"] for balanced in unwrapped(resources["Service"]["Properties"]["LoadBalancers"])}
        assert mapped == served == ports


def test_nodes_are_reached_through_their_balancers_alone():
    for file, _ in containers():
        resources = stacks()[file]["Resources"]
        nodes, balancer = (resources[name]["Properties"] for name in ["NodeDoor", "BalancerDoor"])
        [group] = resources["Service"]["Properties"]["NetworkConfiguration"]["AwsvpcConfiguration"]["SecurityGroups"]
        assert group == {"Ref": "NodeDoor"}
        let_in = unwrapped(nodes["SecurityGroupIngress"])
        assert all(rule["SourceSecurityGroupId"] == {"Ref": "BalancerDoor"} and "CidrIp" not in rule for rule in let_in), file
        ports = [(rule["FromPort"], rule["ToPort"]) for rule in let_in]
        assert ports == [(rule["FromPort"], rule["ToPort"]) for rule in unwrapped(balancer["SecurityGroupEgress"])]
        targets = {r["Properties"]["Port"] for r in resources.values() if r["Type"] == "AWS::ElasticLoadBalancingV2::TargetGroup"}
        assert targets == {port for first, last in ports for port in range(first, last + 1)}
        doors = {r["Properties"]["Port"] for r in resources.values() if r["Type"] == "AWS::ElasticLoadBalancingV2::Listener"}
        assert doors == {port for rule in unwrapped(balancer["SecurityGroupIngress"])
                         for port in range(rule["FromPort"], rule["ToPort"] + 1)}


def test_the_https_door_is_whole_or_not_there():
    """Each piece of it has the condition, and the balancer ends TLS exactly where the node is told so."""
    sftp, functions = stacks()["sftp.yaml"]["Resources"], stacks()["functions.yaml"]["Resources"]
    node = sftp["Task"]["Properties"]["ContainerDefinitions"][0]
    listener, targets = sftp["HttpsListener"]["Properties"], sftp["HttpsTargets"]["Properties"]
    assert (listener["Protocol"], targets["Protocol"], variables(node)["TOWPATH_HTTPS_TLS"]) == ("TLS", "TCP", "balancer")
    assert variables(node)["TOWPATH_HTTPS_PROXY_PROTOCOL"] == "required" and listener["Certificates"]
    assert {sftp[name]["Condition"] for name in ["HttpsListener", "HttpsTargets"]} == {"HasHttps"}
    places = [node["Environment"], node["Secrets"], node["PortMappings"], sftp["Service"]["Properties"]["LoadBalancers"],
              *(sftp[door]["Properties"][rules] for door, rules in [
                  ("BalancerDoor", "SecurityGroupIngress"), ("BalancerDoor", "SecurityGroupEgress"),
                  ("NodeDoor", "SecurityGroupIngress")])]
    for entries in places:
        found = [entry for entry in entries if "HTTPS" in str(entry) or "TICKET" in str(entry) or "8443" in str(entry)]
        assert found and all(entry["Fn::If"][0] == "HasHttps" for entry in found), entries
    for function in ["Files", "Share"]:
        told = functions[function]["Properties"]["Environment"]["Variables"]
        for name in ["TOWPATH_HTTPS_URL", "TOWPATH_TICKET_SECRET"]:
            assert told[name]["Fn::If"][0] == "HasHttps", name
    for name, function in functions.items():
        if function["Type"] == "AWS::Lambda::Function" and name not in ("Files", "Share"):
            told = set(function["Properties"]["Environment"]["Variables"])
            assert "TOWPATH_TICKET_SECRET" not in told, name
            # jobs work on files; the management signs addresses of what they have made
            assert ("TOWPATH_BUCKET" in told) == (name in ("Housekeeping", "Management")), name


def test_the_function_for_files_has_memory_for_its_budget():
    """What app/src/budget.rs takes at least, the program, and a request of Lambda's largest four times."""
    largest = int(re.search(r"LARGEST_PART_BYTES: usize = (\d+) \* MIB;", source("domain/src/upload.rs")).group(1))
    assert "LARGEST_PART_BYTES / 3 * 4 / (1024 * 1024) + 1" in source("app/src/budget.rs")
    for function in ["Files", "Share"]:
        properties = stacks()["functions.yaml"]["Resources"][function]["Properties"]
        assert properties["MemorySize"] >= largest * 4 // 3 + 1 + 96 + 4 * 6
        assert properties["MemorySize"] >= 256


def test_functions_answer_before_api_gateway_gives_up():
    functions = stacks()["functions.yaml"]["Resources"]
    asked = {resource["Properties"]["IntegrationUri"]["Fn::GetAtt"][0] for resource in functions.values()
             if resource["Type"] == "AWS::ApiGatewayV2::Integration"}
    assert asked == {"Management", "Token", "Files", "Share"}
    assert {functions[name]["Properties"]["Timeout"] for name in asked} == {29}


def test_pages_may_send_parts_and_read_their_tags():
    [rule] = stacks()["data.yaml"]["Resources"]["Bucket"]["Properties"]["CorsConfiguration"]["Fn::If"][1]["CorsRules"]
    assert {"GET", "PUT"} == set(rule["AllowedMethods"]) and rule["ExposedHeaders"] == ["ETag"]
    assert rule["AllowedOrigins"] == [{"Ref": "CorsOrigin"}]


def test_package_and_template_name_the_same_archives():
    sys.path.insert(0, str(INFRA))
    import package
    codes = {resource["Properties"]["Code"] for stack in ["functions.yaml", "setup.yaml"]
             for resource in stacks()[stack]["Resources"].values() if resource["Type"] == "AWS::Lambda::Function"}
    assert codes == {f"../build/{name}.zip" for name in package.FUNCTIONS}


def test_parameters_are_documented():
    text = source("docs/DEPLOY.md")
    for name in load(INFRA / "template.yaml")["Parameters"]:
        assert f"`{name}`" in text, name
    for name in re.findall(r"`([A-Z]\w+)=", text):
        assert name in load(INFRA / "template.yaml")["Parameters"], name


def test_each_alarm_says_what_to_do():
    alarms = [name for name, resource in stacks()["watch.yaml"]["Resources"].items() if resource["Type"] == "AWS::CloudWatch::Alarm"]
    headings = re.findall(r"^### (.+)$", source("docs/OPERATING.md").split("\n## Alarms\n")[1].split("\n## ")[0], re.MULTILINE)
    assert sorted(name for heading in headings for name in heading.split(", ")) == sorted(alarms)


def test_the_cost_counts_the_alarms_that_there_are():
    alarms = [resource.get("Condition") for resource in stacks()["watch.yaml"]["Resources"].values()
              if resource["Type"] == "AWS::CloudWatch::Alarm"]
    text = source("docs/DEPLOY.md")
    assert f"| {alarms.count(None)} × 0.10 |" in text and f"| {alarms.count('HasNodes')} × 0.10 |" in text

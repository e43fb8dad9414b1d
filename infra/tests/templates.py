"""Reading the templates: CloudFormation's short forms (`!Ref x`) become what they stand for ({"Ref": "x"})."""

import pathlib

import yaml

INFRA = pathlib.Path(__file__).resolve().parents[1]


class Loader(yaml.SafeLoader):
    pass


def short_form(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", short_form)


def load(path):
    return yaml.load(path.read_text(), Loader)


def unwrapped(entries):
    """The entries of a list, also those that a condition may leave out."""
    return [entry["Fn::If"][1] if "Fn::If" in entry else entry for entry in entries]


def stacks():
    """{file name: template} of the nested ones."""
    return {path.name: load(path) for path in sorted((INFRA / "stacks").glob("*.yaml"))}

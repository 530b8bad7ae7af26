"""Extracts the arguments and blocks of resources from the prebuilt AWS provider of CDK for Terraform, which is generated from
the provider's own schema. .ci/terraform calls it, because neither Terraform nor its providers are on a package registry.

    provider_schema.py PACKAGE.tgz CONFIGURATION > tests/fixtures/terraform/provider-schema.json

The schema has the types of resources and data sources that the configuration uses, and no others.
"""

import json
import re
import sys
import tarfile
from pathlib import Path

DECLARED = re.compile(r'^(resource|data) "(aws_[a-z0-9_]+)"', re.M)
# A function or method that lists the arguments of a block: the name of the function, and the entries.
LISTS = re.compile(
    r"(?:^function (\w+)ToHclTerraform\(struct\)|^    (synthesizeHclAttributes)\(\)) \{.*?const attrs = \{\n(.*?)^ +\};",
    re.M | re.S,
)
ENTRY = re.compile(r"^( +)(\w+): \{\n +value: ([^\n]*),\n +isBlock: (true|false),", re.M)
MAPPER = re.compile(r"(\w+)ToHclTerraform")
# An interface of a configuration, and its members with the name in Terraform.
INTERFACE = re.compile(r"^export interface (\w+?)(?: extends [\w.]+)? \{\n(.*?)^\}", re.M | re.S)
ATTRIBUTE = re.compile(r"^    // (\w+) - computed: ", re.M)
MEMBER = re.compile(r"#(\w+) \w+#\w+\}.*?readonly \w+(\??):", re.S)


def folder_of(kind: str, name: str) -> str:
    name = name.removeprefix("aws_").replace("_", "-")
    return f"data-aws-{name}" if kind == "data" else name


def block(interface: str, lists: dict, required: dict) -> dict:
    """The arguments and blocks that an interface declares."""
    found: dict = {"arguments": [], "blocks": {}, "required": sorted(required.get(interface, []))}
    for name, value, is_block in lists[interface]:
        mapper = [m for m in MAPPER.findall(value) if m[:1].lower() + m[1:] in lists]
        if is_block and mapper:
            found["blocks"][name] = block(mapper[0], lists, required)
        else:
            found["arguments"].append(name)
    found["arguments"].sort()
    return {key: value for key, value in found.items() if value}


def schema(code: str, types: str) -> tuple[str, dict]:
    """The version of the provider, and the schema of one resource or data source."""
    lists = {}
    for function, method, entries in LISTS.findall(code):
        found = ENTRY.findall(entries)
        indent = min((len(spaces) for spaces, *_ in found), default=0)
        found = [(name, value, is_block == "true") for spaces, name, value, is_block in found if len(spaces) == indent]
        lists["" if method else function] = found
    required = {}
    for interface, members in INTERFACE.findall(types):
        names = {name for name, optional in MEMBER.findall(members) if not optional}
        key = "" if interface.endswith("Config") and interface[:1].lower() + interface[1:] not in lists else interface
        required[key[:1].lower() + key[1:]] = names
    version = re.search(r"providerVersion: '([^']+)'", code)
    # The last class is the resource itself. What other resources may refer to are its arguments and what is computed.
    resource = code[code.rindex("\nclass ") :]
    found = block("", lists, required)
    found["attributes"] = sorted(set(ATTRIBUTE.findall(resource)))
    return version.group(1) if version else "", found


def main() -> None:
    package, configuration = Path(sys.argv[1]), Path(sys.argv[2])
    used = set()
    for file in configuration.rglob("*.tf"):
        used.update(DECLARED.findall(file.read_text()))
    sources: dict = {f"package/lib/{folder_of(kind, name)}/index{end}": "" for kind, name in used for end in (".js", ".d.ts")}
    with tarfile.open(package, "r|gz") as archive:
        for member in archive:
            if member.name in sources:
                sources[member.name] = archive.extractfile(member).read().decode()
    result: dict = {"provider": "", "resource": {}, "data": {}}
    for kind, name in sorted(used):
        code, types = (sources[f"package/lib/{folder_of(kind, name)}/index{end}"] for end in (".js", ".d.ts"))
        if not code or not types:
            sys.exit(f"error: the provider has no {kind} {name}")
        version, found = schema(code, types)
        result["provider"] = result["provider"] or version
        if version != result["provider"]:
            sys.exit(f"error: {name} is of version {version}, and others of {result['provider']}")
        result[kind][name] = found
    if not result["resource"]:
        sys.exit(f"error: {configuration} has no resources")
    json.dump(result, sys.stdout, indent=1, sort_keys=True)
    print()


main()

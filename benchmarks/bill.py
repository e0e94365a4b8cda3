"""A bill of materials of this environment, as CycloneDX 1.5: `python benchmarks/bill.py > bill.json`."""

from __future__ import annotations

import hashlib
import json
import re
from importlib.metadata import Distribution, distributions
from typing import Any

REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def name_of(text: str) -> str:
    """A package's name as an index writes it."""
    return re.sub(r"[-_.]+", "-", text).lower()


def reference(found: Distribution) -> str:
    """The package URL of what is installed."""
    return f"pkg:pypi/{name_of(found.metadata['Name'])}@{found.version}"


def component(found: Distribution) -> dict[str, Any]:
    """One package: what it is, under which licence, and a hash of the list of its files with theirs."""
    about = found.metadata
    record = found.read_text("RECORD") or ""
    licence = about.get("License-Expression") or (about.get("License") or "").split("\n")[0][:100]
    return {
        "type": "library",
        "bom-ref": reference(found),
        "purl": reference(found),
        "name": name_of(about["Name"]),
        "version": found.version,
        "licenses": [{"license": {"name": licence}}] if licence else [],
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(record.encode()).hexdigest()}] if record else [],
    }


def main() -> None:
    """Print it."""
    there = {name_of(found.metadata["Name"]): found for found in distributions()}
    packages = [there[name] for name in sorted(there)]
    links = []
    for found in packages:
        needs = {name_of(REQUIREMENT.match(each)[0]) for each in found.requires or [] if "extra ==" not in each}  # type: ignore[index]
        links.append({"ref": reference(found), "dependsOn": sorted(reference(there[n]) for n in needs & there.keys())})
    bill = {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1}
    print(json.dumps({**bill, "components": [component(found) for found in packages], "dependencies": links}, indent=1))


if __name__ == "__main__":
    main()

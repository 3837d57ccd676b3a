"""Prints the licence of everything that pvt-edge brings along, by the metadata of what is installed.

python .ci/licences.py [EXTRA ...]        # by default of every extra that users have

An extra's packages that are not installed here are listed as such.
"""

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement

NOT_FOR_USERS = {"dev", "docs"}
Row = tuple[str, str, str]


def licence_of(package: Distribution) -> str:
    """What its metadata calls the licence: the SPDX expression, else the classifiers, else the first line of text."""
    about = package.metadata
    if about.get("License-Expression"):
        return about["License-Expression"]
    classifiers = [line.split(" :: ")[-1] for line in about.get_all("Classifier", []) if line.startswith("License")]
    text = (about.get("License") or "").strip().splitlines()
    return ", ".join(classifiers) or (text[0][:80] if text else "NOT STATED")


def needed(package: Distribution, extras: set[str]) -> list[Requirement]:
    """What this machine installs for the package with these extras."""
    wanted = [Requirement(line) for line in package.requires or ()]
    return [
        one
        for one in wanted
        if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in (extras or {""}))
    ]


def rows_of(name: str, extras: set[str]) -> list[Row]:
    """(name, version, licence) of all that the package needs, and what that needs, by name."""
    rows: dict[str, Row] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = needed(distribution(name), extras | {""})
    while waiting:
        one = waiting.pop()
        key = re.sub(r"[-_.]+", "-", one.name).lower()
        if key == name or (key, frozenset(one.extras)) in seen:
            continue
        seen.add((key, frozenset(one.extras)))
        try:
            package = distribution(one.name)
        except PackageNotFoundError:
            rows[key] = (key, "not installed here", "")
            continue
        rows[key] = (key, package.version, licence_of(package))
        waiting += needed(package, {*one.extras, ""})
    return [rows[key] for key in sorted(rows)]


def main() -> None:
    """Print the table."""
    ours = distribution("pvt-edge")
    extras = set(sys.argv[1:]) or set(ours.metadata.get_all("Provides-Extra", [])) - NOT_FOR_USERS
    print(f"# What pvt-edge {ours.version} brings along\n")
    print(f"With the extras {', '.join(sorted(extras))}; by the packages' own metadata.\n")
    print("| package | version | licence |\n|---|---|---|")
    for row in rows_of("pvt-edge", extras):
        print("| " + " | ".join(cell.replace("|", "/") for cell in row) + " |")


if __name__ == "__main__":
    main()

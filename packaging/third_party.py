#!/usr/bin/env python3
"""Prints what other people wrote of a program, and under which licences, with the texts that come with their sources.

Usage: third_party.py PACKAGE PLATFORM
A package without a licence is an error. What only builds the program, and is not in it, is left out.
"""

import json
import pathlib
import re
import subprocess
import sys

# Names of files that say who may do what.
NOTICE = re.compile(r"(LICEN[CS]E|COPYING|COPYRIGHT|NOTICE|UNLICENSE)", re.IGNORECASE)
RULE = "=" * 100


def cargo(*arguments: str) -> str:
    return subprocess.run(["cargo", *arguments, "--locked"], check=True, stdout=subprocess.PIPE, text=True).stdout


def linked(package: str, platform: str) -> list[dict]:
    """The packages of other people that are linked into the program, by name and version."""
    metadata = json.loads(cargo("metadata", "--format-version", "1", "--filter-platform", platform))
    known = {(it["name"], it["version"]): it for it in metadata["packages"]}
    tree = ("tree", "--package", package, "--target", platform, "--edges", "normal,no-proc-macro")
    lines = cargo(*tree, "--prefix", "none", "--no-dedupe", "--format", "{p}").splitlines()
    names = {tuple(line.split(" ")[:2]) for line in lines}
    found = (known[name, version.removeprefix("v")] for name, version in sorted(names))
    # Those of this workspace come from no registry.
    return [it for it in found if it["source"]]


def notices(package: dict) -> list[str]:
    folder = pathlib.Path(package["manifest_path"]).parent
    files = sorted(path for path in folder.iterdir() if path.is_file() and NOTICE.match(path.name))
    return [path.read_text(encoding="utf-8", errors="replace").strip() for path in files]


def main() -> None:
    package, platform = sys.argv[1:]
    print(f"{package} contains the work of other people: Rust's standard library (MIT OR Apache-2.0), the start-up code of")
    print("LLVM and Zig (Apache-2.0 WITH LLVM-exception; MIT), and the following packages. Their texts follow the list.\n")
    texts: dict[str, tuple[str, list[str]]] = {}
    for each in linked(package, platform):
        name = f"{each['name']} {each['version']}"
        if not each["license"]:
            sys.exit(f"{name} does not say under which licence it is")
        found = notices(each)
        print(f"{name}: {each['license']}{'' if found else ' (its sources come without the text)'}")
        for text in found:
            # The same text, however its lines are broken.
            texts.setdefault(" ".join(text.split()), (text, []))[1].append(name)
    for text, names in texts.values():
        print(f"\n{RULE}\n{', '.join(names)}\n{RULE}\n\n{text}")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Prints what an .rpm holds and does, as TOML that cargo-generate-rpm takes over its own settings.

Usage: metadata.py PACKAGE TREE
Every file of the tree is in it. Its own folders are removed by a script: cargo-generate-rpm 0.21 cannot pack one.
"""

import json
import pathlib
import sys

SCRIPTS = {"post_install_script": "post", "pre_uninstall_script": "preun", "post_uninstall_script": "postun"}


def place(path: pathlib.Path, tree: pathlib.Path) -> str:
    return f"/{path.relative_to(tree)}"


def asset(path: pathlib.Path, tree: pathlib.Path) -> str:
    where = place(path, tree)
    kind = ', config = "noreplace"' if where.startswith("/etc/") else ", doc = true" if "/doc/" in where else ""
    mode = f"{path.stat().st_mode & 0o777:o}"
    return f'{{ source = {json.dumps(str(path))}, dest = {json.dumps(where)}, mode = "{mode}"{kind} }}'


def main() -> None:
    package, tree = sys.argv[1], pathlib.Path(sys.argv[2])
    inside = sorted(tree.rglob("*"))
    # Folders under the name of the project are the package's; the others belong to the system.
    folders = [place(path, tree) for path in reversed(inside) if path.is_dir() and "/inferometer" in place(path, tree)]
    print("assets = [", *(f"    {asset(path, tree)}," for path in inside if path.is_file()), "]", sep="\n")
    for key, name in SCRIPTS.items():
        text = (pathlib.Path(__file__).parent / f"{name}.sh").read_text(encoding="utf-8")
        text = text.replace("UNIT", f"{package}.service").replace("FOLDERS", " ".join(folders))
        print(f"{key} = {json.dumps(text)}")


if __name__ == "__main__":
    main()

"""A fuzz target's kept inputs are lines of base64 in one file; cargo-fuzz wants a folder with a file each.

    fuzz_corpus.py pack FOLDER FILE      fuzz_corpus.py unpack FILE FOLDER
"""

import base64
import hashlib
import pathlib
import sys

verb, source, target = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
if verb == "pack":
    lines = sorted(base64.b64encode(path.read_bytes()).decode() for path in source.iterdir())
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("".join(f"{line}\n" for line in lines))
else:
    target.mkdir(parents=True, exist_ok=True)
    for line in source.read_text().splitlines() if source.exists() else []:
        kept = base64.b64decode(line)
        (target / hashlib.sha1(kept).hexdigest()).write_bytes(kept)

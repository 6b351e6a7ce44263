"""Runs a program on a terminal of its own, and draws the last screen that it showed as an SVG.

Usage: screenshot.py FILE PROGRAM [ARGUMENT...]
"""

import fcntl
import os
import pty
import re
import struct
import sys
import termios
from html import escape

COLUMNS, ROWS = 96, 24
# Of a monospaced font of this size; each run of text is stretched to its columns, whatever font there is.
SIZE, WIDTH, HEIGHT, MARGIN = 14, 8.43, 19, 20

HOME = "\x1b[H"
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# Words of a line; two blanks or more keep columns apart.
RUN = re.compile(r"\S+(?: \S+)*")


def output_of(command: list[str]) -> str:
    """All that the program writes until it ends."""
    child, terminal = pty.fork()
    if child == 0:
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        os.execv(command[0], command)
    output = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # How Linux says that the other end is closed.
            part = b""
        if not part:
            break
        output += part
    _, status = os.waitpid(child, 0)
    if status:
        sys.exit(f"{command[0]} failed: {output.decode(errors='replace')}")
    return output.decode()


def last_screen(output: str) -> list[str]:
    """The lines of the last page; each begins at the upper left corner."""
    page = output.split(HOME)[-1]
    lines = [line.rstrip() for line in ESCAPE.sub("", page).replace("\r", "").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def drawn(lines: list[str]) -> str:
    """The picture."""
    width = COLUMNS * WIDTH + 2 * MARGIN
    height = len(lines) * HEIGHT + 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" role="img" '
        f'font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="{SIZE}" fill="#d0d7de">',
        "<title>The screen of make demo</title>",
        f'<rect width="{width:.0f}" height="{height}" rx="8" fill="#0d1117"/>',
    ]
    for at, line in enumerate(lines):
        y = MARGIN + at * HEIGHT + SIZE
        heading = ' font-weight="bold" fill="#79c0ff"' if at == 0 or line.startswith("model ") else ""
        for run in RUN.finditer(line):
            x, length = MARGIN + run.start() * WIDTH, len(run.group()) * WIDTH
            parts.append(
                f'<text x="{x:.1f}" y="{y}" textLength="{length:.1f}"{heading}>{escape(run.group(), quote=False)}</text>'
            )
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    lines = last_screen(output_of(sys.argv[2:]))
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        file.write(drawn(lines))
    print("\n".join(lines))

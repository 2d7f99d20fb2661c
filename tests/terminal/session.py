"""Runs a command at a terminal of its own. Arguments: [[WAIT_FOR, TYPE], …] as JSON, then the command.

What is typed after an `=` is a pattern: its group, as the screen showed it last, is typed and Enter.

Prints every byte that the command sent to the terminal, echo included, and ends with the command's exit status.
"""
import json
import os
import pty
import re
import select
import sys
import time

PATIENCE_SECONDS = 60

typing = [(wait.encode(), text.encode()) for wait, text in json.loads(sys.argv[1])]
child, terminal = pty.fork()
if child == 0:
    os.execvp(sys.argv[2], sys.argv[2:])

screen = b""
seen = 0
deadline = time.monotonic() + PATIENCE_SECONDS
while True:
    if typing and (at := screen.find(typing[0][0], seen)) >= 0:
        wait, text = typing.pop(0)
        seen = at + len(wait)
        if text.startswith(b"="):
            text = re.findall(text[1:], screen)[-1] + b"\n"
        os.write(terminal, text)
    ready, _, _ = select.select([terminal], [], [], max(0, deadline - time.monotonic()))
    if not ready:
        sys.exit(f"nothing more shows after {screen!r}")
    try:
        more = os.read(terminal, 65536)
    except OSError:  # EIO: nobody has the terminal open any more.
        more = b""
    if not more:
        break
    screen += more

sys.stdout.buffer.write(screen)
sys.stdout.flush()
if typing:
    sys.exit(f"never shown: {typing[0][0]!r}")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

"""A terminal for tests of programs that behave otherwise in a pipe."""

import os
import select
import subprocess
import sys
import time

SPAWN = """\
import os, pty, sys
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))
"""


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, command, folder, **environment):
        spawn = [sys.executable, "-c", SPAWN, *command]
        self.process = subprocess.Popen(
            spawn,
            cwd=folder,
            env={**os.environ, "TERM": "vt100", **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.text = ""

    def type(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def wait_for(self, mark, patience=20.0):
        """What was shown up to a mark, which is taken off."""
        until = time.monotonic() + patience
        while mark not in self.text:
            ready, _, _ = select.select(
                [self.process.stdout], [], [], max(0, until - time.monotonic())
            )
            assert ready, f"no {mark!r} on the terminal: {self.text!r}"
            self.text += os.read(self.process.stdout.fileno(), 4096).decode(errors="replace")
        before, _, self.text = self.text.partition(mark)
        return before

    def end(self, patience=60.0):
        """The exit status of the program, and what it has shown since."""
        shown, _ = self.process.communicate(timeout=patience)
        return self.process.returncode, self.text + shown.decode(errors="replace")

    def close(self):
        self.process.kill()
        self.process.communicate()

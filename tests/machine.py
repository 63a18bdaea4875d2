"""A machine of its own for the commands that work without a server."""

import os
import subprocess

from registry import digest_of
from support import DROVER


class Machine:
    """A home folder with a store, and the program run in it."""

    def __init__(self, home, registry):
        self.home, self.store, self.stall = home, home / "store", "20s"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "DROVER_STORE": str(self.store),
            "DROVER_REGISTRY": registry.url,
            "HF_ENDPOINT": registry.url,
            "DROVER_DISCOVER": "none",
            "DROVER_CACHE": str(home / "cache"),
            "DROVER_LISTEN": "127.0.0.1:9",
        }

    def start(self, *arguments):
        return subprocess.Popen(
            [DROVER, "--set", f"store.stall_timeout={self.stall}", *arguments],
            env=self.environment, cwd=self.home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )

    def run(self, *arguments):
        process = self.start(*arguments)
        process.out, process.err = process.communicate(timeout=60)
        return process

    def pull(self, *arguments):
        """A pull that must work."""
        process = self.run("pull", *arguments)
        assert process.returncode == 0, process.err
        return process

    def blob(self, content):
        return self.store / "blobs" / digest_of(content).replace(":", "-")

    def has(self, content):
        return self.blob(content).exists() and self.blob(content).read_bytes() == content

    def leftovers(self):
        return [one.name for one in (self.store / "blobs").glob("*-partial*")]

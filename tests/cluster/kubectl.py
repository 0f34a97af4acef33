"""The real kubectl, as a person runs it and as nobody's configuration disturbs it."""

from __future__ import annotations

import asyncio
import json
import os
from asyncio.subprocess import DEVNULL, PIPE
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.access import Access

LONGEST_S = 120.0


@dataclass(frozen=True)
class Told:
    """What one command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def rows(self) -> list[list[str]]:
        """A table's lines, split where two blanks or more stand between columns."""
        return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in self.out.splitlines()]


@dataclass(frozen=True)
class Kubectl:
    """``await kubectl("get", "mddeploy")``: 0.1 to 0.3 s each. Home and caches are its own."""

    program: str
    access: Access
    home: Path
    namespace: str = "default"

    async def __call__(self, *arguments: str, stdin: str | object = "", ok: bool = True) -> Told:
        """Runs it in its namespace. ``stdin``: text, or a document that goes as JSON; ``ok``: it must exit 0."""
        self.home.mkdir(parents=True, exist_ok=True)
        kubeconfig = self.access.kubeconfig(self.home / "kubeconfig")
        text = stdin if isinstance(stdin, str) else json.dumps(stdin)
        process = await asyncio.create_subprocess_exec(
            *(self.program, "--namespace", self.namespace, *arguments),
            stdin=PIPE if text else DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            env={"HOME": str(self.home), "KUBECONFIG": str(kubeconfig), "PATH": os.defpath},
        )
        try:
            async with asyncio.timeout(LONGEST_S):
                out, err = await process.communicate(text.encode() if text else None)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode is not None
        told = Told(process.returncode, out.decode(), err.decode())
        assert told.code == 0 or not ok, f"kubectl {' '.join(arguments)}: {told.err or told.out}"
        return told

    async def apply(self, *documents: object, ok: bool = True) -> Told:
        """``kubectl apply -f -`` of these documents."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(documents)}
        return await self("apply", "-f", "-", stdin=documents[0] if len(documents) == 1 else listed, ok=ok)

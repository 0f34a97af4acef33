"""Release a module with nothing but nats-py: publish the event, follow the status stream to the end.

    python examples/plain_nats.py manifest.json [nats://127.0.0.1:4222]

Confirms each batch that waits for a person, which a real script would leave to one. Exit 0 when the rollout
is Healthy, 4 when it is Degraded, 1 when the event was refused.
"""

import asyncio
import json
import sys
from pathlib import Path

import nats
from nats.js.api import ConsumerConfig, DeliverPolicy


def token(name: str) -> str:
    """A name as one subject token: what is not [A-Za-z0-9_-] is written =XX."""
    return "".join(
        char if char.isascii() and (char.isalnum() or char in "_-") else
        "".join(f"={byte:02X}" for byte in char.encode())
        for char in name
    )  # fmt: skip


async def main(manifest: dict, url: str) -> int:
    meta = manifest["metadata"]
    where = f"{token(meta.get('namespace', 'default'))}.{token(meta['name'])}"
    connection = await nats.connect(url)
    try:
        js = connection.jetstream()
        # Subscribe first, so that nothing said after our event is missed.
        new = ConsumerConfig(deliver_policy=DeliverPolicy.NEW)
        statuses = await js.pull_subscribe(f"tranche.status.{where}", stream="TRANCHE_STATUS", config=new)
        refusals = await js.pull_subscribe(f"tranche.rejected.{where}", stream="TRANCHE_REJECTED", config=new)
        await js.publish(f"tranche.deployments.{where}.apply", json.dumps(manifest).encode())
        confirmed = set()
        while True:
            for refusal in await fetch(refusals, timeout=0.05):
                print("refused:", json.dumps(refusal["errors"]))
                return 1
            for status in await fetch(statuses, timeout=1):
                print(status["phase"], "-", status["message"], flush=True)
                waiting = (status["generation"], status["batch"]["current"])
                if any(gate["gate"] == "confirm" for gate in status["gates"]) and waiting not in confirmed:
                    confirmed.add(waiting)
                    body = {"generation": waiting[0], "batch": waiting[1], "by": "plain_nats.py"}
                    await js.publish(f"tranche.deployments.{where}.confirm", json.dumps(body).encode())
                if status["phase"] in ("Healthy", "Degraded"):
                    return 0 if status["phase"] == "Healthy" else 4
    finally:
        await connection.close()


async def fetch(subscription, timeout: float) -> list[dict]:
    try:
        messages = await subscription.fetch(100, timeout=timeout)
    except TimeoutError:
        return []
    for message in messages:
        await message.ack()
    return [json.loads(message.data) for message in messages]


if __name__ == "__main__":
    path, server = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "nats://127.0.0.1:4222"
    raise SystemExit(asyncio.run(main(json.loads(Path(path).read_text()), server)))

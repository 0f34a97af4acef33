"""The page of the verbs."""

from __future__ import annotations

from docs.generate.tables import HEAD, table
from tranche.asyncapi.verbs import VERBS, Verb

_TEXT = """\
# Verbs

An event is published to `tranche.deployments.<namespace>.<name>.<verb>`; a request is sent to
`tranche.api.<namespace>.<verb>` with the deployment's `name` in its body, and is answered. Both are one: a request is put
on the same stream first. All fields may be left out unless marked with *. A verb that finds everything as it asks for
answers `accepted: true` and changes nothing. The command line has a command for each.

{table}

`generation` in the answer is the one the wish has become. A refusal is `{{"accepted": false, "errors": [{{"field",
"message"}}]}}`; of an event it is kept on `tranche.rejected.<namespace>.<name>`. Answers in pages take `limit` and
`continue` and answer `continue` where there is more.

## In which state

"So already" is accepted and changes nothing. Rolling: Pending, Progressing, Waiting, Blocked.

| | rolling | Paused | Degraded | Aborting | Aborted | Healthy | Deleting |
|---|---|---|---|---|---|---|---|
| confirm | acts if that batch waits | same | same | refused | refused | a repeat: so already; else refused | refused |
| pause, resume | acts | so already, acts | acts | acts | acts: holds what comes next | acts: holds what comes next | acts |
| promote | acts | acts | refused: retry | refused | refused | so already | refused |
| abort | acts | acts | acts | so already | so already | refused: undo | refused |
| retry | failed ones; none: so already | same | acts | refused | acts | so already | failed ones |
| restart, undo, scale, replace, apply | act | act | act | undo, replace refused, others act | act | act | refused |
| delete | acts | acts | acts | acts | acts | acts | so already |

Abort and delete act under a freeze, within their limits; a pause stops them.
"""


def verbs_page() -> str:
    return HEAD + _TEXT.format(table=table(["verb", "does", "body", "answer", "event"], map(_row, VERBS)))


def _row(verb: Verb) -> list[str]:
    said = [f"`{name}`{'*' if name in verb.required else ''}" for name in verb.body]
    body = ", ".join([*(["a manifest"] if verb.manifest else []), *said])
    if verb.name == "plan":
        body = "a manifest, or `name`, " + ", ".join(said)
    spans = "; `_all` as namespace: all" if verb.spans else ""
    return [f"`{verb.name}`", f"{verb.does[:-1]}{spans}", body, verb.answer, "yes" if verb.event else "no"]

"""Where an apiserver and the planner judge a document differently, and why it cannot be otherwise or does no harm.

What the apiserver takes and the planner refuses ends as a deployment whose status says what is wrong with it. What
the apiserver refuses and the planner would take is refused at once.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.properties.test_manifest_properties import put, valid
from tranche.contract.bounds import too_much
from tranche.contract.fields import API_VERSIONS

Json = dict[str, Any]
Judge = Literal["apiserver", "planner"]
_URL = "spec.template.spec.module.url"
_ARGS = "spec.template.spec.module.args"
NEWER = "\U0001fae8"
"""A character of Unicode 15 (2022): an apiserver of Kubernetes 1.34 knows it, Python 3.11 does not."""


def made(**values: Any) -> Json:
    """A right document but for these places; ``__`` is a dot."""
    document: Json = valid()
    del document["metadata"]["namespace"]
    for place, value in values.items():
        put(document, place.replace("__", "."), value)
    return document


@dataclass(frozen=True)
class Difference:
    """``taker`` accepts what the other refuses with words that begin like ``says``. It holds for documents that
    ``show`` it."""

    taker: Judge
    because: str
    example: Json = field(repr=False)
    says: str
    show: Callable[[Json], bool] = field(repr=False)
    url_allow: tuple[str, ...] = ()
    known: bool = True
    """Whether this Python differs at all."""


DIFFERENCES = (
    Difference(
        "planner",
        "the groups that older files name are other resources to Kubernetes; on the bus they all mean the same",
        made(apiVersion="serverless.alipay.com/v1alpha1"),
        "the API version in the data (serverless.alipay.com/v1alpha1) does not match",
        lambda document: document.get("apiVersion") in API_VERSIONS[1:],
    ),
    Difference(
        "apiserver",
        "Kubernetes takes an empty namespace for one left out; in a manifest of ours it is a mistake",
        made(metadata__namespace=""),
        'metadata.namespace: got ""',
        lambda document: document["metadata"].get("namespace") == "",
    ),
    Difference(
        "apiserver",
        "Kubernetes makes a name of generateName before anything is stored; what the planner sees has one",
        {**made(), "metadata": {"generateName": "cart-"}},
        "metadata.name: got nothing",
        lambda document: "generateName" in document["metadata"],
    ),
    Difference(
        "planner",
        "labels, annotations and the like are Kubernetes' own and it checks them; the planner does not read them",
        made(metadata__labels={"a": 1}),
        "",
        lambda document: not document["metadata"].keys() <= {"name", "namespace"},
    ),
    Difference(
        "apiserver",
        "JSON knows no whole numbers: Kubernetes stores 3.0 as 3, which is what the planner then reads",
        made(spec__replicas=3.0),
        "spec.",
        lambda document: any(isinstance(value, float) and value.is_integer() for value in _values(document)),
    ),
    Difference(
        "planner",
        "no machine's number holds it, so Kubernetes cannot read it; it stands where nobody reads",
        made(spec__template__metadata=10**400),
        "",
        lambda document: any(isinstance(value, int) and abs(value) > 10**308 for value in _values(document)),
    ),
    Difference(
        "apiserver",
        "half a character cannot be sent: Kubernetes reads the replacement character, which prints",
        made(spec__template__spec__module__args=["\ud800"]),
        f"{_ARGS}: ",
        lambda document: any("\ud800" <= character <= "\udfff" for character in _text(document)),
    ),
    Difference(
        "apiserver",
        "which characters print is a question of the year of one's Unicode tables",
        made(spec__template__spec__module__args=[NEWER]),
        f"{_ARGS}: ",
        lambda document: any(unicodedata.category(character) == "Cn" for character in _text(document)),
        known=unicodedata.unidata_version < "15",
    ),
    Difference(
        "apiserver",
        "CEL cannot count what characters beyond ASCII take in JSON, 6 or 12 bytes each: it counts 1",
        made(spec__template__spec__module__args=["ß" * 1000]),
        f"{_ARGS}: ",
        lambda document: not _text(_at(document, _ARGS)).isascii(),
    ),
    Difference(
        "apiserver",
        "an IPv6 address is looked at by its characters: the pattern of a whole one would fill a page",
        made(spec__template__spec__module__url="http://[1:2]/cart.jar"),
        f"{_URL}: ",
        lambda document: "//[" in str(_at(document, _URL)),
    ),
    Difference(
        "apiserver",
        "what %XX beyond ASCII reads as cannot be said in CEL, so what does not print is not seen",
        made(spec__template__spec__module__url="http://m.example/%C2%80.jar"),
        f"{_URL}: ",
        lambda document: "%" in str(_at(document, _URL)),
    ),
    Difference(
        "apiserver",
        "a step upwards behind an escape that is itself put together of escapes takes a loop to see",
        made(spec__template__spec__module__url="http://m.example/%%32e%%32e/cart.jar"),
        f"{_URL}: ",
        lambda document: "%%" in str(_at(document, _URL)),
    ),
    Difference(
        "apiserver",
        "which URLs are allowed is the operator's setting, not the definition's",
        made(),
        f"{_URL}: ",
        lambda document: True,
        url_allow=("https://modules.example/",),
    ),
    Difference(
        "apiserver",
        "how large a document may be is bounded for messages of 1 MiB; Kubernetes has bounds of its own",
        made(spec__template__spec__module__md5="a" * 600_000),
        "got more than 524288 characters",
        lambda document: too_much(document) is not None,
    ),
)


def reasons(document: Any, taker: Judge, refusals: Sequence[str]) -> list[Difference] | None:
    """Why only this one takes the document, a row for each of the other's words; None: one is not known of. What
    depends on settings does not count."""
    if not isinstance(document, dict) or not isinstance(document.get("metadata"), dict):
        return None
    rows = [one for one in DIFFERENCES if one.taker == taker and not one.url_allow and one.show(document)]
    found = [next((one for one in rows if words.startswith(one.says)), None) for words in refusals]
    return None if None in found else [one for one in found if one is not None]


def _values(document: Any) -> Iterator[Any]:
    match document:
        case dict():
            for value in document.values():
                yield from _values(value)
        case list():
            for value in document:
                yield from _values(value)
        case bool():
            pass
        case _:
            yield document


def _text(document: Any) -> str:
    return "".join(value for value in _values(document) if isinstance(value, str))


def _at(document: Any, path: str) -> Any:
    for part in path.split("."):
        document = document.get(part) if isinstance(document, dict) else None
    return document

"""``kubectl scale``: which of an object's two numbers of replicas follows the other."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tranche_planner.core.objects.notices import unscaled_notice
from tranche_planner.core.objects.scaling import UNSET, Scaling, scaling
from tranche_planner.core.objects.seen import FOLLOWED, Seen, seen
from tranche_planner.core.objects.wishes import digest, manifest_of

PEER = -1


def object_(replicas: int | None, scaled: Any, followed: str | None) -> Seen:
    """``scaled``: what the scale subresource shows; ``followed``: what we wrote there last."""
    spec = {"replicas": replicas, "scaledReplicas": scaled}
    metadata = {"namespace": "shop", "name": "cart", "uid": "u", "resourceVersion": "7"}
    annotations = {FOLLOWED: followed} if followed is not None else {}
    return seen(
        {
            "metadata": {**metadata, "annotations": annotations},
            "spec": {key: value for key, value in spec.items() if value is not None},
        }
    )


@pytest.mark.parametrize(
    ("replicas", "scaled", "followed", "step"),
    [
        (3, 3, "3", None),
        (PEER, 0, "0", None),
        # new, or made anew without the field
        (3, UNSET, None, Scaling(3)),
        (None, UNSET, None, Scaling(1)),
        (0, UNSET, None, Scaling(0)),
        (PEER, UNSET, None, Scaling(0)),
        (3, UNSET, "3", Scaling(3)),
        (3, None, "3", Scaling(3)),
        # the file says another number
        (5, 3, "3", Scaling(5)),
        (PEER, 3, "3", Scaling(0)),
        (5, 0, "0", Scaling(5)),
        # somebody scales
        (3, 5, "3", Scaling(5, replicas=5)),
        (3, 0, "3", Scaling(0, replicas=0)),
        (None, 4, "1", Scaling(4, replicas=4)),
        (3, 5, None, Scaling(5, replicas=5)),
        (4, 5, "3", Scaling(5, replicas=5)),
        (PEER, 5, "0", Scaling(0, refused=5)),
        (PEER, 5, None, Scaling(0, refused=5)),
        # both say the same: what we wrote last is noted
        (5, 5, "3", Scaling(5)),
        (5, 5, None, Scaling(5)),
        (3, 3, "many", Scaling(3)),
    ],
)
def test_which_number_follows_which(
    replicas: int | None, scaled: int | None, followed: str | None, step: Scaling | None
) -> None:
    assert scaling(object_(replicas, scaled, followed)) == step


def test_the_number_that_is_scaled_is_no_part_of_the_wish() -> None:
    assert manifest_of(object_(3, 5, "3"))["spec"] == {"replicas": 3}
    assert digest(object_(3, 5, "3")) == digest(object_(3, UNSET, None))


def test_a_peer_that_is_scaled_is_told_what_to_scale_instead() -> None:
    notice = unscaled_notice(5, datetime(2026, 1, 31, tzinfo=UTC))
    assert (notice.type, notice.message) == (
        "Warning",
        "cannot be scaled to 5: spec.replicas is -1, one on every pod of the base; scale the base's Deployment, "
        "or set spec.replicas",
    )

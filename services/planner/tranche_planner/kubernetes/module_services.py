"""The Services of modules, kept in step with the objects that ask for them."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tranche.contract.progress import Problem
from tranche.errors import Conflict, Refused
from tranche.kubernetes.cluster import Object
from tranche.runtime import Runtime
from tranche_planner.core.objects.notices import Notice, event_of
from tranche_planner.core.objects.seen import Seen
from tranche_planner.core.objects.services import REASON, Cannot, service_of
from tranche_planner.kubernetes.known import Known
from tranche_planner.kubernetes.objects import Objects

AGAIN_S = 300.0
"""What somebody else did to a Service is put right after so long: Services are not watched."""


@dataclass(slots=True)
class ModuleServices:
    """Asks the API server only where ``serviceStrategy`` asks for a Service, or did before."""

    runtime: Runtime
    objects: Objects

    async def see_to(self, object_: Seen, known: Known) -> tuple[Problem, ...]:
        """Make, change or remove the object's Service; what stands against it."""
        wanted, stands = service_of(object_), known.service_of(object_)
        if wanted is None:
            if stands:
                await self.objects.unserve(object_, stands)
            known.life.service, known.life.service_word, known.life.service_problem = "", "", None
            return ()
        word = wanted.message if isinstance(wanted, Cannot) else json.dumps(wanted, sort_keys=True)
        now = self.runtime.clock.monotonic()
        if known.life.service_word != word or now - known.life.served_at >= AGAIN_S:
            cannot = wanted if isinstance(wanted, Cannot) else await self._serve(object_, wanted, known)
            known.life.service_problem = await self._problem(object_, known, cannot) if cannot else None
            known.life.service_word, known.life.served_at = word, now
        return (known.life.service_problem,) if known.life.service_problem else ()

    async def _serve(self, object_: Seen, wanted: Object, known: Known) -> Cannot | None:
        try:
            cannot = await self.objects.serve(object_, wanted)
        except Conflict as error:
            return Cannot(str(error))  # somebody was faster: the next look tells whose it is
        except Refused as error:
            return Cannot(str(error))
        if cannot is None:
            known.life.service = str(wanted["metadata"]["name"])
        return cannot

    async def _problem(self, object_: Seen, known: Known, cannot: Cannot) -> Problem:
        problem = Problem(reason=REASON, message=cannot.message)
        if problem != known.life.service_problem:
            notice = Notice(REASON, cannot.message, str(object_.generation), self.runtime.clock.now())
            await self.objects.tell(event_of(notice, object_))
        return problem

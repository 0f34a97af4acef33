"""The AsyncAPI 3 description of every subject, made of the models that the services use.

>>> description = describe(kept={})
>>> description["channels"]["status"]["address"]
'tranche.status.{namespace}.{name}'
"""

from __future__ import annotations

from tranche.asyncapi.describing import describe, documents

__all__ = ["describe", "documents"]

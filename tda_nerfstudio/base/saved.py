"""Configurations that outlive the version that saved them."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any


class Saved:
    """A dataclass whose saved form may lack fields that are newer than it: they get their defaults when it is read."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        for one in fields(self):  # type: ignore[arg-type]
            if one.default_factory is not MISSING:
                self.__dict__[one.name] = one.default_factory()
            elif one.default is not MISSING:
                self.__dict__[one.name] = one.default
        self.__dict__.update(state)

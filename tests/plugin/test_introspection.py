"""What nerfstudio's viewer does to a pipeline when it starts: it looks at every attribute of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

import pytest
from torch import nn


def looked_at(module: nn.Module) -> Iterator[str]:
    """Look at every attribute of a module and of all modules below it, as `viewer/utils.parse_object` does."""
    for name, part in module.named_modules():
        for attribute in dir(part):
            if isinstance(getattr(type(part), attribute, None), cached_property):
                continue  # the viewer does not look at these either
            getattr(part, attribute)
            yield f"{name}.{attribute}"


def states(pipeline: nn.Module) -> dict[str, str]:
    """Note what a pipeline and its datamanager hold, apart from what they compute."""
    return {
        f"{type(owner).__name__}.{key}": repr(value)
        for owner in (pipeline, pipeline.datamanager)
        for key, value in vars(owner).items()
    }


@pytest.mark.parametrize("method", ["tda-ae", "tda-scenes", "tda-rgb"])
def test_no_attribute_raises_or_changes_anything_before_the_first_step(
    configure: Callable, stage_one, outputs, method: str
) -> None:
    from nerfstudio.viewer.utils import parse_object
    from nerfstudio.viewer.viewer_elements import ViewerControl

    config = configure(method=method, output=outputs if method == "tda-scenes" else None)
    pipeline = config.pipeline.setup(device="cpu", test_mode="val")
    before = states(pipeline)
    names = list(looked_at(pipeline))
    assert len(names) > 300
    found = dict(parse_object(pipeline, ViewerControl, "Custom Elements"))
    assert {"Custom Elements/scene_control", "Custom Elements/live_panel"} <= found.keys()
    assert states(pipeline) == before

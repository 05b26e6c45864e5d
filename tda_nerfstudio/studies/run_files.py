"""Read the files of a run without building a model or running code from them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import torch
import yaml

from tda_nerfstudio.base.errors import TdaError

POINTS = 200
"""Most points that are kept of a curve."""
LOSSES = "Train Loss Dict/"


class _PlainLoader(yaml.SafeLoader):
    """Reads objects as dictionaries, so that classes which have moved or are gone raise no error."""


def _plain(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        values = loader.construct_sequence(node, deep=True)
        return str(Path(*values)) if tag.endswith("Path") else values
    return tag


_PlainLoader.add_multi_constructor("tag:yaml.org,2002:python/", _plain)


def read_config(run: Path) -> dict[str, Any]:
    """Read a run's config.yml as plain data, with paths as text and objects as dictionaries.

    Raises TdaError if it is missing or cannot be read.
    """
    path = run / "config.yml"
    try:
        content = yaml.load(path.read_text(), _PlainLoader)
    except FileNotFoundError:
        raise TdaError(f"{path} is missing: it is no run, or lost its configuration.") from None
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        raise TdaError(f"{path} cannot be read ({_first_line(error)}).") from error
    if not isinstance(content, dict):
        raise TdaError(f"{path} is no configuration of a run.")
    return content


def look_up(content: Any, path: str) -> Any:
    """Find a value in nested dictionaries by its dotted path. Returns None if it is not there."""
    for key in path.split("."):
        content = content.get(key) if isinstance(content, dict) else None
    return content


def read_losses(run: Path) -> dict[str, dict[int, float]]:
    """Read losses from tensorboard's event files, by name, then by step. The last value of a step counts.

    Raises TdaError if there are no event files, or if they cannot be read.
    """
    if not any(run.glob("events.out.tfevents.*")):
        raise TdaError(f"{run} has no event files (it was trained without --vis tensorboard): no curves.")
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(run), size_guidance={"scalars": 0})
        events.Reload()
        names = [name for name in events.Tags()["scalars"] if name.startswith(LOSSES)]
        return {name.removeprefix(LOSSES): {e.step: e.value for e in events.Scalars(name)} for name in names}
    except Exception as error:  # tensorboard can raise any error for a damaged file
        raise TdaError(f"The event files in {run} cannot be read ({_first_line(error)}): no curves.") from error


def thin(curve: dict[int, float], points: int = POINTS) -> tuple[list[int], list[float]]:
    """Average neighbours until a curve has at most `points` points. Returns its steps and its values."""
    items = sorted((step, value) for step, value in curve.items() if abs(value) < float("inf"))
    width = max(-(-len(items) // points), 1)
    parts = [items[i : i + width] for i in range(0, len(items), width)]
    steps = [part[len(part) // 2][0] for part in parts]
    return steps, [short(sum(value for _, value in part) / len(part)) for part in parts]


def part_bytes(checkpoint: Path) -> dict[str, int]:
    """Count the bytes of a run's parts in the precision of training. Micro planes and weights are those of one scene.

    Grids of empty space follow from the planes and are not counted. Raises TdaError if the checkpoint cannot be read.
    """
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)["pipeline"]
        tensors = {key.removeprefix("_model."): value for key, value in state.items()}
        scenes = len(tensors["field.scenes.micro"])
    except FileNotFoundError:
        raise TdaError(f"The checkpoint {checkpoint} is missing: bytes are not known.") from None
    except Exception as error:  # a damaged file can raise any error
        raise TdaError(f"The checkpoint {checkpoint} cannot be read ({_first_line(error)}).") from error

    def size(*prefixes: str) -> int:
        return sum(value.nbytes for key, value in tensors.items() if key.startswith(prefixes))

    decoder = size("autoencoder.decoder.")
    return {
        "m_mic": size("field.scenes.micro") // scenes,
        "m_w": size("field.scenes.weights") // scenes,
        "m_B": size("field.scenes.base"),
        "m_MLP": size("field.scenes.hidden.", "field.scenes.head."),
        "m_AE": size("autoencoder.encoder.") + decoder,
        "m_decoder": decoder,
    }


def tidy_command(command: str, config: dict[str, Any]) -> str:
    """Shorten the absolute paths in a command line.

    The output folder becomes OUT, data are named relative to the folder around them, and any other path becomes `.../`
    and its last name.
    """
    output, data = str(config.get("output_dir") or "/nowhere"), Path(config.get("data") or "/nowhere/data")

    def shorten(found: re.Match[str]) -> str:
        mark, path = found.groups()
        if Path(path).is_relative_to(output):
            return f"{mark}OUT{path.removeprefix(output)}"
        near = Path(path).is_relative_to(data.parent)
        return mark + (str(Path(path).relative_to(data.parent)) if near else f".../{Path(path).name}")

    try:
        return shlex.join(re.sub(r"^([^/]*[=!]|)(/.*)$", shorten, word) for word in shlex.split(command))
    except ValueError:  # quotes that do not close
        return command


def short(value: float) -> float:
    """Round to five significant digits."""
    return float(f"{value:.5g}")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]

"""Presets: YAML files that list runs of registered methods, each with its differences from the defaults.

Runs may share a stage 1, and may be repeated with several seeds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from tda_nerfstudio.base.errors import TdaError, suggest
from tda_nerfstudio.core.metrics import score_names

STAGE_ONE, STAGE_TWO = "tda-ae", "tda-scenes"


@dataclass(frozen=True)
class Run:
    """One ns-train run of a preset. Its name is its timestamp, so its folder is known before it starts."""

    name: str
    method: str
    options: dict[str, Any]
    source: Run | None = None
    """The stage 1 that the run starts from."""
    show: bool = False
    expects: dict[str, list[float]] = field(default_factory=dict)

    def settings(self) -> dict[str, Any]:
        """Describe all settings of this run that the preset makes."""
        return {"method": self.method, "set": self.options, "from": self.source and self.source.settings()}


@dataclass(frozen=True)
class Preset:
    """An atlas and the runs on it. A run comes after the one that it starts from."""

    path: Path
    about: str
    demo: dict[str, Any] | None
    data: Path | None
    runs: tuple[Run, ...]


class RunEntry(BaseModel):
    """A run in a preset's file. It may be repeated with several seeds."""

    model_config = ConfigDict(extra="forbid")
    method: str
    source: str | None = Field(None, alias="from", coerce_numbers_to_str=True)
    seeds: list[int] | None = None
    options: dict[str, Any] | None = Field(None, alias="set")
    show: bool | None = None
    expects: dict[str, Any] | None = None

    @field_validator("expects")
    @classmethod
    def _names_scores_and_their_ranges(cls, expects: dict[str, Any] | None) -> dict[str, Any] | None:
        """Check the ranges of scores that a run should reach. Scores are means over its held-out views."""
        known = (*score_names(), "latent_high_frequencies")
        for key, wanted in (expects or {}).items():
            if key not in known:
                raise ValueError(f"expects the unknown score '{key}'.{suggest(key, known)}")
            match wanted:
                case [int() | float() as low, int() | float() as high] if low < high:
                    continue
            raise ValueError(f"expects {key} to be {wanted}; write it as [lowest, highest].")
        return expects


class PresetFile(BaseModel):
    """The content of a preset's file."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)
    about: str | None = None
    atlas: dict[str, Any] | None = None
    data: str | None = None
    options: dict[str, Any] | None = Field(None, alias="set")
    runs: dict[str, RunEntry]


def read_preset(path: Path) -> Preset:
    """Read and check a preset. Raises TdaError naming an unknown or missing key."""
    try:
        content = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise TdaError(f"The preset {path} does not exist. Give a YAML file such as configs/demo.yml.") from None
    except yaml.YAMLError as error:
        raise TdaError(f"The preset {path} is not YAML: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("runs"), dict):
        raise TdaError(f"The preset {path} needs a `runs:` section that names at least one run.")
    content["runs"] = {str(name): entry for name, entry in content["runs"].items()}
    try:
        file = PresetFile.model_validate(content)
    except ValidationError as error:
        raise TdaError(f"{path}: {_complaint(error)}") from None
    made: dict[str, dict[int | None, Run]] = {}
    for name, entry in file.runs.items():
        made[name] = _repeat(path, name, entry, file.options or {}, made)
    runs = tuple(run for repeated in made.values() for run in repeated.values())
    return Preset(path, (file.about or "").strip(), file.atlas, Path(file.data) if file.data else None, runs)


def _complaint(invalid: ValidationError) -> str:
    """Describe the first thing that is wrong with a preset's file, in the words of a preset."""
    error = invalid.errors()[0]
    loc, value, kind = list(error["loc"]), error["input"], error["type"]
    in_run = loc[0] == "runs" and len(loc) > 2
    where, model, key = (f"run '{loc[1]}'", RunEntry, loc[2]) if in_run else ("the preset", PresetFile, loc[-1])
    known = [field.alias or name for name, field in model.model_fields.items()]
    if kind == "extra_forbidden":
        return f"unknown key '{key}' in {where}.{suggest(str(key), known)}"
    if kind == "missing":
        return f"{where} names no method (tda-ae, tda-scenes or tda-rgb)."
    if kind == "model_type":
        return f"run '{key}' must be a set of keys such as {{method: tda-ae}}, not {value!r}."
    if kind == "value_error":
        return f"{where} {error['msg'].removeprefix('Value error, ')}"
    return f"'{key}' in {where} {error['msg'].replace('Input should be a valid', 'must be a')}, not {value!r}."


def _repeat(
    path: Path, name: str, entry: RunEntry, common: dict[str, Any], made: dict[str, dict[int | None, Run]]
) -> dict[int | None, Run]:
    """Make a run for each of its seeds. If its stage 1 is repeated too, it starts from that of the same seed."""
    sources = _sources(path, name, entry, made)
    repeated = {}
    for seed in entry.seeds or list(sources):
        if seed not in sources and None not in sources:
            known = ", ".join(map(str, sources))
            raise TdaError(f"{path}: run '{name}' has seed {seed}, and the run it starts from has only {known}.")
        options = common | (entry.options or {}) | ({} if seed is None else {"machine.seed": seed})
        label = name if seed is None else f"{name}-seed{seed}"
        source = sources[seed if seed in sources else None]
        repeated[seed] = Run(label, entry.method, options, source, bool(entry.show), entry.expects or {})
    return repeated


def _sources(
    path: Path, name: str, entry: RunEntry, made: dict[str, dict[int | None, Run]]
) -> Mapping[int | None, Run | None]:
    """Find the runs that a run starts from, by seed: those that `from` names, else the preset's only stage 1."""
    stage_ones = [known for known, repeated in made.items() if next(iter(repeated.values())).method == STAGE_ONE]
    chosen = entry.source
    if entry.method != STAGE_TWO:
        if chosen is not None:
            raise TdaError(f"{path}: run '{name}' is {entry.method}; only {STAGE_TWO} starts `from` another run.")
        return {None: None}
    if chosen is None:
        if len(stage_ones) > 1:
            raise TdaError(f"{path}: run '{name}' needs `from:`, as there are several: {', '.join(stage_ones)}.")
        return made[stage_ones[0]] if stage_ones else {None: None}
    if chosen not in stage_ones:
        hint = suggest(chosen, stage_ones)
        raise TdaError(f"{path}: run '{name}' starts from '{chosen}', which is no {STAGE_ONE} run above it.{hint}")
    return made[chosen]


def require_known_options(preset: Preset) -> None:
    """Check that the runs' methods have all their options, before the first run starts.

    Raises TdaError that names an unknown method or option.
    """
    from nerfstudio.configs.method_configs import all_methods

    for run in preset.runs:
        if run.method not in all_methods:
            raise TdaError(
                f"{preset.path}: run '{run.name}': no method {run.method}.{suggest(run.method, all_methods)}"
            )
        for option in run.options:
            config, where = all_methods[run.method], f"the options of {run.method} ('{option}', run '{run.name}')"
            for word in option.split("."):
                known = {key.replace("_", "-"): value for key, value in _options(config).items()}
                if word not in known:
                    raise TdaError(f"{preset.path}: unknown key '{word}' in {where}.{suggest(word, known)}")
                config = known[word]
            if _options(config):
                raise TdaError(f"{preset.path}: '{option}', run '{run.name}', is a group of options, no value.")


def _options(config: Any) -> dict[str, Any]:
    """List the options in a group by name. A plain value has none."""
    if dataclasses.is_dataclass(config):
        return {found.name: getattr(config, found.name) for found in dataclasses.fields(config)}
    return config if isinstance(config, dict) else {}

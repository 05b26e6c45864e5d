"""Presets: runs over registered methods as YAML differences, which may share a stage 1 and be repeated over seeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tda_nerfstudio.base.errors import TdaError, suggest
from tda_nerfstudio.core.metrics import score_names

KEYS = {"about", "atlas", "data", "set", "runs"}
RUN_KEYS = {"method", "from", "seeds", "set", "show", "expects"}
TYPES: dict[str, type] = {"set": dict, "atlas": dict, "seeds": list, "expects": dict}
STAGE_ONE, STAGE_TWO = "tda-ae", "tda-scenes"


@dataclass(frozen=True)
class Run:
    """One ns-train run of a preset: its name is its timestamp, so that its folder is known before it starts."""

    name: str
    method: str
    options: dict[str, Any]
    source: Run | None = None
    """The stage 1 that it starts from."""
    show: bool = False
    expects: dict[str, list[float]] = field(default_factory=dict)

    def settings(self) -> dict[str, Any]:
        """Describe all that the preset says about what this run is made of."""
        return {"method": self.method, "set": self.options, "from": self.source and self.source.settings()}


@dataclass(frozen=True)
class Preset:
    """An atlas and the runs on it, each after the one that it starts from."""

    path: Path
    about: str
    demo: dict[str, Any] | None
    data: Path | None
    runs: tuple[Run, ...]


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
    _check_keys(content, KEYS, path, "the preset")
    made: dict[str, dict[Any, Run]] = {}
    for name, given in ((str(name), given) for name, given in content["runs"].items()):
        if not isinstance(given, dict):
            raise TdaError(f"{path}: run '{name}' must be a set of keys such as {{method: tda-ae}}, not {given!r}.")
        _check_keys(given, RUN_KEYS, path, f"run '{name}'")
        if "method" not in given:
            raise TdaError(f"{path}: run '{name}' names no method (tda-ae, tda-scenes or tda-rgb).")
        _check_expects(path, name, given.get("expects") or {})
        made[name] = _repeat(path, name, given, content.get("set") or {}, made)
    data = Path(content["data"]) if content.get("data") else None
    runs = tuple(run for repeated in made.values() for run in repeated.values())
    return Preset(path, str(content.get("about", "")).strip(), content.get("atlas"), data, runs)


def _repeat(
    path: Path, name: str, given: dict[str, Any], common: dict[str, Any], made: dict[str, dict[Any, Run]]
) -> dict[Any, Run]:
    """Make a run once for each of its seeds, paired with the same seed of a stage 1 that is repeated itself."""
    sources = _sources(path, name, given, made)
    repeated = {}
    for seed in given.get("seeds") or list(sources):
        if seed not in sources and None not in sources:
            known = ", ".join(map(str, sources))
            raise TdaError(f"{path}: run '{name}' has seed {seed}, and the run it starts from has only {known}.")
        options = common | (given.get("set") or {}) | ({} if seed is None else {"machine.seed": seed})
        label = name if seed is None else f"{name}-seed{seed}"
        source = sources[seed if seed in sources else None]
        shown, expects = bool(given.get("show")), given.get("expects") or {}
        repeated[seed] = Run(label, given["method"], options, source, shown, expects)
    return repeated


def _sources(
    path: Path, name: str, given: dict[str, Any], made: dict[str, dict[Any, Run]]
) -> dict[Any, Run] | dict[None, None]:
    """Find what a run starts from, by seed: what `from` names, else the preset's only stage 1."""
    stage_ones = [known for known, repeated in made.items() if next(iter(repeated.values())).method == STAGE_ONE]
    chosen = given.get("from") and str(given["from"])
    if given["method"] != STAGE_TWO:
        if chosen is not None:
            raise TdaError(f"{path}: run '{name}' is {given['method']}; only {STAGE_TWO} starts `from` another run.")
        return {None: None}
    if chosen is None:
        if len(stage_ones) > 1:
            raise TdaError(f"{path}: run '{name}' needs `from:`, as there are several: {', '.join(stage_ones)}.")
        return made[stage_ones[0]] if stage_ones else {None: None}
    if chosen not in stage_ones:
        hint = suggest(chosen, stage_ones)
        raise TdaError(f"{path}: run '{name}' starts from '{chosen}', which is no {STAGE_ONE} run above it.{hint}")
    return made[chosen]


def _check_expects(path: Path, name: str, expects: dict[str, Any]) -> None:
    _check_keys(expects, (*score_names(), "latent_high_frequencies"), path, f"what run '{name}' expects", "score")
    for key, wanted in expects.items():
        numbers = isinstance(wanted, list) and [value for value in wanted if isinstance(value, int | float)]
        if not numbers or len(numbers) != 2 or len(wanted) != 2 or wanted[0] >= wanted[1]:
            raise TdaError(f"{path}: run '{name}' expects {key} to be {wanted}; write it as [lowest, highest].")


def _check_keys(given: dict[str, Any], known: Iterable[str], path: Path, where: str, what: str = "key") -> None:
    for key, value in given.items():
        if key not in known:
            raise TdaError(f"{path}: unknown {what} '{key}' in {where}.{suggest(str(key), known)}")
        if value is not None and not isinstance(value, TYPES.get(key, object)):
            raise TdaError(f"{path}: '{key}' in {where} must be a {TYPES[key].__name__}, not {value!r}.")


def check_options(preset: Preset) -> None:
    """Look every option up in its method, before the first run starts. Raises TdaError naming an unknown one."""
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
                _check_keys({word: None}, known, preset.path, where)
                config = known[word]
            if _options(config):
                raise TdaError(f"{preset.path}: '{option}', run '{run.name}', is a group of options, no value.")


def _options(config: Any) -> dict[str, Any]:
    """List what a group of options holds; a value holds nothing."""
    if dataclasses.is_dataclass(config):
        return {found.name: getattr(config, found.name) for found in dataclasses.fields(config)}
    return config if isinstance(config, dict) else {}

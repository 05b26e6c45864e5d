"""Choosing scenes (or views) by name, glob, index range or split file."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tda_nerfstudio.base.errors import TdaError, suggest
from tda_nerfstudio.base.terminal import CONSOLE, warn

SPLITS = "splits.json"
JSON_LIMIT = 64 * 2**20  # bytes; a transforms.json of 10,000 frames is about 8 MB
_RANGE = re.compile(r"(-?\d+)?:(-?\d+)?(?::(-?\d+)?)?")
_SPLIT_FILE = re.compile(r"(.+\.json)(?:#(.*))?")


def select(
    names: Sequence[str],
    selectors: Sequence[str],
    default_key: str | None = None,
    what: str = "scene",
    numbered: Sequence[str] | None = None,
) -> list[str]:
    """Return the chosen names, each once, in the order of `names`; no selectors choose everything.

    A selector is a name; a glob (`kenney_*`); an index or Python-style range over the sorted names (`3`, `0:24`,
    `::2`); or a split file, `splits.json` or `splits.json#key`, that holds a list of names or lists under keys
    (`default_key` where none is given). A leading `!` leaves out what follows. A name wins over every other reading.
    Indices count the names in `numbered`, which is `names` by default.
    Raises TdaError for a selector that matches nothing.
    """
    chosen: set[str] = set()
    left_out: set[str] = set()
    known = set(names)
    all_numbered = names if numbered is None else numbered
    for selector in selectors:
        exclude = selector.startswith("!") and selector not in known
        wanted = selector[1:] if exclude else selector
        found = [wanted] if wanted in known else _matches(names, wanted, default_key, what, all_numbered)
        (left_out if exclude else chosen).update(found)
    chosen = chosen or set(names)  # exclusions alone choose all the rest
    result = [name for name in dict.fromkeys(names) if name in chosen and name not in left_out]
    if selectors and not result:
        raise TdaError(f"{' '.join(selectors)!r} leaves no {what} of {len(names)}. Exclude less.")
    return result


def read_json(path: Path) -> Any:
    """Parse a JSON file of at most 64 MB; raises TdaError naming it when that fails."""
    try:
        size = path.stat().st_size
        if size > JSON_LIMIT:
            raise TdaError(f"{path} has {size / 2**20:.0f} MB, more than the limit of {JSON_LIMIT // 2**20} MB.")
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise TdaError(f"{path} does not exist. Check the path; it is relative to {Path.cwd()}.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise TdaError(f"{path} is not valid JSON ({error}). Write it again.") from error


def split_of(data: Path, key: str, option: str) -> tuple[str, ...]:
    """Choose scenes by the atlas' own splits.json, and say so, if that has a list for the method `key`.

    `option` is what chooses scenes on the command line.
    """
    path = data / SPLITS
    content = read_json(path) if path.is_file() else None
    if content is None:
        return ()
    if not isinstance(content, dict) or not isinstance(content.get(key), list):
        warn(f"{path} has no list of scenes for {key}: all scenes are used. Choose some with {option}.")
        return ()
    CONSOLE.print(
        f"Using {SPLITS} of the atlas: the {len(content[key])} scenes that it has for {key}. All scenes: {option} '*'",
        soft_wrap=True,
        highlight=False,
    )
    return (str(path),)


def _matches(
    names: Sequence[str], selector: str, default_key: str | None, what: str, numbered: Sequence[str]
) -> list[str]:
    """Resolve a selector that is no name, without its `!`; never returns an empty list."""
    if split := _SPLIT_FILE.fullmatch(selector):
        return _read_split(names, Path(split[1]).expanduser(), split[2] or default_key, what)
    count = f"There are {len(names)} {what}s"
    if re.fullmatch(r"-?\d+", selector) or _RANGE.fullmatch(selector):
        matches = sorted(numbered)[_slice(selector)]
        if not matches:
            raise TdaError(f"Index {selector!r} matches no {what}. There are {len(numbered)} {what}s, numbered from 0.")
        return matches
    if any(mark in selector for mark in "*?["):
        matches = [name for name in names if fnmatchcase(name, selector)]
        if not matches:
            raise TdaError(
                f"Pattern {selector!r} matches no {what}. {count}, the first is {min(names, default='-')!r}."
            )
        return matches
    raise TdaError(f"Unknown {what} {selector!r}.{suggest(selector, names)} {count}.")


def _slice(selector: str) -> slice:
    """Turn `3`, `a:b` or `a:b:c` into a slice."""
    if ":" not in selector:
        index = int(selector)
        return slice(index, index + 1 or None)
    parts = [int(part) if part else None for part in selector.split(":")]
    if len(parts) == 3 and parts[2] == 0:
        raise TdaError(f"Range {selector!r} has step 0. Use a step of 1 or more.")
    return slice(*parts)


def _read_split(names: Sequence[str], path: Path, key: str | None, what: str) -> list[str]:
    """Read one list of names from a split file and check each of them."""
    content = read_json(path)
    where = str(path)
    if isinstance(content, dict):
        keys = ", ".join(map(str, content)) or "none"
        if key is None:
            raise TdaError(f"{path} holds several lists. Choose one with '{path}#KEY'; its keys: {keys}.")
        if key not in content:
            raise TdaError(f"{path} has no key {key!r}.{suggest(key, content)} Its keys: {keys}.")
        content, where = content[key], f"{path}#{key}"
    if not isinstance(content, list) or not content or not all(isinstance(name, str) for name in content):
        raise TdaError(f"{where} must be a list of {what} names, with at least one.")
    known = set(names)
    for name in content:
        if name not in known:
            raise TdaError(f"{where} names the unknown {what} {name!r}.{suggest(name, names)} There are {len(names)}.")
    return content

"""The ranges of a search: a variant's keys in its own form, with a list or two ends in place of each value."""

import copy
from collections.abc import Mapping
from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq

from digitline.base.errors import InputError
from digitline.config import own
from digitline.config.keys import check
from digitline.model.recipe import Range

Ranges = dict[str, list[Any] | Range]  # by key, nested ones joined by dots


def flat(where: str, section: Mapping[str, Any]) -> Ranges:
    """The keys that have a range; InputError names one that is none."""
    found: Ranges = {}
    for key, value in section.items():
        at = f"{where}.{key}"
        if isinstance(value, list) and len(value) > 1:
            found[key] = value
        elif isinstance(value, Mapping) and set(value) & set(Range._fields):
            found[key] = between(at, Range(**check(at, Range, value)))
        elif isinstance(value, Mapping) and value:
            found |= {f"{key}.{inner}": one for inner, one in flat(at, value).items()}
        else:
            raise InputError(f"{at} is {value!r}, expected a list of two or more values, or low and high")
    return found


def between(at: str, one: Range) -> Range:
    """The range, if there is something between its ends."""
    if one.low >= one.high:
        raise InputError(f"{at}.low is {one.low}, expected less than {at}.high, {one.high}")
    if one.log and one.low <= 0:
        raise InputError(f"{at}.low is {one.low}, expected greater than 0, because {at}.log is true")
    return one


def given(keys: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a variant's keys with other values for some of them, by their names with dots."""
    changed = copy.deepcopy(dict(keys))
    for name, value in values.items():
        *sections, last = name.split(".")
        section = changed
        for part in sections:
            if not isinstance(section.get(part), dict):
                section[part] = {}
            section = section[part]
        section[last] = value
    return changed


def lines(variant: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """The lines of params.yaml for a variant's keys with another value, in the form that DVC's writer leaves alone."""
    changed = {key: on_one_line(value) for key, value in after.items() if before.get(key) != value}
    return own.dumped(own.parsed(own.dumped({"variants": {variant: changed}})))


def on_one_line(value: Any) -> Any:
    """The value as YAML writes it within braces or brackets."""
    if isinstance(value, Mapping):
        found: Any = CommentedMap({key: on_one_line(inner) for key, inner in value.items()})
    elif isinstance(value, list):
        found = CommentedSeq(map(on_one_line, value))
    else:
        return value
    found.fa.set_flow_style()
    return found

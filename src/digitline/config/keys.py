"""Checks a section of params.yaml against a record of its keys."""

import difflib
import inspect
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from digitline.base.errors import InputError

STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


def check(where: str, record: type, section: Any) -> dict[str, Any]:
    """Returns the section if its keys fit the record's fields; InputError names a key that does not."""
    if not isinstance(section, Mapping):
        raise InputError(f"{where} is {section!r}, expected keys and values")
    wanted = model(record)
    for name in section:
        if name not in wanted.model_fields:
            raise InputError(f"{where}.{name} is not known{suggestion(name, wanted.model_fields)}")
    try:
        wanted.model_validate(dict(section))
    except ValidationError as error:
        raise InputError(sentence(where, error, section)) from None
    return dict(section)


@cache
def model(record: type) -> type[BaseModel]:
    """The record as pydantic checks it."""
    fields: dict[str, Any] = {
        name: (p.annotation, ... if p.default is p.empty else p.default)
        for name, p in inspect.signature(record, eval_str=True).parameters.items()
    }
    return create_model(record.__name__, __config__=STRICT, **fields)


def choose(where: str, name: Any, options: Mapping[str, Any]) -> Any:
    """Returns the option of that name; InputError lists the valid ones."""
    if name not in options:
        raise InputError(f"{where} is {name!r}{suggestion(str(name), options)}")
    return options[name]


def suggestion(name: str, options: Mapping[str, Any]) -> str:
    """The end of a sentence about an unknown name: a similar one, or all."""
    close = difflib.get_close_matches(name, list(options), n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; expected one of {', '.join(options)}"


def sentence(where: str, error: ValidationError, section: Any) -> str:
    """What is wrong and what was expected, for the first key that does not fit."""
    of_key = [one for one in error.errors() if one["loc"][:1] == error.errors()[0]["loc"][:1]]
    first = max(of_key, key=lambda one: len(path(one["loc"], section)))  # the alternative that fits furthest
    if first["type"] == "missing":
        return f"{'.'.join([where, *map(str, first['loc'])])} is missing"
    key = ".".join([where, *path(first["loc"], section)])
    expected = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    if first["type"] == "too_short":
        expected = f"at least {first['ctx']['min_length']}"
    return f"{key} is {first['input']!r}, expected {expected}"


def path(loc: Sequence[int | str], section: Any) -> list[str]:
    """The keys of a place in a section, without pydantic's names of alternatives."""
    found = []
    for part in loc:
        if part in section if isinstance(section, Mapping) else isinstance(section, list) and isinstance(part, int):
            found.append(str(part))
            section = section[part]
    return found

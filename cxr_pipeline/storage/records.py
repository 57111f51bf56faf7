"""Reads the JSON files that this package leaves for itself: notes, pointers, results. Writing them is in `files`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cxr_pipeline.errors import RecordError


def read_record(path: Path, expected: Mapping[str, type], *, remedy: str) -> dict[str, Any]:
    """The object in the JSON file at `path`, which has the `expected` fields, name -> type, and perhaps others.

    Raises RecordError, a line that ends with `remedy`, when it is no JSON, no object or lacks one of them.
    """
    fields = ", ".join(expected)
    try:
        found = json.loads(path.read_bytes())
    except ValueError as error:  # of JSON and of UTF-8
        size = path.stat().st_size
        raise RecordError(
            f"{path}, {size:,} bytes, is no JSON ({error}): expected an object with {fields}. It was cut off, damaged "
            f"or changed by hand; {remedy}."
        ) from error
    wrong = [name for name, kind in expected.items() if not isinstance(_field(found, name), kind)]
    if wrong:
        raise RecordError(
            f"{path} has no usable {', '.join(wrong)}: expected an object with {fields}. It was changed by hand, or is "
            f"another file; {remedy}."
        )
    return dict(found)


def _field(found: object, name: str) -> object:
    return found.get(name) if isinstance(found, dict) else None

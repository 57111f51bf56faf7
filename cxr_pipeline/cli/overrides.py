"""`--set FIELD=VALUE`, as several commands take it. Which fields there are does not live here."""

from collections.abc import Sequence

from cxr_pipeline.errors import CxrError


def parse_overrides(overrides: Sequence[str], *, example: str) -> dict[str, str]:
    """Field -> value of each `FIELD=VALUE`, the last one counts; raises CxrError that shows `example` of the form."""
    return dict(_parse(text, example) for text in overrides)


def _parse(text: str, example: str) -> tuple[str, str]:
    field, separator, value = text.partition("=")
    if not separator:
        raise CxrError(f"--set {text}: expected FIELD=VALUE, for example --set {example}.")
    return field.strip(), value.strip()

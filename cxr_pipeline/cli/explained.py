"""A command whose help ends with what its `--set` takes. What that is each command knows itself."""

from collections.abc import Callable, Sequence
from typing import Any

from typer.core import TyperCommand


def explained_by(lines: Callable[[], Sequence[str]]) -> type[TyperCommand]:
    """The class of a command whose help ends with `lines`, which are made when the help is asked for."""

    class Explained(TyperCommand):
        def format_help(self, ctx: Any, formatter: Any) -> None:
            super().format_help(ctx, formatter)
            formatter.write("\n".join(lines()) + "\n")

    return Explained

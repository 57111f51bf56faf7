"""What a command says on stderr of what went wrong. Texts are printed as they are: a path may hold square brackets."""

from rich.console import Console
from rich.text import Text


def print_error(text: str) -> None:
    """`error: <text>`: the command did not do what it was asked for."""
    _print("error:", "red", text)


def print_warning(text: str) -> None:
    """`warning: <text>`: it did, and this is worth knowing."""
    _print("warning:", "yellow", text)


def print_note(text: str) -> None:
    """`note: <text>`: it goes another way than one might think."""
    _print("note:", "cyan", text)


def _print(label: str, colour: str, text: str) -> None:
    Console(stderr=True).print(Text.assemble((label, colour), " ", text), highlight=False, soft_wrap=True)

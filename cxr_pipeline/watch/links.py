"""Which linked folders are followed: those that show something which is not reached without them."""

import os


def leads_back(root: bytes, path: bytes) -> bool:
    """Whether the linked folder `path` (relative to `root`) shows what is reached anyway, or leads in a circle.

    It does where its target lies in a folder on the way to it, unless hidden there (`images -> .data/images` is
    followed), or holds one of them. By place and not by who came first, so that the same tree gives the same paths in
    whatever order it was seen.
    """
    target = os.path.realpath(os.path.join(root, path))  # noqa: PTH118 - bytes
    parts = path.split(b"/")
    above = [os.path.realpath(os.path.join(root, *parts[:depth])) for depth in range(len(parts))]  # noqa: PTH118
    return any(_shows(folder, target) or _lies_in(folder, target) for folder in above)


def _shows(folder: bytes, target: bytes) -> bool:
    """Whether `target` is `folder` or is reached from it by names that are not hidden."""
    inner = target[len(folder.rstrip(b"/")) :]
    return _lies_in(target, folder) and not any(name.startswith(b".") for name in inner.split(b"/"))


def _lies_in(path: bytes, folder: bytes) -> bool:
    return path == folder or path.startswith(folder.rstrip(b"/") + b"/")

"""What is new, gone or changed in the folder of a source, noticed in slices and remembered in between.

`look` (`look_at_all`) is called again and again; `is_settled` says when to act, `describe_changes` what has happened.
What a change sets off does not live here.
"""

from cxr_pipeline.watch.budget import Budget
from cxr_pipeline.watch.disk import Disk
from cxr_pipeline.watch.journal import Changes, describe_changes
from cxr_pipeline.watch.look import Look, is_settled, look, look_at_all
from cxr_pipeline.watch.memory import Memory, open_memory

__all__ = [
    "Budget",
    "Changes",
    "Disk",
    "Look",
    "Memory",
    "describe_changes",
    "is_settled",
    "look",
    "look_at_all",
    "open_memory",
]

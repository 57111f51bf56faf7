"""A failed step as a person reads it: one sentence with the remedy, no stack, another try only where it can help."""

import errno
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import dagster as dg

from cxr_pipeline.errors import ClusterError, CxrError, Interrupted

RETRIES = 2
RETRY_SECONDS = 30

_PASSING = (ClusterError, Interrupted)  # the next try may find other workers, or goes on where this one was stopped
# A disk or a server elsewhere that is away for a moment (NFS).
_PASSING_NUMBERS = {
    errno.ESTALE, errno.EIO, errno.ETIMEDOUT, errno.ECONNRESET, errno.ECONNREFUSED, errno.EHOSTUNREACH,
}  # fmt: skip

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def told(compute: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """The compute function of an asset or a check, whose errors are told.

    What a user can mend fails once, as `dg.Failure`: a second try meets the same file. What passes by itself is asked
    for again, RETRIES times. A fault of this program keeps its stack.
    """

    @wraps(compute)
    def tell(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        try:
            return compute(*args, **kwargs)
        except _PASSING as error:
            raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=RETRY_SECONDS) from error
        except CxrError as error:
            raise dg.Failure(str(error), metadata=_metadata(error), allow_retries=False) from None
        except OSError as error:
            if error.errno not in _PASSING_NUMBERS:
                raise
            raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=RETRY_SECONDS) from error

    return tell


def _metadata(error: CxrError) -> dict[str, str]:
    """What the run's page lists beside the sentence."""
    return {"kind": type(error).__name__}

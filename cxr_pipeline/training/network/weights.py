"""Starting weights from a file: what of it fits a network is found, counted and loaded.

How the file is read is in `tensor_files`; the network itself, and the weights of timm's hub, are in `backbone`.
"""

import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cxr_pipeline.errors import CheckpointError
from cxr_pipeline.storage.files import write_json
from cxr_pipeline.training.network.tensor_files import read_tensors

Tensors = Mapping[str, torch.Tensor]

LEAST_SHARE = 0.9  # of the backbone's tensors: a norm may be lacking, a stage is another backbone's
FIRST_WANTED = ("state_dict_ema", "model_ema", "ema", "teacher", "target_encoder")  # of copies that fit alike
# torchxrayvision's pixels are -1024..1024 (its `datasets.normalize`), so that 0.5 of our 0..1 is its 0.
XRAYVISION_GREY = {"mean": (0.5,) * 3, "std": (1 / 2048,) * 3}

_DEPTH = 3  # of dictionaries within dictionaries
_PREFIXES = 4  # that are tried: copies of one network
_FILTERS = ("checkpoint_filter_fn", "_filter_fn", "_filter_torchvision_pretrained", "pretrained_filter_fn")
_FILTER_FAILS = (TypeError, KeyError, IndexError, AttributeError, AssertionError, ValueError, RuntimeError)


@dataclass(frozen=True)
class StartingWeights:
    """What became of a file's tensors. `missing` are tensors of the backbone that stayed as they were initialised."""

    file: str
    taken_from: str  # which dictionary of the file, and the prefix that was stripped from its names
    loaded: int
    skipped: list[str]
    missing: list[str]
    is_xrayvision: bool

    def counts(self) -> dict[str, int | str]:
        """For the event that begins a run, and its line in the log."""
        greys = {"weights_greys": "-1024..1024, as torchxrayvision's"} if self.is_xrayvision else {}
        return {
            "weights_from": self.taken_from,
            "weights_loaded": self.loaded,
            "weights_skipped": len(self.skipped),
            "weights_missing": len(self.missing),
            **greys,
        }

    def write(self, job: Path) -> None:
        write_json(job / "weights.json", asdict(self))


@dataclass(frozen=True)
class _Candidate:
    """One dictionary of the file under the names of the network; `fitting` are those whose shapes agree too."""

    path: str
    prefix: str
    tensors: Tensors
    fitting: frozenset[str]

    @property
    def rank(self) -> tuple[int, bool, int]:
        is_mean = bool({self.path.split(".")[-1], *self.prefix.split(".")} & set(FIRST_WANTED))
        return len(self.fitting), is_mean, -len(self.prefix)


def load_weights(network: nn.Module, file: Path, head: nn.Module) -> StartingWeights:
    """Loads what of `file` fits `network`, but not its `head`, and says what was loaded, skipped and missing.

    A state dict is looked for at the top and within dictionaries, prefixes of its names are stripped, names of other
    programs become timm's by timm's own filters, and a first convolution for RGB is summed for grey. Raises
    CheckpointError when the file cannot be read safely or holds less than LEAST_SHARE of the backbone.
    """
    found = dict(_state_dicts(read_tensors(file)))
    own = network.state_dict()
    of_head = {id(tensor) for tensor in head.state_dict(keep_vars=True).values()}
    wanted = {name for name, one in network.state_dict(keep_vars=True).items() if id(one) not in of_head}
    candidates = [one for path, tensors in found.items() for one in _candidates(path, tensors, network, wanted)]
    best = max(candidates, key=lambda one: one.rank, default=None)
    _check(best, wanted, file, names=[name for tensors in found.values() for name in tensors])
    assert best is not None
    network.load_state_dict({**own, **{name: best.tensors[name] for name in best.fitting}})
    tensors = found[best.path]
    stripped = f" without the prefix {best.prefix!r}" if best.prefix else ""
    return StartingWeights(
        file=str(file),
        taken_from=f"{best.path or 'the top'}{stripped}",
        loaded=len(best.fitting),
        skipped=sorted({*best.tensors} - best.fitting | {name for name in tensors if not name.startswith(best.prefix)}),
        missing=_missing(best, wanted),
        is_xrayvision=_is_xrayvision(best, tensors, network),
    )


def _state_dicts(found: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, Tensors]]:
    """(path within the file, tensors) of every dictionary that holds tensors by name."""
    if not isinstance(found, Mapping) or depth > _DEPTH:
        return
    tensors = {name: one for name, one in found.items() if isinstance(name, str) and isinstance(one, torch.Tensor)}
    if tensors:
        yield path, tensors
    for name, inner in found.items():
        yield from _state_dicts(inner, f"{path}.{name}" if path else str(name), depth + 1)


def _candidates(path: str, tensors: Tensors, network: nn.Module, wanted: set[str]) -> Iterator[_Candidate]:
    for prefix in _prefixes(tensors, wanted):
        cut = {name.removeprefix(prefix): one for name, one in tensors.items() if name.startswith(prefix)}
        for renamed in (cut, _as_timm(cut, network)):
            summed = _sum_first_channels(renamed, network)
            yield _Candidate(path, prefix, summed, _fitting(summed, network, wanted))


def _prefixes(names: Tensors, wanted: set[str]) -> list[str]:
    """None, those under which most names are the network's, and what all names begin with: `module.`, `model.`.

    Two where a student and its teacher lie in one dictionary.
    """
    matches: Counter[str] = Counter()
    for name in names:
        matches.update(name[:start] for start in [0, *_after_dots(name)] if name[start:] in wanted)
    shared = os.path.commonprefix(list(names))
    most = max(matches.values(), default=0)
    often = [prefix for prefix, count in matches.items() if count == most]
    return list(dict.fromkeys(["", *often[:_PREFIXES], *(shared[:end] for end in _after_dots(shared))]))


def _after_dots(name: str) -> list[int]:
    return [dot.end() for dot in re.finditer(r"\.", name)]


def _as_timm(tensors: Tensors, network: nn.Module) -> Tensors:
    """Under timm's names and at the network's sizes (positions), where timm has a filter for the network's family."""
    module = sys.modules[type(network).__module__]
    rename: Any = next((getattr(module, name) for name in _FILTERS if hasattr(module, name)), None)
    if rename is None:
        return tensors
    try:
        try:
            renamed = rename(dict(tensors), network)
        except TypeError:
            renamed = rename(dict(tensors))
    except _FILTER_FAILS:  # of another family
        return tensors
    return {name: one for name, one in renamed.items() if isinstance(one, torch.Tensor)}


def _sum_first_channels(tensors: Tensors, network: Any) -> Tensors:
    """A grey picture gives after it what the same picture in three channels gave before."""
    stems = network.pretrained_cfg.get("first_conv") or ()
    own, changed = network.state_dict(), dict(tensors)
    for name in (f"{stem}.weight" for stem in ([stems] if isinstance(stems, str) else stems)):
        if name in tensors and name in own and tensors[name].ndim == own[name].ndim == 4:
            theirs, ours = tensors[name], own[name].shape[1]
            if theirs.shape[1] > ours and theirs.shape[1] % ours == 0:
                changed[name] = theirs.float().unflatten(1, (ours, -1)).sum(dim=2)
    return changed


def _fitting(tensors: Tensors, network: nn.Module, wanted: set[str]) -> frozenset[str]:
    own = network.state_dict()
    return frozenset(name for name in wanted if name in tensors and _is_alike(tensors[name], own[name]))


def _is_alike(theirs: torch.Tensor, ours: torch.Tensor) -> bool:
    """Of one shape; and numbers with a fraction where ours are: those of a quantised file are not the weights."""
    return theirs.shape == ours.shape and (theirs.is_floating_point() or not ours.is_floating_point())


def _missing(best: _Candidate, wanted: set[str]) -> list[str]:
    """Not the counters of batch norm, on which nothing depends."""
    return sorted(name for name in wanted - best.fitting if not name.endswith("num_batches_tracked"))


def _deeper(best: _Candidate, wanted: set[str]) -> list[str]:
    """The file's tensors whose names are the backbone's but for a number: blocks that it does not have."""
    kinds = {re.sub(r"\d+", "#", name) for name in wanted}
    return sorted(name for name in set(best.tensors) - wanted if re.sub(r"\d+", "#", name) in kinds)


def _is_xrayvision(best: _Candidate, tensors: Tensors, network: Any) -> bool:
    """Its networks carry the operating point of each class, or have a grey first convolution and its 18 classes."""
    first, last = (f"{best.prefix}{network.pretrained_cfg.get(part)}.weight" for part in ("first_conv", "classifier"))
    has_points = any(name.rpartition(".")[2] == "op_threshs" for name in tensors)
    is_alike = {first, last} <= set(tensors) and (tensors[first].shape[1], len(tensors[last])) == (1, 18)
    return has_points or is_alike


def _check(best: _Candidate | None, wanted: set[str], file: Path, *, names: list[str]) -> None:
    if best is None:
        raise CheckpointError(f"{file} holds no tensors by name: expected a state dict, at the top or in a dictionary.")
    missing = _missing(best, wanted)
    if not best.fitting or len(missing) > (1 - LEAST_SHARE) * len(wanted):
        misfit = next((f", and {name} of another shape or type" for name in missing if name in best.tensors), "")
        raise CheckpointError(
            f"{file} lacks {len(missing)} of the {len(wanted)} tensors of the backbone, {missing[0]} for one{misfit}; "
            f"{', '.join(names[:2])} are among its {len(names)}: it holds the weights of another backbone. Name the "
            "backbone it belongs to, or another file."
        )
    deeper = _deeper(best, wanted)
    if len(deeper) > (1 - LEAST_SHARE) * len(wanted):
        raise CheckpointError(
            f"{file} holds {len(deeper)} tensors more of the kinds of the backbone's {len(wanted)}, {deeper[0]} for "
            "one: it holds the weights of a deeper backbone, whose layers do not work with some left out. Name the "
            "backbone it belongs to, or another file."
        )
    wrong = [name for name in sorted(best.fitting) if not best.tensors[name].isfinite().all()]
    if wrong:
        raise CheckpointError(
            f"{file} holds values that are no numbers, in {wrong[0]} for one: it is of a run that failed."
        )

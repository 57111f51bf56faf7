"""Which assets were made from something else than what is there now, by the versions that their last runs wrote down.

Dagster shows the same on an asset's page, and has no public function that a sensor could ask.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph

_CODE_VERSION = "dagster/code_version"
_DATA_VERSION = "dagster/data_version"
_INPUT_VERSION = "dagster/input_data_version/"

Tags = Mapping[str, str]


def read_tags(instance: dg.DagsterInstance, keys: Iterable[dg.AssetKey]) -> dict[dg.AssetKey, Tags]:
    """The tags of each key's last materialization; keys that were never made are left out."""
    records = instance.get_asset_records(list(keys))
    made = {record.asset_entry.asset_key: record.asset_entry.last_materialization for record in records}
    return {key: event.tags or {} for key, event in made.items() if event}


def find_stale(
    graph: "BaseAssetGraph", tags: Mapping[dg.AssetKey, Tags], keys: Iterable[dg.AssetKey]
) -> dict[dg.AssetKey, str]:
    """Those of `keys` that are not up to date by themselves -> why; what lies below them is not told of.

    `tags` are those of `keys` and of what they are made from. An asset that was never made is stale; so is one whose
    code version was raised, or one of whose inputs has had another data version since it was made.
    """
    found = {key: _why_stale(key, graph, tags) for key in keys}
    return {key: why for key, why in found.items() if why}


def _why_stale(key: dg.AssetKey, graph: "BaseAssetGraph", tags: Mapping[dg.AssetKey, Tags]) -> str:
    node, own = graph.get(key), tags.get(key)
    if own is None:
        return "was never made"
    if node.code_version is not None and own.get(_CODE_VERSION) != node.code_version:
        return "is of an older version of the code"
    for parent in sorted(node.parent_keys):
        name, there = parent.to_user_string(), tags.get(parent, {}).get(_DATA_VERSION)
        if there is not None and own.get(f"{_INPUT_VERSION}{name}") != there:
            return f"was made from another {name}"
    return ""

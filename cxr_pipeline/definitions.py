"""The Dagster code location; workspace.yaml points here."""

import dagster as dg

from cxr_pipeline.defs.build import build_definitions
from cxr_pipeline.settings import Settings

defs: dg.Definitions = build_definitions(Settings())

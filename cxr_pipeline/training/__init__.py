"""Fits the network on a GPU node: from the cohort and the image stores to one checkpoint. No dagster, no polars."""

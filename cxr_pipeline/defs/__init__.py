"""The Dagster face of the pipeline: assets, checks, jobs, resources. The work itself does not live here."""

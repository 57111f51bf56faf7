"""`cxr`: the pipeline at a terminal. Every command calls what the Dagster assets call; no work lives here."""

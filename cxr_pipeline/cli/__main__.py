"""`python -m cxr_pipeline.cli`, the same as `cxr`."""

from cxr_pipeline.cli.main import main

main()

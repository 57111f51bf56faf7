"""One function per asset: takes its inputs from the lake, lets a room do the work, puts the outcome into the lake.

Dagster's assets and the CLI both call these; one module per stage. Nothing here knows either, nor reads an environment
variable. Rooms that import torch, scikit-learn or OpenCV are imported inside the function that needs them, as Dagster
loads these modules.
"""

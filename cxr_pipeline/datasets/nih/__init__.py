"""NIH ChestX-ray14: the release and the mirrors that resize or rename it."""

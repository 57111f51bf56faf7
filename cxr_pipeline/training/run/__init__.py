"""One training run: its story, its steps, its processes, what it tells and what it goes on from."""

"""What a training run sees: the cohort as arrays, which images an epoch shows, how they are changed."""

"""What a checkpoint is worth: probabilities, metrics with intervals, explanations, the report."""

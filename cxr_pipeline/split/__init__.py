"""Which patients train, which validate, which test. Groups, official lists and the merged cohort."""

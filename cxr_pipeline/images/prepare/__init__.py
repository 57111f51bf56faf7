"""The step that makes a store: many files, decoded in processes that may die, and only what is new."""

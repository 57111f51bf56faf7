"""Images that show the same radiograph: candidates by hash and sketch, proof by pixels."""

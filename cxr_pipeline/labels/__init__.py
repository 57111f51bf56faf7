"""From the words of a source to the fourteen classes."""

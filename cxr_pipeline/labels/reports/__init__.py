"""From the text of radiology reports to states of the fourteen classes, and how well that is read."""

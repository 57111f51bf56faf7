"""How a report is laid out: lines, lists, check boxes, rows of tables, fields. What the words mean is not said here."""

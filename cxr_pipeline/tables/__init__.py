"""Every table of the pipeline, declared once: columns, types, keys, rules, meaning. What fills them is elsewhere.

From these classes come the validation at the door of each step, the blocking Dagster checks, the column schema in
the UI and `docs/tables.md` (`make docs`). One module per stage; `catalogue.py` lists them all.
"""

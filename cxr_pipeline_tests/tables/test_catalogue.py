from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import dataframely as dy

from cxr_pipeline import tables
from cxr_pipeline.tables.catalogue import TABLES, describe_tables

_PARENTS = {"ImageTable", "FourteenCells", "_StudyTable"}  # columns that several tables share


def test_every_declared_table_is_in_the_catalogue():
    modules = [import_module(f"{tables.__name__}.{module.name}") for module in iter_modules(tables.__path__)]
    declared = {
        name
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, dy.Schema)
    }
    assert declared - _PARENTS == {table.__name__ for table in TABLES}


def test_committed_page_is_fresh():
    page = Path(__file__).parents[2] / "docs" / "tables.md"
    assert page.read_text() == describe_tables(), "run `make docs`"

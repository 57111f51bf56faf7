import ast
from pathlib import Path

from cxr_pipeline import images
from cxr_pipeline.images.decode.reasons import REASONS


def raised_in(path):
    """The literals that an ImageError is made with, or that a conditional expression chooses from."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "ImageError":
            yield from (part.value for part in ast.walk(node.args[0]) if isinstance(part, ast.Constant))


def test_every_reason_is_explained_and_every_explanation_has_its_reason():
    raised = {reason for path in Path(images.__file__).parent.rglob("*.py") for reason in raised_in(path)}
    assert raised == set(REASONS) - {"decoder_crash"}  # which is found from outside of the process


def test_explanations_read_as_part_of_a_sentence():
    for meaning in REASONS.values():
        assert meaning[0].islower() or meaning.startswith(("DICOM", "JPEG", "PNG"))
        assert not meaning.endswith(".")

"""`python -m cxr_pipeline.evaluation JOB_DIR`: predicts or explains in a job folder. What that means is in `tasks`."""

import argparse
import sys
from pathlib import Path
from typing import Any

from cxr_pipeline.evaluation.config import EvaluateConfig
from cxr_pipeline.training.run.program import JobInputs, Report, run_program


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m cxr_pipeline.evaluation", description="Evaluate in a job folder.")
    parser.add_argument("job", type=Path, help="folder with config.json and inputs.json")
    return run_program(parser.parse_args(arguments).job, evaluate)


def evaluate(job: Path, inputs: JobInputs, report: Report) -> dict[str, Any]:
    config = EvaluateConfig.read(job / "config.json")  # first: a wrong config is told before torch is loaded
    from cxr_pipeline.evaluation.tasks import run_task

    return run_task(job, config, inputs, report)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`python -m cxr_pipeline.training JOB_DIR`: one training run in a job folder. The run itself is in `loop`."""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cxr_pipeline.training.config import TrainConfig
from cxr_pipeline.training.run.program import JobInputs, Report, run_program


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m cxr_pipeline.training", description="Train in a job folder.")
    parser.add_argument("job", type=Path, help="folder with config.json and inputs.json")
    return run_program(parser.parse_args(arguments).job, train)


def train(job: Path, inputs: JobInputs, report: Report) -> dict[str, Any]:
    config = TrainConfig.read(job / "config.json")  # first: a wrong config is told before torch is loaded
    from cxr_pipeline.training.run.loop import fit

    return asdict(fit(config, inputs, job, report))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What a person at a terminal sees of a run: one line per step and per message, instead of Dagster's event dump."""

import logging
import sys

import dagster as dg

_SHOWN = {
    dg.DagsterEventType.ASSET_MATERIALIZATION: "made",
    dg.DagsterEventType.STEP_FAILURE: "failed",
}


class ConsoleHandler(logging.Handler):
    """Prints materializations, failures, failed checks, and what the assets themselves log."""

    def emit(self, record: logging.LogRecord) -> None:
        line = self._line(record)
        if line:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()

    def _line(self, record: logging.LogRecord) -> str | None:
        event: dg.DagsterEvent | None = getattr(record, "dagster_event", None)
        if event is None:
            message = getattr(record, "dagster_meta", {}).get("orig_message", record.getMessage())
            return f"    {message}" if record.levelno >= logging.INFO else None
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            return _check_line(event.asset_check_evaluation_data)
        word = _SHOWN.get(event.event_type) if event.event_type else None
        if word is None:
            return None
        name = event.asset_key.to_user_string() if event.asset_key else event.step_key
        return f"  {word:6} {name}{_rows(event)}"


def _check_line(evaluation: dg.AssetCheckEvaluation) -> str | None:
    if evaluation.passed:
        return None
    word = "warning" if evaluation.severity == dg.AssetCheckSeverity.WARN else "FAILED"
    return f"    {word}: check '{evaluation.check_name}' of {evaluation.asset_key.to_user_string()}"


def _rows(event: dg.DagsterEvent) -> str:
    if event.event_type != dg.DagsterEventType.ASSET_MATERIALIZATION:
        return ""
    rows = event.materialization.metadata.get("dagster/row_count")
    return f"  {rows.value:,} rows" if rows else ""


@dg.logger(config_schema={}, description="One line per step, for a terminal")
def console(_: dg.InitLoggerContext) -> logging.Logger:
    logger = logging.getLogger("cxr_pipeline.console")
    logger.setLevel(logging.DEBUG)  # Dagster logs materializations as DEBUG
    logger.propagate = False
    logger.handlers = [ConsoleHandler()]
    return logger

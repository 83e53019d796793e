"""Many records in, as many predictions out, as JSON.

No record stops the others: what is missing is assumed, what is wrong becomes a warning, and both
are said in the prediction.
"""

import json

from dlcourse.compute.runs import cost, hours, records, sceptic

MFU = ("p05", "median", "p95")


def prediction(record, measured: tuple[records.Run, ...] = ()) -> dict:
    """What is predicted for one record; `verdict` names the bound that its own hours break.

    `measured` runs of the same family sharpen it.

    >>> found = prediction({"id": "mine", "params_total": "7B", "data_count": "1T"})
    >>> list(found["chip_hours"])
    ['p05', 'p25', 'median', 'p75', 'p95']
    """
    remarks = []
    if not isinstance(record, dict):
        remarks.append(f"a record must be a JSON object, got {type(record).__name__}")
        record = {}
    run = records.read(record)
    predicted = hours.predict(run, measured)
    finding = sceptic.examine(run)
    if finding.doubt is not None:
        remarks.append(f"its own claim is {finding.doubt}")
    if "unusual" in finding.remark:
        remarks.append(f"its own hours are {finding.remark}")
    if finding.verdict is not None:
        remarks.append(f"its own hours are {finding.remark}")
    return {
        "id": record["id"] if isinstance(record.get("id"), str | int) else run.id,
        "flops": predicted.work.flops,
        "chip_hours": {name: predicted.chip_hours(q) for name, q in hours.QUANTILES.items()},
        "cost_usd": [_cost(row) for row in cost.costs(predicted)],
        "mfu": {name: predicted.utilization.quantile(hours.QUANTILES[name]) for name in MFU},
        "assumptions": [*run.assumptions, *predicted.work.assumptions],
        "warnings": [*remarks, *run.warnings, *predicted.work.warnings],
        "verdict": finding.verdict,
    }


def predictions_json(text: str, measured: tuple[records.Run, ...] = ()) -> str:
    """Predictions for a JSON list of records, as JSON."""
    predictions = [prediction(record, measured) for record in read_list(text)]
    return json.dumps(predictions, indent=1, allow_nan=False)


def read_list(text: str) -> list:
    """The records of a JSON list. Raises `ValueError` for any other text."""
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"The records must be JSON: {error}. Write a list of them.") from None
    if not isinstance(found, list):
        kind = type(found).__name__
        raise ValueError(f"The records must be a list, got {kind}. Put them in [ ].")
    return found


def _cost(row):
    quantiles = {name: row.usd(hours.QUANTILES[name]) for name in ("median", "p05", "p95")}
    return {"basis": str(row.basis), **quantiles}

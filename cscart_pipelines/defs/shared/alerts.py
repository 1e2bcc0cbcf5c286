"""Alerts: every failed run is reported to the log and, if one is set, to a webhook.

Not here: what makes a run fail (`failures`).
"""

import json
import logging
from dataclasses import asdict, dataclass

import dagster as dg
import requests
from pydantic import Field

from cscart_pipelines.defs.shared.failures import FAILED
from cscart_pipelines.settings import read_settings

log = logging.getLogger("cscart_pipelines.alerts")
MAX_CHARACTERS = 2000
"""Of a reason; chat systems refuse longer messages."""


@dataclass(frozen=True)
class Alert:
    """One failed run.

    Attributes:
        job: name of the job.
        run_id: id of the run.
        message: the reason, on one line.
        integrations: keys of the integrations that failed, as far as the run names them.
    """

    job: str
    run_id: str
    message: str
    integrations: tuple[str, ...] = ()


class AlertSink(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Where alerts go: the log, and a webhook if one is set."""

    webhook: str | None = Field(
        default=None,
        description="Address to which alerts are posted as JSON, with a `text` that chat systems"
        " show; by default CSCART_PIPELINES_ALERT_WEBHOOK.",
    )

    def send(self, alert: Alert) -> None:
        """Sends an alert. Raises nothing: an alert that fails must not hide the failed run."""
        log.error("run %s of %s failed: %s", alert.run_id, alert.job, alert.message)
        url = self.webhook
        if url is None and (setting := read_settings().alert_webhook) is not None:
            url = setting.get_secret_value()
        if url is not None:
            self._post(url, alert)

    def _post(self, url: str, alert: Alert) -> None:
        body = {"text": f"{alert.job} failed: {alert.message}", **asdict(alert)}
        try:
            response = requests.post(
                url,
                data=json.dumps(body),
                headers={"Content-Type": "application/json"},
                timeout=10,
                allow_redirects=False,
            )
            trouble = "" if response.ok and not response.is_redirect else str(response.status_code)
        except Exception as error:  # of any kind: the next sink gets the alert all the same
            trouble = type(error).__name__
        if trouble:
            # The address may hold a token, so only the kind of trouble is logged.
            log.error("the alert webhook did not take the alert: %s", trouble)


@dg.run_failure_sensor(
    name="alert_on_failure",
    default_status=dg.DefaultSensorStatus.RUNNING,
    # Dagster skips runs that are executed in the process of the command line, which shows them.
    description="Reports every failed run in the log and, if one is set, to the webhook.",
)
def alert_on_failure(context: dg.RunFailureSensorContext, alerts: AlertSink) -> None:
    """Sends the alert of a failed run."""
    alerts.send(_alert(context))


def _alert(context: dg.RunFailureSensorContext) -> Alert:
    """Makes the alert, with the reason of the step: the run's own says only that one failed."""
    run = context.dagster_run
    message = context.failure_event.message or "no reason given"
    partition = run.tags.get("dagster/partition")
    shops: list[str] = [partition] if partition else []
    for event in context.get_step_failure_events():
        data = event.step_failure_data
        failure = data.user_failure_data
        if failure is not None and failure.description:
            message = failure.description
            named = failure.metadata.get(FAILED)
            if isinstance(named, dg.JsonMetadataValue) and isinstance(named.data, list):
                shops = [str(key) for key in named.data]
        elif data.error is not None:
            error = data.error
            while error.cause is not None:
                error = error.cause
            message = error.message.partition("\nDETAIL:")[0]  # PostgreSQL quotes the row there
    return Alert(run.job_name, run.run_id, " ".join(message.split())[:MAX_CHARACTERS], tuple(shops))

"""Messages to people about runs, by the notification blocks of Prefect that the environment names; none by default."""

import os
from collections.abc import Sequence
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import (
    Automation,
    AutomationCore,
    EventTrigger,
    Posture,
    ResourceSpecification,
)
from prefect.exceptions import ObjectNotFound

from flows.server.automations import MAX_RESTARTS

BLOCKS = "MIDTRAIN_NOTIFY"
"""Environment variable with the blocks to send by, with commas between, as `TYPE/NAME`."""
PIPELINES = ("polya", "rmt", "compare", "release")
"""Flows that end with a comparison, and may ask for approval on the way."""
BODY = """{{ flow.name }} run {{ flow_run.name }}: {{ flow_run.state.name }}. {{ flow_run.state.message or "" }}
{{ flow_run|ui_url or "" }}"""
"""A server that was not told its `PREFECT_UI_URL` knows no link."""


def notifications(client: SyncPrefectClient, pools: Sequence[str]) -> list[AutomationCore]:
    """Automations that tell of failed runs, of those that wait for approval, and of finished comparisons; none where no
    block is named.

    Raises:
        ValueError: the server has no such block.
    """
    blocks = [_block(client, name) for name in _names()]
    return _told(blocks, pools) if blocks else []


def no_longer_wanted(client: SyncPrefectClient, pools: Sequence[str]) -> list[Automation]:
    """Automations of an earlier `midtrain deploy`, where no block is named any more; never those that others made."""
    known = [] if _names() else _told([], pools)
    there = [(item, found) for item in known for found in client.read_automations_by_name(item.name)]
    return [found for item, found in there if found.description == item.description]


def _names() -> list[str]:
    return [name.strip() for name in os.environ.get(BLOCKS, "").split(",") if name.strip()]


def _told(blocks: Sequence[UUID], pools: Sequence[str]) -> list[AutomationCore]:
    ended = {"prefect.resource.role": ["work-pool"], "prefect.resource.name": list(pools)}
    compared = {"prefect.resource.role": ["flow"], "prefect.resource.name": list(PIPELINES)}
    last_start = {"prefect.run-count": [str(MAX_RESTARTS + 1)]}
    return [
        _automation(blocks, "failed runs are told", "Failed", {}, ended),
        _automation(blocks, "runs that crashed for good are told", "Crashed", last_start, ended),
        _automation(blocks, "runs that wait for approval are told", "Paused", {}, compared),
        _automation(blocks, "finished comparisons are told", "Completed", {}, compared),
    ]


def _block(client: SyncPrefectClient, name: str) -> UUID:
    kind, _, block = name.partition("/")
    try:
        return client.read_block_document_by_name(block, kind, include_secrets=False).id
    except ObjectNotFound as error:
        raise ValueError(
            f"{BLOCKS}: the Prefect server has no block {name!r}; make it under Blocks, and write it as "
            "TYPE/NAME, such as custom-webhook/team or slack-webhook/team"
        ) from error


def _automation(
    blocks: Sequence[UUID], name: str, state: str, labels: dict[str, list[str]], related: dict[str, list[str]]
) -> AutomationCore:
    subject = f"midtrain: {{{{ flow_run.name }}}} {state.lower()}"
    return AutomationCore(
        name=f"midtrain: {name}",
        description=f"Sends a message by the blocks that {BLOCKS} named when `midtrain deploy` ran.",
        trigger=EventTrigger(
            expect={f"prefect.flow-run.{state}"},
            match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"], **labels}),
            match_related=ResourceSpecification(related),
            posture=Posture.Reactive,
            threshold=1,
        ),
        actions=[SendNotification(block_document_id=block, subject=subject, body=BODY) for block in blocks],
    )

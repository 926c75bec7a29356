"""Events a second through the dispatcher: `python -m bench.dispatch --events 300 --rounds 5`.

Visitors' messages in 50 conversations that people answer: both handlers of `message.created` run with what they read and
write, and no model is needed. The outbox is filled first; then one process delivers it. Beside the rate stands the
processor time of the dispatcher for each event, which others on the machine change less.
"""

from __future__ import annotations

import argparse
import statistics
import time

from bench import scratch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    tenant_id = scratch.start()
    from apps.conversations.models import Inbox
    from apps.conversations.services import conversation_create, inbox_create, message_post
    from apps.core.tenancy import tenant_scope
    from apps.events.services import dispatch_due
    from apps.jobs.services import enqueue

    enqueue.broker_hint = lambda job_id, queue: None
    inbox = inbox_create(tenant_id=tenant_id, name="Website")
    with tenant_scope(tenant_id):
        Inbox.objects.filter(id=inbox.id).update(bot_enabled=False)
    talks = [conversation_create(tenant_id=tenant_id, contact={}).id for _ in range(50)]
    while dispatch_due():
        pass
    rates, costs = [], []
    for number in range(options.rounds):
        with tenant_scope(tenant_id):
            for index in range(options.events):
                talk = talks[index % len(talks)]
                message_post(tenant_id=tenant_id, conversation_id=talk, role="contact", text=f"{number} {index}")
        began, spent, delivered = time.perf_counter(), time.process_time(), 0
        while taken := dispatch_due():
            delivered += taken
        rates.append(delivered / (time.perf_counter() - began))
        costs.append((time.process_time() - spent) / delivered * 1000)
        print(f"round {number + 1}: {delivered} events, {rates[-1]:.0f}/s, {costs[-1]:.1f} ms of processor", flush=True)
    print(f"median {statistics.median(rates):.0f} events/s, {min(rates):.0f} to {max(rates):.0f}")
    print(f"median {statistics.median(costs):.1f} ms of processor an event, {min(costs):.1f} to {max(costs):.1f}")


if __name__ == "__main__":
    main()

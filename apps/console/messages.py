"""The texts of the operators' page's scripts. Keys are used in static/console/."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

OPERATIONS_MESSAGES = {
    # Classes of work
    "live": _("Live chat"),
    "api": _("API"),
    "batch": _("Batch jobs"),
    # Headline figures and charts
    "generated": _("Output"),
    "generated_title": _("Tokens written per second"),
    "encoded": _("Read"),
    "encoded_title": _("Tokens read per second by embedding and other models"),
    "running": _("Running"),
    "running_title": _("Work that runs, by class"),
    "queued": _("Waiting"),
    "queued_title": _("Work that waits, by class"),
    "times_title": _("Time to first token and wait, mean"),
    "first_token": _("First token"),
    "wait": _("Wait"),
    "batch_title": _("Batch size, mean"),
    "chat_batch": _("Chat"),
    "encode_batch": _("Others"),
    "first_token_p95": _("First token, 95 % within"),
    "first_token_p95_help": _("of the last 5 minutes"),
    "memory": _("Memory of models"),
    "of_budget": _("of {budget}"),
    "permits": _("Replies and drafts"),
    "of_limit": _("of {limit} at a time"),
    "tokens_per_s": _("tokens/s"),
    "chart_summary": _("{title}: {values}. The table shows the last 5 minutes."),
    "chart_nothing": _("nothing yet"),
    "axis_minutes": _("−{n} min"),
    "axis_now": _("now"),
    "table": _("Table"),
    "table_of": _("Table: {title}"),
    "time": _("Time"),
    "none": _("none"),
    # Models
    "model": _("Model"),
    "state": _("State"),
    "state_ready": _("Ready"),
    "state_loading": _("Loading"),
    "state_draining": _("Being replaced"),
    "state_unloaded": _("Not loaded"),
    "default": _("default"),
    "role_chat": _("chat"),
    "role_embedding": _("embedding"),
    "role_classifier": _("classifier"),
    "role_reranker": _("reranker"),
    "role_tagger": _("tagger"),
    "role_translator": _("translator"),
    "role_text2text": _("rewriting"),
    "memory_short": _("Memory"),
    "leases": _("In use"),
    "finished": _("Done"),
    "not_done": _("Not done"),
    "not_done_help": _("Failed, refused because the queue was full, or past its deadline"),
    "cancelled": _("Cancelled"),
    "tokens": _("Tokens"),
    "cached": _("From cache"),
    "p95": _("First token (95 %)"),
    "models_left_out": _("{n} further models are not shown."),
    "worker_line": _("{name}: takes {resident}, {loads} loaded, {unloads} unloaded, {hits} times found loaded"),
    "budget_left": _("Free"),
    # Events on their way
    "deliveries_handler": _("Goes to"),
    "deliveries_pending": _("Waiting"),
    "deliveries_oldest": _("Oldest waits"),
    "deliveries_dead": _("Failed for good"),
    "deliveries_unknown": _("Not known here"),
    "deliveries_action": _("What to do"),
    "deliveries_error": _("last error: {error}"),
    "deliveries_retry": _("Try again"),
    "deliveries_retry_of": _("Try again what failed at {handler}"),
    "deliveries_retry_failed": _("That did not work. Nothing was changed; try it again."),
    "deliveries_dead_alert": _("Events that failed for good: {n}."),
    "deliveries_dead_link": _("See what to do"),
    "deliveries_dead_advice": _(
        "Some events failed ten times. The log of the dispatcher says why. Mend the reason, then press “Try again”."
    ),
    "deliveries_unknown_advice": _(
        "Some events are for a part that this version does not have. They are kept, and go on by themselves when the "
        "version that has it runs."
    ),
    "deliveries_late_advice": _(
        "Some events wait for more than a minute. See whether the dispatcher runs, and what its log says."
    ),
    "deliveries_none": _("Every event has arrived."),
    "deliveries_away": _("The database does not answer, so nothing is known of events."),
    "deliveries_left_out": _("{n} further parts are not shown."),
    # States
    "updated": _("Updated {time}"),
    "pause": _("Pause"),
    "resume": _("Go on"),
    "paused": _("Paused"),
    "offline": _("Connection lost. Trying again; the figures are those of {time}."),
    "redis_away": _("Redis does not answer, so the figures are old. Work that was accepted is kept. Request {id}"),
    "failed": _("The figures could not be loaded. Trying again. Request {id}"),
    "signed_out": _("You are signed out, or no operator any more."),
    "reload": _("Reload"),
    "start_failed": _("A worker could not start: {reason}"),
    "storage_files": _(
        "The disk with the data has too little room: no file is stored until there is more. Chat goes on."
    ),
    "storage_temporary": _("The folder of temporary files has too little room for large uploads."),
    "catalogue_failed": _("The catalogue of models cannot be read: {reason}"),
}

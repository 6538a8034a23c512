"""The small tables of the write side. Events, identities and rollups are too hot for an ORM: see `sql/`."""

from __future__ import annotations

import uuid

from django.db import models


class Source(models.Model):
    """Where events come from: an ingest key's name, an import's `--source`, a pulled report."""

    name = models.CharField(max_length=200, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "source"

    def __str__(self) -> str:
        return self.name


class ApiKey(models.Model):
    """A bearer key of ours. Only its SHA-256 is kept; `prefix` is what people recognise it by."""

    class Scope(models.TextChoices):
        INGEST = "ingest", "ingest: send usage"
        READ = "read", "read: query costs"
        ADMIN = "admin", "admin: send and query"

    name = models.CharField(max_length=100)
    scope = models.CharField(max_length=10, choices=Scope, default=Scope.INGEST)
    prefix = models.CharField(max_length=16)
    secret_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "api_key"
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class Lane(models.Model):
    """Every dimension a price can depend on, interned: one row a combination, '' where not known."""

    provider = models.CharField(max_length=64, default="")
    platform = models.CharField(max_length=64, default="")
    model = models.CharField(max_length=200)
    model_raw = models.CharField(max_length=200)
    service_tier = models.CharField(max_length=64, default="")
    speed = models.CharField(max_length=64, default="")
    inference_geo = models.CharField(max_length=64, default="")
    routing = models.CharField(max_length=32, default="")
    prompt_step = models.IntegerField(default=0)
    outcome = models.CharField(max_length=32, default="ok")

    class Meta:
        db_table = "lane"
        constraints = [
            models.UniqueConstraint(
                name="lane_is_one_combination",
                fields=[
                    "provider",
                    "platform",
                    "model",
                    "model_raw",
                    "service_tier",
                    "speed",
                    "inference_geo",
                    "routing",
                    "prompt_step",
                    "outcome",
                ],
            )
        ]

    def __str__(self) -> str:
        return f"{self.model} on {self.platform or 'unknown platform'}"


class LabelSet(models.Model):
    """Who and what an event is attributed to, interned: one row a combination of source, ids and tags."""

    source = models.ForeignKey(Source, on_delete=models.PROTECT)
    workspace_id = models.CharField(max_length=256, default="")
    api_key_id = models.CharField(max_length=256, default="")
    user_id = models.CharField(max_length=256, default="")
    tags = models.JSONField(default=dict)
    content_hash = models.BinaryField(max_length=16, unique=True)

    class Meta:
        db_table = "label_set"

    def __str__(self) -> str:
        return f"{self.source_id}: {self.workspace_id or 'no workspace'}"


class LabelValue(models.Model):
    """The filter lists: every value ever seen of every label, kept while label sets are interned."""

    kind = models.CharField(max_length=32)  # workspace_id, api_key_id, user_id or tag
    name = models.CharField(max_length=64, default="")  # the tag's name; '' for the others
    value = models.CharField(max_length=256)

    class Meta:
        db_table = "label_value"
        constraints = [
            models.UniqueConstraint(name="label_value_is_listed_once", fields=["kind", "name", "value"])
        ]

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}={self.value}"


class Session(models.Model):
    """Session ids, interned, so that an event row carries four bytes."""

    session_id = models.CharField(max_length=256)

    class Meta:
        db_table = "session"
        # Not `unique=True`, which brings a second index for LIKE: new sessions come with nearly every batch.
        constraints = [models.UniqueConstraint(fields=["session_id"], name="session_session_id_key")]

    def __str__(self) -> str:
        return self.session_id


class StopReason(models.Model):
    """Stop reasons, interned."""

    name = models.CharField(max_length=64, unique=True)

    class Meta:
        db_table = "stop_reason"

    def __str__(self) -> str:
        return self.name


class LedgerEntry(models.Model):
    """What happened to received rows: received = stored + merged + duplicate + rejected, in every row and in sum.

    One row a transaction, compacted to one row an hour and source by `ingest.ledger.compact`.
    """

    received_at = models.DateTimeField(db_index=True)
    source = models.ForeignKey(Source, on_delete=models.PROTECT)
    received = models.BigIntegerField()
    stored = models.BigIntegerField()
    merged = models.BigIntegerField()
    duplicate = models.BigIntegerField()
    rejected = models.BigIntegerField()

    class Meta:
        db_table = "ledger_entry"
        constraints = [
            models.CheckConstraint(
                name="ledger_entry_balances",
                condition=models.Q(
                    received=models.F("stored")
                    + models.F("merged")
                    + models.F("duplicate")
                    + models.F("rejected")
                ),
            )
        ]


class RejectedRow(models.Model):
    """Why a row was refused: reason, field and identity, never the payload."""

    received_at = models.DateTimeField(db_index=True)
    source = models.ForeignKey(Source, on_delete=models.PROTECT)
    position = models.BigIntegerField()  # row number in the request or line number - 1 in the file
    reason = models.CharField(max_length=32)
    field = models.CharField(max_length=200)
    detail = models.CharField(max_length=500)
    event_id = models.CharField(max_length=256)

    class Meta:
        db_table = "rejected_row"


class _ReportedRow(models.Model):
    """What reported usage and reported cost share; names and meanings are those of `ingest.core.reported`."""

    natural_key = models.BinaryField(max_length=16, unique=True)
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="+")
    received_at = models.DateTimeField()  # when these numbers were reported to us
    kind = models.CharField(max_length=64)
    provider = models.CharField(max_length=64)
    bucket_start = models.DateTimeField()
    bucket_end = models.DateTimeField()
    grouping = models.CharField(max_length=500)
    model = models.CharField(max_length=200)
    platform = models.CharField(max_length=64)
    workspace_id = models.CharField(max_length=256)
    api_key_id = models.CharField(max_length=256)
    user_id = models.CharField(max_length=256)
    service_tier = models.CharField(max_length=64)
    context_window = models.CharField(max_length=64)
    inference_geo = models.CharField(max_length=64)
    speed = models.CharField(max_length=64)
    product = models.CharField(max_length=256)
    dimensions = models.JSONField()
    refreshed_at = models.DateTimeField(null=True)
    requests = models.BigIntegerField(null=True)

    class Meta:
        abstract = True


class ReportedUsage(_ReportedRow):
    """Token sums of a bucket as a provider reported them: set beside the events, never added to them."""

    uncached_input_tokens = models.BigIntegerField()
    cache_read_input_tokens = models.BigIntegerField()
    cache_write_5m_input_tokens = models.BigIntegerField()
    cache_write_1h_input_tokens = models.BigIntegerField()
    cache_write_unknown_ttl_input_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    thinking_tokens = models.BigIntegerField()
    web_search_requests = models.BigIntegerField()

    class Meta:
        db_table = "reported_usage"
        indexes = [models.Index(name="reported_usage_by_bucket", fields=["bucket_start"])]


class ReportedCost(_ReportedRow):
    """One line of a cost report, exact, in whole units of its currency; null where the report gives no such amount."""

    currency = models.CharField(max_length=16)
    billed_cost = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    list_cost = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    contracted_cost = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    estimated_cost = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    line_item = models.CharField(max_length=1000)
    cost_type = models.CharField(max_length=64)
    token_type = models.CharField(max_length=64)
    quantity = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    unit = models.CharField(max_length=64)

    class Meta:
        db_table = "reported_cost"
        indexes = [models.Index(name="reported_cost_by_bucket", fields=["bucket_start"])]


class RetiredMonth(models.Model):
    """A month whose raw events were dropped by retention: its rollups are final and may not be recomputed."""

    month = models.DateField(primary_key=True)
    retired_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "retired_month"


class InstallState(models.Model):
    """Facts about this installation that must not change unnoticed, such as the reporting zone of the rollups."""

    name = models.CharField(max_length=64, primary_key=True)
    value = models.CharField(max_length=256)

    class Meta:
        db_table = "install_state"


class ColumnMapping(models.Model):
    """What the columns of a source's tables mean, as a person confirmed it; one for every header."""

    source = models.ForeignKey(Source, on_delete=models.CASCADE)
    fingerprint = models.CharField(max_length=64)  # of the header, see `ingest.mappings`
    mapping = models.JSONField()
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "column_mapping"
        constraints = [
            models.UniqueConstraint(name="column_mapping_is_one_a_header", fields=["source", "fingerprint"])
        ]

    def __str__(self) -> str:
        return f"{self.source_id}: {self.fingerprint[:12]}"


class ImportJob(models.Model):
    """One upload: files that wait in the data folder, how far they have been read, and what became of their rows.

    The files are deleted once they are read. Whoever reads them holds the lease and renews it; a lease that has run
    out belongs to a process that died, and the next one goes on with the file that was not finished.
    """

    class State(models.TextChoices):
        ASKING = "asking"  # a table's columns wait for somebody to confirm what they mean
        WAITING = "waiting"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    created_at = models.DateTimeField(db_index=True)
    created_by = models.CharField(max_length=150)
    source = models.CharField(max_length=200)
    format = models.CharField(max_length=64)  # a format's name or 'auto'
    default_time = models.DateTimeField()
    state = models.CharField(max_length=10, choices=State, db_index=True)
    total_bytes = models.BigIntegerField()
    read_bytes = models.BigIntegerField(default=0)
    received = models.BigIntegerField(default=0)
    files = models.JSONField()  # see `ingest.import_jobs.entry`
    problem = models.CharField(max_length=500, default="")
    attempts = models.SmallIntegerField(default=0)
    lease = models.CharField(max_length=32, default="")
    lease_until = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "import_job"

    def __str__(self) -> str:
        return f"upload of {self.created_at:%Y-%m-%d %H:%M} ({self.state})"


class PulledSource(models.Model):
    """A source that is fetched on a schedule. `secret` is encrypted, and is never shown or logged."""

    class Kind(models.TextChoices):
        ANTHROPIC_ADMIN = "anthropic_admin", "Anthropic Admin API: usage and cost reports"
        FOLDER = "folder", "Folder of log files"

    kind = models.CharField(max_length=32, choices=Kind)
    name = models.CharField(
        max_length=200, unique=True
    )  # also the name of the source its rows are filed under
    settings = models.JSONField(default=dict)
    secret = models.BinaryField(null=True)
    every_minutes = models.IntegerField()
    paused = models.BooleanField(default=False)
    state = models.JSONField(default=dict)  # how far it has been fetched; its shape belongs to the kind
    due_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)
    last_run_at = models.DateTimeField(null=True)
    last_success_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=500, default="")
    failures = models.IntegerField(default=0)  # in a row
    lease = models.CharField(max_length=32, default="")
    lease_until = models.DateTimeField(null=True)

    class Meta:
        db_table = "pulled_source"
        ordering = ["name"]

    def __str__(self) -> str:
        return f"{self.name} ({self.kind})"


class PulledFile(models.Model):
    """What a watched folder's file looked like when it was imported last, so that only new and grown ones are read."""

    source = models.ForeignKey(PulledSource, on_delete=models.CASCADE)
    path = models.CharField(max_length=600)  # below the watched folder
    size = models.BigIntegerField()
    modified_ns = models.BigIntegerField()
    imported_at = models.DateTimeField()

    class Meta:
        db_table = "pulled_file"
        constraints = [models.UniqueConstraint(name="pulled_file_is_known_once", fields=["source", "path"])]

    def __str__(self) -> str:
        return self.path

"""The small tables of the write side. Events, identities and rollups are too hot for an ORM: see `sql/`."""

from __future__ import annotations

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

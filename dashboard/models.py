"""The read side's own tables. What it shows beside them belongs to ingest."""

from __future__ import annotations

from django.db import models


class SignInToken(models.Model):
    """A link that signs one person in, once. Only a hash is kept: reading this table signs nobody in."""

    token_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "sign_in_token"

    def __str__(self) -> str:
        return f"sign-in link of {self.created_at:%Y-%m-%d %H:%M}"


class SavedScenario(models.Model):
    """A what-if under a name. Only its knobs are kept: it runs anew on whatever range and filters are asked."""

    name = models.CharField(max_length=120, unique=True)
    knobs = models.JSONField()  # as the address has them: name -> text
    saved_by = models.CharField(max_length=150, default="")
    saved_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "saved_scenario"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class CallClass(models.Model):
    """What people said about a class of calls, against what the data say: somebody is waiting, or it can wait."""

    dimension = models.CharField(max_length=80)
    value = models.CharField(max_length=256)
    can_wait = models.BooleanField()

    class Meta:
        db_table = "call_class"
        constraints = [
            models.UniqueConstraint(name="call_class_is_marked_once", fields=["dimension", "value"])
        ]

    def __str__(self) -> str:
        return f"{self.dimension}={self.value}: {'can wait' if self.can_wait else 'someone is waiting'}"


class RateLimits(models.Model):
    """The installation's rate limits: a published tier, and what is different from it. At most one row."""

    tier = models.CharField(max_length=40)
    own = models.JSONField(
        default=dict
    )  # limit class -> {"requests", "input", "output"} a minute; "cap" -> USD

    class Meta:
        db_table = "rate_limits"

    def __str__(self) -> str:
        return self.tier


class StoredReport(models.Model):
    """What is too long to work out while a page waits: wanted by a page, made by the worker, kept with its age."""

    key = models.CharField(max_length=64, primary_key=True)  # of kind and query
    kind = models.CharField(max_length=32)
    query = models.TextField()  # the question, as a query string
    wanted_at = models.DateTimeField()
    claimed_at = models.DateTimeField(null=True)
    computed_at = models.DateTimeField(null=True)
    version = models.CharField(max_length=100, default="")  # of the data and prices it was worked out from
    seconds = models.FloatField(default=0)
    body = models.JSONField(null=True)  # money as exact decimal text
    problem = models.CharField(max_length=500, default="")  # why there is none, for people

    class Meta:
        db_table = "stored_report"

    def __str__(self) -> str:
        return f"{self.kind} of {self.query}"


class Recommendation(models.Model):
    """Advice that somebody decided on: what was predicted, and since when it is done."""

    class Status(models.TextChoices):
        ACCEPTED = "accepted", "accepted"
        DISMISSED = "dismissed", "dismissed"
        DONE = "done", "done"

    key = models.CharField(max_length=64, unique=True)  # of what is to be done, and where
    action = models.CharField(max_length=32)
    scope = models.JSONField()  # [[dimension, value], ...]
    policy = models.CharField(max_length=64, default="")
    body = models.JSONField()  # the card as it was when it was decided on; money as exact decimal text
    predicted_monthly = models.DecimalField(max_digits=30, decimal_places=12)  # USD saved a month
    predicted_low = models.DecimalField(max_digits=30, decimal_places=12)
    predicted_high = models.DecimalField(max_digits=30, decimal_places=12)
    status = models.CharField(max_length=10, choices=Status)
    decided_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "recommendation"
        ordering = ["-decided_at"]

    def __str__(self) -> str:
        return f"{self.action} ({self.status})"

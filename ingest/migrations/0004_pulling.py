"""Uploads that are being read, and sources that are fetched on a schedule."""

from __future__ import annotations

import uuid

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ingest", "0003_reported")]

    operations = [
        migrations.CreateModel(
            name="ImportJob",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ("created_at", models.DateTimeField(db_index=True)),
                ("created_by", models.CharField(max_length=150)),
                ("source", models.CharField(max_length=200)),
                ("format", models.CharField(max_length=64)),
                ("default_time", models.DateTimeField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("asking", "Asking"),
                            ("waiting", "Waiting"),
                            ("running", "Running"),
                            ("done", "Done"),
                            ("failed", "Failed"),
                        ],
                        db_index=True,
                        max_length=10,
                    ),
                ),
                ("total_bytes", models.BigIntegerField()),
                ("read_bytes", models.BigIntegerField(default=0)),
                ("received", models.BigIntegerField(default=0)),
                ("files", models.JSONField()),
                ("problem", models.CharField(default="", max_length=500)),
                ("attempts", models.SmallIntegerField(default=0)),
                ("lease", models.CharField(default="", max_length=32)),
                ("lease_until", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
            ],
            options={"db_table": "import_job"},
        ),
        migrations.CreateModel(
            name="PulledSource",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("anthropic_admin", "Anthropic Admin API: usage and cost reports"),
                            ("folder", "Folder of log files"),
                        ],
                        max_length=32,
                    ),
                ),
                ("name", models.CharField(max_length=200, unique=True)),
                ("settings", models.JSONField(default=dict)),
                ("secret", models.BinaryField(null=True)),
                ("every_minutes", models.IntegerField()),
                ("paused", models.BooleanField(default=False)),
                ("state", models.JSONField(default=dict)),
                ("due_at", models.DateTimeField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("last_run_at", models.DateTimeField(null=True)),
                ("last_success_at", models.DateTimeField(null=True)),
                ("last_error", models.CharField(default="", max_length=500)),
                ("failures", models.IntegerField(default=0)),
                ("lease", models.CharField(default="", max_length=32)),
                ("lease_until", models.DateTimeField(null=True)),
            ],
            options={"db_table": "pulled_source", "ordering": ["name"]},
        ),
        migrations.CreateModel(
            name="PulledFile",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("path", models.CharField(max_length=600)),
                ("size", models.BigIntegerField()),
                ("modified_ns", models.BigIntegerField()),
                ("imported_at", models.DateTimeField()),
                (
                    "source",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="ingest.pulledsource"),
                ),
            ],
            options={
                "db_table": "pulled_file",
                "constraints": [
                    models.UniqueConstraint(fields=("source", "path"), name="pulled_file_is_known_once")
                ],
            },
        ),
    ]

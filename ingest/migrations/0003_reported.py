"""Reported usage and reported cost: a provider's own sums, kept beside the events."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ingest", "0002_events")]

    operations = [
        migrations.CreateModel(
            name="ReportedCost",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("natural_key", models.BinaryField(max_length=16, unique=True)),
                ("received_at", models.DateTimeField()),
                ("kind", models.CharField(max_length=64)),
                ("provider", models.CharField(max_length=64)),
                ("bucket_start", models.DateTimeField()),
                ("bucket_end", models.DateTimeField()),
                ("grouping", models.CharField(max_length=500)),
                ("model", models.CharField(max_length=200)),
                ("platform", models.CharField(max_length=64)),
                ("workspace_id", models.CharField(max_length=256)),
                ("api_key_id", models.CharField(max_length=256)),
                ("user_id", models.CharField(max_length=256)),
                ("service_tier", models.CharField(max_length=64)),
                ("context_window", models.CharField(max_length=64)),
                ("inference_geo", models.CharField(max_length=64)),
                ("speed", models.CharField(max_length=64)),
                ("product", models.CharField(max_length=256)),
                ("dimensions", models.JSONField()),
                ("refreshed_at", models.DateTimeField(null=True)),
                ("requests", models.BigIntegerField(null=True)),
                ("currency", models.CharField(max_length=16)),
                ("billed_cost", models.DecimalField(decimal_places=18, max_digits=38, null=True)),
                ("list_cost", models.DecimalField(decimal_places=18, max_digits=38, null=True)),
                ("contracted_cost", models.DecimalField(decimal_places=18, max_digits=38, null=True)),
                ("estimated_cost", models.DecimalField(decimal_places=18, max_digits=38, null=True)),
                ("line_item", models.CharField(max_length=1000)),
                ("cost_type", models.CharField(max_length=64)),
                ("token_type", models.CharField(max_length=64)),
                ("quantity", models.DecimalField(decimal_places=18, max_digits=38, null=True)),
                ("unit", models.CharField(max_length=64)),
                (
                    "source",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="ingest.source"
                    ),
                ),
            ],
            options={
                "db_table": "reported_cost",
                "indexes": [models.Index(fields=["bucket_start"], name="reported_cost_by_bucket")],
            },
        ),
        migrations.CreateModel(
            name="ReportedUsage",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("natural_key", models.BinaryField(max_length=16, unique=True)),
                ("received_at", models.DateTimeField()),
                ("kind", models.CharField(max_length=64)),
                ("provider", models.CharField(max_length=64)),
                ("bucket_start", models.DateTimeField()),
                ("bucket_end", models.DateTimeField()),
                ("grouping", models.CharField(max_length=500)),
                ("model", models.CharField(max_length=200)),
                ("platform", models.CharField(max_length=64)),
                ("workspace_id", models.CharField(max_length=256)),
                ("api_key_id", models.CharField(max_length=256)),
                ("user_id", models.CharField(max_length=256)),
                ("service_tier", models.CharField(max_length=64)),
                ("context_window", models.CharField(max_length=64)),
                ("inference_geo", models.CharField(max_length=64)),
                ("speed", models.CharField(max_length=64)),
                ("product", models.CharField(max_length=256)),
                ("dimensions", models.JSONField()),
                ("refreshed_at", models.DateTimeField(null=True)),
                ("requests", models.BigIntegerField(null=True)),
                ("uncached_input_tokens", models.BigIntegerField()),
                ("cache_read_input_tokens", models.BigIntegerField()),
                ("cache_write_5m_input_tokens", models.BigIntegerField()),
                ("cache_write_1h_input_tokens", models.BigIntegerField()),
                ("cache_write_unknown_ttl_input_tokens", models.BigIntegerField()),
                ("output_tokens", models.BigIntegerField()),
                ("thinking_tokens", models.BigIntegerField()),
                ("web_search_requests", models.BigIntegerField()),
                (
                    "source",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="ingest.source"
                    ),
                ),
            ],
            options={
                "db_table": "reported_usage",
                "indexes": [models.Index(fields=["bucket_start"], name="reported_usage_by_bucket")],
            },
        ),
    ]

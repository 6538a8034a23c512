"""Saved scenarios, what people said about classes of calls, and their own rate limits."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("dashboard", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="SavedScenario",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=120, unique=True)),
                ("knobs", models.JSONField()),
                ("saved_by", models.CharField(default="", max_length=150)),
                ("saved_at", models.DateTimeField(auto_now=True)),
            ],
            options={"db_table": "saved_scenario", "ordering": ["name"]},
        ),
        migrations.CreateModel(
            name="CallClass",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("dimension", models.CharField(max_length=80)),
                ("value", models.CharField(max_length=256)),
                ("can_wait", models.BooleanField()),
            ],
            options={
                "db_table": "call_class",
                "constraints": [
                    models.UniqueConstraint(fields=("dimension", "value"), name="call_class_is_marked_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="RateLimits",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("tier", models.CharField(max_length=40)),
                ("own", models.JSONField(default=dict)),
            ],
            options={"db_table": "rate_limits"},
        ),
    ]

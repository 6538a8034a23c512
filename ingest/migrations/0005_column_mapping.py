"""What the columns of a source's tables mean, as a person confirmed it."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ingest", "0004_pulling")]

    operations = [
        migrations.CreateModel(
            name="ColumnMapping",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("fingerprint", models.CharField(max_length=64)),
                ("mapping", models.JSONField()),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("source", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="ingest.source")),
            ],
            options={
                "db_table": "column_mapping",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("source", "fingerprint"), name="column_mapping_is_one_a_header"
                    )
                ],
            },
        ),
    ]

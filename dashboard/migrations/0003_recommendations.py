"""Reports that the worker makes for pages, and recommendations that somebody decided on."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("dashboard", "0002_scenarios")]

    operations = [
        migrations.CreateModel(
            name='Recommendation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(max_length=64, unique=True)),
                ('action', models.CharField(max_length=32)),
                ('scope', models.JSONField()),
                ('policy', models.CharField(default='', max_length=64)),
                ('body', models.JSONField()),
                ('predicted_monthly', models.DecimalField(decimal_places=12, max_digits=30)),
                ('predicted_low', models.DecimalField(decimal_places=12, max_digits=30)),
                ('predicted_high', models.DecimalField(decimal_places=12, max_digits=30)),
                ('status', models.CharField(choices=[('accepted', 'accepted'), ('dismissed', 'dismissed'), ('done', 'done')], max_length=10)),
                ('decided_at', models.DateTimeField()),
                ('done_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': 'recommendation',
                'ordering': ['-decided_at'],
            },
        ),
        migrations.CreateModel(
            name='StoredReport',
            fields=[
                ('key', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('kind', models.CharField(max_length=32)),
                ('query', models.TextField()),
                ('wanted_at', models.DateTimeField()),
                ('claimed_at', models.DateTimeField(null=True)),
                ('computed_at', models.DateTimeField(null=True)),
                ('version', models.CharField(default='', max_length=100)),
                ('seconds', models.FloatField(default=0)),
                ('body', models.JSONField(null=True)),
                ('problem', models.CharField(default='', max_length=500)),
            ],
            options={
                'db_table': 'stored_report',
            },
        ),
    ]

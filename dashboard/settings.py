"""Django settings: everything an operator can change comes from the environment, and a bad value stops the start."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dashboard import embedded, env

BASE_DIR = Path(__file__).resolve().parent.parent

# The data folder: embedded database, broker, logs, collected static files and the generated secret.
BREAKEVEN_HOME = Path(env.text("BREAKEVEN_HOME") or BASE_DIR / ".breakeven").expanduser().resolve()

DEBUG = env.boolean("DEBUG", False)
SECRET_KEY = env.text("SECRET_KEY") or env.generated_secret(BREAKEVEN_HOME / "secret_key")

# Web address ---------------------------------------------------------------------------------------------------------
PORT = env.port("PORT", 8000)
# Loopback unless asked otherwise: a fresh install must not show anybody's spend to the network.
BREAKEVEN_BIND = env.text("BREAKEVEN_BIND", "127.0.0.1")
WEB_WORKERS = env.integer("WEB_WORKERS", 2, minimum=1)
WEB_THREADS = env.integer("WEB_THREADS", 4, minimum=1)  # each one holds a database connection
# The address people type, when a proxy or another host name stands before us.
PUBLIC_URL = env.url("PUBLIC_URL").rstrip("/")
_public = urlsplit(PUBLIC_URL)
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", *env.words("ALLOWED_HOSTS")]
if _public.hostname:
    ALLOWED_HOSTS.append(_public.hostname)
CSRF_TRUSTED_ORIGINS = [f"{_public.scheme}://{_public.netloc}"] if PUBLIC_URL else []
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _public.scheme == "https"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _public.scheme == "https" else None
SESSION_COOKIE_NAME = "breakeven_session"
CSRF_COOKIE_NAME = "breakeven_csrf"
X_FRAME_OPTIONS = "DENY"

# Applications --------------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "ninja",  # only so that the API docs take their scripts from us and not from a CDN
    "ingest",
    "dashboard",
]
MIDDLEWARE = [
    "dashboard.middleware.SecurityHeaders",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "dashboard.middleware.DatabaseOutage",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "dashboard.urls"
WSGI_APPLICATION = "dashboard.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# Database: PostgreSQL, and only PostgreSQL ---------------------------------------------------------------------------
DATABASE_URL = env.text("DATABASE_URL")
EMBEDDED_DATABASE = not DATABASE_URL
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        **(embedded.Cluster(BREAKEVEN_HOME).address() if EMBEDDED_DATABASE else env.database(DATABASE_URL)),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }
}
DATABASES["default"]["OPTIONS"] = {
    "connect_timeout": 3,  # a database that is away must become a 503, not a page that hangs
    "application_name": "breakeven",
    **DATABASES["default"].get("OPTIONS", {}),
}

# Time ----------------------------------------------------------------------------------------------------------------
# UTC inside; the reporting zone decides what a day and a month are.
USE_TZ = True
TIME_ZONE = "UTC"
REPORTING_TIME_ZONE = env.time_zone("REPORTING_TIME_ZONE", "UTC")
USE_I18N = False

# People --------------------------------------------------------------------------------------------------------------
LOGIN_URL = "sign_in"
LOGIN_REDIRECT_URL = "overview"
LOGOUT_REDIRECT_URL = "sign_in"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# Static files --------------------------------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = BREAKEVEN_HOME / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "dashboard.plotly_finder.PlotlyFinder",
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
WHITENOISE_KEEP_ONLY_HASHED_FILES = True

# Ingest --------------------------------------------------------------------------------------------------------------
# Counted after decompression, so a small gzip body cannot become a large one in memory.
INGEST_MAX_BODY_BYTES = env.integer("INGEST_MAX_BODY_BYTES", 16 * 1024 * 1024, minimum=1024)
# Django's own limit guards form posts; ingest streams its body and applies the limit above.
DATA_UPLOAD_MAX_MEMORY_SIZE = INGEST_MAX_BODY_BYTES

# Uploads wait in the data folder until they are read, and are deleted then.
UPLOAD_MAX_BYTES = env.integer("UPLOAD_MAX_BYTES", 2_000_000_000, minimum=1024)
UPLOADS_DIR = BREAKEVEN_HOME / "uploads"
DATA_UPLOAD_MAX_NUMBER_FILES = 5_000  # a folder of transcripts

# Pulling: the address of the Admin API (another one only for a proxy), and below which folder folders may be watched.
BREAKEVEN_ANTHROPIC_URL = (env.url("BREAKEVEN_ANTHROPIC_URL") or "https://api.anthropic.com").rstrip("/")
BREAKEVEN_WATCH = env.folder("BREAKEVEN_WATCH")

# Raw events older than this many months are dropped, whole months at a time; 0 keeps them. Rollups stay for ever.
EVENT_RETENTION_MONTHS = env.integer("EVENT_RETENTION_MONTHS", 0, minimum=0)

# Celery: nudges only, the database knows what is due -----------------------------------------------------------------
CELERY_BROKER_URL = env.broker("CELERY_BROKER_URL") or "filesystem://localhost"
EMBEDDED_BROKER = CELERY_BROKER_URL.startswith("filesystem:")
BROKER_DIR = BREAKEVEN_HOME / "broker"

# Logging -------------------------------------------------------------------------------------------------------------
LOG_LEVEL = env.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": sys.stderr}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    # Every 4xx is the client's news, not ours; 5xx stay.
    "loggers": {
        "django.request": {"level": "ERROR"},
        "django.security.DisallowedHost": {"level": "CRITICAL"},
    },
}

# Children of the supervisor must see the same folder even when it was found by default.
os.environ["BREAKEVEN_HOME"] = str(BREAKEVEN_HOME)

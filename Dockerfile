# One image for every part: web, worker and beat differ only in the command (see compose.yaml).
FROM python:3.12-slim

WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir --disable-pip-version-check -r requirements.txt

COPY manage.py LICENSE ./
COPY dashboard dashboard
COPY ingest ingest
COPY templates templates
COPY static static

# An ordinary user: the embedded PostgreSQL, for those who want it here too, would not run as root.
RUN useradd --create-home breakeven && mkdir /data && chown breakeven /data
USER breakeven
ENV BREAKEVEN_HOME=/data BREAKEVEN_BIND=0.0.0.0 PORT=8000 PYTHONUNBUFFERED=1
VOLUME /data
EXPOSE 8000
# Python is there anyway, curl is not.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["python", "-c", \
    "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
CMD ["python", "manage.py", "up"]

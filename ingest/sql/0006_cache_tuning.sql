-- Gaps between uses of the same prefix, by UTC day: what the TTL curve is drawn from without touching events.

-- gap_bucket: 0 and up, a bucket of gaps after which `tokens` were needed again; -1, tokens of a prefix needed for the
-- first time; -2, tokens that are part of no prefix. exact: worked out from prefix lists, else estimated from counters.
CREATE TABLE rollup_gap (
    utc_day      date     NOT NULL,
    lane_id      integer  NOT NULL,
    label_set_id integer  NOT NULL,
    gap_bucket   smallint NOT NULL,
    exact        boolean  NOT NULL,
    tokens       bigint   NOT NULL,
    PRIMARY KEY (utc_day, lane_id, label_set_id, gap_bucket, exact)
);

-- The same without attribution (label_set_id is 0), as with rollup_lane_day.
CREATE TABLE rollup_lane_gap (LIKE rollup_gap INCLUDING ALL);

-- Which fills of a day and of the day before (fill_state.fills) its gaps were worked out after.
CREATE TABLE gap_state (
    utc_day   date             NOT NULL PRIMARY KEY,
    fills     bigint           NOT NULL DEFAULT -1,
    filled_at timestamptz,
    seconds   double precision NOT NULL DEFAULT 0
);

-- Requests with a short cached prefix (reads and writes): what a model with a longer minimum would not cache.

-- below: the first step of a fixed ladder that exceeds the request's cached prefix; longer prefixes have no row.
-- Buckets as those of rollup_hour.
CREATE TABLE rollup_short_prefix_hour (
    bucket_start                timestamptz NOT NULL,
    lane_id                     integer     NOT NULL,
    label_set_id                integer     NOT NULL,
    below                       integer     NOT NULL,
    requests                    bigint      NOT NULL,
    cache_read_input_tokens     bigint      NOT NULL,
    cache_write_5m_input_tokens bigint      NOT NULL,
    cache_write_1h_input_tokens bigint      NOT NULL,
    PRIMARY KEY (bucket_start, lane_id, label_set_id, below)
);

-- The same in the buckets of rollup_day, and in those of rollup_lane_day (without attribution).
CREATE TABLE rollup_short_prefix (LIKE rollup_short_prefix_hour INCLUDING ALL);
CREATE TABLE rollup_lane_short_prefix (LIKE rollup_short_prefix_hour INCLUDING ALL);

-- Hours that were filled without them are due again.
INSERT INTO dirty_bucket (bucket_start, marked_at)
SELECT DISTINCT date_trunc('hour', bucket_start, 'UTC'), clock_timestamp() FROM rollup_hour
WHERE NOT EXISTS (SELECT 1 FROM retired_month
                  WHERE month = date_trunc('month', bucket_start AT TIME ZONE 'UTC')::date);

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

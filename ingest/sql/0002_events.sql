-- Events, identities, rollups and the dirty-bucket ledger.
--
-- Widths matter: an event, its identity and all their indexes are to stay under 250 bytes. Columns are ordered by
-- alignment, nothing is nullable (so that COPY BINARY rows have one width), and -1 stands for "not known" in the two
-- latencies. The unique keys there are contain the columns a cluster would distribute by (identity_hash, event_key,
-- label_set_id), so `create_distributed_table` works on the schema as it stands.

-- Processes take keys in blocks of 65,536; gaps mean nothing.
CREATE SEQUENCE event_key_block INCREMENT BY 65536 START WITH 65536;

CREATE TABLE event (
    event_key                     bigint      NOT NULL,
    occurred_at                   timestamptz NOT NULL,
    received_at                   timestamptz NOT NULL,
    lane_id                       integer     NOT NULL,
    label_set_id                  integer     NOT NULL,
    session_key                   integer     NOT NULL,  -- 0: no session
    uncached_input_tokens         integer     NOT NULL,
    cache_read_input_tokens       integer     NOT NULL,
    cache_write_5m_input_tokens   integer     NOT NULL,
    cache_write_1h_input_tokens   integer     NOT NULL,
    output_tokens                 integer     NOT NULL,
    thinking_tokens               integer     NOT NULL,
    web_search_requests           integer     NOT NULL,
    latency_ms                    integer     NOT NULL,
    ttft_ms                       integer     NOT NULL,
    stop_reason_id                smallint    NOT NULL,  -- 0: not known
    flags                         smallint    NOT NULL,
    requests                      smallint    NOT NULL   -- 1, or 0 for a separately priced part of another event
) PARTITION BY RANGE (occurred_at);

-- Uniqueness is the identity table's business, so the partitions need no B-tree: times and keys both grow with the heap.
-- Keys do so in several blocks at once, one a process, hence the multi-range summary.
CREATE INDEX event_occurred_at ON event USING brin (occurred_at) WITH (pages_per_range = 32, autosummarize = on);
CREATE INDEX event_event_key ON event USING brin (event_key int8_minmax_multi_ops)
    WITH (pages_per_range = 32, autosummarize = on);

-- One row an id under which an event is known (its own id, the provider's request id): uniqueness across time.
-- Rows outlive their event, so that an event stays counted once after its month was retired.
CREATE TABLE event_identity (
    identity_hash uuid   NOT NULL PRIMARY KEY,
    event_key     bigint NOT NULL
);

-- Chained prefix hashes of the events that carry them; ids are 64-bit hashes of the ids as sent.
CREATE TABLE event_prefix (
    event_key         bigint      NOT NULL,
    occurred_at       timestamptz NOT NULL,
    block_hashes      bigint[]    NOT NULL,
    cumulative_tokens integer[]   NOT NULL,
    PRIMARY KEY (event_key, occurred_at)
) PARTITION BY RANGE (occurred_at);

-- Which UTC hours are due: appended in the transaction that stores the event, deleted in the one that fills the hour.
CREATE TABLE dirty_bucket (
    bucket_start timestamptz NOT NULL,
    marked_at    timestamptz NOT NULL
);
CREATE INDEX dirty_bucket_by_start ON dirty_bucket (bucket_start);

-- One row a UTC day that has events: the lock under which its hours and its day rows are filled.
CREATE TABLE fill_state (
    utc_day   date        NOT NULL PRIMARY KEY,
    filled_at timestamptz,
    fills     bigint      NOT NULL DEFAULT 0
);

CREATE TABLE rollup_hour (
    bucket_start                  timestamptz NOT NULL,
    lane_id                       integer     NOT NULL,
    label_set_id                  integer     NOT NULL,
    requests                      bigint      NOT NULL,
    requests_with_read            bigint      NOT NULL,
    requests_with_write           bigint      NOT NULL,
    uncached_input_tokens         bigint      NOT NULL,
    cache_read_input_tokens       bigint      NOT NULL,
    cache_write_5m_input_tokens   bigint      NOT NULL,
    cache_write_1h_input_tokens   bigint      NOT NULL,
    output_tokens                 bigint      NOT NULL,
    thinking_tokens               bigint      NOT NULL,
    web_search_requests           bigint      NOT NULL,
    PRIMARY KEY (bucket_start, lane_id, label_set_id)
);

CREATE TABLE rollup_day (LIKE rollup_hour INCLUDING ALL);

-- The same days without attribution (label_set_id is 0): what most pages ask, and no larger for ten times the traffic.
CREATE TABLE rollup_lane_day (LIKE rollup_hour INCLUDING ALL);

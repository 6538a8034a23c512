-- Requests of some lanes beside another model's limits: how many would not fit its window, how many cached prefixes it
-- would not cache, and the largest of the first. Reads events: a prompt's size is no longer in the rollups.
WITH sized AS (
    SELECT occurred_at, lane_id, session_key, output_tokens, requests,
           (%(minimums)s::bigint[])[1 + width_bucket(occurred_at, %(changes)s::timestamptz[])] AS minimum,
           uncached_input_tokens::bigint + cache_read_input_tokens + cache_write_5m_input_tokens
               + cache_write_1h_input_tokens AS prompt_tokens,
           cache_read_input_tokens::bigint + cache_write_5m_input_tokens + cache_write_1h_input_tokens AS prefix_tokens
    FROM event
    WHERE lane_id = ANY(%(lanes)s::int[]) AND {start_condition} AND {end_condition}
),
judged AS (
    SELECT *,
           requests = 1 AND (prompt_tokens + output_tokens) * %(growth)s::numeric > %(window)s::bigint AS too_large,
           prefix_tokens > 0 AND prefix_tokens * %(growth)s::numeric < minimum AS too_short
    FROM sized
)
SELECT coalesce(sum(requests), 0)::bigint AS requests,
       count(*) FILTER (WHERE too_large)::bigint AS too_large,
       coalesce(sum(requests) FILTER (WHERE too_short), 0)::bigint AS too_short,
       coalesce(sum(prefix_tokens) FILTER (WHERE too_short), 0)::bigint AS too_short_tokens,
       (SELECT coalesce(json_agg(largest), '[]') FROM (
           SELECT occurred_at, lane.model, coalesce(session.session_id, '') AS session_id, prompt_tokens, output_tokens
           FROM judged JOIN lane ON lane.id = lane_id LEFT JOIN session ON session.id = session_key
           WHERE too_large ORDER BY prompt_tokens + output_tokens DESC, occurred_at LIMIT {most}
       ) AS largest) AS largest
FROM judged

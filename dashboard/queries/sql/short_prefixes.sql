-- Requests with a short cached prefix by price period, lane, label group and session, and by the step of the ladder that
-- the prefix stays under.
, short_prefixes AS (
    SELECT
        {price_period} AS price_period,
        facts.lane_id AS lane_id,
        {label_group} AS label_group,
        {session_key} AS session_key,
        facts.below AS below,
        sum(facts.requests)::bigint AS requests,
        sum(facts.cache_read_input_tokens)::bigint AS cache_read_input_tokens,
        sum(facts.cache_write_5m_input_tokens)::bigint AS cache_write_5m_input_tokens,
        sum(facts.cache_write_1h_input_tokens)::bigint AS cache_write_1h_input_tokens
    FROM ({facts}) AS facts {label_join}
    WHERE {conditions}
    GROUP BY 1, 2, 3, 4, 5
)

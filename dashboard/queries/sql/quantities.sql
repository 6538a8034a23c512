-- Quantities of the question's facts by bucket, price period, lane, label group and session: all that a price needs,
-- nothing per event. Facts are grouped by small numbers; the texts they stand for come in at the very end.
WITH {label_groups}
grouped AS (
    SELECT
        {bucket} AS bucket_start,
        {price_period} AS price_period,
        facts.lane_id AS lane_id,
        {label_group} AS label_group,
        {session_key} AS session_key,
        sum(facts.requests)::bigint AS requests,
        sum(facts.requests_with_read)::bigint AS requests_with_read,
        sum(facts.requests_with_write)::bigint AS requests_with_write,
        sum(facts.uncached_input_tokens)::bigint AS uncached_input_tokens,
        sum(facts.cache_read_input_tokens)::bigint AS cache_read_input_tokens,
        sum(facts.cache_write_5m_input_tokens)::bigint AS cache_write_5m_input_tokens,
        sum(facts.cache_write_1h_input_tokens)::bigint AS cache_write_1h_input_tokens,
        sum(facts.output_tokens)::bigint AS output_tokens,
        sum(facts.thinking_tokens)::bigint AS thinking_tokens,
        sum(facts.web_search_requests)::bigint AS web_search_requests
    FROM ({facts}) AS facts {label_join}
    WHERE {conditions}
    GROUP BY 1, 2, 3, 4, 5
)
{answer}

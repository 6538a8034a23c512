-- The quantities as they are, with the labels that tell classes of calls apart; then (below > 0) what of them belongs to
-- requests with a short cached prefix. One statement, so that both are of one moment.
{short_prefixes}
, priced AS (
    SELECT lane_id, price_period, label_group, session_key, 0 AS below, requests, requests_with_read, requests_with_write,
           uncached_input_tokens, cache_read_input_tokens, cache_write_5m_input_tokens, cache_write_1h_input_tokens,
           output_tokens, thinking_tokens, web_search_requests
    FROM grouped
    UNION ALL
    SELECT lane_id, price_period, label_group, session_key, below, requests, 0, 0, 0, cache_read_input_tokens,
           cache_write_5m_input_tokens, cache_write_1h_input_tokens, 0, 0, 0
    FROM short_prefixes
    LIMIT %(row_limit)s
)
SELECT priced.* {names}
FROM priced {name_joins}

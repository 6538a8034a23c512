-- Single events in [start, end), in the columns of a rollup: for sessions, and for the minutes at the ragged ends of a
-- range that begins or ends inside an hour.
SELECT occurred_at AS moment, label_set_id, lane_id, session_key, requests::bigint AS requests,
       CASE WHEN cache_read_input_tokens > 0 THEN requests ELSE 0 END::bigint AS requests_with_read,
       CASE WHEN cache_write_5m_input_tokens > 0 OR cache_write_1h_input_tokens > 0
            THEN requests ELSE 0 END::bigint AS requests_with_write,
       uncached_input_tokens::bigint AS uncached_input_tokens,
       cache_read_input_tokens::bigint AS cache_read_input_tokens,
       cache_write_5m_input_tokens::bigint AS cache_write_5m_input_tokens,
       cache_write_1h_input_tokens::bigint AS cache_write_1h_input_tokens,
       output_tokens::bigint AS output_tokens,
       thinking_tokens::bigint AS thinking_tokens,
       web_search_requests::bigint AS web_search_requests
FROM event
WHERE {start_condition} AND {end_condition}

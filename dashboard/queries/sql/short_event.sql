-- The same from single events in [start, end): those whose cached prefix stays under the ladder's last step.
SELECT occurred_at AS moment, label_set_id, lane_id, session_key,
       ({steps}::int[])[1 + width_bucket(prefix_tokens, {steps}::bigint[])] AS below, requests::bigint AS requests,
       cache_read_input_tokens::bigint AS cache_read_input_tokens,
       cache_write_5m_input_tokens::bigint AS cache_write_5m_input_tokens,
       cache_write_1h_input_tokens::bigint AS cache_write_1h_input_tokens
FROM (
    SELECT *, cache_read_input_tokens::bigint + cache_write_5m_input_tokens + cache_write_1h_input_tokens AS prefix_tokens
    FROM event
    WHERE {start_condition} AND {end_condition}
) AS sized
WHERE prefix_tokens > 0 AND prefix_tokens < {longest}

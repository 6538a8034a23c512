-- How the calls of each class look in a sample of whole days: followed up in their session within an hour, and at which
-- hours of the day they run. Reads events, for rollups do not know what followed what; the sample bounds it.
SELECT value, hour, count(*)::bigint AS calls,
       count(*) FILTER (WHERE session_key <> 0)::bigint AS in_session,
       count(*) FILTER (WHERE session_key <> 0 AND next_at < occurred_at + interval '1 hour')::bigint AS followed,
       array_agg(DISTINCT day) AS days
FROM (
    SELECT {value} AS value, event.session_key, event.occurred_at,
           lead(event.occurred_at) OVER (PARTITION BY event.session_key ORDER BY event.occurred_at) AS next_at,
           extract(hour FROM event.occurred_at AT TIME ZONE %(zone)s::text)::int AS hour,
           (event.occurred_at AT TIME ZONE %(zone)s::text)::date AS day
    FROM event
    JOIN lane ON lane.id = event.lane_id
    JOIN label_set ON label_set.id = event.label_set_id
    WHERE event.occurred_at >= %(start)s AND event.occurred_at < %(end)s AND event.requests = 1
) AS calls
WHERE value <> ''
GROUP BY 1, 2

-- When the pages last changed: asked by every panel, so it looks at no waiting hours, of which there may be very many.
SELECT max(filled_at) AS last_fill_at, coalesce(sum(fills), 0)::bigint AS data_version FROM fill_state

-- What happened to every row of every source. A source that never sent anything is there too, with zeros.
SELECT source.name AS source,
       coalesce(sum(received), 0)::bigint AS received,
       coalesce(sum(stored), 0)::bigint AS stored,
       coalesce(sum(merged), 0)::bigint AS merged,
       coalesce(sum(duplicate), 0)::bigint AS duplicate,
       coalesce(sum(rejected), 0)::bigint AS rejected,
       source.created_at AS created_at,
       max(received_at) AS last_seen_at
FROM source LEFT JOIN ledger_entry ON ledger_entry.source_id = source.id
GROUP BY source.id, source.name, source.created_at
ORDER BY source.name

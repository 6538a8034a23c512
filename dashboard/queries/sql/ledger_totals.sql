-- What happened to every row ever received.
SELECT coalesce(sum(received), 0)::bigint AS received,
       coalesce(sum(stored), 0)::bigint AS stored,
       coalesce(sum(merged), 0)::bigint AS merged,
       coalesce(sum(duplicate), 0)::bigint AS duplicate,
       coalesce(sum(rejected), 0)::bigint AS rejected,
       max(received_at) AS last_received_at
FROM ledger_entry

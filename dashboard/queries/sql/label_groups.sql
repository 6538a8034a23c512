-- Label sets that pass the filters, numbered by the labels that are grouped by.
label_groups AS MATERIALIZED (
    SELECT named.*, {numbering} AS label_group
    FROM (
        SELECT label_set.id {label_columns}
        FROM label_set JOIN source ON source.id = label_set.source_id
        WHERE {label_conditions}
    ) AS named
),

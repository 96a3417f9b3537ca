-- name: search_words
-- System: what somebody typed as a query, in which the last word ($2; empty: none) stands for all that begin with it.
SELECT CASE
    WHEN tail <> '' AND right(whole, length(tail)) = tail
    THEN left(whole, -length(tail)) || regexp_replace(tail, '''( |$)', ''':*\1', 'g')
    ELSE whole
END
FROM (SELECT websearch_to_tsquery('simple', $1)::text AS whole, websearch_to_tsquery('simple', $2)::text AS tail) typed;

-- name: search_runs
-- A page of the runs that hold the words ($2) and pass each filter that is not null, with the score of each and how many there are.
WITH found AS MATERIALIZED (
    SELECT r.run_id, r.created_at AS started_at, r.updated_at,
           ts_rank_cd('{0.05, 0.2, 0.6, 1.0}', t.document, $2::text::tsquery, 33)::float8 AS score
    FROM run_texts t
    JOIN runs r ON r.project_id = t.project_id AND r.run_id = t.run_id
    JOIN run_head h ON h.project_id = t.project_id AND h.run_id = t.run_id
    WHERE t.project_id = $1 AND t.document @@ $2::text::tsquery
      AND ($3::text IS NULL OR r.visibility = 'project' OR r.created_by = $3)
      AND ($4::text[] IS NULL OR r.status = ANY ($4))
      AND ($5::text[] IS NULL OR r.kind = ANY ($5))
      AND ($6::text[] IS NULL OR r.agent_id = ANY ($6))
      AND ($7::text[] IS NULL OR r.created_by = ANY ($7))
      AND ($8::text[] IS NULL OR r.tags && $8)
      AND ($9::text[] IS NULL OR r.categories && $9)
      AND ($10::text IS NULL OR r.content_type_name = $10)
      AND ($11::timestamptz IS NULL OR r.created_at > $11)
      AND ($12::timestamptz IS NULL OR r.created_at <= $12)
      AND ($19::boolean IS NULL OR r.status <> 'pending' OR $19 = (h.executor = 'caller'))
)
SELECT (SELECT count(*) FROM found) AS total, page.run_id, page.score
FROM (VALUES (1)) one(row)
LEFT JOIN LATERAL (
    SELECT f.run_id, f.score, row_number() OVER (ORDER BY
        CASE $13 WHEN 'score' THEN f.score WHEN 'started_at' THEN extract(epoch FROM f.started_at)
                 WHEN 'updated_at' THEN extract(epoch FROM f.updated_at) END * $14::int DESC NULLS LAST,
        CASE $15 WHEN 'score' THEN f.score WHEN 'started_at' THEN extract(epoch FROM f.started_at)
                 WHEN 'updated_at' THEN extract(epoch FROM f.updated_at) END * $16::int DESC NULLS LAST,
        f.started_at DESC, f.run_id DESC) AS place
    FROM found f
    ORDER BY place
    LIMIT $17 OFFSET $18
) page ON true
ORDER BY page.place;

-- name: list_found_runs
-- A page of runs that pass each filter that is not null, in order and with their number: a search without words.
WITH found AS MATERIALIZED (
    SELECT r.run_id, r.created_at AS started_at, r.updated_at
    FROM runs r
    JOIN run_head h ON h.project_id = r.project_id AND h.run_id = r.run_id
    WHERE r.project_id = $1
      AND ($2::text IS NULL OR r.visibility = 'project' OR r.created_by = $2)
      AND ($3::text[] IS NULL OR r.status = ANY ($3))
      AND ($4::text[] IS NULL OR r.kind = ANY ($4))
      AND ($5::text[] IS NULL OR r.agent_id = ANY ($5))
      AND ($6::text[] IS NULL OR r.created_by = ANY ($6))
      AND ($7::text[] IS NULL OR r.tags && $7)
      AND ($8::text[] IS NULL OR r.categories && $8)
      AND ($9::text IS NULL OR r.content_type_name = $9)
      AND ($10::timestamptz IS NULL OR r.created_at > $10)
      AND ($11::timestamptz IS NULL OR r.created_at <= $11)
      AND ($18::boolean IS NULL OR r.status <> 'pending' OR $18 = (h.executor = 'caller'))
)
SELECT (SELECT count(*) FROM found) AS total, page.run_id, 0::float8 AS score
FROM (VALUES (1)) one(row)
LEFT JOIN LATERAL (
    SELECT f.run_id, row_number() OVER (ORDER BY
        CASE $12 WHEN 'started_at' THEN extract(epoch FROM f.started_at)
                 WHEN 'updated_at' THEN extract(epoch FROM f.updated_at) END * $13::int DESC NULLS LAST,
        CASE $14 WHEN 'started_at' THEN extract(epoch FROM f.started_at)
                 WHEN 'updated_at' THEN extract(epoch FROM f.updated_at) END * $15::int DESC NULLS LAST,
        f.started_at DESC, f.run_id DESC) AS place
    FROM found f
    ORDER BY place
    LIMIT $16 OFFSET $17
) page ON true
ORDER BY page.place;

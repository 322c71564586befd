"""What files of a real data set repeat of its others, against questions to the run's tables in SQL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from tests.audits import audit, without_dask
from tests.new_repeats_oracle import write_repeats

# Every earlier document each new one repeats, at every grain: kind, rank (the first is the best), partner.
PARTNERS = """
CREATE TABLE docs AS SELECT doc_id, text_id, n_tokens, cluster_id, doc_id // 4294967296 IN ({new}) AS is_new
  FROM '{run}/documents/*.parquet' WHERE status <> 'empty';
CREATE TABLE held AS SELECT d.doc_id, d.is_new, s.passage_id, s.tokens, s.token_start
  FROM '{run}/spans/*.parquet' s JOIN docs d USING (text_id)
  JOIN '{run}/passages/*.parquet' p USING (passage_id) WHERE NOT p.predictable;
CREATE TABLE sides AS
  SELECT doc_a AS this, doc_b AS other, jaccard FROM '{run}/pairs/*.parquet' WHERE jaccard >= 0.7
  UNION ALL SELECT doc_b, doc_a, jaccard FROM '{run}/pairs/*.parquet' WHERE jaccard >= 0.7;
CREATE TABLE partners AS
  SELECT n.doc_id, 1 AS kind, 0.0 AS rank, min(e.doc_id) AS partner FROM docs n JOIN docs e USING (text_id)
    WHERE n.is_new AND NOT e.is_new GROUP BY n.doc_id
  UNION ALL
  SELECT n.doc_id, 2, -s.jaccard, min(e.doc_id) FROM sides s
    JOIN docs t ON t.doc_id = s.this JOIN docs n ON n.text_id = t.text_id
    JOIN docs o ON o.doc_id = s.other JOIN docs e ON e.text_id = o.text_id
    WHERE n.is_new AND NOT e.is_new GROUP BY n.doc_id, s.jaccard
  UNION ALL
  SELECT n.doc_id, 3, 0.0, min(e.doc_id) FROM docs n JOIN docs e USING (cluster_id)
    WHERE n.is_new AND NOT e.is_new GROUP BY n.doc_id
  UNION ALL
  SELECT n.doc_id, 4, -n.tokens, min(e.doc_id) FROM held n JOIN held e USING (passage_id)
    WHERE n.is_new AND NOT e.is_new GROUP BY n.doc_id, n.tokens;
"""
WRONG = """
WITH expected AS (SELECT doc_id, kind, partner, rank FROM partners
    QUALIFY row_number() OVER (PARTITION BY doc_id ORDER BY kind, rank, partner) = 1),
  found AS (SELECT *, list_position(['exact', 'near', 'cluster', 'passage'], kind) AS number
    FROM '{run}/summary/new_repeats.parquet')
SELECT count(*) FROM expected x FULL JOIN found f USING (doc_id)
WHERE x.doc_id IS NULL OR f.doc_id IS NULL OR x.kind <> f.number OR x.partner <> f.earlier_doc_id
  OR (f.number = 2 AND f.jaccard <> -x.rank) OR (f.number = 4 AND f.passage_tokens <> -x.rank)
"""
# Tokens of a new text in passages that an earlier document holds, one by one.
COVERED = """
WITH shared AS (SELECT DISTINCT passage_id FROM held WHERE NOT is_new),
  places AS (SELECT DISTINCT h.doc_id, unnest(range(h.token_start, h.token_start + h.tokens)) AS token
    FROM held h SEMI JOIN shared USING (passage_id) WHERE h.is_new),
  covered AS (SELECT doc_id, count(*) AS tokens FROM places GROUP BY doc_id)
SELECT count(*) FROM '{run}/summary/new_repeats.parquet' f LEFT JOIN covered c USING (doc_id)
WHERE f.repeated_tokens <> CASE f.kind WHEN 'exact' THEN f.n_tokens ELSE coalesce(c.tokens, 0) END
"""


@pytest.mark.parametrize("name", ["tldr-pages", pytest.param("debian-docs", marks=pytest.mark.slow)])
def test_the_table_is_what_the_tables_say(
    name: str, shared_data: Callable[[str], Path], tmp_path: Path
) -> None:
    with without_dask(page=False):
        run = audit(shared_data(name), tmp_path)
        files = len(run.rows("inputs"))
        assert files > 1
        for new in ([0], [files - 1], [*range(1, files)]):
            counts = write_repeats(run, new)
            assert counts["near"] > 0
            assert counts["passage"] > 0
            told = {"run": run.folder, "new": ", ".join(map(str, new))}
            with duckdb.connect() as database:
                database.execute(PARTNERS.format(**told))
                for question in (WRONG, COVERED):
                    assert database.sql(question.format(**told)).fetchall() == [(0,)]

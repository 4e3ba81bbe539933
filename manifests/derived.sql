-- What the views ask again and again, made once from the tables of a run (or of a chunk of its units) and written beside them:
-- `spans`, `fates`, `violations` and `label_counts`, whose rows are told in derived_records.py. timeline.py runs this script; a run
-- without these files has them as views, made anew by every query.
--
-- Nothing here looks beyond the units it is given, and every order is told: the same units make the same bytes.

-- All of a segment in one row, with its verdicts as a list: one for each stage that it entered.
CREATE OR REPLACE VIEW span_verdicts AS
WITH packed AS (SELECT DISTINCT segment_id FROM samples),
judged AS (
    SELECT s.id AS segment_id, s.recording_id, s.unit, s.start, s.num_samples,
        r.provenance.source AS source, r.provenance.host AS host, r.domain, r.licence.name AS licence, r.bandwidth,
        CASE WHEN c.segment_id IS NULL THEN r.language ELSE c.language END AS language, x.tier, x.split,
        c.agreement, c.confidence, x.expected_error, c.language_confidence, c.chars_per_second, c.compression_ratio, c.repeated_ngrams,
        s.rejection IS NULL AS speech, s.kind,
        CASE WHEN s.rejection IS NULL AND c.segment_id IS NOT NULL THEN c.rejection IS NULL END AS agreed,
        CASE WHEN agreed AND x.segment_id IS NOT NULL THEN x.rejection IS NULL END AS selected,
        coalesce(selected, false) AND u.segment_id IS NULL AS kept,
        coalesce(s.rejection.reason, c.rejection.reason, x.rejection.reason, u.reason) AS reason,
        p.segment_id IS NOT NULL AS packed,
        CASE WHEN x.expected_error IS NOT NULL THEN len(c.slots) END AS num_slots,
        coalesce(suffix(c.normaliser, '+digits-as-written'), false) AS unread_numbers,
        list_filter(l.quality.marks, lambda m: m.value = 'overall')[1].score AS quality,
        len(list_distinct(list_transform(l.speaker_turns.marks, lambda m: m.value))) AS num_speakers
    FROM segments AS s
    LEFT JOIN recordings AS r ON r.id = s.recording_id AND r.rejection IS NULL
    LEFT JOIN consensus AS c ON c.segment_id = s.id
    LEFT JOIN selections AS x ON x.segment_id = s.id
    LEFT JOIN unpacked AS u ON u.segment_id = s.id
    LEFT JOIN packed AS p ON p.segment_id = s.id
    LEFT JOIN labels AS l ON l.segment_id = s.id
), rates AS (
    SELECT recording_id, unit, count(*) AS n, quantile_cont(chars_per_second, [0.25, 0.75]) AS q
    FROM judged WHERE agreed AND kind = 'speech' GROUP BY ALL
), told AS (
    SELECT segment_id, 4 AS position, 'transcribe:' || engine AS stage, rejection IS NULL AS kept, rejection.reason AS reason
    FROM hypotheses
    UNION ALL SELECT segment_id, 5, stage, kept, reason FROM own_rows
), answers AS (
    SELECT segment_id, list({position: position, stage: stage, kept: kept, reason: reason} ORDER BY position, stage, reason) AS given
    FROM told GROUP BY segment_id
)
SELECT j.*, r.n AS num_rates, r.q[1] AS rate_q1, r.q[2] AS rate_q3,
    list_concat(
        [{position: 3, stage: 'segment', kept: speech, reason: CASE WHEN NOT speech THEN j.reason END}],
        CASE WHEN speech THEN a.given END,
        CASE WHEN speech THEN
            [{position: 5, stage: 'reconcile', kept: agreed, reason: CASE WHEN NOT agreed THEN j.reason END}] END,
        CASE WHEN agreed THEN
            [{position: 6, stage: 'select', kept: selected, reason: CASE WHEN NOT selected THEN j.reason END}] END,
        CASE WHEN selected THEN
            [{position: 7, stage: 'pack', kept: CASE WHEN packed THEN true WHEN NOT j.kept THEN false END,
              reason: CASE WHEN NOT j.kept THEN j.reason END}] END
    ) AS verdicts,
    (md5_number_lower(to_json(verdicts)::VARCHAR) >> 1)::BIGINT AS fate
FROM judged AS j
LEFT JOIN answers AS a ON a.segment_id = j.segment_id
LEFT JOIN rates AS r ON r.recording_id = j.recording_id AND r.unit IS NOT DISTINCT FROM j.unit;

-- `v.language_confidence` in full: macros over this view have an argument of that name.
CREATE OR REPLACE VIEW spans AS
SELECT segment_id, recording_id, unit, start, num_samples, source, host, domain, licence, bandwidth, language, tier, split,
    agreement, confidence, expected_error, v.language_confidence, chars_per_second, compression_ratio, repeated_ngrams,
    speech, kind, agreed, selected, kept, reason, fate, num_rates, rate_q1, rate_q3, num_slots, unread_numbers, quality, num_speakers
FROM span_verdicts AS v ORDER BY unit, recording_id, start, segment_id;

CREATE OR REPLACE VIEW fates AS
WITH lists AS (SELECT fate, any_value(verdicts) AS verdicts FROM span_verdicts GROUP BY fate),
numbered AS (SELECT fate, unnest(verdicts) AS v, generate_subscripts(verdicts, 1) AS place FROM lists)
SELECT fate, place, v.position::BIGINT AS position, v.stage AS stage, v.kept AS kept, v.reason AS reason
FROM numbered ORDER BY fate, place;

CREATE OR REPLACE VIEW violations AS
WITH speech AS (FROM segments WHERE rejection IS NULL),
parts AS (SELECT u.id AS unit, unnest(u.parts, recursive := true) FROM units AS u),
begun AS (SELECT recording_id, min(start) AS start FROM parts GROUP BY recording_id),
borders AS (
    SELECT s.id, s.start, coalesce(
        lag(s.start + s.num_samples) OVER (PARTITION BY s.recording_id ORDER BY s.start, s.id), b.start, 0) AS previous_end
    FROM segments AS s LEFT JOIN begun AS b ON b.recording_id = s.recording_id
), found AS (
    SELECT 'segment' AS stage, coalesce(p.unit, s.unit) || '/' || coalesce(p.recording_id, s.recording_id) AS id,
        'samples in the segments of a part' AS what, coalesce(p.num_samples, 0) AS expected, coalesce(s.num_samples, 0) AS found
    FROM parts AS p
    FULL JOIN (SELECT unit, recording_id, sum(num_samples)::BIGINT AS num_samples FROM segments GROUP BY ALL) AS s
        ON s.unit = p.unit AND s.recording_id = p.recording_id
    WHERE coalesce(p.num_samples, 0) <> coalesce(s.num_samples, 0)
    UNION ALL
    SELECT 'segment', id, 'start of a segment, where the one before it ends', previous_end, start
    FROM borders WHERE start <> previous_end
    UNION ALL
    SELECT 'transcribe:' || h.engine, h.segment_id, 'hypotheses of a segment', 1, count(*)
    FROM hypotheses AS h SEMI JOIN speech AS s ON s.id = h.segment_id GROUP BY ALL HAVING count(*) > 1
    UNION ALL
    SELECT 'transcribe:' || h.engine, h.segment_id, 'segments of a hypothesis', 1, 0
    FROM hypotheses AS h ANTI JOIN speech AS s ON s.id = h.segment_id
    UNION ALL
    SELECT 'reconcile', s.id, 'consensus of a segment', 1, count(c.segment_id)
    FROM speech AS s LEFT JOIN consensus AS c ON c.segment_id = s.id GROUP BY ALL HAVING count(c.segment_id) <> 1
    UNION ALL
    SELECT 'reconcile', c.segment_id, 'segments of a consensus', 1, 0
    FROM consensus AS c ANTI JOIN speech AS s ON s.id = c.segment_id
    UNION ALL
    SELECT 'select', c.segment_id, 'selections of a consensus', 1, count(x.segment_id)
    FROM consensus AS c LEFT JOIN selections AS x ON x.segment_id = c.segment_id WHERE c.rejection IS NULL
    GROUP BY ALL HAVING count(x.segment_id) <> 1
    UNION ALL
    SELECT 'select', x.segment_id, 'consensus of a selection', 1, 0
    FROM selections AS x ANTI JOIN consensus AS c ON c.segment_id = x.segment_id
    UNION ALL
    SELECT 'select', x.segment_id, 'selections kept of a rejected consensus', 0, 1
    FROM selections AS x SEMI JOIN (FROM consensus WHERE rejection IS NOT NULL) AS c ON c.segment_id = x.segment_id
    WHERE x.rejection IS NULL
    UNION ALL
    SELECT 'pack', t.segment_id, 'packed samples of a kept segment', 1, count(p.segment_id)
    FROM spans AS t LEFT JOIN samples AS p ON p.segment_id = t.segment_id WHERE t.kept
    GROUP BY ALL HAVING count(p.segment_id) <> 1
    UNION ALL
    SELECT 'pack', p.segment_id, 'kept segments of a packed sample', 1, 0
    FROM samples AS p ANTI JOIN (FROM spans WHERE kept) AS t ON t.segment_id = p.segment_id
    UNION ALL
    SELECT 'pack', p.segment_id, 'audio samples in the shard', s.num_samples, p.num_samples
    FROM samples AS p JOIN segments AS s ON s.id = p.segment_id WHERE s.num_samples <> p.num_samples
)
SELECT stage, id, what, expected::BIGINT AS expected, found::BIGINT AS found FROM found ORDER BY ALL;

CREATE OR REPLACE VIEW label_counts AS
WITH opposed AS (
    SELECT task, labeller_a AS labeller, segment_id FROM label_conflicts
    UNION SELECT task, labeller_b, segment_id FROM label_conflicts
), contradicted AS (SELECT task, labeller, count(*) AS n FROM opposed GROUP BY ALL),
sure AS (  -- as decimals, whose sum does not depend on the order of threads
    SELECT o.*, TRY_CAST(o.confidence AS DECIMAL(18, 15)) AS confidence_15 FROM opinion AS o
), asked AS (
    SELECT o.task, o.labeller, min(o.model) AS model, count(*) AS num_asked, count(*) FILTER (o.labelled) AS num_labelled,
        count(*) FILTER (o.labelled AND len(o.said) = 0) AS num_empty,
        coalesce(sum(s.num_samples) FILTER (o.labelled), 0)::BIGINT AS labelled_samples,
        count(o.confidence_15) AS num_confidences, coalesce(sum(o.confidence_15), 0)::DOUBLE AS sum_confidence,
        count(*) FILTER (o.reason IS NOT NULL) AS num_refused
    FROM sure AS o LEFT JOIN segments AS s ON s.id = o.segment_id GROUP BY o.task, o.labeller
)
SELECT a.*, coalesce(c.n, 0) AS num_contradicted
FROM asked AS a LEFT JOIN contradicted AS c ON c.task = a.task AND c.labeller = a.labeller ORDER BY a.task, a.labeller;

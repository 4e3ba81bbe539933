-- What a run kept and why: views over its tables (items, recordings, units, segments, hypotheses, consensus, opinions,
-- labels, selections, samples, unpacked, costs), over `reasons` (the public names of rejection) and over `run` (the text of
-- run.json).
-- Spans are in samples at 16 kHz (`num_samples`) or in seconds; costs are seconds of work.
--
--   FROM funnel;                     what entered, stayed and left at every stage
--   FROM retention_by_language;      also _domain, _host, _source, _licence, _tier, _reason, _bandwidth; FROM retention has all
--   FROM lost;                       audio that files hold or promise and that was not decoded, by recording, and why
--   FROM rejections;                 seconds by reason, with what it means and what to do about it
--   FROM marginal_loss;              what each filter of `select` loses alone, all other filters passing
--   FROM what_if(weak := 0.9);       hours by tier under other thresholds of `select`, without running anything again
--   FROM cost; FROM cost_by_stage;   work per kept hour
--   FROM conservation;               in = kept + rejected, everywhere: empty on a sound run
--   FROM unread_numbers;             languages whose digits were compared as written
--   FROM label_coverage;             what each labeller said how often, and how sure it was
--   FROM label_conflicts;            where two labellers of one segment say different things
--   FROM expected_by_tier;           how wrong the labels of each tier should be, by the run's calibration
--   FROM factors;                    what may decide whether a segment is kept: see `voxmill retention`
--   FROM timeline; FROM outcomes;    the rows behind all this: one per span of audio; one per thing and stage

-- One row per segment, and the segments of a recording tile it: every sample of audio once, with its fate.
-- A stage's verdict is true (kept), false (rejected, see the reason) or NULL (did not get there, or the row is missing).
CREATE OR REPLACE VIEW timeline AS
SELECT s.id AS segment_id, s.recording_id, s.unit, s.start, s.num_samples, s.num_samples / 16000 AS seconds,
    r.provenance.source AS source, r.provenance.host AS host, r.domain, r.licence.name AS licence, r.bandwidth,
    CASE WHEN c.segment_id IS NULL THEN r.language ELSE c.language END AS language, x.tier, x.split,
    c.agreement, c.confidence, x.expected_error, c.language_confidence, c.chars_per_second, c.compression_ratio, c.repeated_ngrams,
    s.rejection IS NULL AS speech, s.kind,
    CASE WHEN s.rejection IS NULL AND c.segment_id IS NOT NULL THEN c.rejection IS NULL END AS agreed,
    CASE WHEN agreed AND x.segment_id IS NOT NULL THEN x.rejection IS NULL END AS selected,
    coalesce(selected, false) AND u.segment_id IS NULL AS kept,
    coalesce(s.rejection.reason, c.rejection.reason, x.rejection.reason, u.reason) AS reason
FROM segments AS s
LEFT JOIN recordings AS r ON r.id = s.recording_id AND r.rejection IS NULL
LEFT JOIN consensus AS c ON c.segment_id = s.id
LEFT JOIN selections AS x ON x.segment_id = s.id
LEFT JOIN unpacked AS u ON u.segment_id = s.id;

-- One row per thing and stage that it entered. `kept` is NULL where the stage gave no answer, which is a fault.
-- A recording that loses some of its file's audio has a second row at `decode`, `decode.lost`, with what is lost of it; its first row
-- is what was decoded. Silence that stands for lost audio is lost there, and part of the recording from `segment` on.
CREATE OR REPLACE VIEW verdicts AS
WITH fetches AS (
    SELECT i.id AS item_id, i.provenance AS origin, coalesce(r.licence.name, i.licence.name) AS licence,
        coalesce(r.domain, i.domain) AS domain, coalesce(r.language, i.language) AS language, i.rejection AS listed,
        r.id AS recording_id, coalesce(r.num_samples - r.silent_samples, 0) AS num_samples, r.bandwidth,
        r.rejection.reason AS reason, coalesce(r.lost_samples, 0) AS lost_samples,
        CASE WHEN r.item_id IS NOT NULL THEN r.rejection IS NULL OR r.rejection.reason LIKE 'decode.%' END AS fetched
    FROM items AS i LEFT JOIN recordings AS r ON r.item_id = i.id
), listing AS (
    SELECT f.* EXCLUDE (origin, listed, fetched, reason, lost_samples, num_samples), origin.source, origin.host,
        unnest([
            {position: 0, stage: 'list', entered: true, kept: listed IS NULL, reason: listed.reason,
             num_samples: f.num_samples + f.lost_samples},
            {position: 1, stage: 'crawl', entered: listed IS NULL, kept: fetched,
             reason: CASE WHEN NOT fetched THEN f.reason END, num_samples: f.num_samples + f.lost_samples},
            {position: 2, stage: 'decode', entered: listed IS NULL AND fetched, kept: f.reason IS NULL, reason: f.reason,
             num_samples: f.num_samples}
        ], recursive := true)
    FROM fetches AS f
), losing AS (
    SELECT f.* EXCLUDE (origin, listed, fetched, reason, lost_samples, num_samples), origin.source, origin.host,
        2 AS position, 'decode' AS stage, true AS entered, false AS kept, 'decode.lost' AS reason, f.lost_samples AS num_samples
    FROM fetches AS f WHERE fetched AND f.lost_samples > 0
), judging AS (
    SELECT t.segment_id, t.recording_id, t.unit, t.num_samples,
        t.source, t.host, t.domain, t.licence, t.bandwidth, t.language, t.tier, t.agreement,
        unnest([
            {position: 3, stage: 'segment', entered: true, kept: speech, reason: CASE WHEN NOT speech THEN t.reason END},
            {position: 5, stage: 'reconcile', entered: speech, kept: agreed, reason: CASE WHEN NOT agreed THEN t.reason END},
            {position: 6, stage: 'select', entered: coalesce(agreed, false), kept: selected,
             reason: CASE WHEN NOT selected THEN t.reason END}
        ], recursive := true)
    FROM timeline AS t
), hearing AS (
    SELECT t.segment_id, t.recording_id, t.unit, t.num_samples,
        t.source, t.host, t.domain, t.licence, t.bandwidth, t.language, t.tier, t.agreement,
        4 AS position, 'transcribe:' || e.engine AS stage, true AS entered,
        CASE WHEN h.segment_id IS NOT NULL THEN h.rejection IS NULL END AS kept, h.rejection.reason AS reason
    FROM timeline AS t CROSS JOIN (SELECT DISTINCT engine FROM hypotheses) AS e
    LEFT JOIN hypotheses AS h ON h.segment_id = t.segment_id AND h.engine = e.engine
    WHERE t.speech
), checking AS (
    SELECT t.segment_id, t.recording_id, t.unit, t.num_samples,
        t.source, t.host, t.domain, t.licence, t.bandwidth, t.language, t.tier, t.agreement,
        5 AS position, e.stage, true AS entered, o.kept, o.reason
    FROM timeline AS t CROSS JOIN (SELECT DISTINCT stage FROM own_rows) AS e
    LEFT JOIN own_rows AS o ON o.segment_id = t.segment_id AND o.stage = e.stage
    WHERE t.speech
), packing AS (
    SELECT t.segment_id, t.recording_id, t.unit, t.num_samples,
        t.source, t.host, t.domain, t.licence, t.bandwidth, t.language, t.tier, t.agreement,
        7 AS position, 'pack' AS stage, true AS entered,
        CASE WHEN p.segment_id IS NOT NULL THEN true WHEN NOT t.kept THEN false END AS kept,
        CASE WHEN NOT t.kept THEN t.reason END AS reason
    FROM timeline AS t LEFT JOIN samples AS p ON p.segment_id = t.segment_id
    WHERE t.selected
)
SELECT position, stage, kept, reason, item_id, recording_id, segment_id, unit, num_samples, num_samples / 16000 AS seconds,
    source, host, domain, licence, bandwidth, language, tier, agreement
FROM (FROM listing UNION ALL BY NAME FROM losing UNION ALL BY NAME FROM judging UNION ALL BY NAME FROM hearing UNION ALL BY NAME FROM checking UNION ALL BY NAME FROM packing)
WHERE entered;

-- The verdicts, with each one's share of what its stage spent on its unit: by audio, or by count where there is none.
-- Listing, crawling and decoding come before units, so their rows share what the whole stage spent.
CREATE OR REPLACE VIEW outcomes AS
WITH weights AS (
    SELECT stage, unit, sum(num_samples) AS num_samples, count(*) AS num_rows FROM verdicts GROUP BY ALL
), spent AS (
    SELECT CASE WHEN engine IS NULL THEN stage ELSE stage || ':' || engine END AS stage,
        CASE WHEN stage IN ('list', 'crawl', 'decode') THEN NULL ELSE unit END AS unit, sum(wall_s) AS wall_s
    FROM costs GROUP BY ALL
)
SELECT v.*, coalesce(c.wall_s, 0)
    * CASE WHEN w.num_samples > 0 THEN v.num_samples / w.num_samples ELSE 1 / w.num_rows END AS cost_s
FROM verdicts AS v
JOIN weights AS w ON w.stage = v.stage AND w.unit IS NOT DISTINCT FROM v.unit
LEFT JOIN spent AS c ON c.stage = v.stage AND c.unit IS NOT DISTINCT FROM v.unit;

-- The seconds that enter `segment` are those of the recordings; all else that enters a stage is what the one before it kept.
CREATE OR REPLACE VIEW funnel AS
WITH decoded AS (SELECT 'segment' AS stage, sum(num_samples) AS num_samples FROM recordings WHERE rejection IS NULL),
counted AS (
    SELECT position, stage,
        count(*) FILTER (whole) AS rows_in, count(*) FILTER (kept) AS rows_kept,
        count(*) FILTER (NOT kept AND whole) AS rows_rejected,
        sum(num_samples) AS samples_in, coalesce(sum(num_samples) FILTER (kept), 0) AS samples_kept,
        coalesce(sum(num_samples) FILTER (NOT kept), 0) AS samples_rejected
    FROM (SELECT *, reason IS DISTINCT FROM 'decode.lost' AS whole FROM verdicts) GROUP BY ALL
)
SELECT position, stage,
    CASE WHEN position < 2 THEN 'items' WHEN position < 3 THEN 'recordings' WHEN position < 4 THEN 'spans' ELSE 'segments' END
        AS counted,
    rows_in, rows_kept, rows_rejected,
    coalesce(d.num_samples, samples_in) / 16000 AS seconds_in, samples_kept / 16000 AS seconds_kept,
    samples_rejected / 16000 AS seconds_rejected,
    rows_in = rows_kept + rows_rejected AND coalesce(d.num_samples, samples_in) = samples_kept + samples_rejected AS balanced
FROM counted LEFT JOIN decoded AS d USING (stage)
ORDER BY position, stage;

CREATE OR REPLACE VIEW lost AS
SELECT id AS recording_id, provenance.source AS source, provenance.url AS url, container, codec, num_samples / 16000 AS seconds,
    lost_samples / 16000 AS lost_s, silent_samples / 16000 AS silent_s, lost_why AS why, rejection.reason AS reason
FROM recordings WHERE lost_samples > 0 OR lost_why IS NOT NULL ORDER BY lost_s DESC, recording_id;

CREATE OR REPLACE VIEW rejections AS
SELECT v.stage, v.reason, count(*) AS num_rows, sum(num_samples) / 16000 AS seconds, m.meaning, m.advice
FROM verdicts AS v LEFT JOIN reasons AS m ON m.reason = v.reason
WHERE NOT kept GROUP BY ALL ORDER BY min(position), seconds DESC, num_rows DESC, v.reason;

-- Retention by one property of the audio: the audio there was, the speech found in it, and what was kept of both.
-- Where no engine listened (silence), `language` is the one that the source states, and `tier` is NULL.
CREATE OR REPLACE MACRO retention_by(dimension) AS TABLE
SELECT CASE dimension WHEN 'language' THEN language WHEN 'domain' THEN domain WHEN 'host' THEN host WHEN 'source' THEN source
        WHEN 'licence' THEN licence WHEN 'tier' THEN tier WHEN 'reason' THEN reason WHEN 'bandwidth' THEN bandwidth
        WHEN 'split' THEN split WHEN 'unit' THEN unit ELSE error('no retention by ' || dimension) END AS value,
    count(*) AS num_spans, sum(num_samples) / 16000 AS source_s,
    coalesce(sum(num_samples) FILTER (speech AND kind = 'speech'), 0) / 16000 AS speech_s,
    coalesce(sum(num_samples) FILTER (kept), 0) / 16000 AS kept_s,
    kept_s / nullif(source_s, 0) AS kept_of_source, kept_s / nullif(speech_s, 0) AS kept_of_speech
FROM timeline GROUP BY value ORDER BY source_s DESC, value;

CREATE OR REPLACE VIEW retention_by_language AS FROM retention_by('language');
CREATE OR REPLACE VIEW retention_by_domain AS FROM retention_by('domain');
CREATE OR REPLACE VIEW retention_by_host AS FROM retention_by('host');
CREATE OR REPLACE VIEW retention_by_source AS FROM retention_by('source');
CREATE OR REPLACE VIEW retention_by_licence AS FROM retention_by('licence');
CREATE OR REPLACE VIEW retention_by_tier AS FROM retention_by('tier');
CREATE OR REPLACE VIEW retention_by_reason AS FROM retention_by('reason');
CREATE OR REPLACE VIEW retention_by_bandwidth AS FROM retention_by('bandwidth');

CREATE OR REPLACE VIEW retention AS
SELECT 'language' AS dimension, * FROM retention_by('language')
UNION ALL SELECT 'domain' AS dimension, * FROM retention_by('domain')
UNION ALL SELECT 'host' AS dimension, * FROM retention_by('host')
UNION ALL SELECT 'source' AS dimension, * FROM retention_by('source')
UNION ALL SELECT 'licence' AS dimension, * FROM retention_by('licence')
UNION ALL SELECT 'tier' AS dimension, * FROM retention_by('tier')
UNION ALL SELECT 'reason' AS dimension, * FROM retention_by('reason')
UNION ALL SELECT 'bandwidth' AS dimension, * FROM retention_by('bandwidth');

-- What may decide whether a segment of speech is kept: one row each, every factor as classes; NULL where it is not known.
CREATE OR REPLACE VIEW factors AS
SELECT t.segment_id, t.recording_id, t.seconds, t.kept, t.reason, t.language, t.domain, t.bandwidth,
    CASE WHEN t.seconds < 5 THEN 'under 5 s' WHEN t.seconds < 15 THEN '5 to 15 s' ELSE '15 s and more' END AS duration,
    CASE WHEN t.chars_per_second < 8 THEN 'slow' WHEN t.chars_per_second < 18 THEN 'middling' ELSE 'fast' END AS pace,
    CASE WHEN q.score < 2.5 THEN 'MOS under 2.5' WHEN q.score < 3.2 THEN 'MOS 2.5 to 3.2'
        WHEN q.score >= 3.2 THEN 'MOS 3.2 and more' END AS quality,
    CASE WHEN w.num_speakers = 1 THEN 'one' WHEN w.num_speakers > 1 THEN 'several' END AS speakers
FROM timeline AS t
LEFT JOIN (
    SELECT segment_id, list_filter(quality.marks, lambda m: m.value = 'overall')[1].score AS score FROM labels
) AS q USING (segment_id)
LEFT JOIN (
    SELECT segment_id, len(list_distinct(list_transform(speaker_turns.marks, lambda m: m.value))) AS num_speakers
    FROM labels WHERE speaker_turns IS NOT NULL
) AS w USING (segment_id)
WHERE t.speech AND t.kind = 'speech';

-- One row per segment, labeller and task that it was asked for. `said` is NULL where it was not sure, empty where there is none.
CREATE OR REPLACE VIEW opinion AS
SELECT o.segment_id, o.unit, o.labeller, f.task, f.annotation IS NOT NULL AS labelled,
    CASE WHEN f.annotation IS NOT NULL THEN list_transform(f.annotation.marks, lambda m: m.value) END AS said,
    f.annotation.marks AS marks, f.annotation.confidence AS confidence, f.annotation.model AS model, f.reason AS reason
FROM (SELECT segment_id, unit, labeller, unnest(findings) AS f FROM opinions WHERE rejection IS NULL) AS o;

-- What a class stands for when two labellers are compared: a dialect is not another language than its own.
CREATE OR REPLACE MACRO broad(value) AS CASE WHEN value IN ('yue', 'sichuan', 'minnan') THEN 'zh' ELSE value END;

-- Two labellers of one segment whose first marks differ. Texts, turns and measures are no classes, and are not compared.
CREATE OR REPLACE VIEW label_conflicts AS
SELECT a.segment_id, a.unit, a.task, a.labeller AS labeller_a, a.said[1] AS said_a, a.confidence AS confidence_a,
    b.labeller AS labeller_b, b.said[1] AS said_b, b.confidence AS confidence_b
FROM opinion AS a JOIN opinion AS b ON b.segment_id = a.segment_id AND b.task = a.task AND a.labeller < b.labeller
WHERE a.task IN ('language', 'gender', 'age', 'emotion') AND a.labelled AND b.labelled
    AND a.said[1] IS DISTINCT FROM b.said[1]
    AND NOT coalesce(broad(a.said[1]) = broad(b.said[1]) AND 'zh' IN (a.said[1], b.said[1]), false)
ORDER BY a.task, a.segment_id, labeller_a, labeller_b;

-- By task and labeller: segments it was asked about, answered, answered with nothing; its audio; how sure it was;
-- how many another labeller contradicts.
CREATE OR REPLACE VIEW label_coverage AS
SELECT o.task, o.labeller, any_value(o.model) AS model, count(*) AS num_asked, count(*) FILTER (o.labelled) AS num_labelled,
    count(*) FILTER (o.labelled AND len(o.said) = 0) AS num_empty, num_labelled / num_asked AS coverage,
    coalesce(sum(t.num_samples) FILTER (o.labelled), 0) / 16000 AS labelled_s, avg(o.confidence) AS mean_confidence,
    count(*) FILTER (o.reason IS NOT NULL) AS num_refused,
    (SELECT count(DISTINCT c.segment_id) FROM label_conflicts AS c
        WHERE c.task = o.task AND o.labeller IN (c.labeller_a, c.labeller_b)) AS num_contradicted
FROM opinion AS o LEFT JOIN timeline AS t USING (segment_id)
GROUP BY o.task, o.labeller ORDER BY o.task, o.labeller;

-- The thresholds that the run was made with.
CREATE OR REPLACE VIEW thresholds AS
SELECT
    (content->>'$.config.select.score')::VARCHAR AS score,
    (content->>'$.config.select.confidence_share')::DOUBLE AS confidence_share,
    (content->>'$.config.select.high')::DOUBLE AS high, (content->>'$.config.select.weak')::DOUBLE AS weak,
    (content->>'$.config.select.unlabelled')::DOUBLE AS unlabelled,
    (content->>'$.config.select.single_high')::DOUBLE AS single_high,
    (content->>'$.config.select.single_weak')::DOUBLE AS single_weak,
    (content->>'$.config.select.single_unlabelled')::DOUBLE AS single_unlabelled,
    (content->>'$.config.select.min_confidence')::DOUBLE AS min_confidence,
    (content->'$.config.select.languages')::VARCHAR[] AS languages,
    (content->>'$.config.select.language_confidence')::DOUBLE AS language_confidence,
    (content->>'$.config.select.max_repeats')::BIGINT AS max_repeats,
    (content->>'$.config.select.max_compression')::DOUBLE AS max_compression,
    (content->>'$.config.select.rate_fence')::DOUBLE AS rate_fence,
    (content->>'$.config.select.rate_segments')::BIGINT AS rate_segments,
    (content->>'$.config.select.min_chars')::BIGINT AS min_chars,
    (content->'$.config.select.licences')::VARCHAR[] AS licences,
    (content->>'$.config.select.allow_unknown_licence')::BOOLEAN AS allow_unknown_licence,
    (content->>'$.config.select.keep_unlabelled')::BOOLEAN AS keep_unlabelled
FROM run;

-- What `select` says of every segment with a consensus, under other thresholds; what is not given stays as the run has it.
-- `fails` lists every rule that a segment breaks, in the order in which `select` tries them; the first one names its reason.
-- Keeping begins at `weak`: an `unlabelled` above it counts as equal to it. A negative `rate_fence` is no fence.
CREATE OR REPLACE MACRO judge(
    score := NULL, confidence_share := NULL, high := NULL, weak := NULL, unlabelled := NULL, single_high := NULL,
    single_weak := NULL, single_unlabelled := NULL, min_confidence := NULL, languages := NULL, language_confidence := NULL,
    max_repeats := NULL, max_compression := NULL, rate_fence := NULL, rate_segments := NULL, min_chars := NULL,
    licences := NULL, allow_unknown_licence := NULL, keep_unlabelled := NULL
) AS TABLE
WITH asked AS (
    SELECT
        coalesce(score, t.score) AS score, coalesce(confidence_share, t.confidence_share) AS confidence_share,
        coalesce(high, t.high) AS high, coalesce(weak, t.weak) AS weak, coalesce(unlabelled, t.unlabelled) AS unlabelled,
        coalesce(single_high, t.single_high) AS single_high, coalesce(single_weak, t.single_weak) AS single_weak,
        coalesce(single_unlabelled, t.single_unlabelled) AS single_unlabelled,
        coalesce(min_confidence, t.min_confidence) AS min_confidence, coalesce(languages, t.languages) AS languages,
        coalesce(language_confidence, t.language_confidence) AS language_confidence,
        coalesce(max_repeats, t.max_repeats) AS max_repeats, coalesce(max_compression, t.max_compression) AS max_compression,
        coalesce(rate_fence, t.rate_fence) AS rate_fence, coalesce(rate_segments, t.rate_segments) AS rate_segments,
        coalesce(min_chars, t.min_chars) AS min_chars, coalesce(licences, t.licences) AS licences,
        coalesce(allow_unknown_licence, t.allow_unknown_licence) AS allow_unknown_licence,
        coalesce(keep_unlabelled, t.keep_unlabelled) AS keep_unlabelled
    FROM thresholds AS t
), rates AS (
    SELECT u.recording_id, u.unit, count(*) AS n, quantile_cont(u.chars_per_second, [0.25, 0.75]) AS q
    FROM timeline AS u WHERE u.agreed AND u.kind = 'speech' GROUP BY ALL
), facts AS (
    SELECT e.segment_id, e.num_samples, coalesce(e.selected, false) AS kept_now, e.tier AS tier_now, e.reason AS reason_now,
        e.agreement, e.confidence, e.expected_error, e.licence, e.language, e.language_confidence, e.repeated_ngrams, e.compression_ratio,
        e.chars_per_second,
        round(e.chars_per_second * e.num_samples / 16000) AS chars,
        CASE coalesce(k.score, 'agreement') WHEN 'agreement' THEN coalesce(e.agreement, e.confidence)
            WHEN 'agreement_confidence'
            THEN coalesce(e.agreement * (1 - k.confidence_share + k.confidence_share * e.confidence), e.agreement, e.confidence)
            WHEN 'expected_error' THEN CASE WHEN e.agreement IS NULL THEN e.confidence ELSE greatest(0, 1 - e.expected_error) END
            ELSE error('score is `agreement`, `agreement_confidence` or `expected_error`, not ' || k.score) END AS points,
        CASE WHEN r.n >= k.rate_segments AND k.rate_fence >= 0 THEN k.rate_fence * (r.q[2] - r.q[1]) END AS reach, r.q
    FROM timeline AS e CROSS JOIN asked AS k
    LEFT JOIN rates AS r ON r.recording_id = e.recording_id AND r.unit IS NOT DISTINCT FROM e.unit
    WHERE e.agreed AND e.kind = 'speech'
), ruled AS (
    SELECT f.*, list_filter([
            CASE WHEN f.reason_now IN ('select.failed', 'select.contaminated', 'select.duplicate', 'select.personal_data') THEN f.reason_now END,
            CASE WHEN NOT CASE f.licence WHEN 'unknown' THEN k.allow_unknown_licence
                WHEN 'proprietary' THEN list_contains(k.licences, 'proprietary')
                ELSE len(list_filter(k.licences, lambda pattern: f.licence GLOB pattern)) > 0 END THEN 'select.licence' END,
            CASE WHEN len(k.languages) > 0 AND NOT coalesce(list_contains(k.languages, f.language), false)
                THEN 'select.language' END,
            CASE WHEN f.language_confidence < k.language_confidence THEN 'select.language_unsure' END,
            CASE WHEN f.chars < k.min_chars THEN 'select.too_few_chars' END,
            CASE WHEN f.repeated_ngrams > k.max_repeats THEN 'select.repetition' END,
            CASE WHEN f.compression_ratio > k.max_compression THEN 'select.compression' END,
            CASE WHEN f.chars_per_second < f.q[1] - f.reach OR f.chars_per_second > f.q[2] + f.reach
                THEN 'select.speech_rate' END,
            CASE WHEN f.confidence < CASE WHEN f.agreement IS NULL
                THEN greatest(k.min_confidence, least(k.single_unlabelled, k.single_weak)) ELSE k.min_confidence END
                THEN 'select.low_confidence' END,
            CASE WHEN f.agreement IS NOT NULL AND f.points < least(k.unlabelled, k.weak) THEN 'select.low_agreement' END
        ], lambda reason: reason IS NOT NULL) AS broken,
        coalesce(f.points < CASE WHEN f.agreement IS NULL THEN k.single_weak ELSE k.weak END, true) AS below,
        f.points >= CASE WHEN f.agreement IS NULL THEN k.single_high ELSE k.high END AS above, k.keep_unlabelled AS keeps
    FROM facts AS f CROSS JOIN asked AS k
)
SELECT v.segment_id, v.num_samples, v.tier_now, v.kept_now, v.reason_now,
    CASE WHEN len(v.broken) > 0 THEN 'rejected' WHEN v.below THEN 'unlabelled' WHEN v.above THEN 'high' ELSE 'weak' END AS tier,
    CASE WHEN v.below AND NOT v.keeps AND NOT list_contains(v.broken, 'select.low_agreement')
            AND NOT (v.agreement IS NULL AND list_contains(v.broken, 'select.low_confidence'))
        THEN list_append(v.broken, 'select.unlabelled') ELSE v.broken END AS fails,
    len(fails) = 0 AS kept, fails[1] AS reason
FROM ruled AS v;

-- Hours by tier as the run has them and as they would be, and of all that is kept.
CREATE OR REPLACE MACRO what_if(
    score := NULL, confidence_share := NULL, high := NULL, weak := NULL, unlabelled := NULL, single_high := NULL,
    single_weak := NULL, single_unlabelled := NULL, min_confidence := NULL, languages := NULL, language_confidence := NULL,
    max_repeats := NULL, max_compression := NULL, rate_fence := NULL, rate_segments := NULL, min_chars := NULL,
    licences := NULL, allow_unknown_licence := NULL, keep_unlabelled := NULL
) AS TABLE
WITH judged AS (FROM judge(
    score := score, confidence_share := confidence_share, high := high, weak := weak, unlabelled := unlabelled,
    single_high := single_high, single_weak := single_weak, single_unlabelled := single_unlabelled,
    min_confidence := min_confidence, languages := languages, language_confidence := language_confidence,
    max_repeats := max_repeats, max_compression := max_compression, rate_fence := rate_fence, rate_segments := rate_segments,
    min_chars := min_chars, licences := licences, allow_unknown_licence := allow_unknown_licence,
    keep_unlabelled := keep_unlabelled
)), counted AS (
    SELECT 1 AS place, tier_now AS tier, num_samples AS samples_now, 0 AS samples_then FROM judged
    UNION ALL SELECT 1, tier, 0, num_samples FROM judged
    UNION ALL SELECT 2, 'kept', CASE WHEN kept_now THEN num_samples END, CASE WHEN kept THEN num_samples END FROM judged
)
SELECT tier, count(*) FILTER (samples_now > 0) AS segments_now, count(*) FILTER (samples_then > 0) AS segments_then,
    coalesce(sum(samples_now), 0) / 16000 / 3600 AS hours_now, coalesce(sum(samples_then), 0) / 16000 / 3600 AS hours_then
FROM counted WHERE tier IS NOT NULL GROUP BY place, tier
ORDER BY place, list_position(['high', 'weak', 'unlabelled', 'event', 'rejected'], tier);

-- What the labels of each tier should be worth, where the run has a calibration: errors expected per word, over all words.
CREATE OR REPLACE VIEW expected_by_tier AS
SELECT t.tier, count(*) AS num_segments, sum(t.seconds) / 3600 AS hours,
    sum(t.expected_error * len(c.slots)) / nullif(sum(len(c.slots)), 0) AS expected_error
FROM timeline AS t JOIN consensus AS c USING (segment_id)
WHERE t.expected_error IS NOT NULL
GROUP BY t.tier ORDER BY list_position(['high', 'weak', 'unlabelled', 'rejected'], t.tier);

-- What each filter of `select` loses: all that breaks it, and what breaks it alone, so would be kept without it (the margin).
-- An agreement below `weak` is one filter with two names: `select.low_agreement` where it is also below `unlabelled`.
CREATE OR REPLACE VIEW marginal_loss AS
WITH broken AS (SELECT unnest(fails) AS reason, len(fails) = 1 AS alone, num_samples FROM judge()),
kept AS (SELECT sum(num_samples) AS num_samples FROM timeline WHERE kept)
SELECT b.reason, count(*) AS num_failing, sum(b.num_samples) / 16000 AS failing_s, count(*) FILTER (b.alone) AS num_marginal,
    coalesce(sum(b.num_samples) FILTER (b.alone), 0) / 16000 AS marginal_s,
    coalesce(sum(b.num_samples) FILTER (b.alone), 0) / nullif(any_value(k.num_samples), 0) AS marginal_of_kept
FROM broken AS b CROSS JOIN kept AS k
GROUP BY b.reason ORDER BY marginal_s DESC, failing_s DESC, b.reason;

-- Languages in whose segments digits were compared as they are written, since no library says how they are spoken there:
-- words and digits for the same number lower the agreement.
CREATE OR REPLACE VIEW unread_numbers AS
SELECT language, count(*) AS num_segments, avg(agreement) AS mean_agreement
FROM consensus WHERE suffix(normaliser, '+digits-as-written')
GROUP BY ALL ORDER BY num_segments DESC, language;

-- Work by stage, engine and device: hours of wall clock and of CPU, how many times faster than real time, work per kept hour.
CREATE OR REPLACE VIEW cost_by_stage AS
WITH kept AS (SELECT sum(num_samples) / 16000 / 3600 AS hours FROM timeline WHERE kept),
spent AS (
    SELECT CASE WHEN engine IS NULL THEN stage ELSE stage || ':' || engine END AS stage, engine, device,
        count(DISTINCT unit) AS num_units, sum(wall_s) / 3600 AS wall_hours, sum(cpu_s) / 3600 AS cpu_hours,
        max(max_rss_bytes) / 1e9 AS max_rss_gb, sum(attempts - 1)::BIGINT AS retries
    FROM costs GROUP BY ALL
)
SELECT s.*, f.seconds_in / 3600 / nullif(sum(wall_hours) OVER (PARTITION BY s.stage), 0) AS times_real_time,
    wall_hours / nullif(k.hours, 0) AS wall_per_kept_hour, cpu_hours / nullif(k.hours, 0) AS cpu_per_kept_hour
FROM spent AS s LEFT JOIN funnel AS f ON f.stage = s.stage CROSS JOIN kept AS k
ORDER BY f.position, s.stage, device;

-- The whole run in one row: hours of audio, hours of work, and work per kept hour. `gpu_hours` is wall clock on any GPU.
CREATE OR REPLACE VIEW cost AS
WITH audio AS (
    SELECT coalesce(sum(num_samples), 0) / 16000 / 3600 AS source_hours,
        coalesce(sum(num_samples) FILTER (speech), 0) / 16000 / 3600 AS speech_hours,
        coalesce(sum(num_samples) FILTER (kept), 0) / 16000 / 3600 AS kept_hours
    FROM timeline
), work AS (
    SELECT coalesce(sum(wall_s), 0) / 3600 AS wall_hours, coalesce(sum(cpu_s), 0) / 3600 AS cpu_hours,
        coalesce(sum(wall_s) FILTER (device NOT LIKE 'cpu%'), 0) / 3600 AS gpu_hours
    FROM costs
)
SELECT audio.*, work.*, wall_hours / nullif(kept_hours, 0) AS wall_per_kept_hour,
    cpu_hours / nullif(kept_hours, 0) AS cpu_per_kept_hour, gpu_hours / nullif(kept_hours, 0) AS gpu_per_kept_hour
FROM audio CROSS JOIN work;

-- Every violation of in = kept + rejected, by id, with what was expected and what was found. Empty on a sound run.
CREATE OR REPLACE VIEW conservation AS
WITH kept_recordings AS (FROM recordings WHERE rejection IS NULL),
speech AS (FROM segments WHERE rejection IS NULL),
parts AS (SELECT u.id AS unit, unnest(u.parts, recursive := true) FROM units AS u),
borders AS (
    SELECT id, start, lag(start + num_samples, 1, 0) OVER (PARTITION BY recording_id ORDER BY start, id) AS previous_end
    FROM segments
),
expected_hypotheses AS (
    SELECT s.id, e.engine FROM speech AS s CROSS JOIN (SELECT DISTINCT engine FROM hypotheses) AS e
)
SELECT 'crawl' AS stage, i.id, 'recordings of a listed item' AS what, 1 AS expected, count(r.item_id) AS found
FROM items AS i LEFT JOIN recordings AS r ON r.item_id = i.id WHERE i.rejection IS NULL
GROUP BY i.id HAVING count(r.item_id) <> 1
UNION ALL
SELECT 'crawl', r.item_id, 'listed items of a recording', 1, 0 FROM recordings AS r ANTI JOIN items AS i ON i.id = r.item_id
UNION ALL
SELECT 'decode', id, 'kept recordings with these bytes', 1, count(*) FROM kept_recordings GROUP BY id HAVING count(*) <> 1
UNION ALL
SELECT 'decode', id, 'samples of silence for lost ones: no more than are lost, and than there are', least(lost_samples, num_samples),
    silent_samples
FROM recordings WHERE silent_samples NOT BETWEEN 0 AND least(lost_samples, num_samples)
UNION ALL
SELECT 'decode', id, 'recordings that say why audio is lost', 1, 0 FROM recordings WHERE lost_samples > 0 AND lost_why IS NULL
UNION ALL
SELECT 'segment', coalesce(r.id, p.recording_id), 'samples in the units of a recording',
    coalesce(any_value(r.num_samples), 0), coalesce(sum(p.num_samples), 0)::BIGINT
FROM kept_recordings AS r FULL JOIN parts AS p ON p.recording_id = r.id
GROUP BY ALL HAVING coalesce(any_value(r.num_samples), 0) <> coalesce(sum(p.num_samples), 0)
UNION ALL
SELECT 'segment', coalesce(p.unit, s.unit) || '/' || coalesce(p.recording_id, s.recording_id),
    'samples in the segments of a part', coalesce(p.num_samples, 0), coalesce(s.num_samples, 0)
FROM parts AS p
FULL JOIN (SELECT unit, recording_id, sum(num_samples)::BIGINT AS num_samples FROM segments GROUP BY ALL) AS s
    ON s.unit = p.unit AND s.recording_id = p.recording_id
WHERE coalesce(p.num_samples, 0) <> coalesce(s.num_samples, 0)
UNION ALL
SELECT 'segment', id, 'start of a segment, where the one before it ends', previous_end, start
FROM borders WHERE start <> previous_end
UNION ALL
SELECT 'transcribe:' || e.engine, e.id, 'hypotheses of a segment', 1, count(h.segment_id)
FROM expected_hypotheses AS e LEFT JOIN hypotheses AS h ON h.segment_id = e.id AND h.engine = e.engine
GROUP BY ALL HAVING count(h.segment_id) <> 1
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
FROM timeline AS t LEFT JOIN samples AS p ON p.segment_id = t.segment_id WHERE t.kept
GROUP BY ALL HAVING count(p.segment_id) <> 1
UNION ALL
SELECT 'pack', p.segment_id, 'kept segments of a packed sample', 1, 0
FROM samples AS p ANTI JOIN (FROM timeline WHERE kept) AS t ON t.segment_id = p.segment_id
UNION ALL
SELECT 'pack', p.segment_id, 'audio samples in the shard', s.num_samples, p.num_samples
FROM samples AS p JOIN segments AS s ON s.id = p.segment_id WHERE s.num_samples <> p.num_samples
UNION ALL
SELECT stage, reason, 'rejections for a reason that this stage does not have', 0, count(*)
FROM verdicts AS v
WHERE NOT kept AND NOT EXISTS (
    FROM reasons AS m
    WHERE m.reason = v.reason AND (m.stage = split_part(v.stage, ':', 1) OR (v.stage = 'list' AND m.stage = 'crawl'))
)
GROUP BY ALL;

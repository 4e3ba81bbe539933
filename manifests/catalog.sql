-- What a run kept and why: views over its tables (items, recordings, units, segments, hypotheses, consensus, opinions,
-- labels, selections, samples, unpacked, costs), over `reasons` (the public names of rejection) and over `run` (the text of
-- run.json).
-- Spans are in samples at 16 kHz (`num_samples`) or in seconds; costs are seconds of work.
-- Fractions are summed as decimals, whose sum does not depend on the order in which threads add: a run has one report.
--
--   FROM funnel;                     what entered, stayed and left at every stage
--   FROM retention_by_language;      also _domain, _host, _source, _licence, _tier, _reason, _bandwidth; FROM retention has all
--   FROM lost;                       audio that files hold or promise and that was not decoded, by recording, and why
--   FROM given;                      what corpora say of their recordings, span by span, and why a span was not heard as they have it
--   FROM rejections;                 seconds by reason, with what it means and what to do about it
--   FROM marginal_loss;              what each filter of `select` loses alone, all other filters passing
--   FROM what_if(weak := 0.9);       hours by tier under other thresholds of `select`, without running anything again
--   FROM cost; FROM cost_by_stage;   work per kept hour
--   FROM service_cost;               what recognition services were asked, and what that comes to by the prices in the config
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
SELECT segment_id, recording_id, unit, start, num_samples, num_samples / 16000 AS seconds, source, host, domain, licence, bandwidth,
    language, tier, split, agreement, confidence, expected_error, language_confidence, chars_per_second, compression_ratio, repeated_ngrams,
    speech, kind, agreed, selected, kept, reason
FROM spans;

-- What each fate (see `spans`) says at every stage that it passed. `kept` is NULL where a stage that listens to all speech gave no answer.
-- A recogniser that was not asked for a segment, and transcripts that are not given for it, passed no verdict on it.
CREATE OR REPLACE VIEW fate_verdicts AS
WITH known AS (SELECT DISTINCT fate, place, position::INTEGER AS position, stage, kept, reason FROM fates),
heard AS (SELECT fate FROM known WHERE position = 3 AND kept),
asked AS (SELECT DISTINCT position, stage FROM known WHERE position IN (4, 5) AND stage <> 'reconcile')
SELECT fate, position, stage, kept, reason FROM known
WHERE coalesce(reason, '') NOT IN ('transcribe.language', 'transcribe.not_asked', 'transcribe.not_given')
UNION ALL
SELECT h.fate, a.position, a.stage, NULL, NULL
FROM heard AS h CROSS JOIN asked AS a ANTI JOIN known AS k ON k.fate = h.fate AND k.stage = a.stage;

-- What was listed, crawled and decoded: one row per item and stage that it entered.
CREATE OR REPLACE VIEW listed_verdicts AS
WITH fetches AS (
    SELECT i.id AS item_id, i.provenance.source AS source, i.provenance.host AS host, coalesce(r.licence.name, i.licence.name) AS licence,
        coalesce(r.domain, i.domain) AS domain, coalesce(r.language, i.language) AS language, i.rejection AS listed,
        r.id AS recording_id, coalesce(r.num_samples - r.silent_samples, 0) AS num_samples, r.bandwidth,
        r.rejection.reason AS reason, coalesce(r.lost_samples, 0) AS lost_samples,
        CASE WHEN r.item_id IS NOT NULL THEN r.rejection IS NULL OR r.rejection.reason LIKE 'decode.%' END AS fetched
    FROM items AS i LEFT JOIN recordings AS r ON r.item_id = i.id
), steps AS (
    SELECT f.* EXCLUDE (listed, fetched, reason, lost_samples, num_samples),
        unnest([
            {position: 0, stage: 'list', entered: true, kept: listed IS NULL, reason: listed.reason,
             num_samples: f.num_samples + f.lost_samples},
            {position: 1, stage: 'crawl', entered: listed IS NULL, kept: fetched,
             reason: CASE WHEN NOT fetched THEN f.reason END, num_samples: f.num_samples + f.lost_samples},
            {position: 2, stage: 'decode', entered: listed IS NULL AND fetched, kept: f.reason IS NULL, reason: f.reason,
             num_samples: f.num_samples},
            {position: 2, stage: 'decode', entered: fetched AND f.lost_samples > 0, kept: false, reason: 'decode.lost',
             num_samples: f.lost_samples}
        ], recursive := true)
    FROM fetches AS f
)
SELECT * EXCLUDE entered FROM steps WHERE entered;

-- One row per thing and stage that it entered. `kept` is NULL where the stage gave no answer, which is a fault.
-- A recording that loses some of its file's audio has a second row at `decode`, `decode.lost`, with what is lost of it; its first row
-- is what was decoded. Silence that stands for lost audio is lost there, and part of the recording from `segment` on.
CREATE OR REPLACE VIEW verdicts AS
SELECT position, stage, kept, reason, item_id, recording_id, NULL::VARCHAR AS segment_id, NULL::VARCHAR AS unit, num_samples,
    num_samples / 16000 AS seconds, source, host, domain, licence, bandwidth, language, NULL::VARCHAR AS tier, NULL::DOUBLE AS agreement
FROM listed_verdicts
UNION ALL
SELECT f.position, f.stage, f.kept, f.reason, NULL, t.recording_id, t.segment_id, t.unit, t.num_samples,
    t.num_samples / 16000, t.source, t.host, t.domain, t.licence, t.bandwidth, t.language, t.tier, t.agreement
FROM spans AS t JOIN fate_verdicts AS f ON f.fate = t.fate;

-- How many verdicts, and how much audio, of each kind.
CREATE OR REPLACE VIEW verdict_counts AS
SELECT position, stage, kept, reason, count(*) AS num_rows, sum(num_samples)::BIGINT AS num_samples
FROM listed_verdicts GROUP BY ALL
UNION ALL
SELECT f.position, f.stage, f.kept, f.reason, sum(t.num_rows)::BIGINT, sum(t.num_samples)::BIGINT
FROM (SELECT fate, count(*) AS num_rows, sum(num_samples) AS num_samples FROM spans GROUP BY fate) AS t
JOIN fate_verdicts AS f ON f.fate = t.fate
GROUP BY ALL;

-- The verdicts, with each one's share of what its stage spent on its unit: by audio, or by count where there is none.
-- Listing, crawling and decoding come before units, so their rows share what the whole stage spent.
-- Both joins are on keys that are unique and plain columns: a query that does not ask for `cost_s` does not pay for them.
CREATE OR REPLACE VIEW outcomes AS
WITH weights AS (
    SELECT stage, '' AS payer, sum(num_samples) AS num_samples, count(*) AS num_rows FROM listed_verdicts GROUP BY stage
    UNION ALL
    SELECT f.stage, coalesce(t.unit, '') AS payer, sum(t.num_samples), sum(t.num_rows)
    FROM (SELECT unit, fate, count(*) AS num_rows, sum(num_samples) AS num_samples FROM spans GROUP BY unit, fate) AS t
    JOIN fate_verdicts AS f ON f.fate = t.fate
    GROUP BY ALL
), weight AS (SELECT stage, payer, sum(num_samples) AS num_samples, sum(num_rows) AS num_rows FROM weights GROUP BY stage, payer),
paid AS (
    SELECT CASE WHEN engine IS NULL THEN stage ELSE stage || ':' || engine END AS stage,
        CASE WHEN stage IN ('list', 'crawl', 'decode') THEN '' ELSE coalesce(unit, '') END AS payer, wall_s
    FROM costs
), spent AS (SELECT stage, payer, sum(wall_s::DECIMAL(18, 6)) AS wall_s FROM paid GROUP BY stage, payer),
charged AS (SELECT *, coalesce(unit, '') AS payer FROM verdicts)
SELECT v.* EXCLUDE payer, coalesce(c.wall_s, 0)::DOUBLE
    * CASE WHEN w.num_samples > 0 THEN v.num_samples / w.num_samples ELSE 1 / w.num_rows END AS cost_s
FROM charged AS v
LEFT JOIN weight AS w ON w.stage = v.stage AND w.payer = v.payer
LEFT JOIN spent AS c ON c.stage = v.stage AND c.payer = v.payer;

-- The seconds that enter `segment` are those of the recordings; all else that enters a stage is what the one before it kept.
CREATE OR REPLACE VIEW funnel AS
WITH decoded AS (SELECT 'segment' AS stage, sum(num_samples) AS num_samples FROM recordings WHERE rejection IS NULL),
counted AS (
    SELECT position, stage,
        coalesce(sum(num_rows) FILTER (whole), 0)::BIGINT AS rows_in, coalesce(sum(num_rows) FILTER (kept), 0)::BIGINT AS rows_kept,
        coalesce(sum(num_rows) FILTER (NOT kept AND whole), 0)::BIGINT AS rows_rejected,
        sum(num_samples) AS samples_in, coalesce(sum(num_samples) FILTER (kept), 0) AS samples_kept,
        coalesce(sum(num_samples) FILTER (NOT kept), 0) AS samples_rejected
    FROM (SELECT *, reason IS DISTINCT FROM 'decode.lost' AS whole FROM verdict_counts) GROUP BY ALL
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

-- One row for each span that a corpus names of a recording. `reason` is NULL where the span became a segment as it is.
CREATE OR REPLACE VIEW given AS
SELECT r.id AS recording_id, r.provenance.source AS source, r.provenance.url AS url, g.key, g.start, g.num_samples,
    g.num_samples / 16000 AS seconds, g.text, g.speaker, g.language, coalesce(r.rejection.reason, g.rejection.reason) AS reason,
    coalesce(r.rejection.detail, g.rejection.detail) AS detail
FROM recordings AS r, unnest(r.given) AS spans_of(g);

CREATE OR REPLACE VIEW rejections AS
SELECT v.stage, v.reason, sum(num_rows)::BIGINT AS num_rows, sum(num_samples) / 16000 AS seconds, m.meaning, m.advice
FROM verdict_counts AS v LEFT JOIN reasons AS m ON m.reason = v.reason
WHERE NOT kept GROUP BY ALL ORDER BY min(position), seconds DESC, num_rows DESC, v.reason;

-- How much audio there is of each kind, by the properties that have few values.
CREATE OR REPLACE VIEW retention_counts AS
SELECT language, domain, source, licence, tier, bandwidth, speech AND kind = 'speech' AS spoken, kept,
    count(*) AS num_spans, sum(num_samples)::BIGINT AS num_samples
FROM spans GROUP BY ALL;

-- Retention by one property of the audio: the audio there was, the speech found in it, and what was kept of both.
-- Where no engine listened (silence), `language` is the one that the source states, and `tier` is NULL.
CREATE OR REPLACE MACRO retention_by(dimension) AS TABLE
WITH counted AS (
    SELECT CASE dimension WHEN 'language' THEN language WHEN 'domain' THEN domain WHEN 'source' THEN source
            WHEN 'licence' THEN licence WHEN 'tier' THEN tier ELSE bandwidth END AS value, spoken, kept, num_spans, num_samples
    FROM retention_counts WHERE dimension IN ('language', 'domain', 'source', 'licence', 'tier', 'bandwidth')
    UNION ALL
    SELECT CASE dimension WHEN 'host' THEN host WHEN 'reason' THEN reason WHEN 'split' THEN split WHEN 'unit' THEN unit
            ELSE error('no retention by ' || dimension) END, speech AND kind = 'speech', kept, 1, num_samples
    FROM spans WHERE dimension NOT IN ('language', 'domain', 'source', 'licence', 'tier', 'bandwidth')
)
SELECT value, sum(num_spans)::BIGINT AS num_spans, sum(num_samples) / 16000 AS source_s,
    coalesce(sum(num_samples) FILTER (spoken), 0) / 16000 AS speech_s, coalesce(sum(num_samples) FILTER (kept), 0) / 16000 AS kept_s,
    kept_s / nullif(source_s, 0) AS kept_of_source, kept_s / nullif(speech_s, 0) AS kept_of_speech
FROM counted GROUP BY value ORDER BY source_s DESC, value;

-- The share that each stage keeps, by one property: one row for each value and stage.
CREATE OR REPLACE MACRO stages_by(dimension) AS TABLE
WITH counted AS (
    SELECT CASE dimension WHEN 'language' THEN language WHEN 'domain' THEN domain WHEN 'host' THEN host WHEN 'source' THEN source
            WHEN 'licence' THEN licence WHEN 'bandwidth' THEN bandwidth ELSE error('no stages by ' || dimension) END AS value,
        fate, count(*) AS num_rows, sum(num_samples) AS num_samples
    FROM spans GROUP BY ALL
), told AS (
    SELECT c.value, f.position, f.stage, f.kept, c.num_rows, c.num_samples FROM counted AS c JOIN fate_verdicts AS f ON f.fate = c.fate
    UNION ALL
    SELECT CASE dimension WHEN 'language' THEN language WHEN 'domain' THEN domain WHEN 'host' THEN host WHEN 'source' THEN source
            WHEN 'licence' THEN licence WHEN 'bandwidth' THEN bandwidth ELSE error('no stages by ' || dimension) END,
        position, stage, kept, 1, num_samples
    FROM listed_verdicts
)
SELECT value, min(position) AS position, stage, sum(num_rows)::BIGINT AS rows_in,
    coalesce(sum(num_rows) FILTER (kept), 0)::BIGINT AS rows_kept,
    coalesce(sum(num_samples), 0) / 16000 AS seconds_in, coalesce(sum(num_samples) FILTER (kept), 0) / 16000 AS seconds_kept
FROM told GROUP BY value, stage ORDER BY value, position, stage;

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
SELECT segment_id, recording_id, num_samples / 16000 AS seconds, kept, reason, language, domain, bandwidth,
    CASE WHEN seconds < 5 THEN 'under 5 s' WHEN seconds < 15 THEN '5 to 15 s' ELSE '15 s and more' END AS duration,
    CASE WHEN chars_per_second < 8 THEN 'slow' WHEN chars_per_second < 18 THEN 'middling' ELSE 'fast' END AS pace,
    CASE WHEN quality < 2.5 THEN 'MOS under 2.5' WHEN quality < 3.2 THEN 'MOS 2.5 to 3.2'
        WHEN quality >= 3.2 THEN 'MOS 3.2 and more' END AS quality,
    CASE WHEN num_speakers = 1 THEN 'one' WHEN num_speakers > 1 THEN 'several' END AS speakers
FROM spans WHERE speech AND kind = 'speech';

-- By task and labeller: segments it was asked about, answered, answered with nothing; its audio; how sure it was;
-- how many another labeller contradicts.
CREATE OR REPLACE VIEW label_coverage AS
SELECT task, labeller, min(model) AS model, sum(num_asked)::BIGINT AS num_asked, sum(num_labelled)::BIGINT AS num_labelled,
    sum(num_empty)::BIGINT AS num_empty, sum(num_labelled) / sum(num_asked) AS coverage, sum(labelled_samples) / 16000 AS labelled_s,
    sum(sum_confidence::DECIMAL(38, 12)) / nullif(sum(num_confidences), 0) AS mean_confidence, sum(num_refused)::BIGINT AS num_refused,
    sum(num_contradicted)::BIGINT AS num_contradicted
FROM label_counts GROUP BY task, labeller ORDER BY task, labeller;

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

-- The names of the rules that a segment breaks, of their bits in `ruled`; `first` is what the run itself says, where that is final.
CREATE OR REPLACE MACRO rule_names(first, rules) AS list_filter([
    CASE WHEN (rules & 1) > 0 THEN first END,
    CASE WHEN (rules & 2) > 0 THEN 'select.licence' END,
    CASE WHEN (rules & 4) > 0 THEN 'select.language' END,
    CASE WHEN (rules & 8) > 0 THEN 'select.language_unsure' END,
    CASE WHEN (rules & 16) > 0 THEN 'select.too_few_chars' END,
    CASE WHEN (rules & 32) > 0 THEN 'select.repetition' END,
    CASE WHEN (rules & 64) > 0 THEN 'select.compression' END,
    CASE WHEN (rules & 128) > 0 THEN 'select.speech_rate' END,
    CASE WHEN (rules & 256) > 0 THEN 'select.low_confidence' END,
    CASE WHEN (rules & 512) > 0 THEN 'select.low_agreement' END,
    CASE WHEN (rules & 1024) > 0 THEN 'select.unlabelled' END
], lambda reason: reason IS NOT NULL);

-- `judge` in numbers, for queries over all of a large run: `rules` has a bit for each rule that is broken, see `rule_names`.
CREATE OR REPLACE MACRO ruled(
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
        coalesce(language_confidence, t.language_confidence) AS least_language_confidence,
        coalesce(max_repeats, t.max_repeats) AS max_repeats, coalesce(max_compression, t.max_compression) AS max_compression,
        coalesce(rate_fence, t.rate_fence) AS rate_fence, coalesce(rate_segments, t.rate_segments) AS rate_segments,
        coalesce(min_chars, t.min_chars) AS min_chars, coalesce(licences, t.licences) AS licences,
        coalesce(allow_unknown_licence, t.allow_unknown_licence) AS allow_unknown_licence,
        coalesce(keep_unlabelled, t.keep_unlabelled) AS keep_unlabelled
    FROM thresholds AS t
), licensed AS (  -- decided once for each licence that there is
    SELECT l.licence, CASE l.licence WHEN 'unknown' THEN k.allow_unknown_licence
            WHEN 'proprietary' THEN list_contains(k.licences, 'proprietary')
            ELSE len(list_filter(k.licences, lambda pattern: l.licence GLOB pattern)) > 0 END AS allowed
    FROM (SELECT DISTINCT licence.name AS licence FROM recordings) AS l CROSS JOIN asked AS k
), facts AS (
    SELECT e.segment_id, e.num_samples, coalesce(e.selected, false) AS kept_now, e.tier AS tier_now, e.reason AS reason_now,
        e.agreement, e.confidence, e.language, e.language_confidence, e.repeated_ngrams, e.compression_ratio,
        e.chars_per_second, e.licence, l.allowed, k.*,
        round(e.chars_per_second * e.num_samples / 16000) AS chars,
        CASE coalesce(k.score, 'agreement') WHEN 'agreement' THEN coalesce(e.agreement, e.confidence)
            WHEN 'agreement_confidence'
            THEN coalesce(e.agreement * (1 - k.confidence_share + k.confidence_share * e.confidence), e.agreement, e.confidence)
            WHEN 'expected_error' THEN CASE WHEN e.agreement IS NULL THEN e.confidence ELSE greatest(0, 1 - e.expected_error) END
            ELSE error('score is `agreement`, `agreement_confidence` or `expected_error`, not ' || k.score) END AS points,
        CASE WHEN e.num_rates >= k.rate_segments AND k.rate_fence >= 0 THEN k.rate_fence * (e.rate_q3 - e.rate_q1) END AS reach,
        e.rate_q1, e.rate_q3
    FROM spans AS e CROSS JOIN asked AS k
    LEFT JOIN licensed AS l ON l.licence = e.licence
    WHERE e.agreed AND e.kind = 'speech'
), tested AS (
    SELECT f.*, f.reason_now IN ('select.failed', 'select.contaminated', 'select.duplicate', 'select.personal_data') AS final,
        coalesce(NOT f.allowed, f.licence IS NULL) AS unlicensed,
        len(f.languages) > 0 AND NOT coalesce(list_contains(f.languages, f.language), false) AS foreign_language,
        f.language_confidence < f.least_language_confidence AS unsure,
        f.chars < f.min_chars AS short,
        f.repeated_ngrams > f.max_repeats AS repeats,
        f.compression_ratio > f.max_compression AS compresses,
        f.chars_per_second < f.rate_q1 - f.reach OR f.chars_per_second > f.rate_q3 + f.reach AS fast_or_slow,
        f.confidence < CASE WHEN f.agreement IS NULL
            THEN greatest(f.min_confidence, least(f.single_unlabelled, f.single_weak)) ELSE f.min_confidence END AS unconfident,
        f.agreement IS NOT NULL AND f.points < least(f.unlabelled, f.weak) AS apart,
        coalesce(f.points < CASE WHEN f.agreement IS NULL THEN f.single_weak ELSE f.weak END, true) AS below,
        f.points >= CASE WHEN f.agreement IS NULL THEN f.single_high ELSE f.high END AS above,
        -- one filter has two names: the first that is broken is told, not both
        below AND NOT f.keep_unlabelled AND NOT coalesce(apart, false)
            AND NOT (f.agreement IS NULL AND coalesce(unconfident, false)) AS textless
    FROM facts AS f
), marked AS (
    SELECT j.*, coalesce(final, false)::BIGINT + 2 * coalesce(unlicensed, false)::BIGINT + 4 * coalesce(foreign_language, false)::BIGINT
            + 8 * coalesce(unsure, false)::BIGINT + 16 * coalesce(short, false)::BIGINT + 32 * coalesce(repeats, false)::BIGINT
            + 64 * coalesce(compresses, false)::BIGINT + 128 * coalesce(fast_or_slow, false)::BIGINT
            + 256 * coalesce(unconfident, false)::BIGINT + 512 * coalesce(apart, false)::BIGINT AS broken
    FROM tested AS j
)
SELECT segment_id, num_samples, tier_now, kept_now, reason_now, broken + 1024 * coalesce(textless, false)::BIGINT AS rules,
    CASE WHEN broken > 0 THEN 'rejected' WHEN below THEN 'unlabelled' WHEN above THEN 'high' ELSE 'weak' END AS tier
FROM marked;

-- What `select` says of every segment with a consensus, under other thresholds; what is not given stays as the run has it.
-- `fails` lists every rule that a segment breaks, in the order in which `select` tries them; the first one names its reason.
-- Keeping begins at `weak`: an `unlabelled` above it counts as equal to it. A negative `rate_fence` is no fence.
CREATE OR REPLACE MACRO judge(
    score := NULL, confidence_share := NULL, high := NULL, weak := NULL, unlabelled := NULL, single_high := NULL,
    single_weak := NULL, single_unlabelled := NULL, min_confidence := NULL, languages := NULL, language_confidence := NULL,
    max_repeats := NULL, max_compression := NULL, rate_fence := NULL, rate_segments := NULL, min_chars := NULL,
    licences := NULL, allow_unknown_licence := NULL, keep_unlabelled := NULL
) AS TABLE
SELECT segment_id, num_samples, tier_now, kept_now, reason_now, tier, rule_names(reason_now, rules) AS fails,
    rules = 0 AS kept, fails[1] AS reason
FROM ruled(
    score := score, confidence_share := confidence_share, high := high, weak := weak, unlabelled := unlabelled,
    single_high := single_high, single_weak := single_weak, single_unlabelled := single_unlabelled,
    min_confidence := min_confidence, languages := languages, language_confidence := language_confidence,
    max_repeats := max_repeats, max_compression := max_compression, rate_fence := rate_fence,
    rate_segments := rate_segments, min_chars := min_chars, licences := licences,
    allow_unknown_licence := allow_unknown_licence, keep_unlabelled := keep_unlabelled
);

-- Hours by tier as the run has them and as they would be, and of all that is kept.
CREATE OR REPLACE MACRO what_if(
    score := NULL, confidence_share := NULL, high := NULL, weak := NULL, unlabelled := NULL, single_high := NULL,
    single_weak := NULL, single_unlabelled := NULL, min_confidence := NULL, languages := NULL, language_confidence := NULL,
    max_repeats := NULL, max_compression := NULL, rate_fence := NULL, rate_segments := NULL, min_chars := NULL,
    licences := NULL, allow_unknown_licence := NULL, keep_unlabelled := NULL
) AS TABLE
WITH counted AS (
    SELECT tier_now, kept_now, tier, rules = 0 AS kept, count(*) AS num_segments, sum(num_samples) AS num_samples
    FROM ruled(
        score := score, confidence_share := confidence_share, high := high, weak := weak, unlabelled := unlabelled,
        single_high := single_high, single_weak := single_weak, single_unlabelled := single_unlabelled,
        min_confidence := min_confidence, languages := languages, language_confidence := language_confidence,
        max_repeats := max_repeats, max_compression := max_compression, rate_fence := rate_fence,
        rate_segments := rate_segments, min_chars := min_chars, licences := licences,
        allow_unknown_licence := allow_unknown_licence, keep_unlabelled := keep_unlabelled
    ) GROUP BY ALL
), moved AS (
    SELECT 1 AS place, tier_now AS tier, num_segments AS now, 0 AS "then", num_samples AS samples_now, 0 AS samples_then FROM counted
    UNION ALL SELECT 1, tier, 0, num_segments, 0, num_samples FROM counted
    UNION ALL SELECT 2, 'kept', CASE WHEN kept_now THEN num_segments END, CASE WHEN kept THEN num_segments END,
        CASE WHEN kept_now THEN num_samples END, CASE WHEN kept THEN num_samples END FROM counted
)
SELECT tier, coalesce(sum(now), 0)::BIGINT AS segments_now, coalesce(sum("then"), 0)::BIGINT AS segments_then,
    coalesce(sum(samples_now), 0) / 16000 / 3600 AS hours_now, coalesce(sum(samples_then), 0) / 16000 / 3600 AS hours_then
FROM moved WHERE tier IS NOT NULL GROUP BY place, tier
ORDER BY place, list_position(['high', 'weak', 'unlabelled', 'event', 'rejected'], tier);

-- What the labels of each tier should be worth, where the run has a calibration: errors expected per word, over all words.
CREATE OR REPLACE VIEW expected_by_tier AS
SELECT tier, count(*) AS num_segments, sum(num_samples) / 16000 / 3600 AS hours,
    sum((expected_error * num_slots)::DECIMAL(18, 9)) / nullif(sum(num_slots), 0) AS expected_error
FROM spans
WHERE expected_error IS NOT NULL
GROUP BY tier ORDER BY list_position(['high', 'weak', 'unlabelled', 'rejected'], tier);

-- What each filter of `select` loses: all that breaks it, and what breaks it alone, so would be kept without it (the margin).
-- An agreement below `weak` is one filter with two names: `select.low_agreement` where it is also below `unlabelled`.
CREATE OR REPLACE VIEW marginal_loss AS
WITH counted AS (
    SELECT CASE WHEN (rules & 1) > 0 THEN reason_now END AS first, rules, count(*) AS num_segments, sum(num_samples) AS num_samples
    FROM ruled() WHERE rules > 0 GROUP BY ALL
), named AS (SELECT *, rule_names(first, rules) AS fails FROM counted),
broken AS (SELECT unnest(fails) AS reason, len(fails) = 1 AS alone, num_segments, num_samples FROM named),
kept AS (SELECT sum(num_samples) AS num_samples FROM spans WHERE kept)
SELECT b.reason, sum(b.num_segments)::BIGINT AS num_failing, sum(b.num_samples) / 16000 AS failing_s,
    coalesce(sum(b.num_segments) FILTER (b.alone), 0)::BIGINT AS num_marginal,
    coalesce(sum(b.num_samples) FILTER (b.alone), 0) / 16000 AS marginal_s,
    coalesce(sum(b.num_samples) FILTER (b.alone), 0) / nullif(any_value(k.num_samples), 0) AS marginal_of_kept
FROM broken AS b CROSS JOIN kept AS k
GROUP BY b.reason ORDER BY marginal_s DESC, failing_s DESC, b.reason;

-- Languages in whose segments digits were compared as they are written, since no library says how they are spoken there:
-- words and digits for the same number lower the agreement.
CREATE OR REPLACE VIEW unread_numbers AS
SELECT language, count(*) AS num_segments, avg(agreement::DECIMAL(18, 15)) AS mean_agreement
FROM spans WHERE unread_numbers
GROUP BY ALL ORDER BY num_segments DESC, language;

-- Work by stage, engine and device: hours of wall clock and of CPU, how many times faster than real time, work per kept hour.
CREATE OR REPLACE VIEW cost_by_stage AS
WITH kept AS (SELECT sum(num_samples) / 16000 / 3600 AS hours FROM spans WHERE kept),
spent AS (
    SELECT CASE WHEN engine IS NULL THEN stage ELSE stage || ':' || engine END AS stage, engine, device,
        count(*) AS num_units, sum(wall_s::DECIMAL(18, 6)) / 3600 AS wall_hours, sum(cpu_s::DECIMAL(18, 6)) / 3600 AS cpu_hours,
        sum(wall_s::DECIMAL(18, 6)) AS wall_s, max(max_rss_bytes) / 1e9 AS max_rss_gb, sum(attempts - 1)::BIGINT AS retries
    FROM costs GROUP BY ALL
)
SELECT s.* EXCLUDE (wall_s), f.seconds_in / nullif(sum(s.wall_s) OVER (PARTITION BY s.stage), 0) AS times_real_time,
    wall_hours / nullif(k.hours, 0) AS wall_per_kept_hour, cpu_hours / nullif(k.hours, 0) AS cpu_per_kept_hour
FROM spent AS s LEFT JOIN funnel AS f ON f.stage = s.stage CROSS JOIN kept AS k
ORDER BY f.position, s.stage, device;

-- The whole run in one row: hours of audio, hours of work, and work per kept hour. `gpu_hours` is wall clock on any GPU.
CREATE OR REPLACE VIEW cost AS
WITH audio AS (
    SELECT coalesce(sum(num_samples), 0) / 16000 / 3600 AS source_hours,
        coalesce(sum(num_samples) FILTER (speech), 0) / 16000 / 3600 AS speech_hours,
        coalesce(sum(num_samples) FILTER (kept), 0) / 16000 / 3600 AS kept_hours
    FROM spans
), work AS (
    SELECT coalesce(sum(wall_s::DECIMAL(18, 6)), 0) / 3600 AS wall_hours, coalesce(sum(cpu_s::DECIMAL(18, 6)), 0) / 3600 AS cpu_hours,
        coalesce(sum(wall_s::DECIMAL(18, 6)) FILTER (device NOT LIKE 'cpu%'), 0) / 3600 AS gpu_hours
    FROM costs
)
SELECT audio.*, work.*, wall_hours / nullif(kept_hours, 0) AS wall_per_kept_hour,
    cpu_hours / nullif(kept_hours, 0) AS cpu_per_kept_hour, gpu_hours / nullif(kept_hours, 0) AS gpu_per_kept_hour
FROM audio CROSS JOIN work;

-- What each recognition service was asked, and what that comes to by the prices in the config: requests that were sent again are not in it.
-- A segment is one request, or as many as it has stretches of `max_seconds`.
CREATE OR REPLACE VIEW service_cost AS
WITH engines AS (SELECT unnest(content->'$.config.transcribe[*]') AS told FROM run),
services AS (
    SELECT told->>'$.name' AS engine, (told->>'$.price_per_hour')::DOUBLE AS price_per_hour,
        (told->>'$.price_per_request')::DOUBLE AS price_per_request, (told->>'$.max_seconds')::DOUBLE AS most
    FROM engines WHERE told->>'$.kind' = 'openai'
), asked AS (
    SELECT h.engine, count(*) AS num_segments, sum(s.num_samples) / 16000 / 3600 AS hours,
        sum(ceil(s.num_samples / 16000 / v.most))::BIGINT AS num_requests,
        count(*) FILTER (h.rejection.reason = 'transcribe.no_answer') AS num_unanswered
    FROM hypotheses AS h JOIN services AS v ON v.engine = h.engine JOIN segments AS s ON s.id = h.segment_id
    WHERE h.rejection IS NULL OR h.rejection.reason = 'transcribe.no_answer'
    GROUP BY h.engine
), kept AS (SELECT sum(num_samples) / 16000 / 3600 AS hours FROM spans WHERE kept)
SELECT v.engine, coalesce(a.num_segments, 0) AS num_segments, coalesce(a.num_requests, 0) AS num_requests,
    coalesce(a.num_unanswered, 0) AS num_unanswered, coalesce(a.hours, 0) AS hours,
    coalesce(a.hours, 0) * v.price_per_hour + coalesce(a.num_requests, 0) * v.price_per_request AS price,
    price / nullif(k.hours, 0) AS price_per_kept_hour
FROM services AS v LEFT JOIN asked AS a ON a.engine = v.engine CROSS JOIN kept AS k
ORDER BY v.engine;

-- Every violation of in = kept + rejected, by id, with what was expected and what was found. Empty on a sound run.
CREATE OR REPLACE VIEW conservation AS
WITH kept_recordings AS (FROM recordings WHERE rejection IS NULL),
parts AS (SELECT unnest(u.parts, recursive := true) FROM units AS u)
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
SELECT stage, id, what, expected, found FROM violations
UNION ALL
SELECT f.stage, t.segment_id, 'hypotheses of a segment', 1, 0
FROM spans AS t JOIN (FROM fate_verdicts WHERE position = 4 AND kept IS NULL) AS f ON f.fate = t.fate
UNION ALL
SELECT stage, reason, 'rejections for a reason that this stage does not have', 0, sum(num_rows)::BIGINT
FROM verdict_counts AS v
WHERE NOT kept AND NOT EXISTS (
    FROM reasons AS m
    WHERE m.reason = v.reason AND (m.stage = split_part(v.stage, ':', 1) OR (v.stage = 'list' AND m.stage = 'crawl'))
)
GROUP BY ALL;

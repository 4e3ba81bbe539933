-- What labellers say of segments, and where they contradict each other: views over `opinions`.

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
